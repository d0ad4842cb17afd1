"""What happened when, read from a deployment's history. Pure; no I/O.

Lines of the history are an intent before an effect and an outcome after it; both together are one
line of the timeline, with the time in between. Of an intent without an outcome it says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from greenlane.deployments.looking.status import judgement_of, version_of
from greenlane.deployments.model import HistoryEvent, Record, Trigger
from greenlane.deployments.phases import Phase
from greenlane.incidents.report_model import Evidence, Moment, ReportOutcome, Shift
from greenlane.incidents.wording import one_line, plural, tail_of_arn

OUTCOME_OF = {"shift intended": "shifted", "slot starting": "slot stable", "judged": "decided"}
"""Which line tells the outcome of which intent."""

NOT_TOLD = frozenset({"report written"})
"""Lines about the report itself: the same report is made with and without them."""

_ENDS: dict[str, ReportOutcome] = {
    "rolled back": "rolled_back",
    "held": "held",
    "succeeded": "succeeded",
    "refused": "refused",
}

_PHASES: dict[Phase, ReportOutcome] = {
    Phase.WATCHING: "succeeded",
    Phase.RETIRED: "succeeded",
    Phase.ROLLED_BACK: "rolled_back",
    Phase.HELD: "held",
    Phase.REFUSED: "refused",
}


@dataclass(frozen=True)
class Milestones:
    """The instants that everything else is measured by.

    `traffic_from` and `traffic_until` are when the new version first had a share and when it had
    none any more; both None if it never had one.
    """

    outcome: ReportOutcome
    started_at: datetime
    shifts: tuple[Shift, ...] = ()
    traffic_from: datetime | None = None
    traffic_until: datetime | None = None
    promoted_at: datetime | None = None
    ended_at: datetime | None = None
    trigger: Trigger | None = None
    reason: str = ""

    @property
    def most_weight(self) -> int:
        """The largest share that the new version had, in percent."""
        return max((shift.weight for shift in self.shifts), default=0)


def milestones(evidence: Evidence) -> Milestones:
    """The instants of a deployment, and how it ended, by its history and its record."""
    history, record = evidence.history, evidence.record
    shifts = tuple(
        Shift(at=event.at, weight=weight)
        for event in history
        if event.kind == "shifted" and (weight := _whole(event.detail.get("weight")))
    )
    end = last_of(history, _ENDS)
    outcome = _outcome(evidence, end)
    traffic_from = shifts[0].at if shifts else None
    return Milestones(
        outcome=outcome,
        started_at=evidence.plan.started_at,
        shifts=shifts,
        traffic_from=traffic_from,
        traffic_until=_traffic_until(history) if traffic_from else None,
        promoted_at=_at(last_of(history, {"promoted"})),
        ended_at=None if outcome == "under_way" else _ended_at(evidence, end),
        trigger=_trigger(record, history),
        reason=_reason(evidence, end),
    )


def _outcome(evidence: Evidence, end: HistoryEvent | None) -> ReportOutcome:
    """By the record while it is this deployment's, else by its line in the list, else history."""
    known = evidence.record or evidence.summary
    if known is not None and known.phase in _PHASES:
        return _PHASES[known.phase]
    if evidence.record is not None:
        return "under_way"
    return _ENDS[end.kind] if end else "under_way"


def _ended_at(evidence: Evidence, end: HistoryEvent | None) -> datetime | None:
    if end is not None:
        return end.at
    if evidence.summary is not None and evidence.summary.ended_at is not None:
        return evidence.summary.ended_at
    return evidence.record.updated_at if evidence.record is not None else None


def _reason(evidence: Evidence, end: HistoryEvent | None) -> str:
    known = evidence.record or evidence.summary
    reason = known.reason if known is not None else None
    return one_line(reason or (end.detail.get("reason") if end else None) or "")


def _trigger(record: Record | None, history: Iterable[HistoryEvent]) -> Trigger | None:
    """What began the rollback: in the record, and in the history's line about its beginning."""
    if record is not None and record.trigger is not None:
        return record.trigger
    began = last_of(history, {"rollback began"})
    try:
        return Trigger.model_validate(began.detail["trigger"]) if began else None
    except (KeyError, ValidationError):
        return None


def _traffic_until(history: Sequence[HistoryEvent]) -> datetime | None:
    """When the rollback had put everything back; a good slot that grew first got its rest late."""
    began = [event for event in history if event.kind == "rollback began"]
    at_once = [event.at for event in began if event.detail.get("action") == "settle"]
    if at_once:
        return at_once[0]
    end = last_of(history, {"rolled back"})
    if not began or end is None:
        return end.at if end else None
    settling = seconds_of(end).get("settle")
    return began[-1].at + timedelta(seconds=settling) if settling is not None else end.at


def last_of(history: Iterable[HistoryEvent], kinds: Iterable[str]) -> HistoryEvent | None:
    """The latest line of one of these kinds; None without any."""
    wanted = set(kinds)
    found = [event for event in history if event.kind in wanted]
    return found[-1] if found else None


def _at(event: HistoryEvent | None) -> datetime | None:
    return event.at if event else None


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0


def seconds_of(event: HistoryEvent) -> dict[str, float]:
    """How long each part of a rollback took, as the line about its end says; seconds by name."""
    given = event.detail.get("seconds")
    if not isinstance(given, Mapping):
        return {}
    return {
        str(name): float(value) for name, value in given.items() if isinstance(value, int | float)
    }


