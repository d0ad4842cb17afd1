import math
import os
import subprocess
import sys
from pathlib import Path

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.evaluating.bucketing import BUCKETS, bucket, placer
from greenlane.flags.evaluating.murmur import murmur3
from tests.docs.pages import code, table

ROOT = Path(__file__).resolve().parents[3]

# The whole of it (GREENLANE_FAIRNESS=1) takes minutes: a million users in fifty flags.
USERS, FLAGS = (1_000_000, 50) if os.environ.get("GREENLANE_FAIRNESS") else (20_000, 6)
CELLS = 100


def limit(degrees: int) -> float:
    """A chi-square that chance passes once in ten thousand (Wilson and Hilferty)."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + 4.0 * math.sqrt(spread)) ** 3)


def test_the_published_vectors_are_what_is_computed() -> None:
    rows = table(ROOT / "docs" / "flags.md", "Golden vectors")

    assert len(rows) >= 6
    for salt, key, found in rows:
        assert bucket(code(salt), code(key)) == int(found)


def test_vectors_from_a_fresh_process_with_another_hash_seed() -> None:
    module = "greenlane.flags.evaluating.bucketing"
    asked = f"from {module} import bucket; print(bucket('checkout', 'user-1'))"
    found = {
        subprocess.run(
            [sys.executable, "-c", asked],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }

    assert found == {f"{bucket('checkout', 'user-1')}\n"}


def test_each_flag_is_fair() -> None:
    for number in range(FLAGS):
        place, counts = placer(f"flag-{number}", CELLS), [0] * CELLS
        for user in range(USERS):
            counts[place(f"user-{user}")] += 1

        expected = USERS / CELLS
        assert sum((n - expected) ** 2 / expected for n in counts) < limit(CELLS - 1)


def test_flags_are_independent_of_each_other() -> None:
    side = 10
    places = [placer(f"flag-{number}", side) for number in range(FLAGS)]
    for one, two in zip(places, places[1:], strict=False):
        counts = [0] * side * side
        for user in range(USERS):
            key = f"user-{user}"
            counts[one(key) * side + two(key)] += 1

        expected = USERS / side / side
        assert sum((n - expected) ** 2 / expected for n in counts) < limit((side - 1) ** 2)


def test_a_salt_and_a_key_do_not_run_together() -> None:
    assert bucket("a", "bc") != bucket("ab", "c")


@given(st.text(), st.text(), st.integers(1, 2**31))
def test_a_bucket_is_always_within(salt: str, key: str, of: int) -> None:
    assert 0 <= placer(salt, of)(key) < of


def test_half_a_character_has_a_bucket() -> None:
    assert 0 <= bucket("flag", "\ud800") < BUCKETS


@given(st.binary(max_size=70))
def test_murmur_is_the_known_one(data: bytes) -> None:
    assert murmur3(data) == mmh3.hash(data, signed=False)


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256, 70_000])
def test_cbor_is_the_known_one(length: int) -> None:
    import cbor2

    from greenlane.flags.evaluating.murmur import cbor_text

    assert cbor_text("x" * length) == cbor2.dumps("x" * length, canonical=True)
