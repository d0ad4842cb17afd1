"""What a flag does to the service behind it, by the judgement of `greenlane.health`.

Two questions are asked of the same minutes. Whether a condition is true, exactly as its alarm
would say. And whether the level is shown to do harm: a condition that limits a share or a mean is
tested as a success criterion is, over all minutes of the ramp, and a metric by variant is compared
between those who have the flag and those who do not. The tests stay valid however often one looks.

No data is a hold, never a pass: unless the service's configuration says `on_no_data: pass` of the
metric, for a count that is only reported when something happens, and the service served somebody.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import CheckResult
from greenlane.deployments.workload import Workload
from greenlane.flags.ramps.guards import Guard
from greenlane.flags.ramps.impact_metrics import (
    ByVariant,
    by_variant,
    joined,
    needs_traffic,
    of_flag,
)
from greenlane.flags.ramps.ramp import Impact
from greenlane.health.candidate import Asked, conditions_of
from greenlane.health.catalogue import CATALOGUE, Metric
from greenlane.health.criteria import Condition, Criteria, Criterion, MetricRules
from greenlane.health.declared import known_metrics, rules_of
from greenlane.health.expressions import Comparison, Expression, ExpressionError, parse
from greenlane.health.metrics import METRIC_LAG, MINUTE, whole_minutes
from greenlane.health.observed import Baseline, Minute, Observed, Segment, Series
from greenlane.health.reading import read_series
from greenlane.health.rules import expand, metrics_of
from greenlane.health.verdicts import ALPHA, LEAST_SAMPLES, judge
from greenlane.health.view import STALE
from greenlane.runtime import Runtime

PROPAGATION = timedelta(seconds=30)
"""After so long a new level has reached those who ask: their snapshot's age, and some."""

MOST_MINUTES = 65
"""As far back as a condition can reach, spare minutes included."""

NOT_READ = "not read"
"""How the judge's reason begins where a condition could not be read."""

LONGEST = timedelta(hours=24)
"""Older minutes are not looked at: a ramp of weeks is judged by its last day."""

PERMITTED: Mapping[str, Decimal] = {"proportion": Decimal("0.5"), "mean": Decimal("0.05")}
"""How much worse, as a ratio, those who have a flag may be than those who do not, by the shape of
the metric; as a new version may be against the live one. What has no shape of these is not
compared."""

ON_SLOT, OFF_SLOT = "green", "blue"
"""In which places of an observation those who have a flag are, and those who do not."""


@dataclass(frozen=True)
class Behind:
    """The service whose metrics a flag's conditions are about."""

    config: ServiceConfig
    workload: Workload


@dataclass(frozen=True)
class _Planned:
    """What `Asked` needs of a plan."""

    config: ServiceConfig
    baseline: tuple[Baseline, ...] = ()


@dataclass(frozen=True)
class Stretch:
    """The minutes that are looked at.

    `since` is when the flag began to answer for what happens, `level_since` when the present level
    began, `level` is in percent.
    """

    since: datetime
    level_since: datetime
    level: Decimal


class Questions:
    """What the conditions of one flag ask of one service.

    Args:
        guard: the flag's conditions.
        behind: the service.
    """

    def __init__(self, guard: Guard, behind: Behind) -> None:
        """See the class."""
        config = behind.config
        self.guard, self.behind = guard, behind
        self.metrics = known_metrics(config.metrics, config.database)
        self.wrong: dict[str, str] = {}
        self.trees: dict[str, Expression] = {}
        for text in dict.fromkeys(guard.conditions):
            try:
                self.trees[text] = parse(text, self.metrics)
            except ExpressionError as error:
                self.wrong[text] = f"at character {error.position}: {error.way_out}"
        self.variants: dict[str, ByVariant] = {
            name: of_flag(metric, guard)
            for tree in self.trees.values()
            for name, metric in self.named(tree).items()
            if by_variant(metric)
        }

    def named(self, tree: Expression) -> dict[str, Metric]:
        """The metrics of an expression, by name."""
        return metrics_of(expand(tree, self.metrics))

    def to_read(self) -> list[Metric]:
        """Everything that has to be read."""
        found: dict[str, Metric] = {}
        for tree in self.trees.values():
            for name, metric in self.named(tree).items():
                pair = self.variants.get(name)
                for one in (metric,) if pair is None else (pair.on, pair.off):
                    found[one.name] = one
        return list(found.values())

    def may_be_silent(self, name: str) -> bool:
        """Whether a metric without any data says that nothing happened.

        Never of those who have the flag alone: whether there was anybody is what has to be seen.
        """
        declared = self.behind.config.metrics.get(name)
        passes = declared is not None and declared.on_no_data == "pass"
        return passes and name not in self.variants

    def compares(self, tree: Expression) -> bool:
        """Whether a condition is about those who have the flag, beside those who do not."""
        return any(name in self.variants for name in self.named(tree))

    def asked(self, texts: Iterable[str], criteria: Iterable[Criterion] = ()) -> Asked:
        """Conditions, and criteria, as the judge of deployments takes them."""
        asked = Criteria(
            criteria=tuple(criteria),
            conditions=tuple(Condition(expression=text, role="trigger") for text in texts),
            # A ramp asks what its flag says, and nothing else.
            rules={
                **rules_of(self.behind.config.metrics),
                "error_rate": MetricRules(critical=False),
            },
        )
        return Asked(_Planned(self.behind.config.model_copy(update={"criteria": asked})))

    def criteria(self, compared: bool) -> Iterator[Criterion]:
        """What is tested over all minutes: see the module."""
        for text in self.guard.rollback:
            tree = self.trees.get(text)
            if tree is None or self.compares(tree) is not compared:
                continue
            if isinstance(tree, Comparison) and self._is_tested(tree):
                yield Criterion(metric=tree.metric, limit=tree.limit)
            for name in self.named(tree):
                permitted = (
                    PERMITTED.get(self.metrics[name].shape) if name in self.variants else None
                )
                if permitted is not None and self.metrics[name].samples is not None:
                    yield Criterion(metric=name, against="live", limit=permitted)

    def _is_tested(self, tree: Comparison) -> bool:
        metric = self.metrics[tree.metric]
        harms = tree.operator.startswith(">") == (metric.worse == "up")
        return harms and metric.shape in PERMITTED and metric.samples is not None


