"""Pieces of a verdict: alarms, the worst of several checks, and what counts as an error. Pure.

The judgement of the numbers themselves is in `greenlane.health.verdicts`.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from greenlane.deployments.model import CheckResult, Verdict, VerdictName
from greenlane.health.alarms import AlarmState
from greenlane.health.errors import Asked, errors_of, late
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


def without_late(minutes: Sequence[MinuteOfTraffic]) -> Sequence[MinuteOfTraffic]:
    """Less the last minutes whose answers are not published yet: no evidence of errors."""
    return minutes[: len(minutes) - late([_asked(minute) for minute in minutes])]


def count_errors(
    minutes: Sequence[MinuteOfTraffic], *, still_open: bool = False
) -> tuple[int, ...]:
    """The errors of each minute of a stretch, oldest first, as the judge counts them.

    Args:
        minutes: of one slot, one after the other.
        still_open: the last one has just ended, so what is missing of it may only be late.
    """
    p95 = float(weighted_median_p95(minutes) or 0)
    found, _ = errors_of([_asked(one) for one in minutes], p95, still_open=still_open)
    return tuple(map(round, found))


def _asked(minute: MinuteOfTraffic) -> Asked:
    return Asked(minute.requests, minute.answered, minute.server_errors, minute.connection_errors)


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
