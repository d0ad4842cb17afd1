"""What was observed, arranged for judging: by metric, slot and step. Pure; no I/O.

A number that is not finite is no number: it is left out, as if it had not been reported.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import NamedTuple, TypeVar

from greenlane.deployments.model import Slot
from greenlane.health.catalogue import CERTAIN_ERRORS, Metric
from greenlane.health.errors import Asked, errors_of, late
from greenlane.health.observed import MINUTE, Baseline, Observed, Series
from greenlane.health.sequential import Count
from greenlane.health.series_tests import weighted_median
from greenlane.health.slowness import SLOWER_THAN

BLOCK = timedelta(minutes=5)
"""After so long the tests start one more process inside a step."""

STALE = timedelta(minutes=3)
"""Data older than this is no evidence for going on."""

COUNTED = frozenset({"proportion", "latency", "mean", "sum"})
"""Shapes whose values rest on samples; the others rest on minutes."""

_UNKNOWN_P95 = 2000.0
"""Where response times were not read at all; ms."""

_ANSWERS = ("c2", "c3", "c4", "c5")

T = TypeVar("T")


class Spot(NamedTuple):
    """One judged minute of one series: its step, its time, its finite parts."""

    segment: int
    at: datetime
    parts: Mapping[str, float]


class Counted(NamedTuple):
    """One judged minute as a count."""

    segment: int
    at: datetime
    seen: Count


class View:
    """An observation, looked at series by series."""

    def __init__(self, observed: Observed, metrics: Mapping[str, Metric]) -> None:
        self.observed = observed
        self.metrics = metrics
        self.candidate: Slot = observed.candidate
        self.live: Slot = observed.live
        self.current = len(observed.segments) - 1
        """The step that the candidate is in."""
        self.silent = False
        """Whether the candidate's last minute shows requests and nothing of their answers."""
        self.unsettled = 0
        """The candidate's requests of the last minute whose answers may not be published yet."""
        self._series = {(one.metric, one.slot): one for one in observed.series}
        self._before = {one.metric: one for one in observed.baseline}
        self._segment_of = dict(_places(observed))
        self._spots: dict[tuple[str, Slot | None], list[Spot]] = {}
        self._counts: dict[tuple[str, Slot], list[Counted] | None] = {}
        self._values: dict[tuple[str, Slot], list[tuple[Spot, float]]] = {}
        self._requests: dict[Slot, dict[datetime, float]] = {}

    @property
    def alone(self) -> bool:
        """Whether the candidate has all of the traffic, so that nothing serves beside it."""
        segments = self.observed.segments
        return bool(segments) and segments[-1].weight >= 100

    def series(self, metric: str, slot: Slot) -> Series | None:
        """The slot's own series, else that of the whole service."""
        return self._series.get((metric, slot)) or self._series.get((metric, None))

    def own(self, metric: str, slot: Slot) -> bool:
        """Whether a slot has this series for itself."""
        return (metric, slot) in self._series

    def before(self, metric: str) -> Baseline | None:
        """The baseline of a metric."""
        return self._before.get(metric)

    def spots(self, metric: str, slot: Slot) -> list[Spot]:
        """The judged minutes of a series, oldest first."""
        key = metric, slot
        if key not in self._spots:
            series = self.series(metric, slot)
            self._spots[key] = [] if series is None else list(self._judged(series))
        return self._spots[key]

    def values(self, metric: Metric, slot: Slot) -> list[tuple[Spot, float]]:
        """The judged minutes that have a value, with it."""
        key = metric.name, slot
        if key not in self._values:
            valued = ((spot, metric.value(spot.parts)) for spot in self.spots(*key))
            self._values[key] = [
                (spot, value) for spot, value in valued if value is not None and isfinite(value)
            ]
        return self._values[key]

    def counts(self, metric: Metric, slot: Slot) -> list[Counted] | None:
        """Events among samples in each judged minute; None where the metric counts no samples."""
        key = metric.name, slot
        if key not in self._counts:
            self._counts[key] = self._counted(metric, slot)
        return self._counts[key]

    def trouble_of_times(self) -> str:
        """What is missing where slow requests were counted."""
        for (name, _), series in self._series.items():
            if name.startswith(SLOWER_THAN) and not series.complete:
                return series.trouble or "read in part"
        return ""

    def seen(self, metric: Metric, slot: Slot, *, now: bool = False) -> int:
        """The samples behind a metric's values; minutes where it counts none."""
        spots = [
            spot for spot, _ in self.values(metric, slot) if not now or spot.segment == self.current
        ]
        if metric.samples is None or metric.shape not in COUNTED:
            return len(spots)
        return round(sum(spot.parts.get(metric.samples, 0.0) for spot in spots))

    def requests(self, slot: Slot) -> dict[datetime, float]:
        """A slot's requests in each judged minute that reported any."""
        if slot not in self._requests:
            found: dict[datetime, float] = {}
            for name in ("throughput", "error_rate", "response_time_p95", "response_time_p50"):
                if self.own(name, slot):
                    for spot in self.spots(name, slot):
                        if _requests(spot) > 0:
                            found.setdefault(spot.at, _requests(spot))
            self._requests[slot] = found
        return self._requests[slot]

    def segment_of(self, at: datetime) -> int | None:
        """The step in which a minute is judged."""
        return self._segment_of.get(at)

    def typical(self, metric: Metric, slot: Slot, segment: int | None = None) -> float | None:
        """The median of the minutes' values, weighted by requests where they are known."""
        weighted = [
            (value, spot.parts.get(metric.samples, 0.0) if metric.samples else 1.0)
            for spot, value in self.values(metric, slot)
            if segment is None or spot.segment == segment
        ]
        return weighted_median(weighted)

    def _judged(self, series: Series) -> list[Spot]:
        found = []
        for minute in series.minutes:
            segment = self._segment_of.get(minute.at)
            if segment is None:
                continue
            parts = minute.parts
            if not isfinite(sum(parts.values())):
                parts = {name: value for name, value in parts.items() if isfinite(value)}
            if parts:
                found.append(Spot(segment, minute.at, parts))
        return found

    def _counted(self, metric: Metric, slot: Slot) -> list[Counted] | None:
        if metric.name == "error_rate":
            return self._all_errors(slot)
        if metric.name == CERTAIN_ERRORS.name:
            return [_certain(spot) for spot in self.spots(metric.name, slot) if _requests(spot)]
        if metric.samples is None:
            return None
        found = []
        for spot, value in self.values(metric, slot):
            samples = round(spot.parts.get(metric.samples, 0.0))
            if samples > 0:
                events = min(max(round(value * samples), 0), samples)
                found.append(Counted(spot.segment, spot.at, Count(samples, events)))
        return found

    def _all_errors(self, slot: Slot) -> list[Counted]:
        spots = [spot for spot in self.spots("error_rate", slot) if _requests(spot)]
        known = spots[: len(spots) - late([_asked(spot) for spot in spots])]
        found: list[Counted] = []
        unsettled = 0
        for segment in sorted({spot.segment for spot in known}):
            minutes = [spot for spot in known if spot.segment == segment]
            asked = [_asked(spot) for spot in minutes]
            still_open = minutes[-1] is known[-1] and not asked[-1].silent
            events, open_ = errors_of(asked, self._p95(slot, segment), still_open=still_open)
            unsettled = round(open_)
            for spot, one in zip(minutes, events, strict=True):
                samples = round(_requests(spot))
                seen = Count(samples, min(round(one), samples))
                found.append(Counted(spot.segment, spot.at, seen))
        if slot == self.candidate:
            self.silent = len(known) < len(spots)
            self.unsettled = unsettled
        return found

    def _p95(self, slot: Slot, segment: int) -> float:
        """Of a step's requests, in ms; 0 where none of them has a response time."""
        if self.series("response_time_p95", slot) is None:
            return _UNKNOWN_P95
        weighted = [
            (1000 * spot.parts["p"], spot.parts.get("r", 1.0))
            for spot in self.spots("response_time_p95", slot)
            if spot.segment == segment and "p" in spot.parts
        ]
        return weighted_median(weighted) or 0.0


