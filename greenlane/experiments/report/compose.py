"""From what was stored of a test to its report. Pure; no I/O.

The same test, looks, watch and segments give the same report, to the byte: nothing is asked of a
clock, and nothing of what was counted since.
"""

from collections.abc import Sequence

from greenlane.errors import Refused
from greenlane.experiments.decision import digest
from greenlane.experiments.looking import alpha_of
from greenlane.experiments.model import GuardrailShape, MetricShape
from greenlane.experiments.records import ENDS, Guarded, Look, Snapshot
from greenlane.experiments.report.advice import next_steps
from greenlane.experiments.report.model import (
    EpochLine,
    Limit,
    Measure,
    Outcome,
    Report,
    Seen,
    Told,
)
from greenlane.experiments.report.segments import SegmentsRead, compare_segments
from greenlane.experiments.statistics.effects import Effect
from greenlane.experiments.statistics.sequential import SampleRatio
from greenlane.experiments.storing.state import StoredTest, Watch


def compose(
    test: StoredTest,
    looks: Sequence[Look],
    watch: Watch | None = None,
    segments: SegmentsRead | None = None,
) -> Report:
    """The report of a test that was started.

    Args:
        test: as it is stored.
        looks: of this run, oldest first.
        watch: what was last seen between two looks.
        segments: as they were read after the end.

    Raises:
        Refused: it never ran, so there is nothing to tell.
    """
    if test.started_at is None:
        raise Refused(
            f"{test.name} never ran: it is {test.status}; begin it with "
            f"`greenlane experiments start {test.name}`"
        )
    definition = test.definition
    # One that was on its way at the end decided nothing, and may be kept after the report.
    looks = [look for look in looks if test.ended_at is None or look.snapshot.at <= test.ended_at]
    last = looks[-1] if looks else None
    outcome: Outcome = "running"
    if test.status == "concluded":
        outcome = test.verdict or "stopped"
    if watch is not None and not _counts(test, last, watch):
        watch = None
    guarded, ratio = _watched(last, watch)
    primary = definition.primary_metric
    report = Report(
        name=test.name,
        run=test.run,
        description=definition.description,
        definition=digest(definition),
        outcome=outcome,
        reason=test.reason if outcome != "running" else _so_far(last),
        ended_by=test.ended_by,
        served=test.served,
        started_at=test.started_at,
        ended_at=test.ended_at,
        as_of=last.snapshot.at if last is not None else test.started_at,
        latest_end=None
        if definition.maximum_duration is None
        else test.started_at + definition.maximum_duration,
        control=definition.control_variant,
        treatments=definition.treatments,
        epochs=tuple(EpochLine(since=one.since, weights=one.weights) for one in test.epochs),
        primary=_measure(primary, last),
        others=tuple(
            _measure(metric, last) for metric in definition.metrics if metric.name != primary.name
        ),
        minimum_lift=definition.criterion.minimum_lift,
        level=definition.criterion.significance_level,
        minimum_sample_size=definition.minimum_sample_size,
        looks=tuple(_seen(look, definition.treatments, primary.name) for look in looks),
        limits=tuple(_limit(one) for one in definition.guardrail_metrics),
        guardrails=guarded,
        watched_at=watch.at if watch is not None and guarded is watch.guardrails else None,
        sample_ratio=ratio,
        decided_at_look=last.reason.look if last is not None else None,
        clears_minimum=last is not None and last.clears_minimum,
        honest=last.honest if last is not None else None,
        crossovers=last.snapshot.crossovers if last is not None else 0,
        segments=() if segments is None else compare_segments(definition, segments.snapshots),
        segments_at=None if segments is None else segments.at,
        notes=() if last is None else (*last.notes, *_notes(test, last)),
    )
    return report.model_copy(update={"next_steps": next_steps(report, test)})


def _counts(test: StoredTest, last: Look | None, watch: Watch) -> bool:
    """Whether a watch is part of the story: one that was on its way at the end is not.

    Without this a report could be another one a moment after it was written.
    """
    if last is not None and (last.verdict in ENDS or last.final):
        return False
    return test.ended_at is None or watch.at <= test.ended_at


def _watched(
    last: Look | None, watch: Watch | None
) -> tuple[tuple[Guarded, ...], SampleRatio | None]:
    """Guardrails and the split, by whichever looked last; a look at the same moment knows more."""
    if last is not None and (watch is None or watch.at <= last.snapshot.at):
        return last.guardrails, last.sample_ratio
    if watch is not None:
        return watch.guardrails, watch.sample_ratio
    return (), None


def _so_far(last: Look | None) -> str:
    return "no look was taken yet" if last is None else last.reason.text


def _limit(guardrail: GuardrailShape) -> Limit:
    if guardrail.margin is None:
        limit = float(guardrail.limit)
    else:
        limit = float(guardrail.margin) * (1 if guardrail.direction == "lower" else -1)
    return Limit(
        metric=guardrail.name,
        kind=guardrail.kind,
        limit=limit,
        relative=guardrail.margin is not None,
    )


def _measure(metric: MetricShape, last: Look | None) -> Measure:
    effects: dict[str, Effect] = {} if last is None else dict(last.effects.get(metric.name, {}))
    return Measure(name=metric.name, kind=metric.kind, direction=metric.direction, effects=effects)


def _seen(look: Look, treatments: Sequence[str], primary: str) -> Seen:
    snapshot = look.snapshot
    return Seen(
        number=look.number,
        at=snapshot.at,
        users={name: snapshot.users(name) for name in _variants(snapshot)},
        expected=_expected(snapshot),
        treatments={
            name: Told(
                effect=look.effects[primary][name],
                bound=look.bounds[name].bound if name in look.bounds else None,
                critical=look.critical[name],
            )
            for name in treatments
        },
        guardrails=look.guardrails,
        split_p=look.sample_ratio.p_value,
        verdict=look.verdict,
        text=look.reason.text,
    )


def _variants(snapshot: Snapshot) -> list[str]:
    return list(dict.fromkeys(name for epoch in snapshot.epochs for name in epoch.planned))


def _expected(snapshot: Snapshot) -> dict[str, float]:
    """Of as many users as came in each epoch, how many each variant should have."""
    found = dict.fromkeys(_variants(snapshot), 0.0)
    for epoch in snapshot.epochs:
        everyone, buckets = sum(epoch.users.values()), sum(epoch.planned.values())
        for name, planned in epoch.planned.items():
            found[name] += everyone * planned / buckets
    return found


def _notes(test: StoredTest, last: Look) -> list[str]:
    notes = []
    least = alpha_of(test.definition)
    if len(test.definition.treatments) > 1:
        notes.append(f"each treatment has {least:.3g} of the level, for there are several")
    if test.ended_at is not None and test.ended_at > last.snapshot.at:
        notes.append("what came after the last look is in no number of this report")
    return notes
