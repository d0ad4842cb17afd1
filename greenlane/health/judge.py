"""From numbers to a verdict: pass, fail or hold. Pure; no I/O.

Error counts are judged by the exact binomial tail: with `n` requests of which `k` failed, the
limit `p` counts as exceeded when P(X >= k | n, p) is below the level. So one failed request of
twenty is not yet proof of more than 1 percent, but it is no pass either: the step holds.
Latency is judged by the request-weighted median of the minutes' p95.
"""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal

from greenlane.deployments.config import JudgeConfig
from greenlane.deployments.model import CheckResult, Verdict, VerdictName
from greenlane.health.alarms import AlarmState
from greenlane.health.metrics import MinuteOfTraffic

LEVEL_AT_THE_END = 0.01
"""At the end of a step."""

LEVEL_ON_THE_WAY = 0.001
"""At each look inside a bake: looking often must not turn noise into a failure."""

_SEVERITY: dict[VerdictName, int] = {"pass": 0, "hold": 1, "fail": 2}


def binomial_tail(errors: int, requests: int, ratio: float) -> float:
    """P(X >= errors) for X ~ Binomial(requests, ratio), summed exactly in logarithms."""
    if errors <= 0:
        return 1.0
    if ratio <= 0:
        return 0.0
    if ratio >= 1:
        return 1.0
    total = 0.0
    for k in range(errors, requests + 1):
        term = math.exp(
            math.lgamma(requests + 1)
            - math.lgamma(k + 1)
            - math.lgamma(requests - k + 1)
            + k * math.log(ratio)
            + (requests - k) * math.log1p(-ratio)
        )
        total += term
        if k > requests * ratio and term <= total * 1e-12:
            break
    return min(total, 1.0)


def weighted_median_p95(minutes: Iterable[MinuteOfTraffic]) -> Decimal | None:
    """The p95 that half of the requests' minutes do not exceed, in ms; None without data."""
    known = sorted(
        (minute.p95_ms, minute.requests) for minute in minutes if minute.p95_ms is not None
    )
    half = sum(requests for _, requests in known) / 2
    seen = 0
    for p95, requests in known:
        seen += requests
        if seen >= half:
            return p95
    return None


def in_flight(minutes: Sequence[MinuteOfTraffic]) -> int:
    """How many requests may be on their way at the window's end, to be answered after it.

    Rate times response time, by the last minute's requests and the p95, rounded up.
    """
    p95 = weighted_median_p95(minutes)
    return 0 if p95 is None else math.ceil(minutes[-1].requests * p95 / 60_000)


def count_errors(minutes: Sequence[MinuteOfTraffic]) -> int:
    """Answers of 5xx and requests without an answer, in a window's minutes, oldest first.

    A request may count in one minute and its answer in the next, so only the window's sums are
    compared, less what may be in flight at its end. Refused connections are errors in any case.
    """
    missing = sum(minute.requests - minute.answered for minute in minutes) - in_flight(minutes)
    refused = sum(minute.connection_errors for minute in minutes)
    return sum(minute.server_errors for minute in minutes) + max(missing, refused, 0)


def judge_minutes(
    minutes: Sequence[MinuteOfTraffic], limits: JudgeConfig, *, level: float
) -> Verdict:
    """The verdict on a slot's whole minutes since its weight took effect."""
    requests = sum(minute.requests for minute in minutes)
    return worst(
        (
            _enough(requests, limits),
            _error_rate(minutes, limits, level=level),
            _latency(minutes, requests, limits),
            _connections(minutes, limits),
        ),
        requests=requests,
    )


def judge_alarms(alarms: Iterable[AlarmState], *, red_means: VerdictName) -> list[CheckResult]:
    """One check per alarm that is red (`red_means`) or missing (hold: nothing would trigger)."""
    checks = []
    for alarm in alarms:
        if alarm.red:
            reason = alarm.reason or "in ALARM"
            checks.append(CheckResult(name=alarm.name, verdict=red_means, reason=reason))
        elif alarm.missing:
            reason = "there is no such alarm, so nothing would trigger"
            checks.append(CheckResult(name=alarm.name, verdict="hold", reason=reason))
    return checks


def worst(checks: Iterable[CheckResult], *, requests: int = 0) -> Verdict:
    """All checks and the worst of their verdicts; no checks at all is a hold."""
    given = tuple(checks)
    if not given:
        return Verdict(verdict="hold", reason="nothing was checked", requests=requests)
    verdict = max((check.verdict for check in given), key=_SEVERITY.__getitem__)
    reasons = [
        f"{check.name}: {check.reason}"
        for check in given
        if check.verdict == verdict and verdict != "pass"
    ]
    return Verdict(
        verdict=verdict, checks=given, requests=requests, reason="; ".join(reasons)[:1000]
    )


def _enough(requests: int, limits: JudgeConfig) -> CheckResult:
    enough = requests >= limits.min_requests
    return CheckResult(
        name="requests",
        verdict="pass" if enough else "hold",
        value=Decimal(requests),
        limit=Decimal(limits.min_requests),
        reason="" if enough else f"{requests} of {limits.min_requests} requests seen",
    )


def _error_rate(
    minutes: Sequence[MinuteOfTraffic], limits: JudgeConfig, *, level: float
) -> CheckResult:
    silent = bool(minutes) and minutes[-1].silent
    known = minutes[:-1] if silent else minutes
    verdict: VerdictName = "hold" if silent else "pass"
    reason = "no answer of the last minute is known yet" if silent else ""
    errors = count_errors(known)
    requests = sum(minute.requests for minute in known)
    if requests == 0:
        reason = reason or "no requests"
        return CheckResult(
            name="error_rate", verdict="hold", limit=limits.error_rate, reason=reason
        )
    rate = (Decimal(errors) / Decimal(requests)).quantize(Decimal("0.0001"))
    if rate > limits.error_rate:
        proven = binomial_tail(errors, requests, float(limits.error_rate)) < level
        verdict = "fail" if proven and requests >= limits.min_requests else "hold"
        reason = f"{errors} of {requests} requests failed, limit {limits.error_rate}"
        if verdict == "hold":
            reason += ", not yet proven"
    return CheckResult(
        name="error_rate", verdict=verdict, value=rate, limit=limits.error_rate, reason=reason
    )


def _latency(minutes: Sequence[MinuteOfTraffic], requests: int, limits: JudgeConfig) -> CheckResult:
    value = weighted_median_p95(minutes)
    name, limit = "response_time_p95", limits.response_time_p95
    if value is None:
        return CheckResult(name=name, verdict="hold", limit=limit, reason="no response times")
    value = value.quantize(Decimal("0.1"))
    if value <= limit:
        return CheckResult(name=name, verdict="pass", value=value, limit=limit)
    enough = requests >= limits.min_requests
    return CheckResult(
        name=name,
        verdict="fail" if enough else "hold",
        value=value,
        limit=limit,
        reason=f"{value} ms, limit {limit} ms",
    )


def _connections(minutes: Sequence[MinuteOfTraffic], limits: JudgeConfig) -> CheckResult:
    value = max((minute.connection_errors for minute in minutes), default=0)
    bad = value >= limits.connection_errors
    return CheckResult(
        name="connection_errors",
        verdict="fail" if bad else "pass",
        value=Decimal(value),
        limit=Decimal(limits.connection_errors),
        reason=f"{value} in one minute" if bad else "",
    )
