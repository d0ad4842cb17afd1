"""The edge of drift: look, remember under a condition, tell once. It changes no traffic.

The one thing that is put right is auto scaling that one of our own late writes left suspended.
"""

from collections.abc import Callable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import Drift, Plan, Record, Slot, SuspendedScaling
from greenlane.deployments.reaching import fleet, scaling, traffic
from greenlane.deployments.storing.journal import note_best_effort, tell
from greenlane.errors import FenceLost, GreenlaneError, Refused
from greenlane.health.alarms import AlarmState
from greenlane.logs import logger
from greenlane.rollback import drift
from greenlane.rollback.drift import AT_REST, IN_TRAFFIC, Finding, Kind
from greenlane.runtime import Runtime

_GONE = frozenset({"RuleNotFound", "ServiceNotFoundException", "ClusterNotFoundException"})


def notice_drift(runtime: Runtime, record: Record, alarms: Sequence[AlarmState]) -> Record:
    """Compare the live system with the record; the record after that. It never raises.

    What does not answer is not compared, and stays as it is on record. If the record moves on
    meanwhile, nothing is remembered or told: what was seen belongs to another time.

    Args:
        runtime: the clients and the clock.
        record: as it was read.
        alarms: those that start the way back, as they are; empty where they were not read.
    """
    try:
        return _notice(runtime, record, alarms)
    except FenceLost as error:
        logger.info("the record moved on", error=str(error))
    except (GreenlaneError, ClientError, BotoCoreError) as error:
        logger.error("drift not noticed", service=record.service, error=str(error))
    return record


def _notice(runtime: Runtime, record: Record, alarms: Sequence[AlarmState]) -> Record:
    looks = _looks(runtime, record, alarms)
    changes = drift.compare(record.drift or (), looks, runtime.clock.now())
    # Found suspended a second time it is somebody else's wish: told like any other drift.
    ours = () if record.scaling_given_again else changes.confirmed
    left = [found for found in ours if found.kind == "scaling"]
    kept = [found.model_copy(update={"told": False}) for found in left]
    remembered = (*(found for found in changes.drift if found not in left), *kept) or None
    if remembered == record.drift and not left:
        return record
    record = runtime.store.update(
        record, {"drift": remembered}, phases={record.phase}, where={"drift": record.drift}
    )
    told = [found for found in changes.confirmed if found not in left]
    _report(runtime, record, told, changes.gone)
    return _give_back(runtime, record, left) if left else record


def _looks(
    runtime: Runtime, record: Record, alarms: Sequence[AlarmState]
) -> dict[Kind, list[Finding]]:
    """What was found, by kind; without the kinds that do not matter now, or did not answer."""
    at_rest, in_traffic = record.phase in AT_REST, record.phase in IN_TRAFFIC
    looks: dict[Kind, list[Finding]] = {}
    if not (alarms or at_rest or in_traffic):
        return looks
    plan = runtime.store.plan(record.deployment_id)
    if alarms:
        looks["alarm"] = drift.alarm_drift(alarms, plan.alarm_definitions)
    if at_rest:
        _look(looks, "weights", lambda: _weights(runtime, record, plan))
    if in_traffic:
        _look(looks, "tasks", lambda: _tasks(runtime, record, plan, ()))
    elif at_rest and not record.scaling_rests:  # until then the old slot is still being let go
        targets = _targets(runtime, plan)
        if targets is not None:
            looks["scaling"] = drift.scaling_left(record.scaling, targets)
            _look(looks, "tasks", lambda: _tasks(runtime, record, plan, targets))
    return looks


def _look(looks: dict[Kind, list[Finding]], kind: Kind, find: Callable[[], list[Finding]]) -> None:
    """One comparison; what does not exist any more is a finding, no answer is none."""
    try:
        looks[kind] = find()
    except Refused as error:
        looks[kind] = [Finding(kind, "missing", str(error))]
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        if code in _GONE:
            looks[kind] = [Finding(kind, "missing", str(error))]
        else:
            logger.warning("not compared", kind=kind, error=str(error))


def _targets(runtime: Runtime, plan: Plan) -> tuple[SuspendedScaling, ...] | None:
    """Both slots' scalable targets as they are; None when nobody answers."""
    try:
        return scaling.read_scaling(runtime.autoscaling, plan.workload)
    except (ClientError, BotoCoreError) as error:
        logger.warning("not compared", kind="scaling", error=str(error))
        return None


def _weights(runtime: Runtime, record: Record, plan: Plan) -> list[Finding]:
    rule = traffic.read_rule(runtime.elbv2, plan.workload.listener_rule_arn)
    return drift.weights_drift(record, rule.percent(plan.workload), rule.weights)


def _tasks(
    runtime: Runtime, record: Record, plan: Plan, targets: Sequence[SuspendedScaling]
) -> list[Finding]:
    desired: dict[Slot, int] = {}
    by_slot: dict[Slot, SuspendedScaling] = {}
    by_id = {target.resource_id: target for target in targets}
    for slot, resources in plan.workload.slots.items():
        service = fleet.read_service(runtime.ecs, plan.workload.cluster, resources.service)
        desired[slot] = service.desired
        target = by_id.get(scaling.resource_id(plan.workload, resources.service))
        if target is not None:
            by_slot[slot] = target
    return drift.tasks_drift(record, plan, desired, by_slot)


def _give_back(runtime: Runtime, record: Record, left: Sequence[Drift]) -> Record:
    """Give back, once, the auto scaling that a late write of ours left suspended.

    The record was written a moment ago, so no other deployment rests its scaling now. One that
    fails is tried again at the next look.
    """
    subjects = {found.subject for found in left}
    targets = [target for target in record.scaling if target.resource_id in subjects]
    scaling.restore_suspension(runtime.autoscaling, targets)
    rest = tuple(found for found in record.drift or () if found.subject not in subjects)
    changes = {"scaling_given_again": True, "drift": rest or None}
    record = runtime.store.update(record, changes, phases={record.phase})
    note_best_effort(
        runtime, record.deployment_id, "auto scaling given back again", targets=sorted(subjects)
    )
    return record


def _report(
    runtime: Runtime, record: Record, confirmed: Sequence[Drift], gone: Sequence[Drift]
) -> None:
    for found in confirmed:
        known = {"drift": found.kind, "subject": found.subject, "what": found.what}
        note_best_effort(runtime, record.deployment_id, "drift found", **known)
    for past in gone:
        known = {"drift": past.kind, "subject": past.subject, "since": past.since.isoformat()}
        note_best_effort(runtime, record.deployment_id, "drift gone", **known)
    if not confirmed:
        return
    tell(
        runtime,
        f"Somebody changed what Greenlane deployed as {record.service}",
        record.service,
        kind="drift",
        deployment=record.deployment_id,
        occasion=[(found.kind, found.subject, found.since.isoformat()) for found in confirmed],
        phase=record.phase,
        found="; ".join(found.what for found in confirmed),
        way_out="Greenlane leaves it so; see docs/rollback.md, `Drift`",
    )
