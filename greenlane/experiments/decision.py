"""What to do after a look: stop, hold, ship or go on, each with the number that says so.

In this order: users did not come as planned; a guardrail is shown to be broken; too few users; not
yet whole weeks; a win; no win to be had any more; the time is up. The first that applies is the
verdict. Pure: the same definition, snapshot and earlier looks give the same look, to the bit.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from greenlane.errors import InvalidInput, Refused
from greenlane.experiments.looking import Measured, honest_effect, measure
from greenlane.experiments.model import Experiment
from greenlane.experiments.records import ENDS, Guarded, Look, Reason, Snapshot, Verdict
from greenlane.experiments.statistics.effects import Effect
from greenlane.experiments.statistics.sequential import SampleRatio, sample_ratio

SAMPLE_RATIO_LEVEL = 0.01
"""How often a test whose users come as planned may be called invalid, over all its looks."""

WEEK = timedelta(days=7)


class Decided(NamedTuple):
    """A verdict and why."""

    verdict: Verdict
    reason: Reason


def decide(
    test: Experiment, snapshot: Snapshot, looks: Sequence[Look] = (), *, estimate: bool = True
) -> Look:
    """Take one look.

    Args:
        test: its definition.
        snapshot: what is known now.
        looks: all earlier ones, oldest first.
        estimate: work out the honest effect at an end, which takes longer than all the rest.

    Raises:
        Refused: the test has ended, by a verdict or by its time.
        InvalidInput: the snapshot is older than the last look, or than the test.
    """
    before = looks[-1].snapshot.at if looks else snapshot.started
    if snapshot.at < before:
        said = f"looks are taken in order, and the last moment was {before:%Y-%m-%d %H:%M:%S} UTC"
        raise InvalidInput("snapshot.at", f"{snapshot.at:%Y-%m-%d %H:%M:%S}", said)
    if looks and (looks[-1].verdict in ENDS or looks[-1].final):
        raise Refused(
            f"the test ended with look {looks[-1].number} ({looks[-1].verdict}); "
            "a later look would be one that its level does not cover"
        )
    ratio = sample_ratio([epoch.as_epoch() for epoch in snapshot.epochs])
    measured = measure(test, snapshot, looks)
    number = len(looks) + 1
    decided = _decided(test, snapshot, ratio, measured)
    treatment = decided.reason.treatment
    primary = measured.effects[test.primary_metric.name]
    ended_by_effect = estimate and decided.verdict in ("ship", "futile", "inconclusive")
    return Look(
        number=number,
        definition=digest(test),
        snapshot=snapshot,
        final=measured.final,
        bounds=measured.bounds,
        critical=measured.critical,
        sample_ratio=ratio,
        guardrails=measured.guardrails,
        effects=measured.effects,
        crossed=measured.crossed,
        verdict=decided.verdict,
        reason=decided.reason,
        clears_minimum=decided.verdict == "ship"
        and treatment is not None
        and _clears(test, primary[treatment]),
        honest=honest_effect(test, treatment, measured, looks) if ended_by_effect else None,
        notes=_notes(snapshot, measured),
    )


def replay(test: Experiment, looks: Sequence[Look]) -> int | None:
    """Decide every stored look again from what it saw; the number of the first that differs.

    One that could not have been taken, such as one after an end, differs too.
    """
    for number, look in enumerate(looks):
        try:
            again = decide(test, look.snapshot, looks[:number])
        except (Refused, InvalidInput):
            return look.number
        if again != look:
            return look.number
    return None


def digest(test: Experiment) -> str:
    """What tells one definition from another: 16 hexadecimal digits."""
    return hashlib.sha256(test.model_dump_json(by_alias=True).encode()).hexdigest()[:16]


def _decided(
    test: Experiment, snapshot: Snapshot, ratio: SampleRatio, measured: Measured
) -> Decided:
    found = (
        wrong_split(ratio)
        or harmed(measured.guardrails)
        or _too_little(test, snapshot, measured)
        or _won(test, snapshot, measured)
        or _hopeless(test, measured)
    )
    if found is not None:
        return found
    if measured.final:
        return Decided("inconclusive", _best(test, measured, "the time is up without a win"))
    return Decided("continue", _best(test, measured, "no bound is crossed yet"))


def wrong_split(ratio: SampleRatio) -> Decided | None:
    """`invalid`, when users did not come as planned; at any moment, not at looks alone."""
    if ratio.p_value > SAMPLE_RATIO_LEVEL:
        return None
    text = "users did not come to the variants as planned; nothing can be concluded"
    return Decided("invalid", Reason(text=text, number=ratio.p_value, bound=SAMPLE_RATIO_LEVEL))


def harmed(guardrails: Sequence[Guarded]) -> Decided | None:
    """`rollback`, when a treatment is shown to break a guardrail; at any moment as well."""
    for one in guardrails:
        if one.standing == "breached" and not one.everywhere:
            reason = Reason(
                text=f"{one.treatment} breaks {one.condition}",
                metric=one.metric,
                treatment=one.treatment,
                number=one.evidence,
                bound=one.needed,
            )
            return Decided("rollback", reason)
    return None


def _too_little(test: Experiment, snapshot: Snapshot, measured: Measured) -> Decided | None:
    verdict: Verdict = "inconclusive" if measured.final else "insufficient_data"
    for variant in (test.control_variant, *test.treatments):
        users = snapshot.users(variant)
        if users < test.minimum_sample_size:
            text = f"{variant} has {users} users of {test.minimum_sample_size}"
            return Decided(
                verdict,
                Reason(
                    text=text,
                    treatment=variant if variant in test.treatments else None,
                    number=users,
                    bound=test.minimum_sample_size,
                ),
            )
    name = test.primary_metric.name
    for treatment, effect in measured.effects[name].items():
        said = _UNUSABLE.get(effect.outcome) or measured.too_few.get(treatment)
        if said is not None:
            reason = Reason(text=f"{name}: {said}", metric=name, treatment=treatment)
            return Decided(verdict, reason)
    return None


_UNUSABLE = {
    "empty_arm": "a variant has no users",
    "not_sent": "nobody sent it",
    "not_exposed": "more users sent it than were exposed",
    "no_variance": "all values are alike, so chance cannot be told",
    "too_few": "too few users for this quantile",
}


def _won(test: Experiment, snapshot: Snapshot, measured: Measured) -> Decided | None:
    """The best of those that crossed their bound, unless something holds the win."""
    effects = measured.effects[test.primary_metric.name]
    winners = [name for name in measured.crossed if _lifts(test, effects[name])]
    if not winners:
        return None
    best = max(winners, key=lambda name: _better(test, effects[name]))
    look = measured.crossed[best]
    held = _held(test, snapshot, measured, best)
    if held is not None:
        verdict: Verdict = "inconclusive" if measured.final else "hold"
        return Decided(verdict, held.model_copy(update={"look": look, "treatment": best}))
    text = f"{best} is better, shown at look {look}"
    reason = Reason(
        text=text,
        metric=test.primary_metric.name,
        treatment=best,
        look=look,
        number=effects[best].lift,
        bound=float(test.criterion.minimum_lift),
    )
    return Decided("ship", reason)


def _held(
    test: Experiment, snapshot: Snapshot, measured: Measured, treatment: str
) -> Reason | None:
    elapsed = snapshot.at - snapshot.started
    if not measured.final:
        days = elapsed / timedelta(days=1)
        if elapsed < test.minimum_duration:
            least = test.minimum_duration / timedelta(days=1)
            return Reason(text="it wins, before the minimum duration", number=days, bound=least)
        if test.whole_weeks and (elapsed < WEEK or elapsed % WEEK >= timedelta(days=1)):
            weeks = -(-elapsed // WEEK)
            return Reason(text="it wins, before a whole week", number=days, bound=7 * weeks)
    for one in measured.guardrails:
        asked = one.standing == "no_data" or (one.standing == "unproven" and _has_margin(test, one))
        if one.treatment == treatment and (asked or one.everywhere):
            text = f"it wins, but {one.condition} is not shown ({one.standing})"
            return Reason(text=text, metric=one.metric, number=one.evidence, bound=one.needed)
    return None


def _has_margin(test: Experiment, guarded: Guarded) -> bool:
    return any(
        one.name == guarded.metric and one.margin is not None for one in test.guardrail_metrics
    )


def _hopeless(test: Experiment, measured: Measured) -> Decided | None:
    """No treatment can still be as much better as is asked."""
    effects = measured.effects[test.primary_metric.name]
    least = float(test.criterion.minimum_lift)
    bests = []
    for treatment, effect in effects.items():
        best = _ends(test, effect)[1]
        if treatment not in measured.bounds or best is None or best >= least:
            return None
        bests.append((best, treatment))
    best, treatment = max(bests)
    reason = Reason(
        text=f"at best {treatment} is {best:+.2%} better, and {least:.2%} is asked",
        metric=test.primary_metric.name,
        treatment=treatment,
        number=best,
        bound=least,
    )
    return Decided("futile", reason)


def _best(test: Experiment, measured: Measured, text: str) -> Reason:
    name = test.primary_metric.name
    effects = measured.effects[name]
    best = max(effects, key=lambda treatment: _better(test, effects[treatment]))
    return Reason(
        text=text,
        metric=name,
        treatment=best,
        number=effects[best].statistic,
        bound=measured.critical[best],
    )


def _sign(test: Experiment) -> float:
    return -1.0 if test.primary_metric.direction == "lower" else 1.0


def _better(test: Experiment, effect: Effect) -> float:
    return _sign(test) * (effect.difference or 0.0)


def _lifts(test: Experiment, effect: Effect) -> bool:
    """Whether the estimate is as much better as is asked."""
    least = float(test.criterion.minimum_lift)
    if effect.lift is None:
        return least == 0 and _better(test, effect) > 0
    return _sign(test) * effect.lift >= least and _better(test, effect) > 0


def _ends(test: Experiment, effect: Effect) -> tuple[float | None, float | None]:
    """The worst and the best lift of the interval, positive where better."""
    if effect.lift_interval is None:
        return None, None
    low, high = effect.lift_interval
    if test.primary_metric.direction == "lower":
        return (None if high is None else -high), (None if low is None else -low)
    return low, high


def _clears(test: Experiment, effect: Effect) -> bool:
    worst = _ends(test, effect)[0]
    return worst is not None and worst >= float(test.criterion.minimum_lift)


def _notes(snapshot: Snapshot, measured: Measured) -> tuple[str, ...]:
    notes = list(measured.notes)
    if len(snapshot.epochs) > 1:
        notes.append(
            f"weights changed {len(snapshot.epochs) - 1} times: arms are compared within each "
            "epoch, and quantiles in the largest one only"
        )
    if snapshot.crossovers:
        notes.append(f"{snapshot.crossovers} users were seen with two variants; they do not count")
    return tuple(notes)
