"""The doors without a person, and the example pipeline that is made only where it is asked for."""

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from greenlane.pipelines.model import ACTION_FUNCTION
from greenlane.pipelines.request import MOST_CHARACTERS, NoFiles, read_asked
from infra.nag import as_finding
from infra.settings import Settings
from tests.infra.conftest import Assembly, Template, Vary, context
from tests.infra.test_permissions import as_list, statements
from tests.infra.test_regions_template import region_of

PIPELINE: dict[str, Any] = {
    "service": "claude-manager",
    "connection_arn": "arn:aws:codestar-connections:eu-west-1:123456789012:connection/8aad-4d5d",
    "repository": "acme/claude-manager",
    "approvers": ["ops@example.com"],
}
ELSEWHERE = {"us-east-1": "acme-artifacts-us-east-1", "ap-south-1": "acme-artifacts-ap-south-1"}
STACK = "GreenlanePipeline"
WITH_PIPELINE: dict[str, Any] = {
    "request_sources": ["com.example.releases"],
    "pipeline": PIPELINE | {"strategy": "canary", "elsewhere": ELSEWHERE},
}
"""Settings with which there is a pipeline through several Regions."""


@pytest.fixture(scope="module")
def assembly_with(vary: Vary) -> Assembly:
    return vary(sample=False, **WITH_PIPELINE)


@pytest.fixture(scope="module")
def pipeline(assembly_with: Assembly) -> Template:
    return assembly_with.template(STACK)


@pytest.fixture(scope="module")
def stages(pipeline: Template) -> dict[str, list[dict[str, Any]]]:
    declared = pipeline.only("AWS::CodePipeline::Pipeline").properties["Stages"]
    return {stage["Name"]: stage["Actions"] for stage in declared}


def test_without_the_setting_there_is_no_pipeline(assembly: Assembly) -> None:
    assert not (assembly.folder / f"{STACK}.template.json").exists()
    assert "AWS::CodePipeline::Pipeline" not in json.dumps(assembly.product.body)


def test_it_goes_from_source_to_further_regions_and_asks_people_between(
    stages: dict[str, list[dict[str, Any]]],
) -> None:
    found = {
        name: [action["ActionTypeId"]["Provider"] for action in actions]
        for name, actions in stages.items()
    }

    assert found == {
        "Source": ["CodeStarSourceConnection"],
        "Build": ["CodeBuild"],
        "Approve": ["Manual"],
        "Deploy": ["Lambda"],
        "ApproveElsewhere": ["Manual"],
        "Elsewhere": ["StepFunctions", "StepFunctions"],
    }


def test_artifacts_that_are_read_were_written_before(
    stages: dict[str, list[dict[str, Any]]],
) -> None:
    written: set[str] = set()
    for actions in stages.values():
        for action in actions:
            read = {one["Name"] for one in action.get("InputArtifacts", [])}
            assert read <= written, action["Name"]
        written |= {one["Name"] for action in actions for one in action.get("OutputArtifacts", [])}
    namespaces = {action.get("Namespace") for actions in stages.values() for action in actions} - {
        None
    }
    assert namespaces == {"Build", "Greenlane"}


class Built:
    """What the build's artifact has."""

    any = True

    def read(self, name: str, artifact: str | None) -> str:
        assert (name, artifact) == ("imagedefinitions.json", None)
        return '[{"name": "claude-manager", "imageUri": "registry/claude-manager:abc"}]'


def replaced(text: str) -> dict[str, Any]:
    """A request as the pipeline hands it over."""
    assert len(text) <= MOST_CHARACTERS
    text = text.replace("#{codepipeline.PipelineExecutionId}", "3137f7cb-7cf7-4abc")
    found: dict[str, Any] = json.loads(text.replace("#{Build.IMAGE}", "registry/it:abc"))
    return found


def test_what_the_actions_ask_is_a_request_that_greenlane_accepts(
    stages: dict[str, list[dict[str, Any]]],
) -> None:
    (deploy,) = stages["Deploy"]
    assert deploy["Configuration"]["FunctionName"] == ACTION_FUNCTION
    here = read_asked(replaced(deploy["Configuration"]["UserParameters"]), Built(), by="test")
    assert (here.name, here.envelope.pipeline_execution_id) == (
        "claude-manager",
        "3137f7cb-7cf7-4abc",
    )
    for action in stages["Elsewhere"]:
        there = read_asked(replaced(action["Configuration"]["Input"]), NoFiles(), by="test")
        assert there.name == "claude-manager"
        machine = as_finding(action["Configuration"]["StateMachineArn"])
        assert region_of(machine) == action["Region"]
        assert machine.endswith(":greenlane-request")


