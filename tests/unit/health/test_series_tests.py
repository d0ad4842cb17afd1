import math
import random

import pytest

from greenlane.health.series_tests import (
    Takings,
    median,
    missed_in_a_row,
    shown_loss,
    shown_positive,
    weighted_median,
)


def steps(values, length=5):
    return [values[begun : begun + length] for begun in range(0, len(values), length)]


def bayes_factor(count, t, variance=4.0):
    """Gonen et al. 2005: of a normal prior on the effect size, by the densities of t."""
    degrees, shrunk = count - 1, 1 + count * variance
    null = (1 + t * t / degrees) ** (-(degrees + 1) / 2)
    alternative = (1 + t * t / (degrees * shrunk)) ** (-(degrees + 1) / 2) / math.sqrt(shrunk)
    return alternative / null


def test_one_block_is_half_of_the_t_tests_bayes_factor():
    values = [0.1, 0.3, 0.2, 0.5, 0.2, 0.4]
    mean = sum(values) / 6
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / 5)

    expected = 0.5 + 0.5 * bayes_factor(6, mean / spread * math.sqrt(6))

    assert math.exp(shown_positive([values])) == pytest.approx(expected)


@pytest.mark.parametrize("mean", [0.0, -0.02])
def test_minutes_that_are_no_worse_rarely_prove_anything(mean):
    rng, alpha, runs = random.Random(5), 0.1, 300
    failed = sum(ever_proven(rng, mean, 30, alpha) for _ in range(runs))
    assert failed / runs <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)


def ever_proven(rng, mean, minutes, alpha):
    values: list[float] = []
    for _ in range(minutes):
        values.append(rng.gauss(mean, 0.05))
        if shown_positive(steps(values)) >= -math.log(alpha):
            return True
    return False


def test_clearly_worse_minutes_prove_it_within_fifteen():
    rng = random.Random(6)
    assert sum(ever_proven(rng, 0.15, 15, 0.001) for _ in range(50)) >= 45


def test_equal_minutes_do_not_prove_more_than_a_little_noise_would():
    assert shown_positive([[0.001] * 5]) < 0
    assert shown_positive([[0.5] * 6]) > math.log(100)
    assert shown_positive([[-0.5] * 5]) <= 0
    assert shown_positive([[0.5]]) <= 0
    assert shown_positive([]) == 0


def takings(rng, weight, minutes, *, drop=0.0, orders=30.0):
    found = []
    for _ in range(minutes):
        requests = 1_000
        ours, theirs = requests * weight, requests * (1 - weight)
        found.append(
            Takings(
                spent(rng, orders * weight * (1 - drop)),
                ours,
                spent(rng, orders * (1 - weight)),
                theirs,
            )
        )
    return steps(found)


def spent(rng, orders):
    """A compound Poisson sum with a heavy tail."""
    total, waited = 0.0, rng.expovariate(orders)
    while waited < 1:
        total += rng.lognormvariate(3, 1.2)
        waited += rng.expovariate(orders)
    return total


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5])
def test_skewed_takings_rarely_show_a_loss_that_is_none(weight):
    rng, alpha, runs = random.Random(7), 0.1, 60
    failed = 0
    for _ in range(runs):
        blocks = takings(rng, weight, 25)
        whole = [minute for block in blocks for minute in block]
        failed += any(shown_loss(steps(whole[:end])) >= -math.log(alpha) for end in range(5, 26, 2))
    assert failed / runs <= alpha


def test_a_loss_of_most_is_shown_and_a_permitted_one_is_not():
    rng = random.Random(8)
    blocks = takings(rng, 0.5, 25, drop=0.9, orders=100)

    assert shown_loss(blocks) > math.log(1000)
    assert shown_loss(blocks, permitted=0.95) <= 0


def test_too_few_minutes_show_no_loss():
    nothing = Takings(0.0, 100, 1_000.0, 100)

    assert shown_loss([[nothing] * 4]) == 0
    assert shown_loss([]) == 0
    assert shown_loss([[Takings(0.0, 100, 0.0, 100)] * 9]) == 0


def test_misses_in_a_row_end_with_the_first_success_from_behind():
    assert missed_in_a_row([True, False, True, True]) == 2
    assert missed_in_a_row([True, False]) == 0
    assert missed_in_a_row([]) == 0


def test_medians():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5
    assert weighted_median([(100, 1), (900, 9), (50, 1)]) == 900
    assert weighted_median([]) is None
    assert weighted_median([(5, 0)]) is None
