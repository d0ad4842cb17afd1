"""Judging what has one value a minute: gauges, rates, means and sums. Pure; no I/O.

Each function compares one metric of a slot with one thing, and gives None where there is nothing
to compare. Differences are positive where worse than permitted, and relative, so that tests and
limits have no unit.
"""

import math
from collections.abc import Sequence
from datetime import datetime

from greenlane.deployments.model import Slot, VerdictName
from greenlane.health.catalogue import Metric
from greenlane.health.findings import Outcome
from greenlane.health.sequential import A_SIGN, Count, Pair, against_live, mixed
from greenlane.health.series_tests import (
    FEWEST_MINUTES,
    Takings,
    median,
    missed_in_a_row,
    shown_loss,
    shown_positive,
)
from greenlane.health.view import COUNTED, View, grouped

WINDOW = 5
"""Minutes whose median is a gauge's level: a start or a collection of garbage is no level."""

FEWEST_REQUESTS = 20
"""Requests a minute that a slot should get, below which its rate says nothing."""

Difference = tuple[int, datetime, float]
"""A judged minute: its step, its time, and how much worse than permitted."""


def level_to_limit(
    view: View, metric: Metric, slot: Slot, limit: float, max_failures: int
) -> Outcome | None:
    """A level, a rate or a percentile of one minute against a number.

    There is no sample to test, so a judgement is a comparison, and `max_failures` says how many in
    a row may miss it. Of gauges the median of some minutes counts, of rates each minute. The first
    minutes of a step fail nothing. A lowest rate or sum is one of the whole service.
    """
    whole = metric.shape in ("flow", "sum") and metric.worse == "down"
    values = _whole_service(view, metric) if whole else _each_minute(view, metric, slot)
    if not values:
        return None
    here = [value for segment, _, value in values if segment == view.current]
    judged = [_level(metric, here[: end + 1]) for end in range(len(here))]
    run = missed_in_a_row([_beyond(metric, value, limit) for value in judged])
    early = len(here) < FEWEST_MINUTES
    verdict: VerdictName = "hold" if run else "pass"
    if run > max_failures and not early:
        verdict = "fail"
    latest = judged[-1] if judged else None
    reason = ""
    if run:
        reason = f"{latest:.5g}, limit {limit:.5g}, {run} judgements in a row"
        if verdict == "hold":
            reason += ", not yet enough to fail"
    return Outcome(
        verdict if judged else "hold",
        latest,
        limit,
        reason if judged else "no minute of this step yet",
        samples=_seen(view, metric, slot, len(values)),
        recent=_seen(view, metric, slot, len(here), now=True),
        newest=values[-1][1],
        standing="ok" if verdict == "pass" else "breached" if verdict == "fail" else "unproven",
    )


def mean_to_limit(
    view: View, metric: Metric, slot: Slot, limit: float, level: float
) -> Outcome | None:
    """A mean of samples against a number."""
    values = view.values(metric, slot)
    if not values:
        return None
    scale = abs(limit) or 1.0
    sign = 1 if metric.worse == "up" else -1
    differences = [(spot.segment, spot.at, sign * (v - limit) / scale) for spot, v in values]
    here = [(spot, value) for spot, value in values if spot.segment == view.current] or values
    weights = [spot.parts.get(metric.samples or "", 1.0) for spot, _ in here]
    mean = math.fsum(w * v for w, (_, v) in zip(weights, here, strict=True)) / (sum(weights) or 1)
    found = _tested(view, differences, level)
    within = not _beyond(metric, mean, limit)
    told = _told(found, within, mean, limit, f"mean {mean:.5g}, limit {limit:.5g}")
    return _counted(view, metric, slot, told)


def level_to_live(view: View, metric: Metric, permitted: float, level: float) -> Outcome | None:
    """A gauge, a mean or a percentile against the live slot's in the same minutes."""
    live_at = {spot.at: value for spot, value in view.values(metric, view.live)}
    both = [
        (spot, value, live_at[spot.at])
        for spot, value in view.values(metric, view.candidate)
        if spot.at in live_at
    ]
    if not both or not view.own(metric.name, view.candidate):
        return None
    scale = math.fsum(abs(live) for _, _, live in both) / len(both) or 1.0
    differences = [
        (spot.segment, spot.at, _worse_by(metric, value, live, permitted) / scale)
        for spot, value, live in both
    ]
    last = [(value, live) for spot, value, live in both if spot.segment == both[-1][0].segment]
    change = _change(sum(value for value, _ in last), sum(live for _, live in last))
    found = _relative(view, differences, change, permitted, level)
    return _counted(view, metric, view.candidate, found)