def look(runtime: Runtime, questions: Questions, stretch: Stretch) -> Impact:
    """Read the minutes of a stretch and judge the level. It never raises for a read."""
    now = runtime.clock.now()
    end = (now - METRIC_LAG).replace(second=0, microsecond=0)
    since = max(stretch.since, now - LONGEST)
    series = _read(runtime, questions, since, end)
    return judge_impact(questions, series, stretch, end)


def judge_impact(
    questions: Questions, series: tuple[Series, ...], stretch: Stretch, end: datetime
) -> Impact:
    """The same of what was read before; pure."""
    said = {text: f"not readable: {why}" for text, why in questions.wrong.items()}
    found = [CheckResult(name=text, verdict="hold", reason=why) for text, why in said.items()]
    fired: list[CheckResult] = []
    for compared in (False, True):
        observed = _observed(questions, series, stretch, end, compared=compared)
        for text, check in _conditions(questions, observed, compared=compared):
            if check.verdict == "fail" and text in questions.guard.rollback:
                fired.append(check)
            elif check.verdict != "pass":
                found.append(check.model_copy(update={"verdict": "hold"}))
        found += _shown(questions, observed, compared=compared)
    found += _lacking(questions, series, stretch, end)
    if fired:
        return Impact(outcome="fired", reason=_said(fired))
    failed = [one for one in found if one.verdict == "fail"]
    if failed:
        return Impact(outcome="fail", reason=_said(failed))
    held = [one for one in found if one.verdict == "hold"]
    if held:
        return Impact(outcome="hold", reason=_said(held))
    return Impact(outcome="pass")


def is_true(
    runtime: Runtime, questions: Questions, text: str, since: datetime | None = None
) -> bool | None:
    """Whether a condition is true of what the service's users see; None where it is not readable.

    Its alarm may have looked at a minute that is not the last one now, so it is asked of the last
    three that are over. The present one says nothing: less than usual is counted in it so far.

    Args:
        runtime: the clients and the clock.
        questions: of the flag.
        text: the condition.
        since: no minute before this counts.
    """
    now = runtime.clock.now().replace(second=0, microsecond=0)
    start = now - MOST_MINUTES * MINUTE
    start = start if since is None else max(since, start)
    series = _read(runtime, questions, start, now)
    compared = questions.compares(questions.trees[text])
    readable = True
    for end in (now, now - MINUTE, now - 2 * MINUTE):
        stretch = Stretch(since=start, level_since=start, level=Decimal(100))
        observed = _observed(questions, series, stretch, end, compared=compared)
        for one, check in _conditions(questions, observed, compared=compared):
            if one == text and check.verdict == "fail":
                return True
            readable &= one != text or not check.reason.startswith(NOT_READ)
    return False if readable else None


def _read(
    runtime: Runtime, questions: Questions, since: datetime, end: datetime
) -> tuple[Series, ...]:
    """The series of the whole service, and of the variants in the places of the slots."""
    start, _ = whole_minutes(since, since)
    wanted = {metric.name: metric for metric in questions.to_read()}
    if not wanted or end <= start:
        return ()
    throughput = CATALOGUE["throughput"]
    counts = any(needs_traffic(one) or questions.may_be_silent(one.name) for one in wanted.values())
    weighed = [throughput] if counts else []
    read = read_series(
        runtime,
        questions.behind.workload,
        [*wanted.values(), *weighed],
        start=start,
        end=end,
        prometheus_endpoint=questions.behind.config.monitoring.prometheus_endpoint,
    )
    traffic = [one for one in read if weighed and one.metric == throughput.name]
    both = {
        name: joined(metric, [one for one in read if one.metric == name], traffic)
        for name, metric in wanted.items()
    }
    if weighed:
        both[throughput.name] = joined(throughput, traffic)
    placed = []
    for name, pair in questions.variants.items():
        on, off = both.pop(pair.on.name), both.pop(pair.off.name)
        placed.append(on.model_copy(update={"metric": name, "slot": ON_SLOT}))
        placed.append(off.model_copy(update={"metric": name, "slot": OFF_SLOT}))
    return (*both.values(), *placed)


