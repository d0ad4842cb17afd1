"""What one incident sends at once, in every shape, through the templates: it is one rollback.

`tests/faults/test_one_incident.py` does the same with a hundred events in the simulated account.
"""

import json
import random
import time
from datetime import timedelta
from typing import Any

from greenlane.deployments.reaching import fleet
from greenlane.local.stage import SERVICE
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import (
    BRISK,
    LONG,
    ROLLBACK,
    TAKE_BACK,
    baking,
    calls_since,
    rollbacks,
    send_alarm_event,
)
from tests.scenarios.waiting import eventually
from tests.unit.rollback.documents import (
    ACCOUNT,
    REGION,
    alarm_action,
    alarm_message,
    alert,
    ecs_event,
    webhook,
)

NORMALISE = "greenlane-normalise-trigger"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:greenlane-alarms"


def test_mixed_and_doubled_triggers_are_one_rollback_one_report_and_one_page(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=BRISK | {"steps": [50, 100], "bake": LONG})
    deployment_id = scenario.deploy()
    record = baking(scenario, deployment_id, 50)
    known, since = set(rollbacks(scenario)), time.time()
    true = true_ones(scenario, deployment_id) * 2
    events = true + false_ones(scenario)
    random.Random(7).shuffle(events)
    for send, given in events:
        send(given)

    assert scenario.outcome(deployment_id) == "rolled_back"
    # Seen at once: between two looks another one may begin, as of the execution that ended.
    seen: list[str] = []

    def all_ended() -> bool:
        seen[:] = new(scenario, known)
        return len(seen) >= len(true) and "RUNNING" not in seen

    eventually(all_ended, "all were started and have ended")
    assert set(seen) == {"SUCCEEDED"}
    assert scenario.record().epoch == record.epoch + 1
    assert scenario.percent() == {record.live: 100, record.candidate: 0}
    writes = [c for c in calls_since(scenario, since, TAKE_BACK) if c.operation == "ModifyRule"]
    assert len(writes) == 1
    kinds = scenario.kinds(deployment_id)
    assert [kinds.count(kind) for kind in ("rollback began", "rolled back")] == [1, 1]
    eventually(lambda: "report written" in scenario.kinds(deployment_id), "a report")
    listed = scenario.cloud.client("s3").list_object_versions(
        Bucket=f"greenlane-incidents-{ACCOUNT}-{REGION}",
        Prefix=f"incidents/{SERVICE}/{deployment_id}/",
    )
    assert len(listed["Versions"]) == 3, "one version in each of three formats"
    told = [c for c in list(scenario.cloud.context.calls) if c.operation == "Publish"]
    ours = [c for c in told if c.at >= since and c.caller.startswith("greenlane-")]
    assert [c.caller for c in ours] == ["greenlane-close-rollback"]


def new(scenario: Scenario, known: set[str]) -> list[str]:
    """The status of each rollback that was not known."""
    return [status for arn, status in rollbacks(scenario).items() if arn not in known]


def true_ones(scenario: Scenario, deployment_id: str) -> list[tuple[Any, Any]]:
    """Each shape in which this incident is told, with what sends it."""
    record = scenario.record()
    now, slot = scenario.cloud.clock.now(), record.candidate
    name = f"{SERVICE}-{slot}-error-rate"
    workload = scenario.stage.workload
    ecs = fleet.read_service(
        scenario.cloud.client("ecs"), workload.cluster, workload.slots[slot].service
    )
    failed = ecs_event(at=now, deployment=ecs.primary_id or "") | {"resources": [ecs.arn]}
    ended = {"trigger": {"kind": "execution", "name": "FAILED"}, "deployment_id": deployment_id}
    person = {"trigger": {"kind": "person", "name": "ada"}, "service": SERVICE}
    sends = Sends(scenario)
    return [
        (lambda name: send_alarm_event(scenario, name), name),
        (sends.to_topic, alarm_message(name, at=now)),
        (sends.to_function, alarm_action(name, at=now)),
        (sends.to_function, webhook(alert(SERVICE, at=now, slot=slot))),
        (sends.to_function, failed),
        (sends.to_machine, ended),
        (sends.to_machine, person | {"deployment_id": deployment_id}),
    ]


def false_ones(scenario: Scenario) -> list[tuple[Any, Any]]:
    """Older than the deployment, or of another service, account or deployment."""
    record = scenario.record()
    now, before = scenario.cloud.clock.now(), record.started_at - timedelta(minutes=1)
    name = f"{SERVICE}-{record.candidate}-error-rate"
    sends = Sends(scenario)
    return [
        (sends.to_function, alarm_action(name, at=before)),
        (sends.to_function, alarm_action(name, at=now, account="999999999999")),
        (sends.to_topic, alarm_message("other-green-error-rate", at=now)),
        (sends.to_machine, {"trigger": {"kind": "person", "name": "bob"}, "deployment_id": "d-0"}),
    ]


class Sends:
    """How each shape reaches Greenlane."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def to_topic(self, message: dict[str, Any]) -> None:
        """As an alarm publishes."""
        client = self._scenario.cloud.client("sns")
        client.publish(TopicArn=TOPIC, Message=json.dumps(message))

    def to_function(self, document: dict[str, Any]) -> None:
        """As an alarm's own action, an event rule and a webhook's bridge invoke."""
        client = self._scenario.cloud.client("lambda")
        client.invoke(FunctionName=NORMALISE, InvocationType="Event", Payload=json.dumps(document))

    def to_machine(self, request: dict[str, Any]) -> None:
        """As event rules and people start it."""
        machine = self._scenario.stage.greenlane.connection.arn("stateMachine", ROLLBACK)
        client = self._scenario.cloud.client("stepfunctions")
        client.start_execution(stateMachineArn=machine, input=json.dumps(request))