def in_blocks(spots: Sequence[tuple[int, datetime]]) -> list[int]:
    """The number of the block that each minute belongs to; a new one with each step, and later.

    Blocks begin by the clock and not by the data.
    """
    found: list[int] = []
    block, begun = -1, datetime.min
    before: int | None = None
    for segment, at in spots:
        if segment != before or at - begun >= BLOCK:
            block, begun, before = block + 1, at, segment
        found.append(block)
    return found


def grouped(items: Sequence[T], spots: Sequence[tuple[int, datetime]]) -> list[list[T]]:
    """Minutes by block."""
    blocks: list[list[T]] = []
    for item, number in zip(items, in_blocks(spots), strict=True):
        if number == len(blocks):
            blocks.append([])
        blocks[number].append(item)
    return blocks


def _places(observed: Observed) -> list[tuple[datetime, int]]:
    """Each minute that lies wholly inside a segment, with the segment's number."""
    found = []
    for number, segment in enumerate(observed.segments):
        at = segment.start.replace(second=0, microsecond=0)
        if at < segment.start:
            at += MINUTE
        while at + MINUTE <= segment.end:
            found.append((at, number))
            at += MINUTE
    return found


def _requests(spot: Spot) -> float:
    return spot.parts.get("r", 0.0)


def _asked(spot: Spot) -> Asked:
    parts = spot.parts
    answered = sum(parts.get(part, 0.0) for part in _ANSWERS)
    return Asked(_requests(spot), answered, parts.get("c5", 0.0), parts.get("k", 0.0))


def _certain(spot: Spot) -> Counted:
    samples = round(_requests(spot))
    events = round(spot.parts.get("c5", 0.0) + spot.parts.get("k", 0.0))
    return Counted(spot.segment, spot.at, Count(samples, min(events, samples)))