def _observed(
    questions: Questions,
    series: tuple[Series, ...],
    stretch: Stretch,
    end: datetime,
    *,
    compared: bool,
) -> Observed:
    """The minutes as the judge of deployments sees those of a candidate.

    Of the whole service there is nothing beside it to compare with, as of a version at 100
    percent. Of the variants there is, at any level.
    """
    weight = min(max(round(stretch.level), 1), 99) if compared else 100
    first, _ = whole_minutes(stretch.since, end)
    before = stretch.level_since.replace(second=0, microsecond=0)
    now, _ = whole_minutes(stretch.level_since + PROPAGATION, end)
    segments = [Segment(start=now, end=max(now, end), weight=weight)]
    if first < before:
        segments.insert(0, Segment(start=first, end=min(before, end), weight=weight))
    return Observed(
        candidate=ON_SLOT,
        live=OFF_SLOT,
        start=segments[0].start,
        end=end,
        segments=tuple(segments),
        series=series,
    )


def _conditions(
    questions: Questions, observed: Observed, *, compared: bool
) -> Iterator[tuple[str, CheckResult]]:
    """Each condition and what the judge says of it."""
    texts = [text for text, it in questions.trees.items() if questions.compares(it) is compared]
    asked = questions.asked(texts)
    for (condition, _), check in zip(asked.conditions, conditions_of(observed, asked), strict=True):
        text = condition.expression
        yield text, check.model_copy(update={"name": text, "reason": _of_flags(check.reason)})


def _shown(questions: Questions, observed: Observed, *, compared: bool) -> Iterator[CheckResult]:
    """What the tests over all minutes show."""
    criteria = tuple(dict.fromkeys(questions.criteria(compared)))
    if not criteria or observed.segments[-1].end <= observed.segments[-1].start:
        return
    asked = questions.asked((), criteria)
    verdict = judge(observed, asked.criteria, metrics=questions.metrics, alpha=ALPHA)
    for check in verdict.checks:
        if check.verdict != "pass":
            name = check.name.replace(" against live", ", beside those without it")
            yield check.model_copy(update={"name": name, "reason": _of_flags(check.reason)})


def _lacking(
    questions: Questions, series: tuple[Series, ...], stretch: Stretch, end: datetime
) -> Iterator[CheckResult]:
    """A hold for each condition of which nothing was seen since the present level began."""
    start, _ = whole_minutes(stretch.level_since + PROPAGATION, end)
    if end <= start:
        if questions.guard.conditions:
            yield CheckResult(name="metrics", verdict="hold", reason="no whole minute yet")
        return
    for text, tree in questions.trees.items():
        for name, metric in questions.named(tree).items():
            slot = ON_SLOT if name in questions.variants else None
            mine = [one for one in series if (one.metric, one.slot) == (name, slot)]
            if any(not one.complete for one in mine):
                continue  # the condition itself holds for it
            minutes = [it for one in mine for it in one.minutes if start <= it.at < end]
            said = _too_little(metric, minutes) or _too_old(metric, minutes, end)
            if not minutes and questions.may_be_silent(name):
                said = "" if _served(series, start, end) else "no data, and no requests either"
            if said:
                yield CheckResult(name=text, verdict="hold", reason=f"{name}: {said}")


def _served(series: tuple[Series, ...], start: datetime, end: datetime) -> bool:
    """Whether the service is known to have served somebody, and lately."""
    return any(
        one.complete
        and any(
            minute.parts.get("r", 0.0) > 0 and start <= minute.at and end - minute.at <= STALE
            for minute in one.minutes
        )
        for one in series
        if one.metric == "throughput"
    )


def _too_little(metric: Metric, minutes: list[Minute]) -> str:
    if not minutes:
        return "no data"
    if metric.samples is None:
        return ""
    seen = round(sum(minute.parts.get(metric.samples, 0.0) for minute in minutes))
    return "" if seen >= LEAST_SAMPLES else f"{seen} of {LEAST_SAMPLES} samples seen"


def _too_old(metric: Metric, minutes: list[Minute], end: datetime) -> str:
    """Whatever reported has fallen silent; counts may, where nothing happens."""
    newest = max(minute.at for minute in minutes)
    if metric.shape in ("flow", "sum") or end - newest <= STALE:
        return ""
    return f"the newest data began {round((end - newest).total_seconds() / 60)} minutes ago"


def _of_flags(reason: str) -> str:
    """What the judge says of slots, said of those who have a flag and of those who do not."""
    for ours, theirs in (
        ("of the live slot", "of those without it"),
        ("true of both slots", "true with and without it"),
        ("the live slot is healthier", "those without it are better off"),
    ):
        reason = reason.replace(ours, theirs)
    return reason


def _said(checks: Iterable[CheckResult]) -> str:
    told = (f"{one.name}: {one.reason}" if one.reason else one.name for one in checks)
    return "; ".join(dict.fromkeys(told))[:600]
