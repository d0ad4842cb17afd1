"""Everything that `greenlane get` shows about one service, gathered; decides nothing."""

from datetime import datetime
from typing import Any

from greenlane.deployments.looking.status import (
    Fleet,
    Status,
    bake_left,
    expanding,
    last_judgement,
    outcome_of,
    progress,
)
from greenlane.deployments.signals import possible_signals
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import UnknownDeployment


def read_status(store: DynamoStore, fleet: Fleet, service: str, now: datetime) -> Status:
    """See `Greenlane.status`."""
    stored = store.get_config(service)
    record = store.record(service)
    status = Status(service=service, config_version=stored.version, at=now, record=record)
    workload = stored.config.workload
    changes: dict[str, Any] = {}
    if record is not None:
        changes["outcome"] = outcome_of(record)
        changes["bake_left_seconds"] = bake_left(record, now)
        history = store.history(record.deployment_id)
        looks = (store.last_look(record.deployment_id), last_judgement(history))
        changes["judgement"] = max(
            (look for look in looks if look is not None),
            key=lambda look: look.at,
            default=None,
        )
        try:
            plan = store.plan(record.deployment_id)
        except UnknownDeployment:
            plan = None  # refused, or still planning: there is none yet
        if plan is not None:
            changes["plan"] = plan
            changes["expanding"] = expanding(record, plan, history)
            changes["step"], changes["steps"] = progress(record, plan)
            changes["signals"] = tuple(possible_signals(record, plan))
            workload = plan.workload
    if workload is not None:
        changes["slots"] = fleet.slots(workload, stored.config.container, record)
    return status.model_copy(update=changes)
