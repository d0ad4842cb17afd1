"""What state an alarm is in: CloudWatch's evaluation, without clock, store or events.

Source of the rules: "Evaluating an alarm" and "How alarm state is evaluated when data is missing"
of the CloudWatch user guide; the tables there are this module's tests.
"""

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from greenlane.local.cloudwatch_queries import Queries
from greenlane.local.cloudwatch_store import MetricStore, metric_key, percentile_rank
from greenlane.local.operations import AwsError

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
SPARE_DATAPOINTS = 2
"""How many more datapoints than EvaluationPeriods an evaluation looks at. AWS publishes no number
and shows 2 in its examples."""

_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True)
class Verdict:
    """The state that an evaluation found, with the reason in CloudWatch's words."""

    value: str
    reason: str
    reason_data: str


def judge(
    points: Sequence[bool | None], evaluation: int, to_alarm: int, missing: str
) -> str | None:
    """The state of an M out of N alarm; None keeps the state it has.

    Args:
        points: for each period of the evaluation range, oldest first: breaching or not, or None
            where there is no data.
        evaluation: N, EvaluationPeriods.
        to_alarm: M, DatapointsToAlarm.
        missing: TreatMissingData.
    """
    real = [point for point in points if point is not None]
    if len(real) >= evaluation:
        return ALARM if sum(real[-evaluation:]) >= to_alarm else OK
    breaching = sum(real)
    if missing == "breaching":
        breaching += evaluation - len(real)
    if breaching >= to_alarm:
        return ALARM
    if missing in ("breaching", "notBreaching") or (real and not all(real)):
        return OK
    if missing == "ignore":
        return None
    ages = range(len(points), 0, -1)
    oldest = next((age for age, point in zip(ages, points, strict=True) if point is not None), 0)
    # Real points that all breach, the oldest of them at least M periods old, alarm early.
    return ALARM if real and oldest >= to_alarm else INSUFFICIENT_DATA


def evaluate_alarm(
    settings: dict[str, Any], state: str, store: MetricStore, end: int
) -> Verdict | None:
    """Evaluate an alarm over the periods that end at `end`; None keeps its state.

    Args:
        settings: the alarm as PutMetricAlarm took it.
        state: the state it is in.
        store: where its metrics are.
        end: virtual Unix seconds, on a whole minute.
    """
    period = alarm_period(settings)
    evaluation = int(settings["EvaluationPeriods"])
    first = end - (evaluation + SPARE_DATAPOINTS) * period
    times = range(first, end, period)
    if _too_few_samples(settings, store, times[-evaluation:], period):
        return None
    series = _series(settings, store, first, end, period)
    breaches, words = _COMPARISONS[settings["ComparisonOperator"]]
    threshold = float(settings["Threshold"])
    values = [series.get(at) for at in times]
    points = [None if value is None else breaches(value, threshold) for value in values]
    to_alarm = int(settings.get("DatapointsToAlarm") or evaluation)
    missing = settings.get("TreatMissingData") or "missing"
    found = judge(points, evaluation, to_alarm, missing)
    if found is None:
        return None
    recent = [(at, series[at]) for at in times if at in series][-evaluation:]
    reason = _reason(found, state, recent, evaluation, to_alarm, missing, words, threshold)
    return Verdict(found, reason, _reason_data(settings, recent, period, first, end))


def check_settings(settings: dict[str, Any]) -> None:
    """Refuse what PutMetricAlarm refuses; raises `AwsError` with `ValidationError`."""
    comparison = settings.get("ComparisonOperator")
    if comparison not in _COMPARISONS:
        raise AwsError("ValidationError", f"ComparisonOperator {comparison!r} is not known")
    missing = settings.get("TreatMissingData") or "missing"
    if missing not in ("missing", "ignore", "breaching", "notBreaching"):
        raise AwsError("ValidationError", f"TreatMissingData {missing!r} is not known")
    evaluation = int(settings.get("EvaluationPeriods") or 0)
    to_alarm = int(settings.get("DatapointsToAlarm") or evaluation)
    if not 1 <= to_alarm <= evaluation:
        message = "DatapointsToAlarm must be from 1 to EvaluationPeriods"
        raise AwsError("ValidationError", message)
    if "Threshold" not in settings or settings["Threshold"] is None:
        raise AwsError("ValidationError", "Threshold is required")
    if bool(settings.get("Metrics")) == bool(settings.get("MetricName")):
        raise AwsError("ValidationError", "Give either Metrics or MetricName")
    evaluate_alarm(settings, INSUFFICIENT_DATA, MetricStore(), 600_000_000)


