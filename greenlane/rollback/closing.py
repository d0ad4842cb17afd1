"""The end of a rollback: the outcome into the record, the user's stickiness back, people told."""

import re
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import Plan, Record
from greenlane.deployments.phases import Phase
from greenlane.deployments.reaching import traffic
from greenlane.deployments.reaching.stickiness import owed
from greenlane.deployments.stepping.finishing import tidy
from greenlane.deployments.storing.journal import (
    KeepFirst,
    note_best_effort,
    note_hastily,
    summarise,
    tell,
)
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import Aborted, FenceLost, Refused, UnknownDeployment
from greenlane.incidents.report_place import console_url, report_key
from greenlane.logs import logger
from greenlane.people.announcement import Severity
from greenlane.rollback.model import CloseEvent, Rollback, RollbackRequest
from greenlane.runtime import Runtime

_OUR_ID = re.compile(r"(?P<service>.+)-\d{8}-\d{6}-[0-9a-f]{4}")
"""The ids that `Greenlane.deploy` makes; a caller's own may be anything."""


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
        or record.phase not in (Phase.ROLLING_BACK, Phase.ROLLED_BACK, *_held_by(event, record))
    ):
        raise FenceLost("another rollback took over")
    plan = runtime.store.plan(record.deployment_id)
    unknown = None
    if record.phase is not Phase.ROLLED_BACK and event.failure is not None:
        serves, unknown = _look_at_bad_slot(runtime, plan)
        if serves is not None or record.phase is Phase.HELD:
            _page(event, runtime, record.reason if record.phase is Phase.HELD else serves)
            return rollback
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
    _tell(runtime, plan, record, rollback, event, unknown)
    slots = plan.workload.slots
    tidy(runtime, plan, active=slots[plan.live].service, standby=slots[plan.candidate].service)
    return rollback


def _held_by(event: CloseEvent, record: Record) -> tuple[Phase, ...]:
    """A repeated end finds the hold that it wrote itself; its page may not have gone out."""
    ours = event.failure is not None and record.rollback_execution == event.execution
    return (Phase.HELD,) if ours else ()


def _look_at_bad_slot(runtime: Runtime, plan: Plan) -> tuple[str | None, str | None]:
    """What says that the bad slot has traffic, and what says that nobody knows."""
    bad = plan.candidate
    try:
        rule = traffic.read_rule(runtime.elbv2_back, plan.workload.listener_rule_arn)
    except (ClientError, BotoCoreError, Refused) as error:
        logger.error("the weights were not read", error=str(error))
        return None, f"it is not known whether {bad} has traffic: {error}"
    if rule.weights.get(plan.workload.slots[bad].target_group_arn, 0) > 0:
        return f"{bad} has traffic: {rule.weights}", None
    return None, None


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
    unknown: str | None,
) -> None:
    incomplete = None
    if event.failure is not None:
        incomplete = f"the bad slot may still run: {event.what_failed()}"
    if unknown is not None:
        incomplete = f"{unknown}; {incomplete}"
    note_best_effort(
        runtime,
        plan.deployment_id,
        "rolled back",
        reason=record.reason,
        failure=event.failure,
        seconds=rollback.marked("closed", runtime.clock.now()).seconds(),
    )
    summarise(runtime, plan, record)
    tell(
        runtime,
        f"Greenlane took {plan.service} back",
        plan,
        kind="rolled_back",
        severity=_severity(rollback),
        occasion=record.epoch,
        settled=event.failure is None,
        links=_report(runtime, plan.service, plan.deployment_id),
        image=plan.image,
        trigger=record.reason,
        live=plan.live,
        incomplete=incomplete,
    )


def _report(runtime: Runtime, service: str, deployment_id: str | None) -> dict[str, str] | None:
    """Where the report will be within a minute; it is written after people were told."""
    bucket = runtime.settings.incidents_bucket
    if not bucket or deployment_id is None:
        return None
    region = runtime.settings.topic_arn.split(":")[3]
    return {"report": console_url(bucket, region, report_key(service, deployment_id, "html"))}


def _severity(rollback: Rollback) -> Severity:
    """Critical if the new version had traffic, unless a person wanted it back and so knows."""
    trigger = rollback.trigger
    if trigger.kind == "person" or trigger.name == Aborted.__name__:
        return "warning"
    return "error" if rollback.action == "abandon" else "critical"


