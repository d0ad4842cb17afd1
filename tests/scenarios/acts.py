"""What scenario tests do to a running deployment, and what they look at afterwards."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from greenlane.deployments.connection import DEPLOYMENT_MACHINE, ROLLBACK_MACHINE
from greenlane.deployments.model import DeploymentRequest, Slot
from greenlane.deployments.reaching import fleet
from greenlane.incidents.report_place import bucket_name, report_key
from greenlane.local.context import ACCOUNT_ID
from greenlane.local.journal import Reply, Request
from greenlane.local.stage import SERVICE
from tests.scenarios.conftest import Scenario
from tests.scenarios.waiting import eventually

# Ends soon: one step, hardly a bake, no watch.
SHORT: dict[str, Any] = {"strategy": "all_at_once", "steps": None, "bake": "1s", "watch": "0s"}

# What PutMetricAlarm takes of what DescribeAlarms gives.
ALARM_SETTINGS = (
    "AlarmName",
    "AlarmDescription",
    "ActionsEnabled",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
)


# The slots


def slots(scenario: Scenario) -> tuple[Slot, Slot]:
    """The slot that has all of the traffic, and the idle one."""
    percent = scenario.percent()
    assert percent is not None
    assert sorted(percent.values()) == [0, 100]
    return ("blue", "green") if percent["blue"] else ("green", "blue")


def live_version(scenario: Scenario) -> str:
    """The version that the slot with the traffic runs."""
    live, _ = slots(scenario)
    found = scenario.stage.greenlane.status(SERVICE).slots
    return next(one.version for one in found if one.slot == live)


def tasks(scenario: Scenario, slot: Slot) -> tuple[int, int]:
    """How many tasks of a slot are desired, and how many run or are about to."""
    workload = scenario.stage.workload
    name = workload.slots[slot].service
    service = fleet.read_service(scenario.cloud.client("ecs"), workload.cluster, name)
    return service.desired, service.running + service.pending


def scaling(scenario: Scenario, slot: Slot) -> dict[str, Any]:
    """The limits of a slot's auto scaling, and which of its parts are suspended."""
    workload = scenario.stage.workload
    name = f"service/{workload.cluster}/{workload.slots[slot].service}"
    answer = scenario.cloud.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=[name]
    )
    target = answer["ScalableTargets"][0]
    suspended = sorted(k for k, v in target.get("SuspendedState", {}).items() if v)
    return {
        "min": target["MinCapacity"],
        "max": target["MaxCapacity"],
        "suspended": suspended,
    }


def report(scenario: Scenario, deployment_id: str) -> dict[str, Any]:
    """The incident report, once it is written."""
    eventually(lambda: "report written" in scenario.kinds(deployment_id), "a report")
    body = scenario.cloud.client("s3").get_object(
        Bucket=bucket_name(ACCOUNT_ID, scenario.cloud.region),
        Key=report_key(SERVICE, deployment_id, "json"),
    )["Body"]
    return dict(json.loads(body.read()))


def clients_see(scenario: Scenario, version: str, *, requests: int = 60) -> None:
    """From now on clients get good answers of this version only."""
    label = f"after {time.monotonic()}"
    scenario.load.phase(label)

    def counted() -> int:
        return sum(one.count for one in scenario.requests().counts if one.phase == label)

    eventually(lambda: counted() >= requests, f"{requests} requests {label}")
    found = scenario.requests().by_version(label)
    assert set(found) == {version}
    assert found[version]["failed"] == 0


# Executions


def execution_arn(scenario: Scenario, deployment_id: str) -> str:
    """The forward execution of a deployment."""
    name = f"{DEPLOYMENT_MACHINE}:{deployment_id}"
    return scenario.stage.greenlane.connection.arn("execution", name)


def kill(scenario: Scenario, deployment_id: str) -> None:
    """Stop the forward execution, as a person may in the console."""
    scenario.cloud.client("stepfunctions").stop_execution(
        executionArn=execution_arn(scenario, deployment_id), error="Killed", cause="by a test"
    )


