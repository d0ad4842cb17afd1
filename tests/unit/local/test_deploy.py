import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from greenlane.local.deploy import Artifact, Deployer, read_assembly
from greenlane.local.errors import DeploymentFailed, UnknownResourceType
from tests.unit.local.conftest import Account

ANSWERING = """
import json, urllib.request
SEEN = []
def handler(event, context):
    SEEN.append(event["RequestType"])
    properties = event["ResourceProperties"]
    answer = {k: event[k] for k in ("StackId", "RequestId", "LogicalResourceId")}
    answer["Status"] = "FAILED" if properties.get("Fail") == "true" else "SUCCESS"
    answer["Reason"] = "as asked"
    answer["PhysicalResourceId"] = properties["Name"]
    answer["Data"] = {
        "Kind": event["RequestType"],
        "Old": json.dumps(event.get("OldResourceProperties")),
        "Number": properties.get("Number"),
    }
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
"""


def parameter(value: Any, name: Any = "/p", **more: Any) -> Any:
    properties = {"Name": name, "Type": "String", "Value": value}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties, **more}


class Stacks:
    """Deploys templates written in the test."""

    def __init__(self, account: Account, tmp_path: Path) -> None:
        self.account = account
        self.deployer = Deployer(account.cloud)
        self.directory = tmp_path

    def deploy(
        self, resources: Any, name: Any = "Test", roll_back: Any = False, **template: Any
    ) -> Any:
        artifact = Artifact(name, self.directory, {"Resources": resources, **template}, {})
        changes = self.deployer.deploy(artifact, roll_back=roll_back)
        return [(change.action, change.logical_id) for change in changes]

    def value(self, name: Any = "/p") -> Any:
        ssm = self.account.client("ssm")
        try:
            return ssm.get_parameter(Name=name)["Parameter"]["Value"]
        except ssm.exceptions.ParameterNotFound:
            return None

    def calls(self) -> Any:
        """Operations that CloudFormation called since the last look."""
        calls = self.account.cloud.context.calls
        found = [call.operation for call in calls if call.caller == "cloudformation"]
        calls.clear()
        return found


@pytest.fixture
def stacks(account: Account, tmp_path: Path) -> Iterator[Any]:
    made = Stacks(account, tmp_path)
    yield made
    for name in reversed(list(made.deployer.stacks)):
        made.deployer.delete(name)


def test_resources_are_created_in_the_order_of_their_references(stacks: Stacks) -> None:
    resources = {
        "Last": parameter({"Fn::Sub": "${Middle.Value}!"}, "/last"),
        "Middle": parameter({"Ref": "First"}, "/middle"),
        "First": parameter("x", "/first", DependsOn="Zero"),
        "Zero": parameter("0", "/zero"),
    }
    assert [name for _, name in stacks.deploy(resources)] == ["Zero", "First", "Middle", "Last"]
    assert stacks.value("/last") == "/first!"


def test_the_same_template_again_changes_nothing(stacks: Stacks) -> None:
    resources = {"P": parameter("x")}
    stacks.deploy(resources)
    stacks.calls()
    assert stacks.deploy(resources) == []
    assert "PutParameter" not in stacks.calls()


def test_only_what_changed_is_updated(stacks: Stacks) -> None:
    stacks.deploy({"P": parameter("x"), "Q": parameter("y", "/q")})
    assert stacks.deploy({"P": parameter("x"), "Q": parameter("z", "/q")}) == [("update", "Q")]
    assert stacks.value("/q") == "z"


def test_a_change_that_cannot_be_made_in_place_replaces_and_then_deletes(stacks: Stacks) -> None:
    stacks.deploy({"P": parameter("x", "/old"), "Q": parameter({"Ref": "P"}, "/q")})
    changes = stacks.deploy({"P": parameter("x", "/new"), "Q": parameter({"Ref": "P"}, "/q")})
    assert changes == [("replace", "P"), ("update", "Q"), ("delete", "P")]
    assert (stacks.value("/old"), stacks.value("/new"), stacks.value("/q")) == (None, "x", "/new")


def test_what_must_be_replaced_but_has_a_name_of_its_own_is_refused(stacks: Stacks) -> None:
    queue: dict[str, Any] = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q"}}
    stacks.deploy({"Q": queue})
    changed = copy.deepcopy(queue)
    changed["Properties"]["FifoQueue"] = True
    with pytest.raises(DeploymentFailed, match="rename"):
        stacks.deploy({"Q": changed})


def test_what_the_template_has_no_more_is_deleted_unless_retained(stacks: Stacks) -> None:
    stacks.deploy(
        {
            "Gone": parameter("x", "/gone"),
            "Kept": parameter("x", "/kept", DeletionPolicy="Retain"),
            "P": parameter("x"),
        }
    )
    changes = stacks.deploy({"P": parameter("x")})
    assert set(changes) == {("delete", "Gone"), ("retain", "Kept")}
    assert (stacks.value("/gone"), stacks.value("/kept")) == (None, "x")


