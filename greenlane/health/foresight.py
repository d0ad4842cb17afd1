"""What the steps of a deployment will see of its traffic, before it begins. Pure; no I/O.

The traffic of a step is that of the same hour of the week in the days before. From it follow the
requests that the candidate gets, the smallest jumps that the judge can detect in them
(`greenlane.health.power`), and how long a step waits for the requests that its criteria need.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from greenlane.deployments.model import PlannedStep
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.health.catalogue import Metric
from greenlane.health.criteria import Criteria
from greenlane.health.metrics import METRIC_LAG, MINUTE
from greenlane.health.power import SPREAD, StepTraffic, Usual, Visible, visible
from greenlane.health.verdicts import LEAST_SAMPLES

HOUR = timedelta(hours=1)
SEES = 0.2
"""A step that cannot see this error rate is called blind."""

BAKES = (60, 120, 180, 300, 480, 600, 900, 1200, 1800, 2700, 3600)
"""Seconds that a better schedule may bake a step for."""

WEIGHTS = (1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 75)

_P95_OF_A_NORMAL = statistics.NormalDist().inv_cdf(0.95)


class Hour(NamedTuple):
    """What a service did in one hour, over both slots; times in milliseconds by metric."""

    at: datetime
    requests: float
    errors: float = 0.0
    times: Mapping[str, float] = {}


class Timing(NamedTuple):
    """What of a deployment's configuration decides about its time."""

    propagation: timedelta
    max_hold: timedelta


class ForeseenStep(StoredModel):
    """One step of the plan.

    Attributes:
        begins: seconds after the first weight.
        requests_per_minute: of the service; None is not known, as all that follows from it.
        requests: of the candidate, in the minutes that are judged for certain.
        error_rate: the smallest rate that it detects, a ratio; None: none, however high.
        slowdown: the smallest relative slowdown that it detects.
        hold_seconds: how long it waits beyond its bake for the requests that it needs.
        no_evidence: they do not come within `max_hold`, so the declared policy decides.
        blind: it cannot see what it should.
    """

    weight: int
    kind: str
    bake_seconds: int
    approval: bool = False
    begins: int
    requests_per_minute: Decimal | None = None
    requests: int | None = None
    error_rate: Decimal | None = None
    slowdown: Decimal | None = None
    hold_seconds: int = 0
    no_evidence: bool = False
    blind: bool = False


class Traffic:
    """The traffic of the days before.

    Args:
        hours: those that something is known of, in any order.
        end: until when was looked.
    """

    def __init__(self, hours: Iterable[Hour], end: datetime) -> None:
        """See the class."""
        self.hours = {hour.at: hour for hour in hours}
        self._end = end

    @property
    def known(self) -> bool:
        """Whether there was any."""
        return any(hour.requests for hour in self.hours.values())

    def per_minute(self, at: datetime) -> float:
        """Requests of the whole service in a minute at that time, by the same hours before.

        Hours of which nothing was reported had no request, but for those before the first. Where
        the same hour of the week was not seen yet, the same hour of any day counts.
        """
        found = [hour.requests if hour else 0.0 for hour in self._like(at)]
        return statistics.median(found) / 60 if found else 0.0

    def usual(self, at: datetime) -> Usual:
        """Errors of all the time, and response times of the same hours."""
        requests = sum(hour.requests for hour in self.hours.values())
        errors = sum(hour.errors for hour in self.hours.values())
        like = [hour for hour in self._like(at) if hour and hour.times]
        like = like or [hour for hour in self.hours.values() if hour.times]
        times = {
            name: statistics.median(hour.times[name] for hour in like if name in hour.times)
            for name in {name for hour in like for name in hour.times}
        }
        return Usual(errors / requests if requests else 0.0, times, _spread(times))

    def _like(self, at: datetime) -> list[Hour | None]:
        """The hours of the week like the one of `at`, else those of the day, else all."""
        if not self.hours:
            return []
        hour = min(self.hours)
        every = []
        while hour + HOUR <= self._end:
            every.append(hour)
            hour += HOUR
        every = every or sorted(self.hours)
        rules: tuple[Callable[[datetime], object], ...] = (
            lambda one: (one.weekday(), one.hour) == (at.weekday(), at.hour),
            lambda one: one.hour == at.hour,
            lambda one: True,
        )
        chosen = next(same for rule in rules if (same := [one for one in every if rule(one)]))
        return [self.hours.get(one) for one in chosen]


def _spread(times: Mapping[str, float]) -> float:
    """Of the logarithm of response times, by their median and 95th percentile."""
    middle, high = times.get("response_time_p50", 0.0), times.get("response_time_p95", 0.0)
    if middle <= 0 or high <= middle:
        return SPREAD
    return math.log(high / middle) / _P95_OF_A_NORMAL


