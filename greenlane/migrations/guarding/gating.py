"""Whether a contract may run now: the plan's `min_app` against what runs and what may come back."""

from greenlane.migrations.guarding.model import MigrationRequest
from greenlane.migrations.guarding.outlines import PlanOutline
from greenlane.migrations.guarding.release import WAIVED_BY, refusals
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.guarding.shipped import read_fleet


def contract_refusals(
    runtime: MigrationRuntime, service: str, request: MigrationRequest, outline: PlanOutline
) -> tuple[str, ...]:
    """Why a run may not break what the service's versions need; empty when it may, or breaks none.

    Args:
        runtime: the table and ECS.
        service: whose versions count.
        request: what was asked for; an override of `WAIVED_BY` gives up the ways back.
        outline: the plan.

    Raises:
        UnknownService: the service was never applied, so nobody can say what runs.
        InvalidInput: nobody says where its tasks are.
    """
    if request.phase != "contract" or request.undo:
        return ()
    least = dict.fromkeys(one.min_app for one in outline.of("contract") if one.min_app is not None)
    unsaid = [one.id for one in outline.of("contract") if one.min_app is None]
    said = [f"{name}: nobody says which version no longer needs it: add min_app" for name in unsaid]
    if not least:
        return tuple(said)
    fleet = read_fleet(runtime, service)
    waived = any(one.rule == WAIVED_BY for one in request.overrides)
    for min_app in least:
        said += refusals(min_app, fleet.in_use, fleet.shipped, waived=waived)
    return tuple(dict.fromkeys(said))