def test_a_failed_update_is_rolled_back_by_writing_the_old_properties(stacks: Stacks) -> None:
    stacks.deploy({"P": parameter("old"), "Q": parameter("q", "/q")})
    with pytest.raises(DeploymentFailed, match="Broken"):
        stacks.deploy(
            {
                "P": parameter("new"),
                "New": parameter("n", "/n"),
                "Broken": {
                    "Type": "AWS::SQS::Queue",
                    "Properties": {"QueueName": "no such name!"},
                    "DependsOn": ["P", "New"],
                },
            }
        )
    assert (stacks.value(), stacks.value("/n"), stacks.value("/q")) == ("old", None, "q")
    assert stacks.deploy({"P": parameter("old"), "Q": parameter("q", "/q")}) == []


def test_a_simulated_failure_rolls_back_after_the_last_resource(stacks: Stacks) -> None:
    stacks.deploy({"P": parameter("old"), "Q": parameter("q", "/q")})
    stacks.calls()
    changes = stacks.deploy({"P": parameter("new"), "N": parameter("n", "/n")}, roll_back=True)
    assert changes == [("update", "P"), ("create", "N"), ("delete", "N"), ("undo", "P")]
    assert stacks.calls().count("PutParameter") == 3
    assert (stacks.value(), stacks.value("/n"), stacks.value("/q")) == ("old", None, "q")


def test_an_unknown_type_is_an_error_before_anything_is_done(stacks: Stacks) -> None:
    resources = {"P": parameter("x"), "Odd": {"Type": "AWS::Odd::Thing"}}
    with pytest.raises(UnknownResourceType, match="Odd is a AWS::Odd::Thing"):
        stacks.deploy(resources)
    assert stacks.value() is None


def test_conditions_parameters_outputs_and_exports(stacks: Stacks) -> None:
    stacks.account.client("ssm").put_parameter(Name="/given", Value="a,b", Type="String")
    template = {
        "Parameters": {
            "FromSsm": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/given"},
            "List": {"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": "/given"},
            "Plain": {"Type": "Number", "Default": 7},
        },
        "Conditions": {"Never": {"Fn::Equals": [{"Ref": "Plain"}, "8"]}},
        "Outputs": {
            "Value": {"Value": {"Ref": "FromSsm"}, "Export": {"Name": "shared"}},
            "Absent": {"Condition": "Never", "Value": "x"},
        },
    }
    resources = {
        "P": parameter({"Fn::Select": [1, {"Ref": "List"}]}),
        "N": parameter("x", "/n", Condition="Never"),
    }
    stacks.deploy(resources, **template)
    assert (stacks.value(), stacks.value("/n")) == ("b", None)
    assert stacks.deployer.stacks["Test"].outputs == {"Value": "a,b"}
    stacks.deploy({"I": parameter({"Fn::ImportValue": "shared"}, "/i")}, name="Importer")
    assert stacks.value("/i") == "a,b"


def test_a_parameter_that_ssm_lacks_is_named(stacks: Stacks) -> None:
    parameters = {"P": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/absent"}}
    with pytest.raises(DeploymentFailed, match="/absent"):
        stacks.deploy({}, Parameters=parameters)


def custom(token: str, name: Any = "thing", **properties: Any) -> Any:
    return {
        "Type": "Custom::Thing",
        "Properties": {"ServiceToken": token, "Name": name, **properties},
    }


@pytest.fixture
def token(account: Account) -> Any:
    return account.function("answering", ANSWERING)


def test_a_custom_resource_is_created_updated_and_deleted_by_its_function(
    stacks: Stacks, token: str
) -> None:
    out = parameter({"Fn::Join": ["|", [{"Ref": "C"}, {"Fn::GetAtt": ["C", "Kind"]}]]}, "/out")
    stacks.deploy({"C": custom(token, Number=1, Flag=True), "Out": out})
    assert stacks.value("/out") == "thing|Create"
    stacks.deploy({"C": custom(token, Number=2, Flag=True), "Out": out})
    assert stacks.value("/out") == "thing|Update"
    attributes = stacks.deployer.stacks["Test"].resources["C"].live.attributes
    assert attributes["Number"] == "2"
    assert json.loads(attributes["Old"])["Number"] == "1"
    assert json.loads(attributes["Old"])["Flag"] == "true"
    assert stacks.deploy({"Out": parameter("x", "/out")}) == [("update", "Out"), ("delete", "C")]


def test_a_custom_resource_with_a_new_id_is_a_replacement(stacks: Stacks, token: str) -> None:
    stacks.deploy({"C": custom(token, "one")})
    assert stacks.deploy({"C": custom(token, "two")}) == [("update", "C"), ("delete", "C")]


def test_a_custom_resource_that_fails_fails_the_stack_with_its_reason(
    stacks: Stacks, token: str
) -> None:
    with pytest.raises(DeploymentFailed, match="as asked"):
        stacks.deploy({"P": parameter("x"), "C": {**custom(token, Fail=True), "DependsOn": "P"}})
    assert stacks.value() is None


def test_an_ecs_services_whole_description_is_written_when_one_property_changes(
    stacks: Stacks,
) -> Any:
    def resources(grace: Any, tags: Any) -> Any:
        return {
            "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "c"}},
            "Task": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {
                    "Family": "f",
                    "ContainerDefinitions": [{"Name": "a", "Image": "i", "Memory": 64}],
                },
            },
            "Service": {
                "Type": "AWS::ECS::Service",
                "Properties": {
                    "Cluster": {"Ref": "Cluster"},
                    "ServiceName": "s",
                    "TaskDefinition": {"Ref": "Task"},
                    "HealthCheckGracePeriodSeconds": grace,
                    "Tags": [{"Key": "k", "Value": tags}],
                },
            },
        }

    ecs = stacks.account.client("ecs")
    stacks.deploy(resources(10, "a"))
    newer = ecs.register_task_definition(
        family="f", containerDefinitions=[{"name": "a", "image": "j", "memory": 64}]
    )["taskDefinition"]["taskDefinitionArn"]
    ecs.update_service(cluster="c", service="s", taskDefinition=newer, desiredCount=4)

    def live() -> Any:
        found = ecs.describe_services(cluster="c", services=["s"])["services"][0]
        return found["taskDefinition"].rsplit(":", 1)[1], found["desiredCount"]

    assert stacks.deploy(resources(10, "a")) == []
    assert live() == ("2", 4)
    assert stacks.deploy(resources(20, "a")) == [("update", "Service")]
    assert live() == ("1", 4)


