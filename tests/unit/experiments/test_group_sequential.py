import random

import pytest

from greenlane.experiments.statistics.boundaries import (
    LARGEST_BOUND,
    Bounded,
    crossings,
    honest,
    is_a_look,
    next_bound,
    spent,
)


def looks(count: int, alpha: float = 0.05) -> list[Bounded]:
    found: list[Bounded] = []
    for number in range(1, count + 1):
        found.append(next_bound(found, number / count, 1000.0 * number, alpha))
    return found


def test_bounds_are_the_published_ones() -> None:
    # Lan and DeMets with O'Brien-Fleming-type spending, five looks, as ldbounds prints them.
    found = [one.bound for one in looks(5)]
    assert found == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)
    # The first two by adaptive quadrature (scipy's quad and brentq).
    assert found[:2] == pytest.approx([4.876884948790762, 3.3570119215746423], rel=1e-10)
    (only,) = looks(1)
    assert only.bound == pytest.approx(1.959963984540054, rel=1e-12)


@pytest.mark.parametrize("count", [2, 14, 40])
def test_all_looks_together_spend_alpha_and_no_more(count: int) -> None:
    for alpha in (0.05, 0.01):
        total = sum(low + high for low, high in crossings(looks(count, alpha), 0.0))
        assert total == pytest.approx(alpha, rel=1e-9)


def test_simulated_tests_without_effect_are_called_as_often_as_alpha_says() -> None:
    chance, taken = random.Random(2), looks(8)
    called = 0
    for _ in range(6000):
        total, before = 0.0, 0.0
        for one in taken:
            total += chance.gauss(0, (one.information - before) ** 0.5)
            before = one.information
            if abs(total) >= one.bound * before**0.5:
                called += 1
                break
    assert called / 6000 == pytest.approx(0.05, abs=3 * (0.05 * 0.95 / 6000) ** 0.5)


def test_power_is_that_of_gsdesign() -> None:
    # gsDesign(k = 5, sfLDOF, alpha 0.025 one-sided, power 0.9): inflation 1.0255 of the fixed
    # sample, (1.959964 + 1.281552) ** 2.
    drift = (1.0255**0.5) * (1.959964 + 1.281552)
    assert sum(high for _, high in crossings(looks(5), drift)) == pytest.approx(0.9, abs=2e-3)


def test_what_was_spent_is_spent_by_the_calendar() -> None:
    assert spent(0.05, 0.0) == 0.0
    assert spent(0.05, 1.0) == spent(0.05, 2.0) == 0.05
    assert spent(0.05, 0.5) == pytest.approx(0.0030506455159778224, rel=1e-9)


def test_a_look_with_nothing_new_is_none_and_the_last_one_always_is() -> None:
    taken = looks(5)[:3]

    assert not is_a_look(taken, 0.7, taken[-1].information * 1.01)
    assert not is_a_look(taken, taken[-1].tau, taken[-1].information * 2)
    assert is_a_look(taken, 0.7, taken[-1].information * 1.05)
    assert is_a_look(taken, 1.0, taken[-1].information)
    assert not is_a_look([], 0.5, 0.0)


def test_the_last_look_has_all_that_is_left() -> None:
    taken = looks(5)[:2]
    taken.append(next_bound(taken, 1.0, taken[-1].information, 0.05))

    assert sum(low + high for low, high in crossings(taken, 0.0)) == pytest.approx(0.05, rel=1e-9)


def test_the_first_moments_ask_for_the_largest_bound() -> None:
    assert next_bound([], 0.001, 10.0, 0.05).bound == LARGEST_BOUND


def test_a_later_look_changes_no_earlier_one() -> None:
    taken = looks(4)
    more = next_bound(taken[:2], 0.9, 9999.0, 0.05)

    assert looks(4) == taken
    assert more.bound > 1.9


def test_the_honest_effect_is_the_plain_one_after_a_single_look() -> None:
    assert honest(looks(1), 2.5) == pytest.approx(2.5, rel=1e-9)
    assert honest(looks(1), 2.5, 0.025) == pytest.approx(2.5 - 1.959964, abs=1e-6)
    assert honest(looks(1), -2.5) == pytest.approx(-2.5, rel=1e-9)


def test_the_honest_effect_is_as_often_too_large_as_too_small() -> None:
    chance, taken, drift = random.Random(4), looks(4), 2.8
    whole = taken[-1].information
    above, inside, rounds = 0, 0, 200
    for _ in range(rounds):
        total, before = 0.0, 0.0
        for number, one in enumerate(taken):
            more = one.information - before
            total += chance.gauss(drift * more / whole**0.5, more**0.5)
            before = one.information
            z = total / before**0.5
            if abs(z) >= one.bound or number == 3:
                at = taken[: number + 1]
                true = drift * (one.information / whole) ** 0.5
                above += honest(at, z) > true
                inside += honest(at, z, 0.1) < true < honest(at, z, 0.9)
                break
    assert above / rounds == pytest.approx(0.5, abs=3 * 0.5 / rounds**0.5)
    assert inside / rounds == pytest.approx(0.8, abs=3 * 0.4 / rounds**0.5)