class Foreseer:
    """Looks at schedules of one service.

    Args:
        traffic: of the days before; None where it could not be read, or there was none.
        criteria: what the judge will ask.
        metrics: by name.
        timing: of the configuration.
        at: when the first weight would be written.
        sees: the error rate that a step should see.
    """

    def __init__(
        self,
        traffic: Traffic | None,
        criteria: Criteria,
        metrics: Mapping[str, Metric],
        timing: Timing,
        at: datetime,
        sees: float = SEES,
    ) -> None:
        """See the class."""
        self._traffic = traffic
        self._criteria = criteria
        self._metrics = metrics
        self._timing = timing
        self._at = at
        self._sees = sees
        self._usual = traffic.usual(at) if traffic else Usual(0.0, {})

    def look(self, steps: Sequence[PlannedStep]) -> tuple[ForeseenStep, ...]:
        """What each step before the watch will see."""
        planned = [step for step in steps if step.kind != "watch"]
        if self._traffic is None:
            return self._unknown(planned)
        found: list[ForeseenStep] = []
        before: list[StepTraffic] = []
        begins = 0
        for step in planned:
            rate = self._traffic.per_minute(self._at + timedelta(seconds=begins))
            traffic = StepTraffic(step.weight, self.minutes(step.bake_seconds), rate)
            seen = self._seen(before, traffic)
            hold, ends_without = self._hold(step, traffic)
            found.append(self._foreseen(step, begins, traffic, seen, hold, ends_without))
            before.append(traffic)
            begins += self.lasts(step.bake_seconds) + hold
        return tuple(found)

    def lasts(self, bake_seconds: int) -> int:
        """How long a bake takes: it waits for one whole minute at least."""
        least = self._timing.propagation + MINUTE + METRIC_LAG
        return max(bake_seconds, round(least.total_seconds()))

    def minutes(self, bake_seconds: int) -> int:
        """The whole minutes that a bake has for certain, however it lies; there is always one."""
        judged = timedelta(seconds=bake_seconds) - self._timing.propagation - METRIC_LAG
        return max(math.floor(judged.total_seconds() / 60 - 1), 1)

    def better(self, steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
        """The same schedule without blind steps, or with as few as can be; watch left out.

        A blind step bakes longer; where an hour is not enough it gets the next weight that is, and
        where no weight below the next step's is, it is left out: the next one begins the rollout.
        """
        if self._traffic is None:
            return ()
        kept: list[PlannedStep] = []
        planned = [step for step in steps if step.kind == "step"]
        for number, step in enumerate(planned):
            following = planned[number + 1].weight if number + 1 < len(planned) else 101
            found = self._sighted(kept, step, following)
            if found is None and number + 1 == len(planned):
                found = step  # the last step has all of the traffic, whatever it sees
            if found is not None:
                kept.append(found)
        return tuple(kept)

    def _sighted(
        self, kept: Sequence[PlannedStep], step: PlannedStep, following: int
    ) -> PlannedStep | None:
        """The step itself if it sees enough, else the nearest one that does."""
        begins = sum(self.lasts(one.bake_seconds) for one in kept)
        before = [StepTraffic(0, self.minutes(one.bake_seconds), 0.0) for one in kept]
        assert self._traffic is not None
        rate = self._traffic.per_minute(self._at + timedelta(seconds=begins))

        def sees(weight: int, bake: int) -> bool:
            traffic = StepTraffic(weight, self.minutes(bake), rate)
            return not self._is_blind(self._seen(before, traffic))

        bakes = (step.bake_seconds, *(bake for bake in BAKES if bake > step.bake_seconds))
        higher = [weight for weight in WEIGHTS if step.weight < weight < following]
        for weight in (step.weight, *higher):
            if sees(weight, bakes[-1]):
                bake = next(bake for bake in bakes if sees(weight, bake))
                return step.model_copy(update={"weight": weight, "bake_seconds": bake})
        return None

    def _seen(self, before: Sequence[StepTraffic], step: StepTraffic) -> Visible:
        # Of the steps before only their number counts, which costs the later ones some sight.
        blank = [StepTraffic(0, one.minutes, 0.0) for one in before]
        return visible([*blank, step], self._criteria, self._usual, metrics=self._metrics)[-1]

    def _is_blind(self, seen: Visible) -> bool:
        return seen.error_rate is None or seen.error_rate > self._sees

    def _hold(self, step: PlannedStep, traffic: StepTraffic) -> tuple[int, bool]:
        """How long it waits for the requests of `min_samples`, and whether in vain."""
        longest = round(self._timing.max_hold.total_seconds())
        rate = traffic.requests_per_minute * step.weight / 100
        needed = self._least() / rate if rate > 0 else math.inf
        if needed <= traffic.minutes:
            return 0, False
        if needed == math.inf:
            return longest, True
        missing = 60 * (math.ceil(needed) - traffic.minutes)
        return min(missing, longest), missing > longest

    def _least(self) -> int:
        """The most requests that any criterion needs which counts in requests."""
        needed = [
            self._criteria.rule(one.metric).min_samples or LEAST_SAMPLES
            for one in self._criteria.in_phase("during").criteria
            if one.metric in self._metrics
            and self._metrics[one.metric].samples == "r"
            and not self._criteria.rule(one.metric).dry_run
        ]
        return max(needed, default=LEAST_SAMPLES)

    def _foreseen(
        self,
        step: PlannedStep,
        begins: int,
        traffic: StepTraffic,
        seen: Visible,
        hold: int,
        ends_without: bool,
    ) -> ForeseenStep:
        return ForeseenStep(
            weight=step.weight,
            kind=step.kind,
            bake_seconds=step.bake_seconds,
            approval=step.approval,
            begins=begins,
            requests_per_minute=_digits(traffic.requests_per_minute),
            requests=traffic.candidate,
            error_rate=_digits(seen.error_rate),
            slowdown=_digits(seen.slowdown),
            hold_seconds=hold,
            no_evidence=ends_without,
            blind=self._is_blind(seen),
        )

    def _unknown(self, planned: Iterable[PlannedStep]) -> tuple[ForeseenStep, ...]:
        found: list[ForeseenStep] = []
        begins = 0
        for step in planned:
            values = step.model_dump()
            found.append(ForeseenStep(**values, begins=begins))
            begins += self.lasts(step.bake_seconds)
        return tuple(found)


def _digits(value: float | None) -> Decimal | None:
    """A computed number as it is shown, with three digits."""
    return None if value is None else Decimal(f"{Decimal(f'{value:.3g}'):f}")
