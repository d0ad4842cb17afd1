"""Judging what is counted: errors, conversions, and requests slower than a threshold.

Pure; no I/O. Each function compares one metric of a slot with one thing, and gives None where
there is nothing to compare.
"""

import math
from collections.abc import Iterable, Sequence

from greenlane.deployments.model import Slot, VerdictName
from greenlane.health.catalogue import Metric
from greenlane.health.findings import Outcome
from greenlane.health.sequential import (
    A_SIGN,
    Count,
    Pair,
    Worse,
    against_limit,
    against_live,
    lower_bound,
    mixed,
    standing,
    upper_bound,
)
from greenlane.health.slowness import (
    counts_slow,
    name_of,
    permitted_slow,
    slower,
    slower_than,
)
from greenlane.health.view import Counted, View, grouped

SURE_OF_BASELINE = 0.1
"""The baseline's own rate is taken at the end of its interval at this level, in doubt for the
candidate: it was counted in a few minutes only."""

FEWEST_MINUTES_OF_TIMES = 2
"""Response times of one minute alone fail nothing: one pause of one task makes all of it slow."""


FEWEST_MINUTES_BEFORE, FEWEST_SAMPLES_BEFORE = 3, 100
"""What a baseline of response times must rest on before it fails anything."""


def total(counted: Sequence[Counted]) -> Count:
    """The sum of counts."""
    return Count(sum(one.seen.samples for one in counted), sum(one.seen.events for one in counted))


def proportion_to_limit(
    view: View, metric: Metric, slot: Slot, limit: float, level: float
) -> Outcome | None:
    """A proportion against a number."""
    counted = view.counts(metric, slot)
    if not counted:
        return None
    return _to_limit(view, counted, limit, metric.worse, level, _did(metric))


def proportion_to_live(
    view: View, metric: Metric, permitted: float, level: float
) -> Outcome | None:
    """A proportion against the live slot's in the same minutes."""
    ours, theirs = view.counts(metric, view.candidate), view.counts(metric, view.live)
    if not ours or not theirs:
        return None
    return _to_live(view, ours, theirs, permitted, metric.worse, level, _did(metric))


def proportion_to_baseline(
    view: View, metric: Metric, slot: Slot, permitted: float, level: float
) -> Outcome | None:
    """A proportion against the live slot's before the deployment."""
    before, counted = view.before(metric.name), view.counts(metric, slot)
    if before is None or before.value is None or not counted:
        return None
    up = metric.worse == "up"
    rate = float(before.value)
    if before.samples:
        known = Count(before.samples, before.events)
        bound = upper_bound if up else lower_bound
        rate = bound(known, SURE_OF_BASELINE)
    limit = rate * (1 + permitted if up else 1 - permitted)
    return _to_limit(view, counted, min(limit, 1.0), metric.worse, level, _did(metric))


def times_to_limit(
    view: View, metric: Metric, slot: Slot, limit: float, level: float
) -> Outcome | None:
    """A percentile of response times against a number of ms."""
    counted = _slow(view, metric, slot, limit)
    if not counted:
        return None
    found = _to_limit(view, counted, permitted_slow(metric), "up", level, "were slower")
    return _in_ms(view, metric, slot, found, limit)


def times_to_live(view: View, metric: Metric, permitted: float, level: float) -> Outcome | None:
    """A percentile of response times against the live slot's in the same minutes."""
    base = _base(view, metric)
    if base is None:
        return None
    ours = _slow(view, metric, view.candidate, slower(base, permitted))
    theirs = _slow(view, metric, view.live, base)
    if not ours or not theirs:
        return None
    found = _to_live(view, ours, theirs, 0.0, "up", level, "were slower")
    if found is None:
        return None
    mine = view.typical(metric, view.candidate, view.current)
    live = view.typical(metric, view.live, view.current)
    change = mine / live - 1 if mine and live else None
    return _sure(found, ours)._replace(value=change, limit=permitted)


def times_to_baseline(
    view: View, metric: Metric, slot: Slot, permitted: float, level: float
) -> Outcome | None:
    """A percentile of response times against what it was before the deployment."""
    base = _base(view, metric)
    if base is None:
        return None
    limit = slower(base, permitted)
    return times_to_limit(view, metric, slot, limit, level)


def few_before(view: View, metric: Metric) -> str:
    """What a baseline of response times lacks to fail anything, or nothing."""
    before = view.before(metric.name)
    if metric.shape != "latency" or before is None:
        return ""
    if before.minutes < FEWEST_MINUTES_BEFORE:
        return f"the baseline has {before.minutes} of {FEWEST_MINUTES_BEFORE} minutes"
    if 0 < before.samples < FEWEST_SAMPLES_BEFORE:
        return f"the baseline has {before.samples} of {FEWEST_SAMPLES_BEFORE} requests"
    return ""


