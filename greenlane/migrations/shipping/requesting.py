"""What a deployment asks of the workflow of migrations. Pure; no I/O."""

from greenlane.deployments.model import Plan
from greenlane.deployments.shipped_with import ReleaseMigrations, ReleasePhase, run_id
from greenlane.migrations.guarding.model import MigrationRequest, RunRecord


def request_for(plan: Plan, asked: ReleaseMigrations, phase: ReleasePhase) -> MigrationRequest:
    """What the deployment's run is started with: the same whenever it is asked for."""
    return MigrationRequest(
        run=run_id(plan.deployment_id, phase),
        database=asked.database,
        plan_sha=asked.plan,
        phase=phase,
        deployment=plan.deployment_id,
        requested_by=plan.request.requested_by,
        reason=f"goes with the deployment {plan.deployment_id}",
    )


def is_of(record: RunRecord, request: MigrationRequest) -> bool:
    """Whether a run is the one that was asked for, and not another that was given its id."""
    return (record.database, record.plan_sha, record.phase, record.deployment) == (
        request.database,
        request.plan_sha,
        request.phase,
        request.deployment,
    )
