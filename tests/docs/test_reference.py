import json
import re
import runpy
import tomllib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from greenlane import __version__
from greenlane.deployments import workload
from greenlane.deployments.declaring import config
from greenlane.deployments.declaring.canary_document import (
    CanaryCriteria,
    CanaryDocument,
    TrafficPolicy,
)
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.phases import LEASED, Phase
from greenlane.deployments.plan import plan_steps
from greenlane.durations import format_seconds
from greenlane.local.demo.scenes import CORE, SCENES
from greenlane.people.announcement import SEVERITIES
from infra import settings
from tests.docs.pages import ROOT, code, section, table, tables

DEPLOYMENTS = ROOT / "docs" / "deployments.md"
AWS = ROOT / "docs" / "deploying-to-aws.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
WRITTEN_BY_APPLY = (config.ServiceConfig, "criteria")
"""The one key that no file may have."""


def as_written(value: Any) -> str:
    """A default as the reference writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case timedelta():
            return f"`{format_seconds(value.total_seconds())}`"
        case Decimal():
            return f"`{value.normalize():f}`"
        case tuple():
            return f"`[{', '.join(str(item) for item in value)}]`"
        case BaseModel():
            return "see below"
    return f"`{value}`"


def defaults(model: type[BaseModel]) -> dict[str, str]:
    return {
        name: "required"
        if field.is_required()
        else as_written(field.get_default(call_default_factory=True))
        for name, field in model.model_fields.items()
        if (model, name) != WRITTEN_BY_APPLY
    }


@pytest.mark.parametrize(
    ("heading", "number", "model"),
    [
        ("service", 0, config.ServiceConfig),
        ("service.deployment", 0, config.DeploymentConfig),
        ("service.deployment.steps", 0, config.StepConfig),
        ("service.judge", 0, config.JudgeConfig),
        ("service.validation", 0, config.ValidationTest),
        ("service.warm_up", 0, config.WarmUp),
        ("service.hooks", 0, config.Hooks),
        ("service.run_task", 0, config.RunTask),
        ("service.workload", 0, workload.Workload),
        ("service.workload", 1, workload.SlotResources),
        ("service.workload", 2, workload.TaskShape),
        ("service.workload", 3, workload.Capacity),
        ("service.notifications", 0, config.Notifications),
        ("service.notifications", 1, config.Webhook),
        ("service.monitoring", 0, config.Monitoring),
    ],
)
def test_the_reference_lists_every_key_with_its_default(
    heading: str, number: int, model: type[BaseModel]
) -> None:
    written = {code(row[0]): row[1] for row in table(DEPLOYMENTS, heading, number)}

    assert written == defaults(model)
    assert list(written) == list(defaults(model))


def test_news_is_listed_with_how_bad_it_is() -> None:
    rows = table(ROOT / "docs" / "notifications.md", "What is told")

    assert {code(row[0]): row[1] for row in rows} == SEVERITIES


def test_every_key_of_a_canary_file_is_explained() -> None:
    rows = table(DEPLOYMENTS, "A canary file")
    written = {
        name.rsplit(".", 1)[-1] for row in rows for name in re.findall(r"`([\w.]+)`", row[0])
    }
    models = (CanaryDocument, TrafficPolicy, CanaryCriteria)
    inside = {"traffic_policy", "success_criteria"}

    assert written == {name for model in models for name in model.model_fields} - inside


@pytest.mark.parametrize("row", table(DEPLOYMENTS, "Strategies and steps"), ids=lambda row: row[0])
def test_strategies_are_as_planned(row: list[str]) -> None:
    strategy: Any = code(row[0])
    request = DeploymentRequest(service="any-service", version="any", strategy=strategy)

    planned = plan_steps(config.DeploymentConfig(), request)

    steps = [step for step in planned if step.kind == "step"]
    final = [step.bake_seconds for step in planned if step.kind == "final"]
    if strategy != "linear":
        assert row[1] == ", ".join(str(step.weight) for step in steps)
    assert {row[2]} == {format_seconds(step.bake_seconds) for step in steps}
    assert row[3] == (format_seconds(final[0]) if final else "none")


def test_the_page_about_the_command_line_is_fresh() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "generate_cli.py"))["page"]

    assert (ROOT / "docs" / "cli.md").read_text() == page(), "run python docs/generate_cli.py"


@pytest.mark.parametrize(
    ("number", "model"),
    [
        (0, settings.Settings),
        (1, settings.ServiceSettings),
        (2, settings.SampleSettings),
        (3, settings.AlarmThresholds),
        (4, settings.FlagSettings),
        (5, settings.MigrationSettings),
        (6, settings.DatabaseAccess),
        (7, settings.RegionsSettings),
    ],
)
def test_the_settings_of_the_stacks_are_listed(number: int, model: type[BaseModel]) -> None:
    written = {code(row[0]): row[1] for row in table(AWS, "Settings", number)}

    assert list(written) == list(model.model_fields)
    for name, field in model.model_fields.items():
        if field.is_required():
            assert written[name] == "required"
        elif isinstance(field.default, bool):
            assert written[name] == f"`{str(field.default).lower()}`"
        elif isinstance(field.default, int | float):
            assert written[name] == f"`{field.default:g}`"


def test_the_settings_that_come_with_the_repository_are_accepted() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    settings.Settings.from_context(context["greenlane"])


def costs() -> list[list[str]]:
    return [row for rows in tables(section(AWS, "What it costs")) for row in rows]


@pytest.mark.parametrize("row", costs(), ids=lambda row: row[0])
def test_costs_are_computed_correctly(row: list[str]) -> None:
    _, count, price, cost = row

    assert Decimal(count) * Decimal(price) == Decimal(cost)


def test_scenes_are_those_of_the_demo() -> None:
    rows = table(ROOT / "docs" / "getting-started.md", "1. Watch the demo")

    assert [code(row[0]) for row in rows] == list(SCENES)
    assert [code(row[0]) for row in rows[:3]] == [scene.name for scene in CORE]


def test_every_function_is_in_the_picture() -> None:
    written = {code(row[0]) for row in table(ARCHITECTURE, "Functions")}
    modules = {path.stem for path in (ROOT / "functions").glob("*.py")} - {"__init__"}

    assert written == modules


@pytest.mark.parametrize(
    ("heading", "file"),
    [
        ("The deployment machine", "deployment"),
        ("The rollback machine", "rollback"),
        ("The machine of ramps", "flag_rollout"),
        ("The machine of migrations", "migration"),
        ("The machine of restores", "restore"),
        ("The machine of rollouts", "global_deployment"),
    ],
)
def test_the_diagrams_name_states_and_transitions_that_exist(heading: str, file: str) -> None:
    definition = json.loads((ROOT / "statemachines" / f"{file}.asl.json").read_text())
    states = definition["States"]
    # Passed over in the diagram: states that only rename or choose.
    passing = {"IsAnythingToDo", "TakeBackPlanned", "IsJudged", "IsRaised"}
    if heading.removeprefix("The machine of ") in ("migrations", "restores", "rollouts"):
        passing.add("Route")  # each step of it leads there; a deployment's has a meaning

    def following(name: str) -> set[str]:
        found = set(re.findall(r'"(?:Next|Default)": "(\w+)"', json.dumps(states[name])))
        for passed in found & passing:
            found |= following(passed)
        return found

    arrows = re.findall(r"^    (\w+) --> (\w+)", section(ARCHITECTURE, heading), re.MULTILINE)
    assert arrows
    for before, after in arrows:
        assert after in following(before), f"{before} --> {after}"


def test_phases_and_their_leases_are_listed() -> None:
    rows = table(ROOT / "docs" / "concepts.md", "Phases")

    assert {code(row[0]): row[2] == "yes" for row in rows} == {
        phase.value: phase in LEASED for phase in Phase
    }


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text()

    for path in folder.glob("[0-9]*.md"):
        assert f"({path.name})" in index


def test_every_direct_dependency_is_argued() -> None:
    page = (ROOT / "docs" / "adr" / "0007-dependencies.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        *(ROOT / "functions" / "requirements.txt").read_text().splitlines(),
        *(ROOT / "functions" / "requirements-migrations.txt").read_text().splitlines(),
        *project["dependencies"],
        *project["optional-dependencies"]["local"],
    ]
    for line in lines:
        if line and not line.startswith("#"):
            wanted = re.split(r"[=<>~ ]", line)[0]
            assert f"`{wanted}`" in page, wanted


def test_the_changelog_has_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_license_is_whole() -> None:
    text = Path(ROOT / "LICENSE").read_text()

    assert "Apache License" in text
    assert "APPENDIX: How to apply the Apache License to your work." in text