def level_to_baseline(
    view: View, metric: Metric, slot: Slot, permitted: float, level: float
) -> Outcome | None:
    """A gauge, a mean, a rate or a sum against what it was before the deployment.

    Of rates and sums, before the deployment the live slot had all of the traffic: the whole
    service is compared where both slots report.
    """
    before = view.before(metric.name)
    if before is None or before.value is None:
        return None
    base = float(before.value)
    values = (
        _whole_service(view, metric)
        if metric.shape in ("flow", "sum")
        else _each_minute(view, metric, slot)
    )
    if not values:
        return None
    scale = abs(base) or 1.0
    differences = [
        (segment, at, _worse_by(metric, value, base, permitted) / scale)
        for segment, at, value in values
    ]
    here = [value for segment, _, value in values if segment == values[-1][0]]
    change = _change(sum(here) / len(here), base)
    found = _relative(view, differences, change, permitted, level)
    return _counted(view, metric, slot, found)


def flow_to_live(view: View, metric: Metric, permitted: float, level: float) -> Outcome | None:
    """A rate against the live slot's in the same minutes, each divided by its slot's weight."""
    ours = {at: value for _, at, value in _each_minute(view, metric, view.candidate)}
    differences: list[Difference] = []
    for segment, at, live in _each_minute(view, metric, view.live):
        weight = view.observed.segments[segment].weight
        if not 0 < weight < 100:
            continue
        expected = live * weight / (100 - weight)
        if expected >= FEWEST_REQUESTS:
            worse = _worse_by(metric, ours.get(at, 0.0), expected, permitted)
            differences.append((segment, at, worse / expected))
    if not differences:
        return None
    last = [each for segment, _, each in differences if segment == differences[-1][0]]
    mean = sum(last) / len(last)
    change = mean + permitted if metric.worse == "up" else -(mean + permitted)
    return _relative(view, differences, change, permitted, level)


def total_to_limit(view: View, metric: Metric, slot: Slot, limit: float) -> Outcome | None:
    """A sum since the candidate's first traffic. Where something reports it, absent is nothing."""
    series = view.series(metric.name, slot)
    theirs = view.series(metric.name, view.live)
    if series is None or not (series.minutes or (theirs is not None and theirs.minutes)):
        return None
    values = [
        metric.value(minute.parts) for minute in series.minutes if minute.at >= view.observed.start
    ]
    known = [value for value in values if value is not None and math.isfinite(value)]
    if series.minutes and not known and values:
        return None
    found = math.fsum(known)
    beyond = _beyond(metric, found, limit)
    # A minute with requests in which nobody reported anything is evidence too.
    seen = view.requests(slot).keys() | {spot.at for spot, _ in view.values(metric, slot)}
    minutes = max(len(seen), len(known))
    return Outcome(
        "fail" if beyond else "pass",
        found,
        limit,
        f"{found:.5g} so far, limit {limit:.5g}" if beyond else "",
        samples=minutes,
        recent=sum(1 for at in seen if view.segment_of(at) == view.current),
        newest=max(seen, default=None),
        standing="breached" if beyond else "ok",
    )


def sum_to_live(view: View, metric: Metric, permitted: float, level: float) -> Outcome | None:
    """A sum per request against the live slot's in the same minutes."""
    ours, theirs = _taken(view, metric, view.candidate), _taken(view, metric, view.live)
    if not ours and not theirs:
        return None
    exposed, live_exposed = view.requests(view.candidate), view.requests(view.live)
    minutes = [at for at in sorted(exposed) if at in live_exposed]
    if not minutes:
        return None
    takings = [
        Takings(ours.get(at, 0.0), exposed[at], theirs.get(at, 0.0), live_exposed[at])
        for at in minutes
    ]
    spots = [(view.segment_of(at) or 0, at) for at in minutes]
    blocks = grouped(takings, spots)
    if metric.worse == "down":
        log_e = shown_loss(blocks, permitted)
    else:
        log_e = mixed([against_live(list(map(_as_pair, block)), permitted) for block in blocks])
    rate = sum(one.candidate for one in takings) / sum(one.exposure for one in takings)
    live = sum(one.live for one in takings) / sum(one.live_exposure for one in takings)
    within = _worse_by(metric, rate, live, permitted) <= 0 or log_e < A_SIGN
    verdict: VerdictName = "pass" if within else "hold"
    if log_e >= -math.log(level):
        verdict = "fail"
    found = _relative_told(
        Outcome(verdict, None, None, newest=minutes[-1]), _change(rate, live), permitted
    )
    return found._replace(
        samples=_seen(view, metric, view.candidate, 0),
        recent=_seen(view, metric, view.candidate, 0, now=True),
    )


