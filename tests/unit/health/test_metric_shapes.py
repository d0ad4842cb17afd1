from decimal import Decimal

import pytest

from greenlane.health.catalogue import CATALOGUE
from greenlane.health.slowness import slow_metrics
from greenlane.health.verdicts import judge
from tests.observations import (
    CANDIDATE,
    LIVE,
    baseline,
    check,
    criteria,
    criterion,
    each,
    errors,
    flow,
    gauge,
    observed,
    series,
    slow,
)

FIVE = [(10, 5)]


@pytest.mark.parametrize(("failures", "expected"), [(2, "hold"), (3, "fail"), (4, "fail")])
def test_a_gauge_fails_at_exactly_max_failures_plus_1(failures, expected):
    values = [95.0] * failures
    asked = criteria(
        criterion("cpu_usage", 80),
        rules={"cpu_usage": {"max_failures": 2}},
    )

    verdict = judge(observed(*gauge("cpu_usage", values), steps=[(10, failures)]), asked)

    assert verdict.verdict == expected


def test_one_high_minute_among_others_is_no_high_gauge():
    values = [50, 50, 95, 50, 50]
    asked = criteria(criterion("cpu_usage", 80))
    assert judge(observed(*gauge("cpu_usage", values), steps=FIVE), asked).verdict == "pass"


def test_a_gauge_against_the_live_slot_ignores_what_both_share():
    load = [40, 55, 70, 85, 60, 45, 75, 50, 65, 80]
    asked = criteria(criterion("cpu_usage", "0.1", "live"))
    ten = [(10, 10)]

    same = observed(*gauge("cpu_usage", [v * 1.02 for v in load], load), steps=ten)
    more = observed(*gauge("cpu_usage", [v * 1.4 for v in load], load), steps=ten)

    assert judge(same, asked).verdict == "pass"
    assert judge(more, asked).verdict == "fail"


def test_response_times_are_judged_by_how_many_requests_were_slower_than_the_limit():
    asked = criteria(criterion("response_time_p95", 2000))
    times = series("response_time_p95", CANDIDATE, each(5, lambda _: {"r": 1_000, "p": 2.1}))

    broken = judge(observed(times, slow(2000, CANDIDATE, 9.0), steps=FIVE), asked)
    unsure = judge(observed(times, slow(2000, CANDIDATE, 5.2), steps=FIVE), asked)
    kept = judge(observed(times, slow(2000, CANDIDATE, 4.0), steps=FIVE), asked)

    assert [broken.verdict, unsure.verdict, kept.verdict] == ["fail", "hold", "pass"]
    assert check(broken, "response_time_p95").value == 2100
    assert "2100 ms, limit 2000 ms" in broken.reason


def test_response_times_against_the_live_slot():
    asked = criteria(criterion("response_time_p95", "0.1", "live"))
    before = (baseline("response_time_p95", 400),)
    times = errors(0, 0)
    wanted = [metric.name for metric in slow_metrics(asked.criteria, before, CATALOGUE)]

    def verdict(share):
        given = [
            *times,
            slow(440, CANDIDATE, share),
            slow(400, CANDIDATE, share),
            slow(400, LIVE, 5.0, count=9_000),
            slow(440, LIVE, 3.0, count=9_000),
        ]
        return judge(observed(*given, steps=FIVE, baseline=before), asked).verdict

    assert wanted == ["slower_than_400ms", "slower_than_440ms", "slower_than_500ms"]
    assert verdict(5.0) == "pass"
    assert verdict(15.0) == "fail"


def test_without_such_counts_a_percentile_is_compared_minute_by_minute():
    def times(p95):
        return series("response_time_p95", CANDIDATE, each(5, lambda _: {"r": 50, "p": p95}))

    asked = criteria(criterion("response_time_p95", 2000))
    assert judge(observed(times(2.5), steps=FIVE), asked).verdict == "fail"
    assert judge(observed(times(0.5), steps=FIVE), asked).verdict == "pass"
    few = observed(times(2.5), steps=[(10, 2)])
    assert judge(few, asked).verdict == "hold"