def _did(metric: Metric) -> str:
    """What the events among a metric's samples did, in words."""
    return {"error_rate": "requests failed", "conversion_rate": "converted"}.get(
        metric.name, "counted"
    )


def _base(view: View, metric: Metric) -> float | None:
    before = view.before(metric.name)
    if not counts_slow(metric) or before is None or not before.value or before.value <= 0:
        return None
    return float(before.value)


def _slow(view: View, metric: Metric, slot: Slot, threshold: float) -> list[Counted]:
    """Requests slower than a threshold, where they were read."""
    if not counts_slow(metric) or not view.own(name_of(threshold), slot):
        return []
    return view.counts(slower_than(threshold), slot) or []


def _in_ms(view: View, metric: Metric, slot: Slot, found: Outcome, limit: float) -> Outcome:
    """The counts' verdict, told in milliseconds."""
    value = view.typical(metric, slot, view.current)
    sure = _sure(found, _slow(view, metric, slot, limit))
    if sure.verdict == "pass":
        return sure._replace(value=value, limit=limit)
    shown = "" if value is None else f"{value:.5g} ms, limit {limit:.5g} ms: "
    reason = f"{shown}{sure.reason}"
    return sure._replace(value=value, limit=limit, reason=reason)


def _sure(found: Outcome, counted: Sequence[Counted]) -> Outcome:
    if found.verdict == "fail" and len(counted) < FEWEST_MINUTES_OF_TIMES:
        return found._replace(verdict="hold", reason=f"{found.reason}; one minute alone")
    return found


def _to_limit(
    view: View, counted: Sequence[Counted], limit: float, worse: Worse, level: float, did: str
) -> Outcome:
    blocks = grouped(counted, [(one.segment, one.at) for one in counted])
    log_e = mixed([against_limit(total(block), limit, worse) for block in blocks])
    whole = total(counted)
    here = total([one for one in counted if one.segment == view.current])
    rate = _rate(here if here.samples else whole)
    within = rate <= limit if worse == "up" else rate >= limit
    stands = standing(whole, limit, worse, log_e=log_e, level=level)
    verdict: VerdictName = "pass" if within else "hold"
    if stands == "breached":
        verdict = "fail"
    shown = here if here.samples else whole
    reason = f"{shown.events} of {shown.samples} {did}, limit {limit:.5g} of all"
    if verdict == "hold":
        reason += ", not yet proven"
    return Outcome(
        verdict,
        rate,
        limit,
        "" if verdict == "pass" else reason,
        samples=whole.samples,
        recent=here.samples,
        newest=counted[-1].at,
        standing=stands,
    )


def _to_live(
    view: View,
    ours: Sequence[Counted],
    theirs: Sequence[Counted],
    permitted: float,
    worse: Worse,
    level: float,
    did: str,
) -> Outcome | None:
    live_at = {one.at: one.seen for one in theirs}
    both = [one for one in ours if one.at in live_at]
    if not both:
        return None
    pairs = [Pair(one.seen, live_at[one.at]) for one in both]
    blocks = grouped(pairs, [(one.segment, one.at) for one in both])
    log_e = mixed([against_live(block, permitted, worse) for block in blocks])
    last = both[-1].segment
    here = [pair for one, pair in zip(both, pairs, strict=True) if one.segment == last]
    mine, live = _sum(pair.candidate for pair in here), _sum(pair.live for pair in here)
    ratio = 1 + permitted if worse == "up" else 1 - permitted
    excess = _rate(mine) - ratio * _rate(live)
    fine = (excess <= 0 if worse == "up" else excess >= 0) or log_e < A_SIGN
    verdict: VerdictName = "pass" if fine else "hold"
    if log_e >= -math.log(level):
        verdict = "fail"
    change = _rate(mine) / _rate(live) - 1 if live.events else None
    reason = (
        f"{mine.events} of {mine.samples} {did}, of the live slot {live.events} of {live.samples}; "
        f"{100 * permitted:.3g} percent worse is permitted"
    )
    if verdict == "hold":
        reason += ", not yet proven"
    live_samples = sum(pair.live.samples for pair in pairs)
    return Outcome(
        verdict,
        change,
        permitted,
        "" if verdict == "pass" else reason,
        samples=min(sum(one.seen.samples for one in ours), live_samples),
        recent=total([one for one in ours if one.segment == view.current]).samples,
        newest=ours[-1].at,
        standing="breached" if verdict == "fail" else "unproven",
    )


def _sum(counts: Iterable[Count]) -> Count:
    samples = events = 0
    for one in counts:
        samples += one.samples
        events += one.events
    return Count(samples, events)


def _rate(count: Count) -> float:
    return count.events / count.samples if count.samples else 0.0
