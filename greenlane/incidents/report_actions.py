"""What the judge said and what was done about it, with numbers and times. Pure; no I/O."""

from collections.abc import Sequence

from greenlane.deployments.looking.status import judgement_of
from greenlane.deployments.model import HistoryEvent, Judgement, Plan, Verdict
from greenlane.incidents.report_model import Evidence, Part, Ruling
from greenlane.incidents.report_timeline import last_of, seconds_of
from greenlane.incidents.wording import one_line

_PARTS = (
    ("notice", "from the trigger until the rollback ran"),
    ("fence", "the record taken over, so that the deployment may write nothing more"),
    ("traffic", "the old slot's health looked at, the listener rule written"),
    ("settle", "the deployment stopped, the weights watched until nothing late could land"),
    ("drain", "waited until the new version served no request any more"),
    ("scale down", "its tasks stopped, auto scaling given back"),
    ("close", "the outcome written, the rule's tags removed"),
)


def parts_done(history: Sequence[HistoryEvent]) -> tuple[Part, ...]:
    """What was done to go back, and how long each part took; nothing without a rollback."""
    end = last_of(history, {"rolled back", "held"})
    began = last_of(history, {"rollback began"})
    if end is None and began is None:
        return ()
    known = seconds_of(end) if end is not None else {}
    if not known and began is not None:
        known = _by_lines(history, began, end)
    return tuple(
        Part(name=name, what=what, seconds=known[name]) for name, what in _PARTS if name in known
    )


def _by_lines(
    history: Sequence[HistoryEvent], began: HistoryEvent, end: HistoryEvent | None
) -> dict[str, float]:
    """The coarse parts of a rollback whose end does not say: what its lines are apart."""
    emptied = last_of(history, {"bad slot scaled down"})
    if emptied is None or emptied.at < began.at:
        return {"settle": _apart(began, end)} if end else {}
    found = {"settle": _apart(began, emptied)}
    return found | ({"close": _apart(emptied, end)} if end else {})


def _apart(first: HistoryEvent, second: HistoryEvent) -> float:
    return round(max((second.at - first.at).total_seconds(), 0.0), 3)


def rulings(evidence: Evidence) -> tuple[Ruling, ...]:
    """Every verdict of the deployment, oldest first; the latest look inside a bake too."""
    found = [
        _ruling(judgement, event.detail.get("weight"))
        for event in evidence.history
        if (judgement := judgement_of(event)) is not None
    ]
    look = evidence.look
    if look is not None and (not found or look.at > found[-1].at):
        found.append(_ruling(look, _weight_at(evidence.plan, look.step)))
    return tuple(found)


def _ruling(judgement: Judgement, weight: int | None) -> Ruling:
    verdict = judgement.verdict
    return Ruling(
        at=judgement.at,
        step=None if judgement.step is None else judgement.step + 1,
        weight=weight,
        verdict=verdict.verdict,
        requests=verdict.requests,
        reason=one_line(_reason(verdict)),
        checks=verdict.checks,
    )


def _reason(verdict: Verdict) -> str:
    """Why a verdict is what it is; in shadow mode also what it would have been."""
    if verdict.would is None or verdict.would == "pass":
        return verdict.reason
    told = f"in shadow, would {verdict.would}: {verdict.would_because}"
    return "; ".join(part for part in (verdict.reason, told) if part)


def _weight_at(plan: Plan, step: int | None) -> int | None:
    return plan.steps[step].weight if step is not None and step < len(plan.steps) else None