def timeline(history: Sequence[HistoryEvent], started_at: datetime) -> tuple[Moment, ...]:
    """The history as people read it, oldest first."""
    told = [event for event in history if event.kind not in NOT_TOLD]
    moments: list[Moment] = []
    used: set[int] = set()
    for index, event in enumerate(told):
        if index in used:
            continue
        text, took = describe(event), None
        if event.kind in OUTCOME_OF:
            found = _outcome_at(told, index)
            if found is not None:
                used.add(found)
                took = (told[found].at - event.at).total_seconds()
            text = _with_outcome(event, told[found] if found is not None else None, text)
        before = moments[-1].at if moments else started_at
        moments.append(
            Moment(
                at=event.at,
                since_start_seconds=round((event.at - started_at).total_seconds(), 3),
                since_previous_seconds=round((event.at - before).total_seconds(), 3),
                kind=event.kind,
                text=text,
                actor=one_line(event.actor, 100),
                # What is decided follows a verdict at once: that took no time worth telling.
                took_seconds=None if took is None or event.kind == "judged" else round(took, 3),
            )
        )
    return tuple(moments)


def _outcome_at(told: Sequence[HistoryEvent], intent: int) -> int | None:
    """Where the outcome of an intent stands; another intent of the same kind ends the search."""
    kind = told[intent].kind
    for index in range(intent + 1, len(told)):
        if told[index].kind == OUTCOME_OF[kind]:
            return index
        if told[index].kind == kind:
            return None
    return None


def _with_outcome(intent: HistoryEvent, outcome: HistoryEvent | None, text: str) -> str:
    if intent.kind == "judged":
        if outcome is None:
            return text
        return f"{text}; next: {outcome.detail.get('next')}, {one_line(outcome.detail.get('why'))}"
    return text if outcome is not None else f"{text}; no outcome is on record"


def describe(event: HistoryEvent) -> str:
    """One line of the history in words; kinds that nobody taught this say what they carry."""
    detail = event.detail
    judgement = judgement_of(event)
    if judgement is not None:
        verdict = judgement.verdict
        text = f"Judged{_step(detail)}: {verdict.verdict}, {plural(verdict.requests, 'request')}"
        return f"{text}, {one_line(verdict.reason)}" if verdict.reason else text
    words = _WORDS.get(event.kind)
    if words is not None:
        return one_line(words(detail), 600)
    return one_line(_as_it_is(event), 600)


def _step(detail: Mapping[str, Any]) -> str:
    step, weight = detail.get("step"), detail.get("weight")
    text = f" step {step + 1}" if isinstance(step, int) else ""
    return f"{text} at {weight} percent" if weight is not None else text


def _as_it_is(event: HistoryEvent) -> str:
    parts = [
        f"{key}={_brief(value)}" for key, value in event.detail.items() if value not in (None, [])
    ]
    return f"{event.kind[:1].upper()}{event.kind[1:]}" + (f": {', '.join(parts)}" if parts else "")


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{_brief(key)}:{_brief(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_brief(item) for item in value)
    text = str(value)
    return text.rsplit(":", 1)[-1] if text.startswith("arn:") else text


def _planned(detail: Mapping[str, Any]) -> str:
    steps = ", ".join(str(weight) for weight in detail.get("steps") or [])
    image = detail.get("image")
    what = f" of {version_of(str(image))}" if image else ""
    return (
        f"Planned: {str(detail.get('strategy')).replace('_', '/')}{what} into "
        f"{detail.get('candidate')}, steps of {steps} percent"
    )


def _began(detail: Mapping[str, Any]) -> str:
    action = {
        "abandon": "the new version had no traffic, nothing to write",
        "settle": "all traffic put back at once",
        "raise": "the old slot must grow first; what it carries was put back",
        "held": "the old slot is sick too, traffic stays",
    }.get(str(detail.get("action")), str(detail.get("action")))
    return f"Rollback began: {action}"


_WORDS: dict[str, Any] = {
    "planned": _planned,
    "refused": lambda d: f"Refused: {d.get('reason')}",
    "slot starting": lambda d: (
        f"{d.get('slot')} starts {d.get('tasks')} tasks of "
        f"{tail_of_arn(str(d.get('task_definition')))}"
    ),
    "slot stable": lambda d: f"All {d.get('tasks')} tasks are healthy",
    "slot raised": lambda d: f"{d.get('slot')} raised to {d.get('tasks')} tasks",
    "validated": lambda d: f"Validated: {d.get('result')}",
    "shift intended": lambda d: f"Shift from {d.get('before')} to {d.get('weight')} percent",
    "shifted": lambda d: f"The new version has {d.get('weight')} percent",
    "would have gone back": lambda d: f"In shadow: would have gone back, {d.get('why')}",
    "decided": lambda d: f"Decided: {d.get('next')}, {d.get('why')}",
    "promoted": lambda d: f"Promoted: {d.get('slot')} is the live slot",
    "rollback began": _began,
    "weights reasserted": lambda d: "The weights had moved and were written again",
    "bad slot scaled down": lambda d: f"{d.get('slot')} stopped, auto scaling given back",
    "rolled back": lambda d: "Rolled back" + (" incompletely" if d.get("failure") else ""),
    "held": lambda d: f"Held: {d.get('reason')}",
    "rollback keeps trying": lambda d: f"Going back does not work yet: {d.get('failure')}",
    "old slot scaled down": lambda d: f"{d.get('slot')} scaled down to {d.get('tasks')} tasks",
    "succeeded": lambda d: "Succeeded",
    "watch ended": lambda d: "The extended watch ended",
}
