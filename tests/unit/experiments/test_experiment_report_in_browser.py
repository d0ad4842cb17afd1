"""The page in a real Chromium: on a wide screen and on a phone, light and dark."""

from typing import Any

import pytest

from greenlane.experiments.report.charts import charts
from greenlane.experiments.report.compose import compose
from greenlane.experiments.report.page import render_html
from tests.browser import MISSING, chromium, measured
from tests.unit.experiments.reported import CASES

pytestmark = pytest.mark.skipif(chromium() is None, reason=MISSING)

PHONE, DESK = 390, 1200
REPORTS = ["shipped", "undecided", "silent"]


@pytest.fixture(scope="module", params=[(DESK, False), (PHONE, True)], ids=["desk", "dark-phone"])
def window(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The width of a window, whether it is dark, and what is seen of each report in it."""
    width, dark = request.param
    pages = {name: render_html(compose(*CASES[name]())) for name in REPORTS}
    seen = measured(pages, tmp_path_factory.mktemp("pages"), width=width, dark=dark)
    return width, dark, seen


@pytest.mark.parametrize("case", REPORTS)
def test_a_page_is_readable(case: str, window: Any) -> None:
    width, dark, seen = window
    found = seen[case]
    assert found["console"] == []
    assert found["dark"] is dark
    assert found["charts"] == len(charts(compose(*CASES[case]()))) > 0
    assert found["width"] <= width, "nothing is beyond the edge of the screen"
    assert found["smallest"] >= 9, "letters of charts are large enough to be read"
    assert (found["cut"], found["overlaps"]) == ([], [])
    assert found["contrast"] >= 4.5, "as WCAG asks of text"
    assert found["first"] < 420, "what came of it is seen without scrolling"
