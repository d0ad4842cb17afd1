"""The page about pipelines shows requests that are accepted, and the workflow does what it says."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenlane.deployments.model import DeploymentRequest
from greenlane.pipelines import changing, deploying, migrating, rolling_out
from greenlane.pipelines.model import (
    ACTION_FUNCTION,
    Envelope,
    ExperimentAsked,
    FlagAsked,
    MigrationAsked,
    RolloutAsked,
)
from greenlane.pipelines.request import MOST_CHARACTERS, read_asked
from greenlane.regions.declaring.document import read_regions
from infra.settings import PipelineSettings, Settings
from tests.docs.pages import ROOT, Block, blocks, code, section, table
from tests.docs.test_snippets import GREENLANE, commands, parse

PAGE = ROOT / "docs" / "codepipeline.md"
WORKFLOW = ROOT / "examples" / "github-actions" / "deploy.yml"
ROLE = ROOT / "examples" / "github-actions" / "role.yaml"
REQUESTS = [
    block
    for block in blocks("json")
    if block.page == PAGE and "pipeline_execution_id" in block.text
]
VARIABLES = {
    "codepipeline.PipelineExecutionId": "3137f7cb-7cf7-4abc-9f1f-d7eb3f3c2f0a",
    "Build.IMAGE": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/claude-manager:abc",
    "Build.VERSION": "1.4.2",
    "Build.PLAN": "a" * 64,
}


class Artifact:
    """What the build's artifact has."""

    any = True

    def read(self, name: str, artifact: str | None) -> str:
        assert artifact is None
        if name == "imagedefinitions.json":
            image = VARIABLES["Build.IMAGE"]
            return json.dumps([{"name": "claude-manager", "imageUri": image}])
        (regions,) = [b.text for b in blocks("yaml") if b.page.name == "regions.md"]
        return {"multi-region.yaml": regions}[name]


def filled(text: str) -> dict[str, Any]:
    for name, value in VARIABLES.items():
        text = text.replace(f"#{{{name}}}", value)
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("block", REQUESTS, ids=lambda block: block.id)
def test_every_request_on_the_page_is_accepted_and_fits(block: Block) -> None:
    assert len(json.dumps(json.loads(block.text))) <= MOST_CHARACTERS

    found = read_asked(filled(block.text), Artifact(), by="test")

    if isinstance(found.subject, RolloutAsked):
        read_regions(found.subject.source or "")


def test_each_kind_of_request_is_on_the_page() -> None:
    found = {read_asked(filled(one.text), Artifact(), by="test").kind for one in REQUESTS}

    assert found == {"deployment", "rollout", "flag", "experiment", "migration"}


def test_the_event_on_the_page_is_a_request() -> None:
    (text,) = [b.text for b in blocks("bash") if b.page == PAGE]
    (entry,) = json.loads(text[text.index("'") + 1 : text.rindex("'")])
    (source,) = json.loads(
        next(b.text for b in blocks("json") if b.page == PAGE and "request_sources" in b.text)
    )["request_sources"]

    assert (entry["Source"], entry["DetailType"]) == (source, "Greenlane Request")
    assert read_asked(json.loads(entry["Detail"]), Artifact(), by="test").kind == "deployment"


def test_every_key_of_the_envelope_is_described_with_its_default() -> None:
    described = {code(row[0]): row[1] for row in table(PAGE, "The Lambda action")}

    assert list(described) == [
        *("pipeline_execution_id", "action", "wait", "on_stop", "artifact"),
        *("image_definitions", "request_file", "requested_by"),
    ]
    assert set(described) == set(Envelope.model_fields)
    assert described["wait"] == f"`{Envelope.model_fields['wait'].default}`"
    assert described["on_stop"] == f"`{Envelope.model_fields['on_stop'].default}`"


def test_every_key_of_a_deployment_is_named() -> None:
    (line,) = [
        line for line in PAGE.read_text().splitlines() if line.startswith("All other keys are")
    ]
    ours = {"deployment_id", "undo", "requested_by"}
    written = {name for name in DeploymentRequest.model_fields if not name.startswith("rollout_")}

    assert set(re.findall(r"`(\w+)`", line)) == written - ours


def test_the_keys_of_other_subjects_are_on_the_page() -> None:
    text = section(PAGE, "What else it takes")
    for model in (FlagAsked, ExperimentAsked, MigrationAsked):
        required = {name for name, field in model.model_fields.items() if field.is_required()}
        for name in required:
            assert f'"{name}"' in text, (model.__name__, name)


