"""From a plan to the record that a rollout begins with. Pure."""

from collections.abc import Collection
from datetime import datetime

from greenlane.deployments.model import DeploymentRequest
from greenlane.errors import DeploymentInFlight, InvalidInput, Refused
from greenlane.regions.coordinating.model import FREE, RegionState, Rollout, Wave
from greenlane.regions.declaring.model import RegionsDocument, Type
from greenlane.regions.planning.model import Override, Plan, Policy
from greenlane.regions.planning.planner import plan_regions


def record_of(
    plan: Plan,
    document: RegionsDocument,
    request: DeploymentRequest,
    *,
    rollout_id: str,
    home: str,
    now: datetime,
) -> Rollout:
    """The record of a rollout that nothing has been done of.

    Args:
        plan: its waves.
        document: which the plan was made of.
        request: what each Region is asked for.
        rollout_id: of it.
        home: the Region of its coordinator.
        now: the clock's instant, aware.
    """
    strategy = document.deployment_strategy
    bakes = {wave.number: wave.bake_seconds for wave in plan.waves}
    regions = {
        one.region: RegionState(
            region=one.region,
            wave=wave.number,
            failover=document.regions[one.region].failover_regions,
            traffic_percentage=one.traffic_percentage,
            need_seconds=_need_seconds(document, one.region),
            bake_seconds=bakes[wave.number],
            bake_requests=wave.bake_requests,
        )
        for wave in plan.waves
        for one in wave.regions
    }
    return Rollout(
        rollout_id=rollout_id,
        service=request.service,
        home=home,
        type=plan.type,
        request=request,
        overrides=plan.overrides,
        waves=tuple(
            Wave(
                number=wave.number,
                stage=wave.stage,
                regions=tuple(one.region for one in wave.regions),
                traffic_percentage=wave.traffic_percentage,
                budget_percentage=wave.budget_percentage,
            )
            for wave in plan.waves
        ),
        regions=regions,
        pairs=plan.pairs,
        delay_seconds=plan.delay_seconds,
        watch_seconds=plan.watch_seconds,
        max_wait_seconds=int(strategy.max_wait.total_seconds()),
        on_window_end=plan.on_window_end,
        error_rate=strategy.rollback_threshold.error_rate,
        p95_ms=strategy.rollback_threshold.response_time_p95,
        over_seconds=int(strategy.monitoring.alert_evaluation_interval.total_seconds()),
        started_at=now,
        updated_at=now,
    )


def plan_rollout(
    document: RegionsDocument,
    *,
    now: datetime,
    policy: Policy = "balanced",
    overrides: Collection[Override] = (),
) -> tuple[Plan, RegionsDocument]:
    """The plan of what a rollout does, and the document that it was made of.

    With `blue_green` each Region starts its second slot in its own wave, so a window has to hold
    the whole deployment, as with a canary.

    Args:
        document: the file of Regions.
        now: the clock's instant, aware.
        policy: how careful.
        overrides: windows or freezes that somebody sets aside.

    Raises:
        InvalidInput: no plan can be made of it.
    """
    strategy = document.deployment_strategy
    if strategy.type == "blue_green":
        in_waves = strategy.model_copy(update={"type": "canary"})
        document = document.model_copy(update={"deployment_strategy": in_waves})
    plan = plan_regions(document, now=now, policy=policy, overrides=overrides)
    return plan.model_copy(update={"type": strategy.type}), document


def _need_seconds(document: RegionsDocument, name: str) -> int:
    """How long a Region's window has to be open: its second slot is started in its own wave."""
    strategy = document.deployment_strategy
    duration = document.regions[name].expected_duration or strategy.expected_duration
    return int((strategy.baseline + duration).total_seconds())


def refuse_unless_free(
    before: Rollout | None, request: DeploymentRequest, rollout_id: str, despite_hold: str | None
) -> None:
    """Refuse a rollout while another is under way, and a version that went back before.

    After a rollout went back nothing starts by itself: another version lifts that, or a person
    with a reason.

    Raises:
        DeploymentInFlight: another rollout of the service is under way.
        Refused: this version went back.
    """
    if before is None or before.rollout_id == rollout_id:
        return
    service = request.service
    if before.phase not in FREE:
        raise DeploymentInFlight(
            f"{service} is on its way through the regions by {before.rollout_id} ({before.phase}); "
            f"wait for it, or take it back with `greenlane regions rollback {service}`"
        )
    if before.phase in ("rolled_back", "partial") and despite_hold is None:
        named = _named(request)
        if named == _named(before.request):
            raise Refused(
                f"{named} went back in {before.rollout_id}: {before.cause}; deploy another "
                "version, or say with --despite-hold REASON why this one"
            )


def refuse_another(before: Rollout, request: DeploymentRequest) -> None:
    """Refuse a request under the id of another one: it would be told as done, and is not.

    Raises:
        InvalidInput: the id is that of another version.
    """
    if _named(before.request) != _named(request):
        known = f"{before.rollout_id} is that of {_named(before.request)}"
        raise InvalidInput("id", before.rollout_id, f"{known}; take another one")


def _named(request: DeploymentRequest) -> str:
    return request.version or request.image or request.task_definition or ""


def asked_of_regions(request: DeploymentRequest, kind: Type) -> DeploymentRequest:
    """What each Region is asked for, by how the version goes through them.

    `rolling` leaves each Region to its service's own strategy. `canary` has each go by the steps
    of a canary, the first of which is small.

    Raises:
        InvalidInput: the request has an id of its own.
    """
    if request.deployment_id is not None:
        raise InvalidInput("deployment_id", request.deployment_id, "each region's is the rollout's")
    if kind == "rolling" or request.strategy is not None:
        return request
    return request.model_copy(update={"strategy": kind})
