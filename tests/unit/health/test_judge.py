import math
import time
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.config import JudgeConfig
from greenlane.deployments.model import CheckResult
from greenlane.health.alarms import AlarmState
from greenlane.health.judge import (
    LEVEL_AT_THE_END,
    LEVEL_ON_THE_WAY,
    binomial_tail,
    judge_alarms,
    judge_minutes,
    weighted_median_p95,
    worst,
)
from greenlane.health.metrics import MinuteOfTraffic
from tests.builders import NOW

LIMITS = JudgeConfig()
SEVERITY = {"pass": 0, "hold": 1, "fail": 2}


def minute(requests=100, errors=0, *, reset=0, p95=120, at=0):
    return MinuteOfTraffic(
        at=NOW + timedelta(minutes=at),
        requests=requests,
        answered=requests,
        server_errors=errors,
        connection_errors=reset,
        p95_ms=None if p95 is None else Decimal(p95),
    )


def judged(*minutes, level=LEVEL_AT_THE_END, limits=LIMITS):
    return judge_minutes(minutes, limits, level=level)


def exact_tail(errors, requests, ratio):
    p = Fraction(ratio)
    return sum(
        math.comb(requests, k) * p**k * (1 - p) ** (requests - k)
        for k in range(max(errors, 0), requests + 1)
    )


@given(
    requests=st.integers(0, 120),
    share=st.floats(0, 1.2),
    ratio=st.sampled_from([0.001, 0.01, 0.05, 0.25, 0.5, 0.9, 0.999]),
)
def test_the_tail_is_the_exact_sum(requests, share, ratio):
    errors = round(requests * share)
    expected = float(exact_tail(errors, requests, ratio))
    assert binomial_tail(errors, requests, ratio) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_the_tail_at_its_edges():
    assert binomial_tail(0, 50, 0.01) == 1.0
    assert binomial_tail(1, 50, 0.0) == 0.0
    assert binomial_tail(50, 50, 1.0) == 1.0
    assert binomial_tail(51, 50, 0.5) == 0.0


@given(requests=st.integers(1, 2000), errors=st.integers(0, 2000), ratio=st.floats(0.0001, 0.9999))
def test_the_tail_is_a_probability_that_falls_with_errors(requests, errors, ratio):
    here, next_one = (binomial_tail(errors + more, requests, ratio) for more in (0, 1))
    assert 0 <= next_one <= here + 1e-12
    assert here <= 1


def test_a_flood_of_errors_in_millions_of_requests_is_judged_at_once():
    began = time.process_time()
    assert binomial_tail(2_000_000, 4_000_000, 0.01) == 0.0
    assert time.process_time() - began < 0.1


def test_good_numbers_pass():
    found = judged(minute(500, 2))
    assert (found.verdict, found.requests, found.reason) == ("pass", 500, "")
    assert {check.name for check in found.checks} == {
        "requests",
        "error_rate",
        "response_time_p95",
        "connection_errors",
    }


def test_eight_percent_of_errors_fail():
    found = judged(minute(300, 24))
    assert found.verdict == "fail"
    assert "24 of 300 requests failed" in found.reason


@pytest.mark.parametrize("minutes", [(), (minute(0, p95=None),)])
def test_no_traffic_is_a_hold_and_no_pass(minutes):
    assert judged(*minutes).verdict == "hold"


def test_one_good_request_is_a_hold():
    assert judged(minute(1)).verdict == "hold"


def test_one_bad_request_of_few_is_not_yet_proof():
    found = judged(minute(20, 1))
    assert found.verdict == "hold"
    assert "not yet proven" in found.reason


def test_the_same_errors_need_more_proof_on_the_way_than_at_the_end():
    errors = (minute(100, 5),)
    assert judged(*errors, level=LEVEL_AT_THE_END).verdict == "fail"
    assert judged(*errors, level=LEVEL_ON_THE_WAY).verdict == "hold"


def test_requests_that_nobody_answered_are_errors():
    hung = MinuteOfTraffic(at=NOW, requests=100, answered=70, p95_ms=Decimal(10))
    found = judged(hung)
    assert found.verdict == "fail"
    assert "29 of 100 requests failed" in found.reason, "one may be in flight"


def test_resets_fail_even_without_enough_requests():
    assert judged(minute(6, reset=5)).verdict == "fail"
    assert judged(minute(600, reset=4)).verdict == "pass"


def test_missing_response_times_are_a_hold():
    found = judged(minute(500, p95=None))
    assert found.verdict == "hold"
    assert "no response times" in found.reason


def test_slow_answers_fail_with_enough_requests_and_hold_with_few():
    assert judged(minute(500, p95=2001)).verdict == "fail"
    assert judged(minute(19, p95=2001)).verdict == "hold"
    assert judged(minute(500, p95=2000)).verdict == "pass"


def test_one_slow_minute_of_five_is_outvoted_by_its_requests():
    calm = [minute(100, at=at) for at in range(4)]
    assert judged(*calm, minute(100, p95=9000, at=4)).verdict == "pass"
    assert judged(*calm, minute(900, p95=9000, at=4)).verdict == "fail"


def test_the_median_is_weighted_by_requests():
    assert weighted_median_p95([minute(10, p95=50), minute(90, p95=400)]) == 400
    assert weighted_median_p95([minute(90, p95=50), minute(10, p95=400)]) == 50
    assert weighted_median_p95([minute(10, p95=None)]) is None
    assert weighted_median_p95([]) is None


minutes_of_traffic = st.builds(
    lambda good, bad, reset, p95, at: minute(good + bad, bad, reset=reset, p95=p95, at=at),
    good=st.integers(0, 400),
    bad=st.integers(0, 60),
    reset=st.integers(0, 7),
    p95=st.none() | st.integers(1, 5000),
    at=st.integers(0, 9),
)


@given(minutes=st.lists(minutes_of_traffic, min_size=1, max_size=6), data=st.data())
def test_one_more_error_never_improves_a_verdict(minutes, data):
    index = data.draw(st.integers(0, len(minutes) - 1))
    level = data.draw(st.sampled_from([LEVEL_AT_THE_END, LEVEL_ON_THE_WAY]))
    chosen = minutes[index]
    if chosen.server_errors < chosen.requests:
        worse = chosen.model_copy(update={"server_errors": chosen.server_errors + 1})
    else:
        worse = chosen.model_copy(update={"connection_errors": chosen.connection_errors + 1})
    after = [*minutes[:index], worse, *minutes[index + 1 :]]
    before_verdict = judged(*minutes, level=level).verdict
    after_verdict = judged(*after, level=level).verdict
    assert SEVERITY[after_verdict] >= SEVERITY[before_verdict]


@given(minutes=st.lists(minutes_of_traffic, max_size=6))
def test_nothing_passes_with_fewer_requests_than_the_floor(minutes):
    found = judged(*minutes)
    if found.requests < LIMITS.min_requests:
        assert found.verdict != "pass"


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
