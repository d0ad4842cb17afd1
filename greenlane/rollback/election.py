"""One write elects the one rollback: phase and epoch, if owner and phase match.

Execution names carry no meaning here: EventBridge cannot set them, and a failed run would block
its name for 90 days.
"""

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from greenlane.deployments.model import Record, Trigger
from greenlane.deployments.phases import DIES_BACKWARD, REVERSIBLE, Phase
from greenlane.deployments.storing.items import Item, attribute, instant, phase_list, record_from
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import DeploymentFailed
from greenlane.rollback.model import RollbackRequest

_REACH: dict[str, frozenset[Phase]] = {
    "alarm": REVERSIBLE - {Phase.HELD},
    # Nothing says which deployment an alert belongs to but the traffic that causes it.
    "alertmanager": frozenset({Phase.SHIFTING, Phase.PROMOTED, Phase.WATCHING}),
    # Before that there is no ECS deployment, after it ECS has none that could fail.
    "ecs": frozenset({Phase.PREPARING, Phase.SHIFTING}),
    "execution": DIES_BACKWARD,
    "failure": DIES_BACKWARD,
    "person": REVERSIBLE,
    "reconciler": REVERSIBLE,
}
_JUDGEMENTS_REACH = DIES_BACKWARD | {Phase.PROMOTED}
_JUDGEMENTS = frozenset(error.__name__ for error in DeploymentFailed.__subclasses__())


class NotElected(Exception):
    """The record does not allow this trigger to begin a rollback.

    Args:
        record: as it is; None when the service has none.
    """

    def __init__(self, record: Record | None) -> None:
        self.record = record
        super().__init__("no record" if record is None else record.phase.value)


def begin(
    store: DynamoStore, service: str, request: RollbackRequest, execution: str, now: datetime
) -> Record:
    """Move the record to `rolling_back` under this execution, with the next epoch.

    Raises:
        NotElected: foreign, stale, late or second.
        botocore.exceptions.BotoCoreError: the table did not answer in time.
        botocore.exceptions.ClientError: it answered with another error.
    """
    condition, values = _may_begin(request, now)
    changes = {
        "phase": Phase.ROLLING_BACK,
        "rollback_execution": execution,
        "trigger": request.trigger,
        "observed_dead_at": None,
        "updated_at": now,
    }
    assignments = ["previous_phase = #phase", "epoch = epoch + :one"]
    values |= {":one": {"N": "1"}}
    return _elect(store, service, changes, condition, values, assignments)


def take_over(store: DynamoStore, record: Record, execution: str, now: datetime) -> Record:
    """Continue a rollback whose execution died, with the next epoch.

    Raises:
        NotElected: somebody else took it over first.
    """
    condition = "epoch = :seen AND #phase = :rolling_back"
    values: Item = {
        ":seen": {"N": str(record.epoch)},
        ":rolling_back": attribute("phase", Phase.ROLLING_BACK),
        ":one": {"N": "1"},
    }
    changes = {
        "phase": Phase.ROLLING_BACK,
        "rollback_execution": execution,
        "observed_dead_at": None,
        "updated_at": now,
    }
    return _elect(store, record.service, changes, condition, values, ["epoch = epoch + :one"])


def _elect(
    store: DynamoStore,
    service: str,
    changes: dict[str, Any],
    condition: str,
    values: Item,
    assignments: list[str],
) -> Record:
    try:
        return store.update_when(service, changes, condition, values, assignments=assignments)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        answer: dict[str, Any] = dict(error.response)
        item: Item | None = answer.get("Item")
        raise NotElected(record_from(item) if item else None) from error


def _may_begin(request: RollbackRequest, now: datetime) -> tuple[str, Item]:
    """The condition under which a trigger may begin, and its values."""
    trigger = request.trigger
    values: Item = {}
    parts = []
    if request.deployment_id is not None:
        parts.append("deployment_id = :owner")
        values[":owner"] = {"S": request.deployment_id}
    if trigger.kind in ("alarm", "alertmanager", "ecs"):
        parts += _seen_from_outside(trigger, values, now)
    phases = _REACH[trigger.kind]
    if trigger.kind == "failure" and trigger.name in _JUDGEMENTS:
        # An accident is no judgement: what dies of one after promotion is completed.
        phases = _JUDGEMENTS_REACH
    parts.append(f"#phase IN ({phase_list(values, phases)})")
    return " AND ".join(parts), values


def _seen_from_outside(trigger: Trigger, values: Item, now: datetime) -> list[str]:
    """What speaks of a slot must speak of this deployment's candidate, and of its own time."""
    parts = ["(attribute_not_exists(watch_until) OR watch_until > :now)"]
    values[":now"] = {"S": instant(now)}
    if trigger.at is not None:
        parts.append("started_at <= :at")
        values[":at"] = {"S": instant(trigger.at)}
    if trigger.slot is not None:
        parts.append("candidate = :slot")
        values[":slot"] = {"S": trigger.slot}
    if trigger.kind == "alarm":
        parts.append("contains(trigger_alarms, :alarm)")
        # Tasks that start may be unhealthy for a while: their own deadline decides, see ADR 0011.
        parts.append("(#phase <> :starting OR attribute_exists(settled_by))")
        values[":alarm"] = {"S": trigger.name}
        values[":starting"] = attribute("phase", Phase.PREPARING)
    if trigger.kind == "ecs":
        # Another ECS deployment of the same service is somebody else's, or an earlier one.
        parts.append("primary_deployment = :ecs")
        values[":ecs"] = {"S": trigger.name}
    return parts
