import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.errors import InvalidInput
from greenlane.experiments.statistics.means import of_mean, of_ratio, slope_of
from greenlane.experiments.statistics.moments import (
    LARGEST,
    UNIT,
    Moments,
    OutOfBudget,
    UserTotal,
    capped,
    change,
    mean,
    millionths,
    together,
    variance,
)
from tests.unit.experiments.experimenting import moments

values = st.integers(-(10**15), 10**15)
users = st.lists(st.tuples(values, values), min_size=2, max_size=30)


def exact_variance(numbers: list[Fraction]) -> Fraction:
    middle = sum(numbers, Fraction(0)) / len(numbers)
    return sum(((one - middle) ** 2 for one in numbers), Fraction(0)) / (len(numbers) - 1)


@given(users)
def test_mean_and_variance_are_those_of_fractions_to_the_bit(totals: list[tuple[int, int]]) -> None:
    sums = together(change(None, UserTotal(*one)) for one in totals)
    numbers = [Fraction(y, UNIT) for y, _ in totals]

    assert variance(len(totals), sums.y, sums.yy) == float(exact_variance(numbers))
    assert mean(len(totals), sums.y) == float(sum(numbers) / len(numbers))


@given(users, st.randoms(use_true_random=False))
def test_sums_are_the_same_in_any_order_batches_and_shards(
    totals: list[tuple[int, int]], chance: random.Random
) -> None:
    straight = together(change(None, UserTotal(*one)) for one in totals)
    parts: list[Moments] = []
    for one in totals:
        # Each user's total grows in some steps, as events come in.
        steps = [
            UserTotal(chance.randint(-(10**15), 10**15), 7) for _ in range(chance.randint(0, 3))
        ]
        before = None
        for after in [*steps, UserTotal(*one)]:
            parts.append(change(before, after))
            before = after
    chance.shuffle(parts)
    shards = [together(parts[number::3]) for number in range(3)]

    assert together(shards) == straight
    assert Moments(**{k: int(v) for k, v in straight.as_decimals().items()}) == straight


def test_a_large_offset_costs_nothing() -> None:
    sums = moments([1e9 - number % 3 for number in range(3000)])

    assert variance(3000, sums.y, sums.yy) == pytest.approx(2 / 3 * 3000 / 2999, rel=1e-15)


def test_the_ratios_variance_does_not_cancel() -> None:
    ys = [1e8 + number % 7 for number in range(50)]
    zs = [1.0] * 50
    ratio, plain = of_ratio(50, moments(ys, zs)), of_mean(50, moments(ys))

    assert ratio is not None
    assert ratio.value == pytest.approx(plain.value, rel=1e-15)
    assert ratio.variance == pytest.approx(plain.variance, rel=1e-14)


def test_a_covariate_that_never_varies_explains_nothing() -> None:
    assert slope_of([(3, moments([1, 2, 4], [5, 5, 5]))]) == 0


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1, 10**6),
        (0.1, 10**5),
        ("12.50", 12_500_000),
        (Decimal("1e-6"), 1),
        (-3, -3 * 10**6),
        ("0.0000005", 0),
        ("0.0000015", 2),
        (10**9, 10**15),
    ],
)
def test_values_are_kept_to_a_millionth_half_to_even(value: float | str, found: int) -> None:
    assert millionths(value) == found


@pytest.mark.parametrize("value", ["a", float("nan"), float("inf"), True, "", "1_0x"])
def test_what_is_no_number_is_refused(value: float | str) -> None:
    with pytest.raises(InvalidInput, match=r"price: .* is not accepted: send a"):
        millionths(value, "price")


def test_the_digit_budget_has_a_named_end() -> None:
    most = UserTotal(LARGEST * UNIT)
    assert change(None, most).yy == 10**30
    with pytest.raises(OutOfBudget, match="at most 10"):
        change(None, UserTotal(LARGEST * UNIT + 1))
    with pytest.raises(OutOfBudget, match="at most 10"):
        millionths("1000000000.1")
    full = Moments(yy=10**38 - 1)
    assert full + Moments() == full
    with pytest.raises(OutOfBudget, match="more than 38 digits"):
        full + Moments(yy=1)


def test_a_fixed_cap_is_exact_whatever_came_before() -> None:
    cap = Decimal(10)
    straight = change(None, capped(UserTotal(millionths(25)), cap))
    steps = [capped(UserTotal(millionths(total)), cap) for total in (4, 12, 25)]
    grown = together(
        change(before, after) for before, after in zip([None, *steps], steps, strict=False)
    )

    assert grown == straight
    assert capped(UserTotal(millionths(-25)), cap) == UserTotal(millionths(-10))
    assert capped(UserTotal(5, 6), None) == UserTotal(5, 6)
