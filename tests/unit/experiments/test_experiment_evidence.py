import math
import random

import pytest

from greenlane.experiments.statistics.sequential import (
    CERTAIN,
    Epoch,
    critical_at,
    log_e_of_harm,
    log_e_of_limit,
    log_e_of_shares,
    p_at,
    sample_ratio,
)
from greenlane.health.sequential import Count
from tests.unit.experiments.experimenting import ORACLES


def test_the_confidence_sequence_is_the_published_one() -> None:
    # Half-width over the standard error, equation 9 of arXiv 2103.06476 written out.
    alpha, users, planned = 0.05, 7000.0, 5000.0
    rho = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / planned
    inner = 2 * (users * rho + 1) / (users**2 * rho) * math.log(math.sqrt(users * rho + 1) / alpha)
    assert critical_at(users, planned, alpha) == pytest.approx(math.sqrt(users * inner), rel=1e-12)


@pytest.mark.parametrize("users", [10, 1000, 10**6, 10**9])
def test_its_p_value_is_alpha_right_at_its_critical_value(users: int) -> None:
    z = critical_at(users, 5000, 0.05)

    assert p_at(z, users, 5000, 0.05) == pytest.approx(0.05, rel=1e-9)
    assert p_at(0.0, users, 5000, 0.05) == 1.0


def test_it_is_narrowest_where_it_was_planned_to_be() -> None:
    widths = {users: critical_at(users, 5000, 0.05) / users**0.5 for users in (4500, 5000, 5500)}
    others = [critical_at(5000, planned, 0.05) for planned in (2500, 10_000)]

    assert widths[4500] > widths[5000] > widths[5500]
    assert all(other > critical_at(5000, 5000, 0.05) for other in others)


def test_watching_the_sample_ratio_two_hundred_times_alarms_falsely_in_one_of_a_hundred() -> None:
    chance, alarms, rounds = random.Random(8), 0, 300
    for _ in range(rounds):
        one = two = 0
        for _ in range(200):
            came = round(chance.gauss(50, 5))
            one, two = one + came, two + 100 - came
            if sample_ratio([Epoch({"a": 1, "b": 1}, {"a": one, "b": two})]).p_value <= 0.01:
                alarms += 1
                break
    assert alarms <= 6


def test_a_wrong_split_is_found() -> None:
    found = sample_ratio([Epoch({"a": 50, "b": 50}, {"a": 102_000, "b": 98_000})])

    assert found.p_value < 1e-6
    assert found.log_e == pytest.approx(log_e_of_shares([102_000, 98_000], [0.5, 0.5]))


def test_the_chi_square_counts_only_variants_that_users_were_planned_for() -> None:
    counts, p_value = ORACLES["chi_square"]
    epoch = Epoch({"a": 50, "b": 50, "c": 0}, {"a": counts[0], "b": counts[1], "c": 0})

    assert sample_ratio([epoch]).chi_square_p == pytest.approx(p_value, rel=1e-9)


def test_users_of_a_variant_that_nobody_was_to_get_are_no_chance() -> None:
    found = sample_ratio([Epoch({"a": 100, "b": 0}, {"a": 1000, "b": 1})])

    assert (found.log_e, found.p_value) == (CERTAIN, 0.0)


def test_after_a_change_of_weights_each_epoch_is_held_against_its_own() -> None:
    right = [
        Epoch({"a": 9, "b": 1}, {"a": 9000, "b": 1000}),
        Epoch({"a": 1, "b": 9}, {"a": 1000, "b": 9000}),
    ]
    heaped = Epoch({"a": 9, "b": 1}, {"a": 10_000, "b": 10_000})

    assert sample_ratio(right).p_value == 1.0
    assert sample_ratio([heaped]).p_value < 1e-100
    assert sample_ratio([Epoch({"a": 1, "b": 1}, {})]) == (0.0, 1.0, 1.0)


def requests_until_harm(chance: random.Random, rate: float) -> int | None:
    """A canary of 10 percent against 1 percent of errors: users at the alarm, of at most 12,000."""
    events = [0, 0]
    for users in range(100, 12_001, 100):
        for _ in range(100):
            treated = chance.random() < 0.1
            events[treated] += chance.random() < (rate if treated else 0.01)
        counted = [(Count(10, events[1]), Count(90, events[0]))]
        if log_e_of_harm(counted, 0.0, "up") >= math.log(20):
            return users
    return None


def test_harm_of_a_small_canary_is_rarely_seen_where_there_is_none() -> None:
    chance = random.Random(6)
    rounds = 100
    false = sum(requests_until_harm(chance, 0.01) is not None for _ in range(rounds))

    assert false / rounds <= 0.05 + 3 * (0.05 * 0.95 / rounds) ** 0.5


def test_harm_of_a_small_canary_is_seen_soon() -> None:
    chance = random.Random(7)
    found = sorted(requests_until_harm(chance, 0.03) or 99_999 for _ in range(31))

    assert found[15] <= 4500


def test_fewer_of_what_is_good_is_harm_too() -> None:
    fewer = [(Count(50, 200), Count(50, 300))]

    assert log_e_of_harm(fewer, 0.0, "down") > math.log(100)
    assert log_e_of_harm(fewer, 0.0, "up") < 0
    assert log_e_of_harm(fewer, 0.5, "down") < 0


def test_a_limit_is_held_at_every_look() -> None:
    assert log_e_of_limit(Count(1000, 40), 0.01, "up") > math.log(1000)
    assert log_e_of_limit(Count(1000, 10), 0.01, "up") < 0