def test_functions_versions_keep_their_code_and_machines_get_their_substitutions(
    stacks: Stacks, account: Account, tmp_path: Path
) -> Any:
    def artifact(answer: Any, digest: Any) -> Any:
        folder = tmp_path / f"asset.{digest}"
        folder.mkdir()
        (folder / "app.py").write_text(f"def handler(e, c): return {answer!r}")
        files = {
            digest: {
                "source": {"path": folder.name, "packaging": "zip"},
                "destinations": {
                    "here": {
                        "bucketName": "cdk-${AWS::AccountId}",
                        "objectKey": f"{digest}.zip",
                    }
                },
            }
        }
        resources = {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"RoleName": "r", "AssumeRolePolicyDocument": {"Statement": []}},
            },
            "F": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "FunctionName": "versioned",
                    "Handler": "app.handler",
                    "Runtime": "python3.14",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"S3Bucket": "cdk-123456789012", "S3Key": f"{digest}.zip"},
                },
            },
            f"Version{digest}": {
                "Type": "AWS::Lambda::Version",
                "Properties": {"FunctionName": {"Ref": "F"}},
                "DeletionPolicy": "Retain",
            },
            "M": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "StateMachineName": "m",
                    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                    "DefinitionString": json.dumps(
                        {
                            "StartAt": "A",
                            "States": {"A": {"Type": "Task", "Resource": "${Arn}", "End": True}},
                        }
                    ),
                    "DefinitionSubstitutions": {"Arn": {"Ref": f"Version{digest}"}},
                },
            },
        }
        return Artifact("Functions", tmp_path, {"Resources": resources}, files)

    stacks.deployer.deploy(artifact("old", "one"))
    machine = stacks.deployer.stacks["Functions"].resources["M"].live.physical_id
    sfn = account.client("stepfunctions")

    def bound() -> Any:
        text = sfn.describe_state_machine(stateMachineArn=machine)["definition"]
        return json.loads(text)["States"]["A"]["Resource"]

    first = bound()
    changes = stacks.deployer.deploy(artifact("new", "two"))
    assert [(change.action, change.logical_id) for change in changes] == [
        ("update", "F"),
        ("create", "Versiontwo"),
        ("update", "M"),
        ("retain", "Versionone"),
    ]
    assert account.invoke(first)[0] == "old"
    assert account.invoke(bound())[0] == "new"
    assert bound() != first


def test_a_deleted_stack_leaves_nothing_that_is_not_retained(stacks: Stacks) -> None:
    stacks.deploy({"P": parameter("x"), "K": parameter("x", "/k", DeletionPolicy="Retain")})
    stacks.deployer.delete("Test")
    assert (stacks.value(), stacks.value("/k")) == (None, "x")


def test_a_directory_without_templates_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeploymentFailed, match="make synth"):
        read_assembly(tmp_path)


def test_the_account_is_not_changed_by_a_template_that_does_not_resolve(stacks: Stacks) -> None:
    with pytest.raises(DeploymentFailed, match="Nobody"):
        stacks.deploy({"P": parameter("x"), "Q": parameter({"Ref": "Nobody"}, "/q")})
    assert stacks.value() is None
    with pytest.raises(ClientError):
        stacks.account.client("ssm").get_parameter(Name="/q")