def _page_while_trying(event: CloseEvent, runtime: Runtime) -> None:
    """Nothing has worked for a minute: a person is told, and the record stays as it is."""
    if event.rollback is not None:
        _page_unclosed(event, event.rollback, runtime)
        return
    # Nothing here may hang for long: the state has 15 s, and going back waits for it.
    service = _service(runtime.hasty_store, None, event.request)
    tell(
        runtime,
        f"PAGE: Greenlane cannot take {service} back yet and keeps trying",
        service,
        kind="still_trying",
        deployment=_deployment(runtime, event, service),
        occasion="going back",
        keep_first="try",
        reason=_without_traffic(event) or event.what_failed(),
        way_out="it tries for an hour; the commands to go back by hand are in docs/rollback.md",
    )
    if event.request is not None and event.request.deployment_id is not None:
        known = {"failure": event.what_failed()}
        deployment_id = event.request.deployment_id
        note_hastily(runtime, deployment_id, "rollback keeps trying", **known)


def _page_unclosed(event: CloseEvent, rollback: Rollback, runtime: Runtime) -> None:
    """The traffic is back and nobody can write so down: told once, tried again each time."""
    tell(
        runtime,
        f"PAGE: Greenlane took {rollback.service} back and cannot record it",
        rollback.service,
        kind="still_trying",
        deployment=rollback.deployment_id,
        occasion="unclosed",
        keep_first="try",
        reason=event.what_failed(),
        way_out="the traffic is back; mend what failed, and the reconciler ends the rollback",
    )


def _without_traffic(event: CloseEvent) -> str | None:
    """Plan died without its answer: traffic had not moved, so this page is about the table."""
    request = event.request
    if request is None or request.trigger.kind != "failure" or request.recipe is not None:
        return None
    return f"no traffic had moved; what planning took is not given back: {event.what_failed()}"


def _page(event: CloseEvent, runtime: Runtime, why: str | None = None) -> None:
    """A person is needed: say so in the record if it answers, and on the topic in any case."""
    rollback, request = event.rollback, event.request
    service = _service(runtime.store, rollback, request)
    if event.failure is not None:
        reason = _without_traffic(event) or event.what_failed()
    else:
        reason = rollback.reason if rollback is not None else "the traffic could not be put back"
    if why is not None:
        reason = why if reason in why else f"{why}; {reason}"
    record = _hold(runtime, service, event.execution, reason)
    deployment = record.deployment_id if record else _deployment(runtime, event, service)
    if record is not None:
        known = rollback.marked("closed", runtime.clock.now()).seconds() if rollback else None
        note_best_effort(runtime, record.deployment_id, "held", reason=reason, seconds=known)
        try:
            summarise(runtime, runtime.store.plan(record.deployment_id), record)
        except UnknownDeployment:
            logger.error("held without a plan", deployment=record.deployment_id)
    _tell_held(runtime, service, deployment, event.execution, reason, reported=record is not None)


def tell_hold(runtime: Runtime, record: Record) -> None:
    """Page for a hold that is on record, as whoever wrote it should have done.

    Nothing is published unless the page is kept: this may come each minute.
    """
    reason = record.reason or "the traffic could not be put back"
    execution = record.rollback_execution
    service, deployment = record.service, record.deployment_id
    _tell_held(runtime, service, deployment, execution, reason, reported=True, keep_first="must")


def _tell_held(
    runtime: Runtime,
    service: str,
    deployment: str | None,
    execution: str | None,
    reason: str,
    *,
    reported: bool,
    keep_first: KeepFirst | None = None,
) -> None:
    tell(
        runtime,
        f"PAGE: Greenlane holds {service}, a person is needed",
        service,
        kind="held",
        deployment=deployment,
        links=_report(runtime, service, deployment if reported else None),
        occasion=execution,
        keep_first=keep_first,
        reason=reason,
        scale_in="stays suspended on both slots until a person acts; scale-out works",
        way_out=(
            f"look at both slots, then `greenlane rollback {service}` or deploy the cure; the end "
            "of either also gives scale-in back"
        ),
    )


def _service(store: DynamoStore, rollback: Rollback | None, request: RollbackRequest | None) -> str:
    """The service a page is about; without the table by its deployment's id, or that id itself."""
    if rollback is not None:
        return rollback.service
    if request is None or request.deployment_id is None or request.service is not None:
        return "unknown" if request is None else request.service or "unknown"
    try:
        return store.plan(request.deployment_id).service
    except (ClientError, BotoCoreError, UnknownDeployment) as error:
        logger.error("the service is read from the deployment's id", error=str(error))
        found = _OUR_ID.fullmatch(request.deployment_id)
        return found["service"] if found is not None else request.deployment_id


def _deployment(runtime: Runtime, event: CloseEvent, service: str) -> str | None:
    """The deployment that a page is about: an alarm's event names only the service."""
    known = event.rollback or event.request
    if known is not None and known.deployment_id is not None:
        return known.deployment_id
    try:
        record = runtime.hasty_store.record(service)
    except (ClientError, BotoCoreError) as error:
        logger.error("the deployment is not known", service=service, error=str(error))
        return None
    return record.deployment_id if record is not None else None


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
