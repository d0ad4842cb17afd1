"""Two sentences that say what happened, and what it meant. Pure; no I/O."""

from greenlane.deployments.model import Plan
from greenlane.incidents.report_model import (
    Affected,
    Cause,
    Evidence,
    PhaseNumbers,
    Report,
    Version,
)
from greenlane.incidents.report_timeline import Milestones
from greenlane.incidents.wording import (
    count_of,
    day_and_time,
    milliseconds,
    plural,
    ratio_as_percent,
    sentence,
    span,
    time_of,
)


def summary(
    evidence: Evidence,
    times: Milestones,
    old: Version,
    new: Version,
    cause: Cause | None,
    affected: Affected | None,
    phases: tuple[PhaseNumbers, ...],
) -> tuple[str, str]:
    """What happened, and what it meant for users."""
    plan = evidence.plan
    match times.outcome:
        case "rolled_back":
            return _went_back(plan, times, old, new, cause), _harm(times, old, affected)
        case "held":
            when = f" since {time_of(times.ended_at)} UTC" if times.ended_at else ""
            first = f"{plan.service} is held{when}, and a person is needed: {times.reason}"
            return sentence(first), sentence(
                f"{where_traffic_is(evidence)}; {_lost(affected, old)}"
            )
        case "succeeded":
            return _succeeded(plan, times, old, new), _how_it_did(plan, phases)
        case "refused":
            first = f"The deployment of {new.label} to {plan.service} was refused: {times.reason}"
            return sentence(first), "Nothing was changed."
    return (
        f"The deployment of {new.label} to {plan.service} has been under way since "
        f"{day_and_time(times.started_at)} UTC.",
        sentence(where_traffic_is(evidence)),
    )


def _went_back(
    plan: Plan, times: Milestones, old: Version, new: Version, cause: Cause | None
) -> str:
    because = f", because {cause.words}" if cause else ""
    if times.traffic_from is None:
        when = f" at {day_and_time(times.ended_at)} UTC" if times.ended_at else ""
        return sentence(
            f"{new.label} of {plan.service} was abandoned{when} before it had any traffic{because}"
        )
    back = times.traffic_until or times.ended_at
    when = f" at {day_and_time(back)} UTC" if back else ""
    after = span((back - times.traffic_from).total_seconds()) if back else "some time"
    return sentence(
        f"{plan.service} went back from {new.label} to {old.label}{when}, {after} after "
        f"{new.label} got its first traffic{because}"
    )


def _harm(times: Milestones, old: Version, affected: Affected | None) -> str:
    if times.traffic_from is None:
        return sentence(f"All traffic stayed on {old.label}, so nobody was affected")
    back = times.traffic_until or times.ended_at
    lasted = f" for {span((back - times.traffic_from).total_seconds())}" if back else ""
    since = f", and all traffic is on {old.label} since {time_of(back)} UTC" if back else ""
    return sentence(
        f"It had at most {times.most_weight} percent of the traffic{lasted}; "
        f"{_lost(affected, old)}{since}"
    )


def _lost(affected: Affected | None, old: Version) -> str:
    if affected is None:
        return "how many requests failed because of it is not known"
    if affected.requests == 0:
        return f"no more requests failed than on {old.label}"
    requests = plural(affected.requests, "request")
    return f"about {requests} failed that {old.label} would have answered"


def where_traffic_is(evidence: Evidence) -> str:
    """The live weights in words."""
    plan, percent = evidence.plan, evidence.percent
    if percent is None:
        return "Where the traffic is could not be read"
    old, new = percent.get(plan.live, 0), percent.get(plan.candidate, 0)
    if not new:
        return f"All traffic is on the old version in {plan.live}"
    if not old:
        return f"All traffic is on the new version in {plan.candidate}"
    return f"{old} percent of the traffic is on the old version, {new} percent on the new one"


def _succeeded(plan: Plan, times: Milestones, old: Version, new: Version) -> str:
    end = times.promoted_at or times.ended_at
    when = f" at {day_and_time(end)} UTC" if end else ""
    took = f", {span((end - times.started_at).total_seconds())} after it began" if end else ""
    steps = plural(len(times.shifts), "step")
    return sentence(f"{new.label} replaced {old.label} of {plan.service}{when}{took}, in {steps}")


def _how_it_did(plan: Plan, phases: tuple[PhaseNumbers, ...]) -> str:
    during = next((phase for phase in phases if phase.name == "during"), None)
    if during is None:
        return "How its requests were answered is not known."
    by_slot = {numbers.slot: numbers for numbers in during.slots}
    new, old = by_slot[plan.candidate], by_slot[plan.live]
    text = (
        f"Until then it answered {plural(new.requests, 'request')}, of which "
        f"{ratio_as_percent(new.error_rate or 0.0)} failed, with a p95 of "
        f"{milliseconds(new.p95_ms)}"
    )
    if old.requests:
        text += (
            f"; the old version's {count_of(old.requests)} in the same time: "
            f"{ratio_as_percent(old.error_rate or 0.0)}, {milliseconds(old.p95_ms)}"
        )
    return sentence(text)


def title(report: Report) -> str:
    """`claude-manager: 1.4.2 was rolled back`."""
    ended = {
        "rolled_back": "was rolled back" if report.traffic_from else "was abandoned before traffic",
        "held": "is held: a person is needed",
        "succeeded": "succeeded",
        "refused": "was refused",
        "under_way": "is under way",
    }[report.outcome]
    return f"{report.service}: {report.new.label} {ended}"
