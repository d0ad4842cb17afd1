"""The step before each slice: the lease is renewed, and whoever may stop the run is asked."""

from collections.abc import Sequence

from greenlane.deployments.model import Plan, Record
from greenlane.deployments.phases import Phase
from greenlane.errors import UnknownDeployment
from greenlane.health.alarms import read_alarms
from greenlane.migrations.guarding.backing_up import lease_of
from greenlane.migrations.guarding.deciding import Seen, after_watch
from greenlane.migrations.guarding.gating import contract_refusals
from greenlane.migrations.guarding.journal import keep, note, record_of, tell
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.outlines import read_outline
from greenlane.migrations.guarding.runtime import MigrationRuntime

_ENDED_BADLY = frozenset({Phase.ROLLED_BACK, Phase.HELD, Phase.REFUSED})
_TOOK_OVER = frozenset({Phase.PROMOTED, Phase.WATCHING, Phase.RETIRED})
_LOOKED_AT = 100


def watch_migration(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """Renew a run's lease, and say whether it goes on, waits or ends.

    Raises:
        FenceLost: another execution has the lease.
        ClientError: the table, CloudWatch or ECS did not answer, so nobody may go on.
    """
    lease = runtime.leases.renew(lease_of(run), runtime.clock.now())
    service = run.described.service
    record = runtime.store.record(service)
    seen = Seen(
        asked=lease.asked,
        over=_over(runtime, run, record),
        unwell=_unwell(run, record),
        red=_red(runtime, run, record),
        refused=_refused(runtime, run),
    )
    after = _write_down(runtime, run, after_watch(run, seen), seen)
    keep(after, runtime)
    return after


def standing_of_deployment(record: Record | None, deployment: str, before: Phase | None) -> str:
    """Why a run's deployment has ended without success; empty while it has not. Pure.

    Args:
        record: the service's, which is of its latest deployment.
        deployment: the run's.
        before: how that ended, if it is not the latest any more and is on record.
    """
    latest = record is not None and record.deployment_id == deployment
    phase = record.phase if record is not None and latest else before
    if phase is None:
        return f"the deployment {deployment} is not on record"
    if phase in _ENDED_BADLY:
        return f"the deployment {deployment} is {phase.value}; what was done is left in place"
    return ""


def _over(runtime: MigrationRuntime, run: MigrationRun, record: Record | None) -> str:
    deployment = run.request.deployment
    if deployment is None:
        return ""
    before = None
    if record is None or record.deployment_id != deployment:
        summaries = runtime.store.deployments(run.described.service, _LOOKED_AT)
        phases = {one.deployment_id: one.phase for one in summaries}
        before = phases.get(deployment)
    return standing_of_deployment(record, deployment, before)


def _unwell(run: MigrationRun, record: Record | None) -> str:
    if record is None:
        return ""
    if record.phase is Phase.ROLLING_BACK:
        return f"{record.deployment_id} is being rolled back"
    if record.paused and record.deployment_id == run.request.deployment:
        return f"its deployment {record.deployment_id} is paused"
    return ""


def _red(runtime: MigrationRuntime, run: MigrationRun, record: Record | None) -> Sequence[str]:
    """The alarms of the database, of what serves, and of a deployment under way, that are red."""
    names = dict.fromkeys(run.described.alarms)
    if record is not None:
        try:
            plan = runtime.store.plan(record.deployment_id)
        except UnknownDeployment:
            plan = None
        if plan is not None and not _is_of_a_cure(run, plan):
            took_over = record.phase in _TOOK_OVER
            serves = plan.candidate if took_over else plan.live
            names |= dict.fromkeys(plan.workload.slots[serves].alarms)
            names |= dict.fromkeys(plan.workload.alarms)
            if record.phase is Phase.SHIFTING:
                names |= dict.fromkeys(plan.trigger_alarms)
    if not names:
        return ()
    return [alarm.name for alarm in read_alarms(runtime.cloudwatch, names) if alarm.red]


def _is_of_a_cure(run: MigrationRun, plan: Plan) -> bool:
    """Whether a person deploys in spite of red alarms, and the deployment waits for this run."""
    ours = plan.deployment_id == run.request.deployment and run.phase == "expand"
    return ours and plan.request.despite_alarms is not None


def _refused(runtime: MigrationRuntime, run: MigrationRun) -> Sequence[str]:
    """Once more before a contract's first statement: a backup may have taken hours."""
    if run.phase != "contract" or run.begun or run.stage != "run":
        return ()
    outline = read_outline(runtime, run.request.plan_sha)
    return contract_refusals(runtime, run.described.service, run.request, outline)


def _write_down(
    runtime: MigrationRuntime, before: MigrationRun, after: MigrationRun, seen: Seen
) -> MigrationRun:
    """Note what the history does not have yet; tell of an alarm that holds the run up."""
    if after.stage != before.noted_stage:
        because = after.failure and after.failure.Cause
        note(runtime, after.run, _BEGINS[after.stage], because=because)
    if before.trouble is not None:
        note(runtime, after.run, "a slice failed", error=before.trouble.model_dump())
    why = after.held_for or before.waits_for
    if why != before.noted:
        note(runtime, after.run, "waits" if why else "goes on", why=why or None)
    if after.held_for and after.held_for != before.held_for and seen.red:
        _tell_of_alarms(runtime, after, seen.red)
    return after.model_copy(update={"noted": why, "noted_stage": after.stage})


_BEGINS = {"check": "checking", "run": "begun", "undo": "undoing"}


def _tell_of_alarms(runtime: MigrationRuntime, run: MigrationRun, red: Sequence[str]) -> None:
    tell(
        runtime,
        record_of(run, runtime, "running"),
        "migration_waits",
        f"{run.database}: {run.phase} waits for an alarm",
        facts={"red": ", ".join(red)},
        way_out="it goes on by itself when the alarm is over; "
        f"greenlane migrations abort {run.run} ends it",
    )