def test_throughput_is_compared_by_weight_in_the_same_minutes():
    asked = criteria(criterion("throughput", "0.05", "live"))
    live = [9_000, 6_000, 8_000, 9_500, 7_000, 8_200, 9_100, 6_300]
    eight = [(10, 8)]

    def verdict(share):
        ours = flow(CANDIDATE, [value / 9 * share for value in live])
        return judge(observed(ours, flow(LIVE, live), steps=eight), asked)

    assert verdict(1.0).verdict == "pass"
    assert verdict(0.97).verdict == "pass"
    assert verdict(0.7).verdict == "fail"
    assert check(verdict(0.7), "throughput against live").value == pytest.approx(Decimal("-0.3"))


def test_one_minute_with_many_refused_connections_fails_and_none_pass():
    asked = criteria(criterion("connection_errors", 4))
    busy = errors(0, 0)

    def verdict(parts):
        return judge(
            observed(*busy, series("connection_errors", CANDIDATE, parts), steps=FIVE), asked
        ).verdict

    assert verdict([None] * 5) == "pass"
    assert verdict([None, None, None, None, {"k": 4.0}]) == "pass"
    assert verdict([None, None, None, None, {"k": 5.0}]) == "fail"


def business(metric, slot, value, samples, minutes=10):
    return series(metric, slot, each(minutes, lambda _: {"b": value, "n": samples}))


TEN_MINUTES = [(50, 10)]


@pytest.mark.parametrize(("rate", "expected"), [(0.05, "pass"), (0.0495, "pass"), (0.03, "fail")])
def test_conversions_may_drop_by_so_much_against_the_live_slot(rate, expected):
    asked = criteria(criterion("conversion_rate", "0.02", "live"))
    given = observed(
        business("conversion_rate", CANDIDATE, rate, 1_000),
        business("conversion_rate", LIVE, 0.05, 1_000),
        steps=TEN_MINUTES,
    )
    assert judge(given, asked).verdict == expected


@pytest.mark.parametrize(("score", "expected"), [(4.6, "pass"), (4.45, "hold"), (3.0, "fail")])
def test_satisfaction_has_a_lowest_mean(score, expected):
    noise = [0.1, -0.1, 0.2, -0.2, 0.05, -0.05, 0.15, -0.15, 0.1, -0.1]
    parts = [{"b": score + more, "n": 30} for more in noise]
    given = observed(series("user_satisfaction", CANDIDATE, parts), steps=TEN_MINUTES)
    assert judge(given, criteria(criterion("user_satisfaction", "4.5"))).verdict == expected


@pytest.mark.parametrize(("taken", "expected"), [(1.0, "pass"), (0.97, "hold"), (0.1, "fail")])
def test_revenue_fails_only_on_a_loss_that_is_shown(taken, expected):
    swings = [0.9, 1.1, 1.0, 0.8, 1.2, 1.05, 0.95, 1.1, 0.9, 1.0]
    given = errors(0, 0, count=5_000, live_count=5_000, minutes=10)
    for slot, share, turn in ((CANDIDATE, taken, 1), (LIVE, 1.0, -1)):
        parts = [{"b": 1_000 * share * swing, "n": 50} for swing in swings[::turn]]
        given.append(series("revenue", slot, parts))
    verdict = judge(
        observed(*given, steps=TEN_MINUTES), criteria(criterion("revenue", "0.0", "live"))
    ).verdict
    if expected == "hold":
        assert verdict != "fail"
    else:
        assert verdict == expected


@pytest.mark.parametrize(("each_minute", "expected"), [(1, "pass"), (2, "fail")])
def test_complaints_count_since_the_first_traffic(each_minute, expected):
    parts = each(10, lambda _: {"b": each_minute, "n": each_minute})
    steps = [(5, 4), (50, 6)]
    given = [*errors(0, 0, minutes=10), series("user_complaints", CANDIDATE, parts)]
    asked = criteria(criterion("user_complaints", 10))
    assert judge(observed(*given, steps=steps), asked).verdict == expected
