from datetime import timedelta
from decimal import Decimal

import pytest

from greenlane.deployments.model import PlannedStep
from greenlane.health.catalogue import CATALOGUE
from greenlane.health.foresight import BAKES, HOUR, Foreseer, Hour, Timing, Traffic
from greenlane.health.power import SPREAD
from tests.builders import NOW, steps
from tests.observations import criteria, criterion

TIMES = {"response_time_p50": 100.0, "response_time_p95": 455.0}
CRITERIA = criteria(
    criterion("error_rate", "0.01"),
    criterion("response_time_p95", "0.05", "live"),
)
TIMING = Timing(timedelta(seconds=30), timedelta(minutes=30))
WEEK = timedelta(days=7)


def days(per_minute, count=7, **more):
    """The same traffic in every hour of the days before."""
    hours = [
        Hour(NOW - number * HOUR, 60.0 * per_minute, 0.06 * per_minute, TIMES)
        for number in range(1, 24 * count + 1)
    ]
    return Traffic(hours, NOW)


def foreseer(traffic, asked=CRITERIA, **more):
    return Foreseer(traffic, asked, CATALOGUE, TIMING, NOW, **more)


def canary(*weights, bake=300):
    return steps(*(weights or (1, 5, 10, 25, 50, 100)), bake=bake)


def test_traffic_is_that_of_the_same_hour_of_the_week():
    monday_noon = [Hour(NOW - WEEK, 600.0)]
    other = [Hour(NOW - number * HOUR, 60_000.0) for number in range(1, 24)]
    traffic = Traffic([*monday_noon, *other], NOW)
    assert traffic.per_minute(NOW + timedelta(minutes=30)) == 10


def test_an_hour_without_a_number_had_no_request():
    traffic = Traffic([Hour(NOW - 2 * WEEK, 600.0), Hour(NOW - HOUR, 60.0)], NOW)
    assert traffic.per_minute(NOW) == 5, "the median of 600 and none"


def test_of_a_new_service_the_same_hour_of_the_day_counts_and_then_any_hour():
    yesterday = Traffic([Hour(NOW - timedelta(hours=24), 1200.0)], NOW)
    assert yesterday.per_minute(NOW) == 20
    just_now = Traffic([Hour(NOW - HOUR, 300.0)], NOW)
    assert just_now.per_minute(NOW) == 5


def test_what_is_usual_comes_from_the_same_hours():
    usual = days(600).usual(NOW)
    assert usual.error_rate == pytest.approx(0.001)
    assert usual.response_times == TIMES
    assert usual.spread == pytest.approx(0.921, abs=0.001)
    flat = Traffic([Hour(NOW - HOUR, 60.0)], NOW).usual(NOW)
    assert flat.spread == SPREAD


def test_each_step_says_what_it_sees():
    seen = foreseer(days(3_000)).look(canary())
    assert [step.weight for step in seen] == [1, 5, 10, 25, 50, 100]
    assert [step.requests for step in seen] == [90, 450, 900, 2250, 4500, 9000]
    assert all(step.requests_per_minute == 3000 for step in seen)
    rates = [step.error_rate for step in seen]
    assert rates == sorted(rates, reverse=True)
    assert not any(step.blind for step in seen)
    assert all(step.slowdown for step in seen[:-1])
    assert seen[-1].slowdown is None, "nothing serves beside it, and no limit is declared"


def test_a_step_without_enough_requests_is_blind_and_holds_for_them():
    first, second, *_, last = foreseer(days(60)).look(canary())
    assert first.requests == 2
    assert first.blind
    assert first.error_rate is None
    assert first.no_evidence, "20 requests of 1 percent take 34 minutes"
    assert first.hold_seconds == 1800
    assert (second.hold_seconds, second.no_evidence) == (240, False)
    assert second.begins == 300 + 1800
    assert (last.hold_seconds, last.blind) == (0, False)


def test_a_service_without_requests_holds_at_each_step():
    quiet = Traffic([Hour(NOW - WEEK - HOUR, 60.0)], NOW)
    seen = foreseer(quiet).look(canary())
    assert all(step.no_evidence and step.blind for step in seen)


def test_what_is_not_known_is_not_invented():
    seen = foreseer(None).look(canary(10, 100))
    assert [(step.requests, step.blind, step.begins) for step in seen] == [
        (None, False, 0),
        (None, False, 300),
    ]
    assert foreseer(None).better(canary()) == ()


def test_a_bake_has_so_many_whole_minutes_for_certain():
    look = foreseer(None)
    assert [look.minutes(bake) for bake in (0, 60, 120, 160, 300, 600)] == [1, 1, 1, 1, 3, 8]
    assert look.lasts(0) == 100
    assert look.lasts(300) == 300


def test_a_better_schedule_bakes_blind_steps_longer():
    look = foreseer(days(600))
    before = look.look(canary())
    assert [step.weight for step in before if step.blind] == [1]
    better = look.better(canary())
    assert [step.weight for step in better] == [1, 5, 10, 25, 50, 100]
    assert better[0].bake_seconds in BAKES
    assert better[0].bake_seconds > 300
    assert [step.bake_seconds for step in better[1:]] == [300] * 5
    assert not any(step.blind for step in look.look(better))


def test_a_step_that_no_bake_helps_gets_another_weight_or_goes():
    look = foreseer(days(12))
    better = look.better(canary())
    assert better[0].weight > 1
    assert better[-1].weight == 100
    weights = [step.weight for step in better]
    assert weights == sorted(set(weights))
    assert not any(step.blind for step in look.look(better))


def test_of_a_service_that_is_too_quiet_only_the_last_step_is_left():
    look = foreseer(Traffic([Hour(NOW - WEEK, 6.0), Hour(NOW - HOUR, 6.0)], NOW))
    assert [step.weight for step in look.better(canary())] == [100]


def test_who_wants_to_see_less_errors_bakes_longer():
    strict = foreseer(days(3_000), sees=0.02)
    better = strict.better(canary())
    assert sum(step.bake_seconds for step in better) > 1800
    assert all(step.error_rate <= Decimal("0.02") for step in strict.look(better))


def test_approvals_stay():
    given = [PlannedStep(weight=1, bake_seconds=60, approval=True), *canary(100)]
    better = foreseer(days(600)).better(given)
    assert better[0].approval


def test_a_metric_that_needs_more_samples_holds_longer():
    asked = criteria(criterion("error_rate", "0.01"), rules={"error_rate": {"min_samples": 500}})
    (first, *_) = foreseer(days(3_000), asked).look(canary())
    assert first.hold_seconds == 60 * (17 - 3)
