"""Around the traffic: auto scaling rests and returns, the task keeps its shape, hooks are asked."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from greenlane.deployments.model import Slot
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import fleet, traffic
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import BRISK, LONG, baking, promoted_at_once, say
from tests.scenarios.waiting import eventually

HALF = BRISK | {"steps": [50, 100], "bake": LONG}
RESTS = {
    "DynamicScalingInSuspended": True,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": True,
}
WORKS = dict.fromkeys(RESTS, False)
SIDECAR = {
    "name": "log-router",
    "image": "public.ecr.aws/aws-observability/aws-for-fluent-bit:2.32.5",
    "essential": False,
    "environment": [{"name": "SINK", "value": "s3"}],
    "mountPoints": [{"sourceVolume": "spool", "containerPath": "/spool"}],
}


def _scaling(scenario: Scenario) -> dict[Slot, tuple[int, int, dict[str, bool]]]:
    """Minimum, maximum and what is suspended, by slot."""
    workload = scenario.stage.workload
    answer = scenario.cloud.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="ecs"
    )
    by_id = {target["ResourceId"]: target for target in answer["ScalableTargets"]}
    found: dict[Slot, tuple[int, int, dict[str, bool]]] = {}
    for slot, resources in workload.slots.items():
        target = by_id[f"service/{workload.cluster}/{resources.service}"]
        suspended = WORKS | target.get("SuspendedState", {})
        found[slot] = (target["MinCapacity"], target["MaxCapacity"], suspended)
    return found


def test_scale_in_rests_while_a_deployment_runs_and_returns_with_the_limits_of_each_role(
    scenario: Scenario,
) -> None:
    capacity = scenario.stage.workload.capacity
    assert capacity is not None
    scenario.configure(deployment=HALF)
    found = _scaling(scenario)

    deployment_id = scenario.deploy()
    record = baking(scenario, deployment_id, 50)
    assert [state for _, _, state in _scaling(scenario).values()] == [RESTS, RESTS]
    say(scenario, "abort")
    assert scenario.outcome(deployment_id) == "rolled_back"
    after_rollback = _scaling(scenario)
    assert after_rollback[record.live] == found[record.live], "as it was found"
    assert after_rollback[record.candidate] == (0, *found[record.candidate][1:])

    deployment_id = scenario.deploy()
    record = promoted_at_once(scenario, deployment_id)
    assert [state for _, _, state in _scaling(scenario).values()] == [RESTS, RESTS]
    scenario.until_phase(deployment_id, Phase.WATCHING)
    scenario.until(lambda r: not r.scaling_rests, "auto scaling given back")
    after_success = _scaling(scenario)
    assert after_success[record.candidate] == (capacity.min_tasks, capacity.max_tasks, WORKS)
    assert after_success[record.live] == (1, capacity.max_tasks, WORKS)


def test_sidecars_and_everything_else_of_the_task_survive_and_one_image_changes(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=HALF)
    workload = scenario.stage.workload
    ecs = scenario.cloud.client("ecs")
    percent = scenario.percent()
    assert percent is not None
    live: Slot = "blue" if percent["blue"] else "green"
    service = workload.slots[live].service
    running = fleet.read_task_definition(
        ecs, fleet.read_service(ecs, workload.cluster, service).task_definition
    )
    with_sidecar = fleet.next_revision(
        running,
        container=workload.container,
        image=fleet.container_of(running, workload.container)["image"],
        shape=workload.shape,
    ) | {
        "containerDefinitions": [*running["containerDefinitions"], SIDECAR],
        "volumes": [{"name": "spool", "host": {}}],
        "tags": [],
    }
    arn = ecs.register_task_definition(**with_sidecar)["taskDefinition"]["taskDefinitionArn"]
    _roll(scenario, live, arn)
    try:
        deployment_id = scenario.deploy()
        record = baking(scenario, deployment_id, 50)
        assert record.task_definition is not None
        before = fleet.read_task_definition(ecs, arn)
        after = fleet.read_task_definition(ecs, record.task_definition)
        assert _without_image(after) == _without_image(before)
        names = [container["name"] for container in after["containerDefinitions"]]
        assert sorted(names) == sorted([workload.container, "log-router"])
        image = fleet.container_of(after, workload.container)["image"]
        assert image != fleet.container_of(before, workload.container)["image"]
        say(scenario, "abort")
        assert scenario.outcome(deployment_id) == "rolled_back"
    finally:
        _roll(scenario, live, str(running["taskDefinitionArn"]))


def _without_image(definition: dict[str, Any]) -> dict[str, Any]:
    own = ("taskDefinitionArn", "revision", "registeredAt", "registeredBy", "tags")
    found = {key: value for key, value in definition.items() if key not in own}
    found["containerDefinitions"] = [
        container if container["name"] == "log-router" else container | {"image": "any"}
        for container in definition["containerDefinitions"]
    ]
    return found


def _roll(scenario: Scenario, slot: Slot, task_definition: str) -> None:
    """Let ECS replace a slot's tasks in place, and wait until only the new ones serve."""
    workload, ecs = scenario.stage.workload, scenario.cloud.client("ecs")
    resources = workload.slots[slot]
    tasks = fleet.read_service(ecs, workload.cluster, resources.service).desired
    fleet.set_service(
        ecs, workload.cluster, resources.service, desired=tasks, task_definition=task_definition
    )

    def rolled() -> bool:
        health = traffic.slot_health(scenario.cloud.client("elbv2"), resources.target_group_arn)
        runs = fleet.revisions_by_address(ecs, workload.cluster, resources.service)
        return len(health.healthy) == tasks and set(runs.values()) == {task_definition}

    eventually(rolled, f"{slot} runs {task_definition}")


