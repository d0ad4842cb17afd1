"""The end of a rollback: the outcome into the record, the user's stickiness back, people told."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.finishing import tidy
from greenlane.deployments.journal import note_best_effort, summarise, tell
from greenlane.deployments.model import Plan, Record
from greenlane.deployments.phases import Phase
from greenlane.deployments.stickiness import owed
from greenlane.errors import FenceLost, UnknownDeployment
from greenlane.logs import logger
from greenlane.rollback.model import CloseEvent, Rollback, RollbackRequest
from greenlane.runtime import Runtime


def close_rollback(event: CloseEvent, runtime: Runtime) -> Rollback | None:
    """Write `rolled_back`, or `held` when a person is needed, and tell people.

    Raises:
        FenceLost: another rollback took over; its end is the one that counts.
    """
    rollback = event.rollback
    if event.trying:
        _page_while_trying(event, runtime)
        return rollback
    if rollback is None or event.held or rollback.action == "held":
        _page(event, runtime)
        return rollback
    record = runtime.store.record(rollback.service)
    if (
        record is None
        or record.epoch != rollback.epoch
        or record.deployment_id != rollback.deployment_id
        or record.phase not in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    ):
        raise FenceLost("another rollback took over")
    plan = runtime.store.plan(record.deployment_id)
    if record.phase is Phase.ROLLING_BACK:
        trigger = rollback.trigger
        reason = f"{trigger.kind} {trigger.name}: {trigger.reason}"
        record = _write_end(
            runtime,
            record,
            {
                "phase": Phase.ROLLED_BACK,
                "reason": reason[:2000],
                "weight": 0,
                "bake_token": None,
                "intended_weight": None,
                "updated_at": runtime.clock.now(),
                **_stickiness_owed(rollback),
            },
        )
    _tell(runtime, plan, record, rollback, event)
    slots = plan.workload.slots
    tidy(runtime, plan, active=slots[plan.live].service, standby=slots[plan.candidate].service)
    return rollback


def _write_end(runtime: Runtime, record: Record, changes: dict[str, Any]) -> Record:
    """Write the end; a repeated write finds its own work done, for an answer may get lost."""
    try:
        return runtime.store.update(record, changes, phases={Phase.ROLLING_BACK})
    except FenceLost:
        fresh = runtime.store.record(record.service)
        if fresh is None or fresh.epoch != record.epoch or fresh.phase is not Phase.ROLLED_BACK:
            raise
        return fresh


def _stickiness_owed(rollback: Rollback) -> dict[str, Any]:
    """What the way back switched off, to be given back once the old cookies have ended."""
    if rollback.recipe is None or rollback.took_back_at is None:
        return {}
    return owed(rollback.recipe.stickiness, rollback.took_back_at)


def _tell(
    runtime: Runtime,
    plan: Plan,
    record: Record,
    rollback: Rollback,
    event: CloseEvent,
) -> None:
    note_best_effort(
        runtime, plan.deployment_id, "rolled back", reason=record.reason, failure=event.failure
    )
    summarise(runtime, plan, record)
    tell(
        runtime,
        f"Greenlane took {plan.service} back",
        plan,
        deployment=plan.deployment_id,
        image=plan.image,
        trigger=record.reason,
        live=plan.live,
        incomplete=f"the bad slot may still run: {event.what_failed()}" if event.failure else None,
    )


def _page_while_trying(event: CloseEvent, runtime: Runtime) -> None:
    """Nothing has worked for a minute: a person is told, and the record stays as it is."""
    service = _service(runtime, None, event.request)
    if event.request is not None and event.request.deployment_id is not None:
        known = {"failure": event.what_failed()}
        note_best_effort(runtime, event.request.deployment_id, "rollback keeps trying", **known)
    tell(
        runtime,
        f"PAGE: Greenlane cannot take {service} back yet and keeps trying",
        service,
        reason=_without_traffic(event) or event.what_failed(),
        way_out="it tries for an hour; the commands to go back by hand are in docs/rollback.md",
    )


def _without_traffic(event: CloseEvent) -> str | None:
    """Plan died without its answer: traffic had not moved, so this page is about the table."""
    request = event.request
    if request is None or request.trigger.kind != "failure" or request.recipe is not None:
        return None
    return f"no traffic had moved; what planning took is not given back: {event.what_failed()}"


def _page(event: CloseEvent, runtime: Runtime) -> None:
    """A person is needed: say so in the record if it answers, and on the topic in any case."""
    rollback, request = event.rollback, event.request
    service = _service(runtime, rollback, request)
    if event.failure is not None:
        reason = _without_traffic(event) or event.what_failed()
    else:
        reason = rollback.reason if rollback is not None else "the traffic could not be put back"
    record = _hold(runtime, service, event.execution, reason)
    if record is not None:
        note_best_effort(runtime, record.deployment_id, "held", reason=reason)
        try:
            summarise(runtime, runtime.store.plan(record.deployment_id), record)
        except UnknownDeployment:
            logger.error("held without a plan", deployment=record.deployment_id)
    tell(
        runtime,
        f"PAGE: Greenlane holds {service}, a person is needed",
        service,
        reason=reason,
        way_out=f"look at both slots, then `greenlane rollback {service}` or deploy the cure",
    )


def _service(runtime: Runtime, rollback: Rollback | None, request: RollbackRequest | None) -> str:
    """The service a page is about; its deployment's id if nothing else is known."""
    if rollback is not None:
        return rollback.service
    if request is None or request.deployment_id is None or request.service is not None:
        return "unknown" if request is None else request.service or "unknown"
    try:
        return runtime.store.plan(request.deployment_id).service
    except (ClientError, BotoCoreError, UnknownDeployment) as error:
        logger.error("the service is not known", error=str(error))
        return request.deployment_id


def _hold(runtime: Runtime, service: str, execution: str, reason: str) -> Record | None:
    """Move the record to `held` if this execution owns it and the table answers."""
    try:
        record = runtime.store.record(service)
        if record is None or record.rollback_execution != execution:
            return None
        if record.phase is not Phase.ROLLING_BACK:
            return None
        return runtime.store.update(
            record,
            {"phase": Phase.HELD, "reason": reason, "updated_at": runtime.clock.now()},
            phases={Phase.ROLLING_BACK},
        )
    except (ClientError, BotoCoreError, FenceLost) as error:
        logger.error("the hold was not recorded", service=service, error=str(error))
        return None
