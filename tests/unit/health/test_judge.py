from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.model import CheckResult
from greenlane.health.alarms import AlarmState
from greenlane.health.judge import judge_alarms, weighted_median_p95, worst
from greenlane.health.metrics import MinuteOfTraffic
from tests.builders import NOW

SEVERITY = {"pass": 0, "hold": 1, "fail": 2}


def minute(requests=100, *, p95=120, at=0):
    return MinuteOfTraffic(
        at=NOW + timedelta(minutes=at),
        requests=requests,
        answered=requests,
        p95_ms=None if p95 is None else Decimal(p95),
    )


def test_the_median_is_weighted_by_requests():
    assert weighted_median_p95([minute(10, p95=50), minute(90, p95=400)]) == 400
    assert weighted_median_p95([minute(90, p95=50), minute(10, p95=400)]) == 50
    assert weighted_median_p95([minute(10, p95=None)]) is None
    assert weighted_median_p95([]) is None


def test_red_alarms_say_what_they_are_told_to_and_missing_ones_hold():
    alarms = [
        AlarmState(name="red", state="ALARM", reason="7 > 5"),
        AlarmState(name="calm", state="OK"),
        AlarmState(name="new", state="INSUFFICIENT_DATA"),
        AlarmState(name="gone", state="MISSING"),
    ]
    found = [(check.name, check.verdict) for check in judge_alarms(alarms, red_means="fail")]
    assert found == [("red", "fail"), ("gone", "hold")]
    assert [check.verdict for check in judge_alarms(alarms, red_means="hold")] == ["hold", "hold"]


def test_nothing_checked_is_a_hold():
    assert worst(()).verdict == "hold"


@given(names=st.lists(st.sampled_from(["pass", "hold", "fail"]), min_size=1, max_size=6))
def test_a_verdict_is_the_worst_of_its_checks_and_says_why(names):
    checks = [
        CheckResult(name=f"check-{number}", verdict=name, reason=f"because {number}")
        for number, name in enumerate(names)
    ]
    found = worst(checks)
    assert found.verdict == max(names, key=SEVERITY.__getitem__)
    if found.verdict == "pass":
        assert found.reason == ""
    else:
        assert f"because {names.index(found.verdict)}" in found.reason