def entered(scenario: Scenario, deployment_id: str, state: str) -> None:
    """Wait until the forward execution is in a state."""
    stepfunctions = scenario.cloud.client("stepfunctions")
    arn = execution_arn(scenario, deployment_id)

    def there() -> bool:
        events = stepfunctions.get_execution_history(executionArn=arn)["events"]
        return any(e.get("stateEnteredEventDetails", {}).get("name") == state for e in events)

    eventually(there, f"{deployment_id} in {state}")


def in_bake(scenario: Scenario, deployment_id: str, weight: int) -> None:
    """Wait until the step of this weight bakes."""
    scenario.until(
        lambda r: r.deployment_id == deployment_id and r.weight == weight and bool(r.bake_token),
        f"{deployment_id} bakes at {weight} percent",
    )


def start_directly(scenario: Scenario, deployment_id: str, version: str) -> None:
    """Start the state machine past every check of the client."""
    connection = scenario.stage.greenlane.connection
    body = {
        "deployment": {"deployment_id": deployment_id, "service": SERVICE},
        "request": {
            "service": SERVICE,
            "version": version,
            "deployment_id": deployment_id,
            "requested_by": "a test",
        },
    }
    connection.start(DEPLOYMENT_MACHINE, deployment_id, body)


def rollbacks(scenario: Scenario, deployment_id: str) -> list[dict[str, Any]]:
    """The rollback executions whose input names a deployment, as `DescribeExecution` has them."""
    stepfunctions = scenario.cloud.client("stepfunctions")
    machine = scenario.stage.greenlane.connection.arn("stateMachine", ROLLBACK_MACHINE)
    listed = stepfunctions.list_executions(stateMachineArn=machine, maxResults=1000)["executions"]
    found = []
    for arn in (execution["executionArn"] for execution in listed):
        # An input never changes, and executions of earlier tests are many.
        if scenario.rolled_back_by.get(arn, deployment_id) == deployment_id:
            one = stepfunctions.describe_execution(executionArn=arn)
            named = scenario.rolled_back_by[arn] = json.loads(one["input"]).get("deployment_id")
            found += [one] if named == deployment_id else []
    return found


# Alarms and calls


@contextmanager
def red(scenario: Scenario, slot: Slot, kind: str = "error-rate") -> Iterator[str]:
    """An alarm that is red by its own evaluation, minute after minute, as long as this lasts."""
    cloudwatch = scenario.cloud.client("cloudwatch")
    name = f"{SERVICE}-{slot}-{kind}"
    settings = alarm_settings(scenario, name)
    always = {"Threshold": -1.0, "TreatMissingData": "breaching"}

    def state() -> str:
        found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(found[0]["StateValue"])

    cloudwatch.put_metric_alarm(**settings | always)
    try:
        eventually(lambda: state() == "ALARM", f"{name} red")
        yield name
    finally:
        cloudwatch.put_metric_alarm(**settings)
        eventually(lambda: state() == "OK", f"{name} quiet")


def alarm_settings(scenario: Scenario, name: str) -> dict[str, Any]:
    """An alarm as `PutMetricAlarm` would take it."""
    cloudwatch = scenario.cloud.client("cloudwatch")
    found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    return {key: found[key] for key in ALARM_SETTINGS if key in found}


@contextmanager
def before_call(
    scenario: Scenario, caller: str, operation: str, act: Callable[[], None]
) -> Iterator[threading.Event]:
    """Do something just before a function's first call of an operation; the event says it did."""
    done, lock = threading.Event(), threading.Lock()

    def hook(request: Request) -> Reply | None:
        if request.caller == caller and request.operation == operation:
            with lock:
                if not done.is_set():
                    act()
                    done.set()
        return None

    hooks = scenario.cloud.server.before
    hooks.append(hook)
    try:
        yield done
    finally:
        hooks.remove(hook)


# Asking


def push(scenario: Scenario, behaviour: str = "good") -> str:
    """Push the next version without deploying it."""
    scenario.versions += 1
    version = f"t{scenario.versions}"
    scenario.stage.push(version, behaviour)
    return version


def ask(scenario: Scenario, **request: Any) -> str:
    """Ask for exactly this; the deployment's id."""
    asked = DeploymentRequest(service=SERVICE, requested_by="a test", **request)
    return scenario.stage.greenlane.deploy(asked).deployment_id
