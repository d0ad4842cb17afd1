"""What a pipeline asks of the deployed templates: the native action, and a pipeline's stop."""

import json
from typing import Any

from greenlane.deployments.phases import Phase
from greenlane.local.stage import SERVICE
from greenlane.pipelines.model import REQUEST_MACHINE
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import BRISK, LONG, baking
from tests.scenarios.waiting import eventually


def asked(scenario: Scenario, execution: str) -> dict[str, str]:
    """A request for the next version, which is there."""
    scenario.versions += 1
    version = f"t{scenario.versions}"
    scenario.stage.push(version, "good")
    scenario.load.phase(version)
    return {"service": SERVICE, "version": version, "pipeline_execution_id": execution}


def native(scenario: Scenario, request: dict[str, str], name: str) -> str:
    """Start the machine as CodePipeline does, under a name of its own; the execution's ARN."""
    machine = scenario.stage.greenlane.connection.arn("stateMachine", REQUEST_MACHINE)
    started = scenario.cloud.client("stepfunctions").start_execution(
        stateMachineArn=machine, name=name, input=json.dumps(request)
    )
    return str(started["executionArn"])


def ended(scenario: Scenario, execution: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def over() -> bool:
        answer = scenario.cloud.client("stepfunctions").describe_execution(executionArn=execution)
        found.update(answer)
        return bool(answer["status"] != "RUNNING")

    eventually(over, "the native action is over")
    return found


def test_two_native_actions_of_one_pipeline_execution_follow_one_deployment(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=BRISK | {"steps": [50, 100], "bake": "1m"})
    request = asked(scenario, "release-1")
    actions = [native(scenario, request, name) for name in ("action-1", "action-1-again")]

    outputs = [json.loads(ended(scenario, action)["output"]) for action in actions]

    deployment_id = f"{SERVICE}-release-1"
    assert [output["id"] for output in outputs] == [deployment_id, deployment_id]
    assert {output["outcome"] for output in outputs} == {"succeeded"}
    assert outputs[0]["outputs"]["version"] == request["version"]
    assert scenario.kinds(deployment_id).count("planned") == 1
    assert scenario.lost(request["version"]) == 0


def test_a_pipeline_that_is_stopped_and_abandons_its_action_takes_the_deployment_back(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=BRISK | {"steps": [50, 100], "bake": LONG})
    before = scenario.percent()
    request = asked(scenario, "release-2")
    action = native(scenario, request, "action-2")
    deployment_id = f"{SERVICE}-release-2"
    baking(scenario, deployment_id, 50)

    detail = {
        "pipeline": "release",
        "execution-id": "release-2",
        "stage": "Deploy",
        "action": "Greenlane",
        "state": "ABANDONED",
        "type": {"owner": "AWS", "category": "Invoke", "provider": "StepFunctions", "version": "1"},
    }
    scenario.cloud.client("events").put_events(
        Entries=[
            {
                "Source": "aws.codepipeline",
                "DetailType": "CodePipeline Action Execution State Change",
                "Detail": json.dumps(detail),
            }
        ]
    )

    scenario.until_phase(deployment_id, Phase.ROLLED_BACK)
    assert scenario.percent() == before
    assert scenario.lost(request["version"]) == 0
    said = ended(scenario, action)
    assert said["error"] == "DeploymentFailed"
    assert "aborted by pipeline release-2" in said["cause"]