@pytest.mark.parametrize(
    ("code", "outcome"), [(0, "succeeded"), (1, "rolled_back")], ids=["exit 0", "exit 1"]
)
def test_a_task_before_traffic_decides_whether_traffic_moves(
    scenario: Scenario, code: int, outcome: str
) -> None:
    command = ["python", "-c", f"raise SystemExit({code})"]
    scenario.configure(
        deployment=BRISK | {"steps": [100], "bake": "1m"}, run_task={"command": command}
    )
    deployment_id = scenario.deploy()
    if code == 0:
        promoted_at_once(scenario, deployment_id)
    assert scenario.outcome(deployment_id) == outcome
    kinds = scenario.kinds(deployment_id)
    assert ("shifted" in kinds) == (code == 0)
    assert ("task before traffic succeeded" in kinds) == (code == 0)
    if code:
        reason = scenario.record().reason
        assert reason is not None
        assert "exit code 1" in reason


class Hook:
    """A user's own function, which answers what the test last said and keeps what it is asked."""

    def __init__(self, scenario: Scenario, directory: Path) -> None:
        self.verdict = directory / "verdict"
        self.asked = directory / "asked"
        self.asked.touch()
        self.answer("hold")
        self._functions = scenario.cloud.client("lambda")
        code = f"""
import json, pathlib

def handler(event, context):
    with open({str(self.asked)!r}, "a") as asked:
        asked.write(json.dumps(event) + "\\n")
    return {{"verdict": pathlib.Path({str(self.verdict)!r}).read_text(), "reason": "a test"}}
"""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("hook.py", code)
        self.name = "greenlane-hook-smoke"
        self._roles = scenario.cloud.client("iam")
        role = self._roles.create_role(RoleName=self.name, AssumeRolePolicyDocument="{}")
        self.arn: str = self._functions.create_function(
            FunctionName=self.name,
            Runtime="python3.14",
            Role=role["Role"]["Arn"],
            Handler="hook.handler",
            Code={"ZipFile": archive.getvalue()},
        )["FunctionArn"]

    def answer(self, verdict: str) -> None:
        """What it answers from now on."""
        self.verdict.write_text(verdict)

    def phases(self) -> list[str]:
        """In which phases it was asked, in order."""
        return [json.loads(line)["phase"] for line in self.asked.read_text().splitlines()]

    def delete(self) -> None:
        """Remove the function and its role."""
        self._functions.delete_function(FunctionName=self.name)
        self._roles.delete_role(RoleName=self.name)


@contextmanager
def _hook(scenario: Scenario, directory: Path) -> Iterator[Hook]:
    hook = Hook(scenario, directory)
    try:
        yield hook
    finally:
        hook.delete()


def test_a_hook_that_holds_keeps_traffic_away_one_that_passes_lets_it_come_one_that_fails_ends_it(
    scenario: Scenario, tmp_path: Path
) -> None:
    before = scenario.percent()
    with _hook(scenario, tmp_path) as hook:
        scenario.configure(
            deployment=BRISK | {"steps": [50, 100], "bake": "1m"},
            hooks={"pre_traffic": [hook.arn], "step": [hook.arn]},
        )
        deployment_id = scenario.deploy()
        eventually(lambda: len(hook.phases()) >= 2, "it is asked again after a hold")
        assert scenario.record().phase is Phase.PREPARING
        assert scenario.percent() == before

        hook.answer("pass")
        baking(scenario, deployment_id, 100)
        hook.answer("fail")

        assert scenario.outcome(deployment_id) == "rolled_back"
    assert set(hook.phases()) == {"pre_traffic", "step"}
    reason = scenario.record().reason
    assert reason is not None
    assert "greenlane-hook-smoke" in reason
    assert scenario.percent() == before


def test_a_hook_that_fails_before_traffic_keeps_all_of_it_away(
    scenario: Scenario, tmp_path: Path
) -> None:
    before = scenario.percent()
    with _hook(scenario, tmp_path) as hook:
        hook.answer("fail")
        scenario.configure(deployment=BRISK, hooks={"pre_traffic": [hook.arn]})
        deployment_id = scenario.deploy()
        assert scenario.outcome(deployment_id) == "rolled_back"
    assert "shift intended" not in scenario.kinds(deployment_id)
    assert scenario.percent() == before
