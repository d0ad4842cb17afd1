import math
from fractions import Fraction
from typing import Any

import pytest

from greenlane.health.catalogue import CATALOGUE
from greenlane.health.power import StepTraffic, Usual, at_least, visible
from greenlane.health.sequential import Count, against_limit, mixed
from greenlane.health.verdicts import levels_of
from tests.observations import criteria, criterion

USUAL = Usual(0.001, {"response_time_p95": 455.0})
CRITERIA = criteria(
    criterion("error_rate", "0.01"),
    criterion("error_rate", "0.5", "live"),
    criterion("response_time_p95", 2000),
    criterion("response_time_p95", "0.05", "live"),
)
WEIGHTS = (1, 5, 10, 25, 50, 100)


def plan(requests_per_minute, asked=CRITERIA, minutes=5) -> Any:
    steps = [StepTraffic(weight, minutes, requests_per_minute) for weight in WEIGHTS]
    return visible(steps, asked, USUAL)


@pytest.mark.parametrize(
    ("events", "samples", "share"),
    [(1, 20, 0.01), (3, 20, 0.3), (12, 500, 0.02), (500, 500, 0.999), (40, 90, 0.44)],
)
def test_the_binomial_tail_is_exact(events, samples, share):
    p = Fraction(share)
    exact = sum(
        math.comb(samples, k) * p**k * (1 - p) ** (samples - k) for k in range(events, samples + 1)
    )
    assert at_least(events, samples, share) == pytest.approx(float(exact), rel=1e-9)


def test_the_binomial_tail_at_its_edges():
    assert at_least(0, 10, 0.5) == 1
    assert at_least(11, 10, 0.5) == 0
    assert at_least(3, 10, 0.0) == 0
    assert at_least(3, 10, 1.0) == 1


def test_a_quiet_step_is_blind_and_more_traffic_sees_smaller_jumps():
    assert plan(120)[0][1:] == (None, None)
    quiet, busy = plan(3_000), plan(60_000)
    for few, many in zip(quiet, busy, strict=True):
        assert many.error_rate < few.error_rate
        assert many.slowdown < few.slowdown


def test_at_100_percent_only_the_fixed_limits_are_left():
    last = plan(60_000)[-1]
    assert last.error_rate > 0.01
    assert last.slowdown > 2


def test_what_it_promises_is_what_the_judge_fails():
    asked = criteria(criterion("error_rate", "0.01"))
    step = StepTraffic(50, 5, 1_000)
    (seen,) = visible([step], asked, USUAL)
    needed = -math.log(levels_of(asked, CATALOGUE)["error_rate"])

    fewest = next(
        events
        for events in range(step.candidate)
        if mixed([against_limit(Count(step.candidate, events), 0.01)]) >= needed
    )

    assert seen.error_rate is not None
    assert at_least(fewest, step.candidate, seen.error_rate) == pytest.approx(0.9, abs=0.001)


def test_later_steps_and_more_criteria_cost_some_sight():
    alone = plan(3_000, criteria(criterion("error_rate", "0.01")))
    among = plan(3_000, criteria(criterion("error_rate", "0.01"), criterion("revenue", 0, "live")))
    assert among[3].error_rate > alone[3].error_rate

    asked = criteria(criterion("error_rate", "0.01"))
    steps = [StepTraffic(50, 5, 3_000)] * 3
    rates = [step.error_rate or 0 for step in visible(steps, asked, USUAL)]
    assert rates == sorted(rates)
    assert rates[2] > rates[0]