def test_there_is_a_bucket_for_each_region(pipeline: Template) -> None:
    declared = pipeline.only("AWS::CodePipeline::Pipeline").properties
    stores = {one["Region"]: one["ArtifactStore"]["Location"] for one in declared["ArtifactStores"]}

    assert "ArtifactStore" not in declared
    assert {region: stores[region] for region in ELSEWHERE} == ELSEWHERE
    assert set(stores) == {"eu-west-1", *ELSEWHERE}


def test_with_one_region_there_is_one_bucket_and_no_second_approval(vary: Vary) -> None:
    template = vary(sample=False, pipeline=PIPELINE).template(STACK)
    declared = template.only("AWS::CodePipeline::Pipeline").properties

    assert "ArtifactStores" not in declared
    assert [stage["Name"] for stage in declared["Stages"]] == [
        *("Source", "Build", "Approve", "Deploy")
    ]
    assert "states:StartExecution" not in json.dumps(template.body)
    asked = json.loads(declared["Stages"][-1]["Actions"][0]["Configuration"]["UserParameters"])
    assert "strategy" not in asked


def test_the_build_writes_the_file_that_the_action_reads(pipeline: Template) -> None:
    project = pipeline.only("AWS::CodeBuild::Project").properties
    spec = json.loads(project["Source"]["BuildSpec"])

    (written,) = spec["artifacts"]["files"]
    assert any(command.endswith(f"> {written}") for command in spec["phases"]["build"]["commands"])
    assert spec["env"]["exported-variables"] == ["IMAGE"]
    declared = {one["Name"] for one in project["Environment"]["EnvironmentVariables"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(spec)))
    assert used == declared | {"IMAGE", "CODEBUILD_RESOLVED_SOURCE_VERSION"}


def test_the_pipeline_may_call_greenlane_and_nothing_that_greenlane_does(
    pipeline: Template,
) -> None:
    actions = {
        action for _, statement in statements(pipeline) for action in as_list(statement["Action"])
    }
    wide = {
        action
        for _, statement in statements(pipeline)
        if "*" in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    }

    assert wide == {"ecr:GetAuthorizationToken"}
    assert not {one for one in actions if one.startswith(("ecs:", "elasticloadbalancing:", "iam:"))}
    (called,) = [
        as_list(statement["Resource"])
        for _, statement in statements(pipeline)
        if "lambda:InvokeFunction" in as_list(statement["Action"])
    ]
    assert [as_finding(arn).rsplit(":", 1)[-1] for arn in called] == [ACTION_FUNCTION]
    assert pipeline.resources("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy") == []


def test_an_abandoned_action_is_heard_and_its_event_is_kept_if_nobody_takes_it(
    product: Template,
) -> None:
    rule = product.only("AWS::Events::Rule", Name="greenlane-pipeline-abandoned").properties

    assert rule["EventPattern"] == {
        "source": ["aws.codepipeline"],
        "detail-type": ["CodePipeline Action Execution State Change"],
        "detail": {"state": ["ABANDONED"], "type": {"provider": ["Lambda", "StepFunctions"]}},
    }
    (target,) = rule["Targets"]
    paths = target["InputTransformer"]["InputPathsMap"]
    assert "$.detail.execution-id" in paths.values()
    assert "DeadLetterConfig" in target


def test_events_are_requests_only_of_the_sources_that_are_named(
    assembly: Assembly, assembly_with: Assembly
) -> None:
    assert "Greenlane Request" not in json.dumps(assembly.product.body)
    rule = assembly_with.product.only("AWS::Events::Rule", Name="greenlane-request").properties

    assert rule["EventPattern"] == {
        "source": ["com.example.releases"],
        "detail-type": ["Greenlane Request"],
    }
    (target,) = rule["Targets"]
    assert set(json.loads(_plain(target))) == {"request", "event"}
    paths = target["InputTransformer"]["InputPathsMap"]
    assert set(paths.values()) == {"$.detail", "$.id"}


def _plain(target: dict[str, Any]) -> str:
    """A template of an input, with texts in the place of its placeholders."""
    text: str = target["InputTransformer"]["InputTemplate"]
    return text.replace("<", '"').replace(">", '"').replace('""', '"')


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pipeline": PIPELINE | {"service": "another"}}, "is not one of services"),
        ({"pipeline": PIPELINE | {"connection_arn": "arn:x"}}, "connection_arn"),
        ({"pipeline": PIPELINE | {"repository": "no-owner"}}, "repository"),
        ({"pipeline": PIPELINE | {"elsewhere": {"eu-west-1": "b"}}}, "is where it runs"),
        ({"pipeline": PIPELINE | {"approver": "x"}}, "approver"),
        ({"request_sources": ["aws.codepipeline"]}, "only AWS itself puts events of aws."),
        ({"request_sources": ["anything"]}, "request_sources"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings.from_context(context()["greenlane"] | changed)
