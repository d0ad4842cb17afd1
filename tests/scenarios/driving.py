"""What scenarios need besides the stage: held calls, refused calls, alarms that stay red."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from greenlane.deployments.model import Record, SignalName, Slot
from greenlane.deployments.phases import Phase
from greenlane.deployments.signals import SignalOutcome
from greenlane.local.context import ApiCall
from greenlane.local.journal import Request
from greenlane.local.server import HttpReply
from greenlane.local.stage import SERVICE
from tests.scenarios.conftest import Scenario
from tests.scenarios.waiting import PATIENCE_SECONDS

ROLLBACK = "greenlane-rollback"
ALARM_RULE = f"greenlane-alarm-{SERVICE}"
TAKE_BACK = "greenlane-take-traffic-back"

# A rollback empties its slot at once, and nobody waits for metrics of a slot without traffic.
BRISK: dict[str, Any] = {"drain_deadline": "15s", "watch": "1m", "alarm_settle": "1m"}
# Eight real minutes: nothing waits for its end, however slow this machine is.
LONG = "8h"


def baking(scenario: Scenario, deployment_id: str, weight: int) -> Record:
    """Wait until the candidate has that weight and its bake waits for an answer."""
    return scenario.until(
        lambda r: (
            r.deployment_id == deployment_id
            and r.phase is Phase.SHIFTING
            and r.weight == weight
            and r.bake_token is not None
            and r.bake_step == r.step
        ),
        f"a bake at {weight} percent",
    )


def say(scenario: Scenario, name: SignalName, *, step: int | None = None) -> SignalOutcome:
    """Send a signal, as a person does."""
    return scenario.stage.greenlane.signal(SERVICE, name, step=step, by="a test")


def promoted_at_once(scenario: Scenario, deployment_id: str) -> Record:
    """Send a deployment from its first bake to its promotion, and wait for that."""
    scenario.until(
        lambda r: (
            r.deployment_id == deployment_id
            and r.phase is Phase.SHIFTING
            and r.bake_token is not None
        ),
        "the first bake",
    )
    say(scenario, "promote_all")
    return scenario.until_phase(deployment_id, Phase.PROMOTED, Phase.WATCHING, Phase.RETIRED)


def ended_by(scenario: Scenario, error: str) -> None:
    """The forward execution failed of this; it says so itself, or else the event of its end does.

    Two rollbacks are started, and either may be elected.
    """
    record = scenario.record()
    assert record.trigger is not None
    name = record.trigger.name
    if record.trigger.kind == "execution":
        assert name == "FAILED"
        forward = scenario.cloud.client("stepfunctions").describe_execution(
            executionArn=record.execution
        )
        name = forward["error"]
    assert name == error


def desired(scenario: Scenario, slot: Slot) -> int:
    """How many tasks a slot's service wants."""
    workload = scenario.stage.workload
    answer = scenario.cloud.client("ecs").describe_services(
        cluster=workload.cluster, services=[workload.slots[slot].service]
    )
    return int(answer["services"][0]["desiredCount"])


def calls_since(scenario: Scenario, since: float, caller: str) -> list[ApiCall]:
    """What a caller asked of the AWS API since a real Unix time, in order."""
    return [c for c in list(scenario.cloud.context.calls) if c.caller == caller and c.at >= since]


def rollbacks(scenario: Scenario) -> dict[str, str]:
    """The status of each execution of the rollback machine, by its ARN."""
    stepfunctions = scenario.cloud.client("stepfunctions")
    machine = scenario.stage.greenlane.connection.arn("stateMachine", ROLLBACK)
    pages = stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=machine)
    found = [execution for page in pages for execution in page["executions"]]
    return {execution["executionArn"]: execution["status"] for execution in found}


class Gate:
    """Holds each call of one operation by one caller until it is opened."""

    def __init__(self, caller: str, operation: str) -> None:
        self.caller, self.operation = caller, operation
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, request: Request) -> None:
        if (request.caller, request.operation) == (self.caller, self.operation):
            self.reached.set()
            self.opened.wait(PATIENCE_SECONDS)

    def wait(self) -> None:
        """Wait until a call is held."""
        assert self.reached.wait(PATIENCE_SECONDS), f"{self.caller} never asked {self.operation}"


@contextmanager
def held(scenario: Scenario, caller: str, operation: str) -> Iterator[Gate]:
    """Hold a function's calls of an operation, as a stalled network does."""
    gate = Gate(caller, operation)
    hooks = scenario.cloud.server.before
    hooks.append(gate)
    try:
        yield gate
    finally:
        gate.opened.set()
        hooks.remove(gate)


@contextmanager
def refusing(scenario: Scenario, service: str) -> Iterator[None]:
    """Let every call of a service fail with status 500."""

    def refuse(request: Request) -> HttpReply | None:
        if request.service != service:
            return None
        body = b'{"__type": "InternalServerError", "message": "a test says so"}'
        return HttpReply(500, [("Content-Type", "application/x-amz-json-1.0")], body)

    hooks = scenario.cloud.server.before
    hooks.append(refuse)
    try:
        yield
    finally:
        hooks.remove(refuse)


@contextmanager
def staying_red(scenario: Scenario, slot: Slot, kind: str = "error-rate") -> Iterator[str]:
    """Turn an alarm red and keep it so, by metrics that are missing; its event goes out."""
    cloudwatch = scenario.cloud.client("cloudwatch")
    name = f"{SERVICE}-{slot}-{kind}"
    (before,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    known = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    settings = {key: value for key, value in before.items() if key in known and value is not None}
    red = {key: value for key, value in settings.items() if key != "Metrics"} | {
        "Namespace": "Nobody",
        "MetricName": "Missing",
        "Statistic": "Sum",
        "Period": 60,
        "TreatMissingData": "breaching",
    }
    cloudwatch.put_metric_alarm(**red)
    scenario.raise_alarm(slot, kind)
    try:
        yield name
    finally:
        cloudwatch.put_metric_alarm(**settings)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test says so")


def send_alarm_event(scenario: Scenario, name: str, *, at: str | None = None) -> None:
    """Deliver the event of an alarm that turned red, without the alarm."""
    cloudwatch = scenario.cloud.client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    now = scenario.cloud.clock.now()
    detail = {
        "alarmName": name,
        "configuration": {"metrics": []},
        "previousState": {"value": "OK"},
        "state": {
            "value": "ALARM",
            "reason": "a test says so",
            "timestamp": at or f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}+0000",
        },
    }
    scenario.cloud.context.put_event(
        "aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm["AlarmArn"]]
    )
