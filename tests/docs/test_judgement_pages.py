"""The pages about judgement, the plan, dashboards and the doctor say what the code does."""

import math
from decimal import Decimal
from typing import Any
from unittest.mock import create_autospec, patch

import pytest

from greenlane.cli.planning import lines_of
from greenlane.deployments.client import Greenlane
from greenlane.deployments.looking import cost
from greenlane.deployments.looking.foreseeing import _Planner, queries_of
from greenlane.deployments.model import DeploymentRequest
from greenlane.doctor.checks import CHECKS
from greenlane.health.asked import criteria_of
from greenlane.health.catalogue import CATALOGUE
from greenlane.health.declared import known_metrics
from greenlane.health.foresight import SEES
from greenlane.health.sequential import Count, against_limit, mixed
from greenlane.health.verdicts import levels_of
from tests.builders import NOW, service_config
from tests.docs.pages import ROOT, blocks, code, section, table, tables
from tests.unit.health.test_foresight import days
from tests.unit.health.test_replay import CONFIG, given

JUDGEMENT = ROOT / "docs" / "judgement.md"
PLAN = ROOT / "docs" / "plan.md"
AWS = ROOT / "docs" / "deploying-to-aws.md"


@pytest.mark.parametrize(
    "row", table(JUDGEMENT, "When something is proven"), ids=lambda row: row[0]
)
def test_the_table_of_proofs_is_what_the_judge_computes(row: list[str]) -> None:
    requests, good, bad = (int(cell) for cell in row)
    needed = -math.log(levels_of(criteria_of(service_config()), CATALOGUE)["error_rate"])

    def fails(events: int) -> bool:
        return mixed([against_limit(Count(requests, events), 0.01)]) >= needed

    assert good == requests // 100
    assert bad == next(events for events in range(requests) if fails(events))


def test_every_check_of_the_doctor_is_listed() -> None:
    rows = table(ROOT / "docs" / "doctor.md", "What it checks")

    assert [code(row[0]) for row in rows] == list(CHECKS)


def test_the_prices_are_those_of_the_page_about_aws() -> None:
    known = {
        value for name, value in vars(cost).items() if name.isupper() and isinstance(value, Decimal)
    }
    first = next(tables(section(AWS, "What it costs")))

    assert {Decimal(row[2]) for row in first} <= known
    (month,) = list(tables(section(AWS, "What it costs")))[1:]
    prices = {Decimal(row[2]) for row in month}
    assert {cost.FUNCTION_CALL, cost.GB_SECOND} <= prices


def test_what_the_judge_reads_is_what_the_page_about_aws_says() -> None:
    """With the default criteria, in the canary of the page's example."""
    config = service_config(deployment={"strategy": "canary"})
    lines = {line.what: line.count for line in example_of(None).cost.lines}
    rows = list(next(tables(section(AWS, "What it costs"))))
    pages = {row[0].split(":")[0].removesuffix(" by the judge"): Decimal(row[1]) for row in rows}

    for what in ("metrics read", "metrics read in the extended watch"):
        assert pages[what.capitalize()] == lines[what]
    each = queries_of(criteria_of(config), known_metrics(config.metrics))
    assert f"{each} each minute" in AWS.read_text()


def test_the_example_of_the_plan_is_what_the_command_prints() -> None:
    (example,) = [block.text for block in blocks("text") if block.page == PLAN]
    found = example_of(days(300))
    shown = example.splitlines()

    assert set(shown[1:]) <= set(lines_of(found))
    assert f"{SEES} unless" in PLAN.read_text()


def example_of(traffic: Any) -> Any:
    config = service_config(deployment={"strategy": "canary"})
    request = DeploymentRequest(service="claude-manager", version="any")
    return _Planner(config, request, traffic, None, NOW, SEES).plan(7, [])


def test_python_is_called_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    client = create_autospec(Greenlane, instance=True)
    client.foresee.return_value.steps = []
    client.foresee.return_value.cost.total = Decimal("0.5")
    (text,) = [block.text for block in blocks("python") if block.page == PLAN]
    with patch.object(Greenlane, "connect", autospec=True, return_value=client):
        exec(compile(text, "plan", "exec"), {})

    assert capsys.readouterr().out == "[] 0.5\n"


def test_replaying_is_called_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    client = create_autospec(Greenlane, instance=True)
    client.observed.return_value.observed = given()
    client.observed.return_value.config = CONFIG
    (text,) = [block.text for block in blocks("python") if block.page == JUDGEMENT]
    with patch.object(Greenlane, "connect", autospec=True, return_value=client):
        exec(compile(text, "replay", "exec"), {})

    assert capsys.readouterr().out in ("True\n", "False\n")
