"""Pieces of a verdict: alarms, the worst of several checks, and what counts as an error. Pure.

The judgement of the numbers themselves is in `greenlane.health.verdicts`.
"""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal

from greenlane.deployments.model import CheckResult, Verdict, VerdictName
from greenlane.health.alarms import AlarmState
from greenlane.health.metrics import MinuteOfTraffic

_SEVERITY: dict[VerdictName, int] = {"pass": 0, "hold": 1, "fail": 2}


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
