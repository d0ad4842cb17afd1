import re
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.experiments.assignment import (
    BUCKETS,
    Assigner,
    allocation_of,
    bucket,
    buckets_of,
    level_of,
    reallocated,
)
from greenlane.experiments.model import Holdout, Layer, Ramp
from greenlane.experiments.statistics.special import chi_square_sf
from tests.unit.experiments.experimenting import ROOT, experiment

USERS = [f"user-{number:07}" for number in range(20_000)]
LATE = timedelta(days=1)

weights = (
    st.lists(st.integers(0, 100_000), min_size=2, max_size=5)
    .filter(any)
    .map(
        lambda parts: {
            f"v{number}": Decimal(part) / 1000 for number, part in enumerate(_to_hundred(parts))
        }
    )
)


def _to_hundred(parts: list[int]) -> list[int]:
    found = [part * 100_000 // sum(parts) for part in parts]
    found[parts.index(max(parts))] += 100_000 - sum(found)
    return found


def sizes(slices: tuple[tuple[int, int, str], ...]) -> Counter[str]:
    found: Counter[str] = Counter()
    for start, end, variant in slices:
        found[variant] += end - start
    return found


def test_the_published_vectors_hold() -> None:
    page = (ROOT / "docs/experiments.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]*)` \| (\d+) \|$", page, re.MULTILINE)

    assert len(rows) >= 8
    assert {(salt, unit): bucket(salt, unit) for salt, unit, _ in rows} == {
        (salt, unit): int(number) for salt, unit, number in rows
    }


def test_salt_and_user_do_not_run_together() -> None:
    assert bucket("variant:u1", "23") != bucket("variant:u12", "3")


def test_buckets_are_uniform() -> None:
    counts = Counter(bucket("variant:checkout", user) // 10_000 for user in USERS)
    each = len(USERS) / 100

    chi_square = sum((counts[number] - each) ** 2 / each for number in range(100))
    assert chi_square_sf(chi_square, 99) > 1e-3


def test_similar_salts_are_independent() -> None:
    salts = [f"{kind}:test-{number}" for kind in ("inclusion", "variant") for number in range(3)]
    dealt = [[bucket(salt, user) // 250_000 for user in USERS] for salt in salts]
    worst = 1.0
    for number, one in enumerate(dealt):
        for two in dealt[:number]:
            cells = Counter(zip(one, two, strict=True))
            each = len(USERS) / 16
            chi_square = sum((cells[a, b] - each) ** 2 / each for a in range(4) for b in range(4))
            worst = min(worst, chi_square_sf(chi_square, 15))
    assert worst > 1e-4


def test_nobody_changes_variant_when_the_ramp_moves() -> None:
    test = experiment(ramp={"steps": [1, 5, 25, 50, 100], "interval": "1d"})
    assigner = Assigner("checkout", test)
    days = [timedelta(days=day) for day in range(5)]
    histories = [[assigner.assign(user, day).variant for day in days] for user in USERS[:4000]]

    for history in histories:
        joined = next((number for number, one in enumerate(history) if one), len(history))
        assert history[:joined] == [None] * joined
        assert len(set(history[joined:])) <= 1
    taking_part = [sum(one is not None for one in day) for day in zip(*histories, strict=True)]
    assert taking_part[-1] == 4000
    assert taking_part == sorted(taking_part)
    assert 700 < taking_part[2] < 1300


def test_the_variants_are_dealt_alike_at_every_step_of_the_ramp() -> None:
    assigner = Assigner("checkout", experiment(traffic=5))
    dealt = Counter(assigner.assign(user, LATE).variant for user in USERS)

    assert 850 < dealt["control"] + dealt["treatment"] < 1150
    assert abs(dealt["control"] - dealt["treatment"]) < 130


@given(weights)
def test_slices_are_exact_and_without_gaps(parts: dict[str, Decimal]) -> None:
    slices = allocation_of(parts)

    assert [start for start, _, _ in slices] == [0, *(end for _, end, _ in slices[:-1])]
    assert slices[-1].end == BUCKETS
    assert sizes(slices) == Counter({name: buckets_of(part) for name, part in parts.items()})


@given(weights, st.lists(weights, min_size=1, max_size=4))
def test_a_change_of_weights_moves_only_whom_it_must(
    first: dict[str, Decimal], later: list[dict[str, Decimal]]
) -> None:
    slices = allocation_of(first)
    before = first
    for after in later:
        new = reallocated(slices, after)
        assert sizes(new) == Counter({name: buckets_of(part) for name, part in after.items()})
        assert [start for start, _, _ in new] == [0, *(end for _, end, _ in new[:-1])]
        edges = sorted({edge for one in (*slices, *new) for edge in one[:2]})
        moved = sum(
            end - start
            for start, end in zip(edges, edges[1:], strict=False)
            if _owner(slices, start) != _owner(new, start)
        )
        must = sum(
            max(0, buckets_of(part) - buckets_of(after.get(name, Decimal(0))))
            for name, part in before.items()
        )
        assert moved == must
        slices, before = new, after


def _owner(slices: tuple[tuple[int, int, str], ...], place: int) -> str:
    return next(variant for _, end, variant in slices if place < end)


def test_a_stored_allocation_is_what_decides() -> None:
    test = experiment()
    moved = reallocated(
        allocation_of(test.variants), {"control": Decimal(40), "treatment": Decimal(60)}
    )
    before, after = Assigner("t", test), Assigner("t", test, allocation=moved)
    changed = Counter(
        (before.variant_of(user), after.variant_of(user))
        for user in USERS[:5000]
        if before.variant_of(user) != after.variant_of(user)
    )

    assert set(changed) == {("control", "treatment")}
    assert 400 < changed["control", "treatment"] < 600


def test_tests_in_one_layer_have_no_user_in_common_and_together_have_all() -> None:
    layers = {"nav": Layer()}
    one, two = (
        Assigner(name, experiment(layer={"name": "nav", "start": a, "end": b}), layers=layers)
        for name, a, b in (("one", 0, 30), ("two", 30, 100))
    )
    both = [
        (one.assign(user, LATE).variant is None, two.assign(user, LATE).variant is None)
        for user in USERS[:3000]
    ]

    assert all(a != b for a, b in both)
    assert one.assign(USERS[0], LATE).why in ("assigned", "other_layer_place")


def test_a_holdout_keeps_the_same_users_out_of_all_its_tests() -> None:
    holdouts = {"q3": Holdout(percentage=Decimal(10), tests=("a", "b"))}
    a, b, c = (Assigner(name, experiment(), holdouts=holdouts) for name in "abc")
    held = [{one.assign(user, LATE).why for one in (a, b)} for user in USERS[:3000]]

    assert all(len(why) == 1 for why in held)
    assert 240 < sum(why == {"held_out"} for why in held) < 360
    assert all(c.assign(user, LATE).variant for user in USERS[:200])


def test_who_is_not_eligible_gets_nothing() -> None:
    found = Assigner("a", experiment()).assign("u", LATE, eligible=False)

    assert found == (None, "not_eligible")


@pytest.mark.parametrize(
    ("hours", "level"), [(-1, 0), (0, 1), (23.9, 1), (24, 10), (48, 60), (9999, 60)]
)
def test_a_ramp_goes_by_elapsed_time_up_to_the_traffic(hours: float, level: int) -> None:
    ramp = Ramp(steps=(Decimal(1), Decimal(10), Decimal(100)), interval=timedelta(days=1))

    assert level_of(ramp, Decimal(60), timedelta(hours=hours)) == level


def test_half_a_character_is_a_user_too() -> None:
    assert 0 <= bucket("s", "\ud800") < BUCKETS
