"""The pages about success criteria and evidence say what the code does."""

import re
from typing import get_args

import pytest
from pydantic import BaseModel

from greenlane.deployments.declaring.criteria_document import (
    Business,
    Comparison,
    GateConfig,
    Performance,
    PostDeployment,
    PreDeployment,
    System,
)
from greenlane.deployments.declaring.document import read_document
from greenlane.health.asked import ALL_CRITERIA, GROUPS
from greenlane.health.criteria import MetricRules
from greenlane.health.declared import DatabaseSettings, MetricDeclaration
from greenlane.health.expressions import parse
from tests.builders import SERVICE
from tests.docs.pages import ROOT, blocks, code, section, table
from tests.docs.test_reference import as_written

CRITERIA = ROOT / "docs" / "success-criteria.md"
SPEC = ROOT / "tests" / "data" / "spec" / "deployment-success-criteria.yaml"


def keys(heading: str, number: int) -> dict[str, str]:
    return {code(row[0]): row[1] for row in table(CRITERIA, heading, number)}


@pytest.mark.parametrize(("number", "model"), [(0, Performance), (1, Business), (2, System)])
def test_the_keys_of_every_group_are_listed(number: int, model: type[BaseModel]) -> None:
    assert list(keys("Groups", number)) == list(model.model_fields)


@pytest.mark.parametrize(
    ("heading", "number", "model"),
    [
        ("Groups", 3, GateConfig),
        ("How a metric is judged", 0, MetricRules),
        ("Metrics of your own", 1, DatabaseSettings),
    ],
)
def test_keys_are_listed_with_their_defaults(
    heading: str, number: int, model: type[BaseModel]
) -> None:
    assert keys(heading, number) == {
        name: "required"
        if field.is_required()
        else as_written(field.get_default(call_default_factory=True))
        for name, field in model.model_fields.items()
    }


def test_the_keys_of_a_declared_metric_are_listed() -> None:
    own = [name for name in MetricDeclaration.model_fields if name not in MetricRules.model_fields]
    assert list(keys("Metrics of your own", 0)) == own


def test_comparisons_are_listed() -> None:
    assert list(keys("A limit in full", 0)) == list(get_args(Comparison))


def test_phases_are_listed() -> None:
    written = {name.split(".")[-1] for name in keys("Phases", 0)}
    assert written == {*PreDeployment.model_fields, *PostDeployment.model_fields}


def test_groups_of_metrics_are_listed() -> None:
    written = {}
    for names, metrics in table(CRITERIA, "Phases", 1):
        for name in re.findall(r"`(\w+)`", names):
            written[name] = tuple(re.findall(r"`(\w+)`", metrics))
    assert written.pop(ALL_CRITERIA) == ()
    assert written == dict(GROUPS)


def test_expressions_are_correct() -> None:
    (block,) = re.findall(r"```text\n(.*?)```", section(CRITERIA, "Alerts and triggers"), re.DOTALL)
    assert len([parse(line) for line in block.strip().splitlines()]) == 4


def test_the_whole_file_is_the_one_that_is_tested() -> None:
    (first, *_) = [block for block in blocks("yaml") if block.page == CRITERIA]
    shown = read_document(first.text, "x.yaml")
    assert shown.asks == read_document(SPEC.read_text(), "x.yaml").asks


def test_the_service_of_the_pages_is_the_service_of_the_tests() -> None:
    assert f"--service {SERVICE}" in CRITERIA.read_text()
