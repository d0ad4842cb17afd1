"""The step before the first task: the database is expanded, and the deployment waits for that."""

from greenlane.deployments.model import Deployment, Record
from greenlane.deployments.phases import Phase
from greenlane.deployments.shipped_with import EXPANDED, EXPANDS
from greenlane.deployments.stepping.fence import fenced, still_wanted
from greenlane.deployments.storing.journal import note
from greenlane.errors import MigrationFailed, NotFinished
from greenlane.migrations.guarding.model import MigrationRequest, RunRecord
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.shipping.requesting import is_of, request_for
from greenlane.migrations.shipping.starting import find_run, has_died, how_it_ended, start_run


def expand_database(deployment: Deployment, runtime: MigrationRuntime) -> Deployment:
    """Begin the deployment's expand if it has not begun, and look how it stands.

    Its line on record says so, not its execution: a long run goes on in further executions.
    Repeating it begins nothing twice.

    Raises:
        NotFinished: it still runs, or waits; the workflow asks again.
        MigrationFailed: it ended otherwise than with success, so no task may start.
        FenceLost: this deployment no longer owns the service.
        Aborted: a person said abort.
        DeadlineExceeded: `max_duration` passed.
    """
    record = fenced(runtime, deployment, {Phase.PLANNING})
    still_wanted(runtime, record)
    plan = runtime.store.plan(deployment.deployment_id)
    asked = plan.request.migrations
    if asked is None or "expand" not in asked.phases:
        return deployment.model_copy(update={"next": "shift"})
    request = request_for(plan, asked, "expand")
    found = find_run(runtime, request.run) or _begin(runtime, record, request)
    if not is_of(found, request):
        raise MigrationFailed(
            f"the run {request.run} is not this deployment's; deploy with another id"
        )
    match found.standing:
        case "succeeded":
            note(runtime, plan.deployment_id, EXPANDED, run=found.run)
            return deployment.model_copy(update={"next": "shift"})
        case "running" if not has_died(runtime, found):
            waits = f": {found.waits_for}" if found.waits_for else ""
            raise NotFinished(f"{found.run} still runs{waits}")
        case "running":
            raise MigrationFailed(_said(found.run, "dead", "its execution ended without a word"))
    raise MigrationFailed(_said(found.run, found.standing, found.failure))


def _begin(runtime: MigrationRuntime, record: Record, request: MigrationRequest) -> RunRecord:
    """Start the run; what is returned began at an earlier attempt, whose answer was lost.

    Raises:
        NotFinished: it was started now.
        MigrationFailed: its execution ended before anything was written down.
    """
    if start_run(runtime, request):
        note(runtime, record.deployment_id, EXPANDS, run=request.run)
        raise NotFinished(f"{request.run} was started")
    found = find_run(runtime, request.run)
    if found is None:
        why = how_it_ended(runtime, request.run)
        raise MigrationFailed(_said(request.run, "refused", why))
    return found


def _said(run: str, standing: str, why: str) -> str:
    return (
        f"expand: {run} is {standing}: {why}; no task was started, and the database serves the "
        f"version that is live; see `greenlane migrations get {run}`"
    )
