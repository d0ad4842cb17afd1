"""The page in a real Chromium: on a wide screen and on a phone, light and dark."""

from pathlib import Path

import pytest

from greenlane.experiments.report.charts import charts
from greenlane.experiments.report.compose import compose
from greenlane.experiments.report.page import render_html
from tests.browser import MISSING, chromium, measured
from tests.unit.experiments.reported import CASES

pytestmark = pytest.mark.skipif(chromium() is None, reason=MISSING)

PHONE, DESK = 390, 1200


@pytest.mark.parametrize("case", ["shipped", "undecided", "silent"])
@pytest.mark.parametrize(("width", "dark"), [(DESK, False), (PHONE, True)])
def test_a_page_is_readable(case: str, width: int, dark: bool, tmp_path: Path) -> None:
    report = compose(*CASES[case]())
    found = measured(render_html(report), tmp_path, width=width, dark=dark)
    assert found["console"] == []
    assert found["dark"] is dark
    assert found["charts"] == len(charts(report)) > 0
    assert found["width"] <= width, "nothing is beyond the edge of the screen"
    assert found["smallest"] >= 9, "letters of charts are large enough to be read"
    assert (found["cut"], found["overlaps"]) == ([], [])
    assert found["contrast"] >= 4.5, "as WCAG asks of text"
    assert found["first"] < 420, "what came of it is seen without scrolling"
