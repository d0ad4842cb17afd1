"""Evidence becomes a report. Pure: the same evidence gives the same report, byte for byte."""

from collections import Counter

from greenlane.deployments.looking.status import judgement_of, version_of
from greenlane.deployments.model import Slot
from greenlane.incidents.log_patterns import new_messages
from greenlane.incidents.report_actions import parts_done, rulings
from greenlane.incidents.report_advice import next_steps
from greenlane.incidents.report_cause import cause_of, failing
from greenlane.incidents.report_changes import changes_of
from greenlane.incidents.report_model import Cause, Evidence, Limits, Report, StoppedTasks, Version
from greenlane.incidents.report_summary import summary
from greenlane.incidents.report_timeline import Milestones, milestones, timeline
from greenlane.incidents.report_traffic import affected, minutes_of, phases
from greenlane.incidents.wording import one_line


def compose(evidence: Evidence) -> Report:
    """Everything that a report says. No clock, no I/O: what is not in the evidence is not known."""
    plan, times = evidence.plan, milestones(evidence)
    old, new = _told_apart(_old(evidence), _new(evidence))
    cause, numbers = _cause(evidence, times), phases(evidence, times)
    hurt, changes, stopped = affected(evidence, times), changes_of(evidence), _stopped(evidence)
    logs = new_messages(evidence.logs) if evidence.logs is not None else None
    judge = plan.config.judge
    return Report(
        service=plan.service,
        deployment_id=plan.deployment_id,
        region=plan.workload.listener_rule_arn.split(":")[3],
        outcome=times.outcome,
        summary=summary(evidence, times, old, new, cause, hurt, numbers),
        as_of=evidence.as_of,
        strategy=plan.strategy,
        requested_by=one_line(plan.request.requested_by, 100),
        started_at=times.started_at,
        traffic_from=times.traffic_from,
        traffic_until=times.traffic_until,
        ended_at=times.ended_at,
        old=old,
        new=new,
        percent=evidence.percent,
        cause=cause,
        affected=hurt,
        changes=changes,
        timeline=timeline(evidence.history, times.started_at),
        shifts=times.shifts,
        limits=Limits(error_rate=float(judge.error_rate), p95_ms=float(judge.response_time_p95)),
        phases=numbers,
        minutes=minutes_of(evidence),
        window_start=evidence.window_start,
        window_end=evidence.window_end,
        logs=logs,
        stopped=stopped,
        verdicts=rulings(evidence),
        done=parts_done(evidence.history),
        next_steps=next_steps(plan, times.outcome, times, cause, changes, logs, stopped),
        gaps=evidence.gaps,
    )


def _cause(evidence: Evidence, times: Milestones) -> Cause | None:
    if times.trigger is None or times.outcome in ("succeeded", "refused"):
        return None
    judgements = [found for event in evidence.history if (found := judgement_of(event))]
    if evidence.look is not None:
        judgements.append(evidence.look)
    return cause_of(times.trigger, evidence.alarm, failing(judgements), times.reason)


def _stopped(evidence: Evidence) -> tuple[StoppedTasks, ...]:
    """Reasons by how often they occurred."""
    counts = Counter(evidence.stopped)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(StoppedTasks(reason=reason, count=count) for reason, count in ranked)


def _told_apart(old: Version, new: Version) -> tuple[Version, Version]:
    """The same version deployed again, with another configuration, is named with its slot."""
    if old.label != new.label:
        return old, new
    named = (
        version.model_copy(update={"label": f"{version.label} in {version.slot}"})
        for version in (old, new)
    )
    return next(named), next(named)


def _old(evidence: Evidence) -> Version:
    plan = evidence.plan
    image = _image(evidence.definition_before, plan.container or plan.workload.container)
    return _version(plan.live, evidence.version_before, image, plan.live_task_definition)


def _new(evidence: Evidence) -> Version:
    plan, request = evidence.plan, evidence.plan.request
    asked = request.version or (version_of(request.image) if request.image else None)
    container = plan.container or plan.workload.container
    image = plan.image or _image(evidence.definition_after, container)
    known = evidence.record or evidence.summary
    revision = known.task_definition if known is not None else None
    named = asked or (request.task_definition if image is None else None)
    return _version(plan.candidate, named, image, revision or request.task_definition)


def _version(
    slot: Slot, label: str | None, image: str | None, task_definition: str | None
) -> Version:
    revision = (task_definition or "").rsplit("/", 1)[-1]
    named = label or (version_of(image) if image else None) or revision or f"what {slot} runs"
    digest = image.partition("@")[2] if image else ""
    return Version(
        slot=slot,
        label=one_line(named, 100),
        image=one_line(image, 300) if image else None,
        digest=digest or None,
        task_definition=revision or None,
    )


def _image(definition: dict[str, object] | None, container: str) -> str | None:
    containers = (definition or {}).get("containerDefinitions")
    if not isinstance(containers, list):
        return None
    for entry in containers:
        if entry.get("name") == container or len(containers) == 1:
            return str(entry.get("image"))
    return None