def alarm_period(settings: dict[str, Any]) -> int:
    """The alarm's period in seconds."""
    if settings.get("Metrics"):
        return Queries(MetricStore(), settings["Metrics"]).period
    return int(settings["Period"])


def _series(
    settings: dict[str, Any], store: MetricStore, first: int, end: int, period: int
) -> dict[int, float]:
    if settings.get("Metrics"):
        queries = Queries(store, settings["Metrics"])
        returned = queries.returned()
        if len(returned) != 1:
            raise AwsError("ValidationError", "Exactly one of the Metrics must return data")
        found = queries.value(returned[0], first, end)
        if len(found) != 1:
            raise AwsError("ValidationError", "An alarm watches exactly one time series")
        return found[0]
    key = metric_key(settings["Namespace"], settings["MetricName"], settings.get("Dimensions"))
    times = range(first, end, period)
    try:
        return store.series(key, _statistic(settings), times, period, settings.get("Unit"))
    except ValueError as error:
        raise AwsError("ValidationError", str(error)) from error


def _statistic(settings: dict[str, Any]) -> str:
    return str(settings.get("Statistic") or settings.get("ExtendedStatistic") or "Average")


def _too_few_samples(
    settings: dict[str, Any], store: MetricStore, times: Sequence[int], period: int
) -> bool:
    """Whether EvaluateLowSampleCountPercentile=ignore keeps the state: under 10/(1-p) samples."""
    rank = percentile_rank(_statistic(settings))
    if (
        settings.get("EvaluateLowSampleCountPercentile") != "ignore"
        or settings.get("Metrics")
        or rank is None
    ):
        return False
    key = metric_key(settings["Namespace"], settings["MetricName"], settings.get("Dimensions"))
    samples = sum(store.series(key, "SampleCount", times, period).values())
    return 0 < samples < 10 / (1 - rank if rank >= 0.5 else rank) - 1e-6


def _reason(
    found: str,
    before: str,
    recent: list[tuple[int, float]],
    evaluation: int,
    to_alarm: int,
    missing: str,
    words: str,
    threshold: float,
) -> str:
    unknown = evaluation - len(recent)
    if not recent:
        if found == INSUFFICIENT_DATA:
            return f"Insufficient Data: {unknown} datapoint{_s(unknown)} {_were(unknown)} unknown."
        treated = "Breaching" if missing == "breaching" else "NonBreaching"
        return (
            f"Threshold Crossed: no datapoints were received for {unknown} period{_s(unknown)} "
            f"and {unknown} missing datapoint{_s(unknown)} {_were(unknown)} treated as [{treated}]."
        )
    shown = ", ".join(f"{value} ({_day(at):%d/%m/%y %H:%M:%S})" for at, value in reversed(recent))
    crossed = f"{_were(len(recent))} {'' if found == ALARM else 'not '}{words}"
    enough = to_alarm if found == ALARM else evaluation - to_alarm + 1
    return (
        f"Threshold Crossed: {len(recent)} out of the last {evaluation} datapoint"
        f"{_s(evaluation)} [{shown}] {crossed} the threshold ({threshold}) "
        f"(minimum {enough} datapoint{_s(enough)} for "
        f"{'OK -> ALARM' if found == ALARM else 'ALARM -> OK'} transition)."
    )


def _reason_data(
    settings: dict[str, Any], recent: list[tuple[int, float]], period: int, first: int, end: int
) -> str:
    statistic = {} if settings.get("Metrics") else {"statistic": _statistic(settings)}
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": stamp(_day(end)),
            "startDate": stamp(_day(recent[0][0] if recent else first)),
            **statistic,
            "period": period,
            "recentDatapoints": [value for _, value in recent],
            "threshold": float(settings["Threshold"]),
        }
    )


def stamp(moment: datetime) -> str:
    """An instant as CloudWatch's events write it: `2019-10-02T17:04:40.985+0000`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def _day(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