def _each_minute(view: View, metric: Metric, slot: Slot) -> list[Difference]:
    """A value for each judged minute; a rate that the balancer leaves out is 0 while it serves."""
    found = {spot.at: (spot.segment, value) for spot, value in view.values(metric, slot)}
    if metric.shape == "flow" and view.own(metric.name, slot):
        for at in view.requests(slot):
            found.setdefault(at, (view.segment_of(at) or 0, 0.0))
    return [(segment, at, value) for at, (segment, value) in sorted(found.items())]


def _whole_service(view: View, metric: Metric) -> list[Difference]:
    """Both slots' values, of minutes that both report while both have traffic."""
    ours = _each_minute(view, metric, view.candidate)
    if not view.own(metric.name, view.candidate):
        return ours
    if metric.worse == "down":
        # What the live slot does not report is not known, and not 0.
        theirs = _taken(view, metric, view.live)
    else:
        theirs = {at: value for _, at, value in _each_minute(view, metric, view.live)}
    segments = view.observed.segments
    return [
        (segment, at, value + theirs.get(at, 0.0))
        for segment, at, value in ours
        if at in theirs or segments[segment].weight >= 100
    ]


def _taken(view: View, metric: Metric, slot: Slot) -> dict[datetime, float]:
    return {spot.at: value for spot, value in view.values(metric, slot)}


def _level(metric: Metric, values: Sequence[float]) -> float:
    if metric.shape in ("flow", "sum"):
        return values[-1]
    return median(values if metric.shape == "latency" else values[-WINDOW:])


def _beyond(metric: Metric, value: float, limit: float) -> bool:
    return value > limit if metric.worse == "up" else value < limit


def _worse_by(metric: Metric, value: float, other: float, permitted: float) -> float:
    """How much worse than permitted; `other` is positive or 0."""
    if metric.worse == "up":
        return value - other * (1 + permitted)
    return other * (1 - permitted) - value


def _change(value: float, other: float) -> float | None:
    return value / other - 1 if other else None


def _seen(view: View, metric: Metric, slot: Slot, minutes: int, *, now: bool = False) -> int:
    """Samples where they are counted, else minutes; some of these may be filled up with 0."""
    return max(view.seen(metric, slot, now=now), 0 if metric.shape in COUNTED else minutes)


def _counted(view: View, metric: Metric, slot: Slot, found: Outcome) -> Outcome:
    return found._replace(
        samples=_seen(view, metric, slot, found.samples),
        recent=_seen(view, metric, slot, found.recent, now=True),
    )


def _as_pair(taking: Takings) -> Pair:
    mine, live = round(taking.exposure), round(taking.live_exposure)
    return Pair(
        Count(mine, min(round(taking.candidate), mine)), Count(live, min(round(taking.live), live))
    )


def _tested(view: View, differences: Sequence[Difference], level: float) -> Outcome:
    """What the t-test says of differences; its `value` is the log e-value."""
    blocks = grouped([each for *_, each in differences], [(it[0], it[1]) for it in differences])
    log_e = shown_positive(blocks)
    proven = log_e >= -math.log(level) and len(differences) >= FEWEST_MINUTES
    return Outcome(
        "fail" if proven else "pass" if log_e < A_SIGN else "hold",
        log_e,
        None,
        samples=len(differences),
        recent=sum(1 for segment, *_ in differences if segment == view.current),
        newest=differences[-1][1],
        standing="breached" if proven else "unproven",
    )


def _relative(
    view: View,
    differences: Sequence[Difference],
    change: float | None,
    permitted: float,
    level: float,
) -> Outcome:
    found = _tested(view, differences, level)
    last = [each for segment, _, each in differences if segment == differences[-1][0]]
    if found.verdict == "hold" and sum(last) <= 0:
        found = found._replace(verdict="pass")
    return _relative_told(found, change, permitted)


def _relative_told(found: Outcome, change: float | None, permitted: float) -> Outcome:
    reason = ""
    if found.verdict != "pass":
        shown = "more than none" if change is None else f"{100 * change:+.3g} percent"
        reason = f"{shown}, {100 * permitted:.3g} percent worse is permitted"
        if found.verdict == "hold":
            reason += ", not yet proven"
    return found._replace(value=change, limit=permitted, reason=reason)


def _told(found: Outcome, within: bool, value: float, limit: float, reason: str) -> Outcome:
    """Against a number the number itself decides what passes."""
    if found.verdict != "fail":
        found = found._replace(verdict="pass" if within else "hold")
    if found.verdict == "hold":
        reason += ", not yet proven"
    shown = "" if found.verdict == "pass" else reason
    return found._replace(value=value, limit=limit, reason=shown)
