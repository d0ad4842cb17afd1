"""The same evidence gives the same report, byte for byte, in every format."""

import json

import pytest

from greenlane.incidents.report_compose import compose
from greenlane.incidents.report_model import Evidence, Report
from greenlane.incidents.report_store import RENDERERS
from tests.unit.incidents.cases import CASES, GOLDEN
from tests.unit.incidents.pieces import SECRETS


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize("case", CASES)
def test_a_report_is_what_it_was(case, format):
    """After a wanted change: `python -m tests.unit.incidents.cases`, and look at the difference."""
    written = (GOLDEN / case / f"report.{format}").read_text()
    assert RENDERERS[format](compose(CASES[case]())) == written


@pytest.mark.parametrize("case", CASES)
def test_evidence_that_went_through_json_gives_the_same_report(case):
    evidence = CASES[case]()
    again = Evidence.model_validate_json(evidence.model_dump_json())
    assert compose(again) == compose(evidence)


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize("case", CASES)
def test_a_stored_report_is_rendered_as_when_it_was_made(case, format):
    stored = Report.model_validate_json((GOLDEN / case / "report.json").read_text())
    assert RENDERERS[format](stored) == (GOLDEN / case / f"report.{format}").read_text()


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize("case", CASES)
def test_no_secret_of_the_evidence_is_in_a_report(case, format):
    assert json.dumps(CASES[case]().model_dump(mode="json")).count(SECRETS[0]) or case == (
        "nothing_readable"
    )
    text = RENDERERS[format](compose(CASES[case]()))
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.parametrize("case", CASES)
def test_a_line_of_the_history_about_the_report_changes_nothing(case):
    evidence = CASES[case]()
    line = evidence.history[-1].model_copy(update={"kind": "report written", "detail": {}})
    told = evidence.model_copy(update={"history": (*evidence.history, line)})
    assert compose(told) == compose(evidence)


def test_every_golden_folder_is_a_case():
    assert {path.name for path in GOLDEN.iterdir()} == set(CASES)
