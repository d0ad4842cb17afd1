import random
from datetime import timedelta

import pytest

from greenlane.errors import InvalidInput
from greenlane.experiments.statistics.boundaries import power_at
from greenlane.experiments.statistics.planner import (
    Design,
    Plan,
    bounds_of,
    detectable,
    duration,
    means,
    proportions,
    sample_size,
)


def test_one_look_needs_what_the_textbook_says() -> None:
    # (z_0.025 + z_0.2)^2 (p q + p' q') / difference^2, by hand: 14,748.
    found = sample_size(proportions(0.1, 0.1), Design("fixed", 1))

    assert found.control == found.treatment == 14_749
    assert (found.inflation, found.expected) == (1.0, 1.0)


def test_looks_cost_what_the_reference_measured() -> None:
    plans = {
        rule: sample_size(proportions(0.1, 0.122), Design(rule, 20))
        for rule in ("group_sequential", "confidence_sequence")
    }

    assert plans["group_sequential"].inflation == pytest.approx(1.05, abs=0.01)
    assert plans["group_sequential"].expected < 0.8
    assert 1.65 < plans["confidence_sequence"].inflation < 1.9


@pytest.mark.parametrize("rule", ["fixed", "group_sequential", "confidence_sequence"])
def test_the_plan_agrees_with_simulation(rule: str) -> None:
    looks = bounds_of(Design(rule, 6))  # type: ignore[arg-type]
    chance, drift, won, rounds = random.Random(9), 2.9, 0, 4000
    for _ in range(rounds):
        total, before = 0.0, 0.0
        for one in looks:
            more = one.information - before
            total += chance.gauss(drift * more, more**0.5)
            before = one.information
            if total >= one.bound * before**0.5:
                won += 1
                break
            if total <= -one.bound * before**0.5:
                break
    assert won / rounds == pytest.approx(power_at(looks, drift), abs=0.02)


def test_more_treatments_need_more_users_each() -> None:
    one = sample_size(proportions(0.1, 0.1))
    two = sample_size(proportions(0.1, 0.1), Design(treatments=2))

    assert two.control > one.control * 1.15
    assert two.users(2) == two.control + 2 * two.treatment


def test_a_covariate_saves_the_square_of_its_correlation() -> None:
    plain = sample_size(means(20, 30, 0.05), Design("fixed", 1))
    helped = sample_size(means(20, 30, 0.05, correlation=0.7), Design("fixed", 1))

    assert helped.control == pytest.approx(plain.control * 0.51, rel=1e-3)


def test_what_a_test_can_see_is_what_its_size_was_made_for() -> None:
    plan = sample_size(means(20, 30, 0.05))

    assert detectable((20, 30), plan.control) == pytest.approx(0.05, rel=1e-4)


def test_a_test_lasts_whole_weeks() -> None:
    assert duration(Plan(7_000, 7_000, 1.0, 1.0), 1000) == timedelta(days=14)
    assert duration(Plan(7_001, 7_000, 1.0, 1.0), 1000) == timedelta(days=21)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: proportions(1.2, 0.1), "rate"),
        (lambda: proportions(0.9, 0.2), "lift"),
        (lambda: means(-1, 3, 0.1), "mean"),
        (lambda: means(1, 0, 0.1), "deviation"),
        (lambda: means(1, 1, 0.0), "lift"),
        (lambda: means(1, 1, 0.1, correlation=1), "correlation"),
        (lambda: duration(Plan(1, 1, 1, 1), 0), "users_per_day"),
        (lambda: sample_size(means(1, 1, 0.1), Design(looks=0)), "looks"),
        (lambda: sample_size(means(1, 1, 0.1), Design(power=0.01)), "power"),
        (lambda: sample_size(means(1, 1, 0.1), Design(alpha=0)), "alpha"),
        (lambda: sample_size(means(1, 1, 0.1), Design(treatments=0)), "treatments"),
        (lambda: sample_size(means(1, 1, 0.1), Design(ratio=0)), "ratio"),
    ],
)
def test_what_cannot_be_planned_is_named(call: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        call()  # type: ignore[operator]
    assert caught.value.field == field
