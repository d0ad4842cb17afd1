"""A deployment in this Region, for a pipeline."""

from greenlane.deployments.client import Greenlane
from greenlane.deployments.looking.status import Outcome, progress
from greenlane.deployments.model import DeploymentRequest, Plan, Record
from greenlane.deployments.phases import LEASED, Phase
from greenlane.deployments.signals import send_signal
from greenlane.errors import NotFinished, SignalRefused, UnknownDeployment
from greenlane.pipelines.book import End, Entry
from greenlane.pipelines.seen import Seen

_ABORTED = frozenset({Phase.PLANNING, Phase.PREPARING, Phase.SHIFTING})
"""Later all traffic is on a version that was found good, which stays."""


def begin_deployment(greenlane: Greenlane, request: DeploymentRequest, entry: Entry) -> None:
    """Start it, as `greenlane deploy` does; repeating it starts nothing more.

    Raises:
        InvalidInput, Refused: it cannot be; nothing was changed.
    """
    named = {"deployment_id": entry.subject_id, "requested_by": entry.requested_by}
    greenlane.deploy(request.model_copy(update=named))


def look_at_deployment(greenlane: Greenlane, entry: Entry) -> Seen:
    """Where it stands."""
    plan = _plan(greenlane, entry)
    try:
        outcome = greenlane.outcome(entry.name, entry.subject_id)
    except UnknownDeployment:
        outcome = None  # Step Functions may tell of an execution a moment after it began
    record = greenlane.store.record(entry.name)
    ours = record if record is not None and record.deployment_id == entry.subject_id else None
    if outcome is not None:
        return Seen(_end(greenlane, entry, outcome, plan, ours), 100, outcome.name)
    if ours is None or plan is None:
        return Seen(None, 0, f"{entry.subject_id} is being planned")
    return _under_way(ours, plan)


def _under_way(record: Record, plan: Plan) -> Seen:
    step, steps = progress(record, plan)
    strategy = plan.strategy.replace("_", "/")
    if record.phase is Phase.PROMOTED:
        return Seen(None, 90, f"{strategy}: has all traffic, and is watched")
    if record.phase is Phase.SHIFTING and step is not None:
        waits = ", paused" if record.paused else ""
        said = f"{strategy}: step {step} of {steps}, {record.weight} % of traffic{waits}"
        return Seen(None, 10 + 80 * (step - 1) // max(steps, 1), said)
    percent = 95 if record.phase is Phase.ROLLING_BACK else 5
    return Seen(None, percent, f"{strategy}: {record.phase.value.replace('_', ' ')}")


def _end(
    greenlane: Greenlane,
    entry: Entry,
    outcome: Outcome,
    plan: Plan | None,
    record: Record | None,
) -> End:
    outputs = {
        "deployment_id": entry.subject_id,
        "service": entry.name,
        "outcome": outcome.name,
        "region": greenlane.connection.region,
    }
    if plan is not None:
        outputs["strategy"] = plan.strategy
        outputs["slot"] = plan.candidate if outcome.name == "succeeded" else plan.live
        named = {"version": plan.request.version, "image": plan.image}
        outputs |= {name: value for name, value in named.items() if value is not None}
    if record is not None and record.task_definition is not None:
        outputs["task_definition"] = record.task_definition
    return End(name=outcome.name, reason=outcome.reason, outputs=outputs)


def _plan(greenlane: Greenlane, entry: Entry) -> Plan | None:
    try:
        return greenlane.store.plan(entry.subject_id)
    except UnknownDeployment:
        return None


def abort_deployment(greenlane: Greenlane, entry: Entry) -> str:
    """Have it go back unless it was promoted.

    Raises:
        NotFinished: its planning has not come to a record yet, or it just moved on.
    """
    service, connection = entry.name, greenlane.connection
    record = greenlane.store.record(service)
    if record is None or record.deployment_id != entry.subject_id:
        try:
            ended = connection.outcome_of_execution(entry.subject_id)
        except UnknownDeployment:
            return "it was never started"
        if ended is None:
            raise NotFinished(f"{entry.subject_id} is being planned; it is aborted after that")
        return f"it was over: {ended.name}"
    if record.phase not in _ABORTED:
        going = "goes back already" if record.phase is Phase.ROLLING_BACK else "stays"
        said = "has all traffic, so it" if record.phase in LEASED else "was over; it"
        return f"it is {record.phase.value}: {said} {going}"
    try:
        send_signal(
            greenlane.store,
            connection.client("stepfunctions"),
            connection.clock,
            service=service,
            name="abort",
            by=f"pipeline {entry.execution}",
        )
    except SignalRefused as refused:
        now = greenlane.store.record(service)
        if now is None or now.deployment_id != entry.subject_id or now.signal is None:
            raise NotFinished(str(refused)) from refused
        if now.signal.name != "abort":
            raise NotFinished(str(refused)) from refused
    return "it is aborted, and goes back"