def test_the_variables_are_those_that_come_out() -> None:
    rows = table(PAGE, "What comes out")
    written = {row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in rows}
    modules = {
        "a deployment": deploying,
        "a rollout": rolling_out,
        "a migration": migrating,
    }
    for what, module in modules.items():
        text = Path(str(module.__file__)).read_text()
        assert written[what] == _keys(text), what
    text = Path(str(changing.__file__)).read_text()
    assert written["a flag"] | written["an A/B test"] == _keys(text) - {"proposal"}


def _keys(text: str) -> set[str]:
    """The keys of what is assigned, or added, to `outputs`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and "outputs" in ast.unparse(node.targets[0]):
            if isinstance(node.targets[0], ast.Subscript):
                found.add(ast.literal_eval(node.targets[0].slice))
            elif isinstance(node.value, ast.Dict):
                found |= {ast.literal_eval(key) for key in node.value.keys if key is not None}
        if isinstance(node, ast.keyword) and node.arg == "outputs":
            for inner in ast.walk(node.value):
                if isinstance(inner, ast.Dict):
                    found |= {ast.literal_eval(key) for key in inner.keys if key is not None}
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "named":
            assert isinstance(node.value, ast.Dict)
            named = {ast.literal_eval(key) for key in node.value.keys if key is not None}
            found |= named - {"deployment_id", "requested_by"}
    return found


def test_the_settings_of_the_pipeline_are_listed_and_those_on_the_page_are_accepted() -> None:
    rows = {code(row[0]): row[1] for row in table(PAGE, "A whole pipeline")}
    context = json.loads((ROOT / "cdk.json").read_text())["context"]["greenlane"]
    for block in blocks("json"):
        if block.page == PAGE and "pipeline_execution_id" not in block.text:
            Settings.from_context(context | json.loads(block.text))

    assert list(rows) == list(PipelineSettings.model_fields)
    for name, field in PipelineSettings.model_fields.items():
        assert (rows[name] == "required") == field.is_required(), name
    assert rows["branch"] == "`main`"
    assert f"`{ACTION_FUNCTION}`" in PAGE.read_text()


@pytest.fixture
def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return found


def test_the_workflow_has_no_secret_and_may_ask_who_it_is(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read", "id-token": "write"}
    assert "secrets." not in WORKFLOW.read_text()
    (credentials,) = [
        step["with"]
        for step in workflow["jobs"]["deploy"]["steps"]
        if "configure-aws-credentials" in step.get("uses", "")
    ]
    assert set(credentials) == {"role-to-assume", "aws-region", "role-duration-seconds"}


def test_the_workflows_commands_are_real_and_one_takes_back_what_was_cancelled(
    workflow: dict[str, Any],
) -> None:
    steps = {step["name"]: step for step in workflow["jobs"]["deploy"]["steps"] if "name" in step}
    asked = []
    for step in steps.values():
        for _, *arguments in commands(step["run"], "greenlane"):
            parse(GREENLANE, arguments)
            asked.append(arguments)

    (deploy, abort) = asked
    assert {"deploy", "--image", "--id", "--watch"} <= set(deploy)
    assert "GITHUB_RUN_ATTEMPT" in deploy[deploy.index("--id") + 1]
    assert "abort" in abort
    assert steps["Take it back"]["if"] == "cancelled()"


def test_the_workflow_names_only_variables_that_it_or_its_page_says_to_set() -> None:
    text = WORKFLOW.read_text()
    (said,) = [line for line in text.splitlines() if "repository's variables" in line]

    used = set(re.findall(r"\bvars\.(\w+)", text))
    assert used == set(re.findall(r"\b[A-Z_]{4,}\b", said))


def test_the_role_trusts_one_repository_and_environment_only(workflow: dict[str, Any]) -> None:
    text = ROLE.read_text()

    assert "repo:${Repository}:environment:${Environment}" in text
    assert "token.actions.githubusercontent.com:aud: sts.amazonaws.com" in text
    assert "StringLike" not in text
    (duration,) = re.findall(r"MaxSessionDuration: (\d+)", text)
    steps = workflow["jobs"]["deploy"]["steps"]
    assert int(duration) == next(
        step["with"]["role-duration-seconds"]
        for step in steps
        if "configure-aws-credentials" in step.get("uses", "")
    )
    assert workflow["jobs"]["deploy"]["environment"] == "production"
    assert workflow["jobs"]["deploy"]["timeout-minutes"] * 60 < int(duration)
