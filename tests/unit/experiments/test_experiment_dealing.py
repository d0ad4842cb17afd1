"""The compiled snapshot deals as the definitions say, and is light enough for a lookup."""

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.experiments.assignment import Assigner
from greenlane.experiments.dealing import Deals, unit_digest
from greenlane.experiments.model import Holdout, Layer
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.compiling import compile_tests
from tests.experiment_store import NOW, Laboratory, definition, document_of

STEPS = st.lists(st.integers(1, 100), min_size=1, max_size=4, unique=True).map(sorted)


@given(
    weights=st.integers(1, 99),
    traffic=st.integers(0, 100),
    steps=st.none() | STEPS,
    held=st.integers(1, 50),
    place=st.tuples(st.integers(0, 49), st.integers(50, 100)),
    hours=st.integers(-1, 200),
)
def test_the_snapshot_deals_what_the_definition_says(
    weights: int,
    traffic: int,
    steps: list[int] | None,
    held: int,
    place: tuple[int, int],
    hours: int,
) -> None:
    keys: dict[str, Any] = {
        "variants": {"old": weights, "new": 100 - weights},
        "traffic": traffic,
        "layer": {"name": "nav", "start": place[0], "end": place[1]},
    }
    if steps is not None:
        keys["ramp"] = {"steps": steps, "interval": "12h"}
    test = definition(**keys)
    layers, holdouts = {"nav": Layer(salt="s")}, {"q": Holdout(percentage=held)}
    lab = Laboratory()
    document = document_of("ab_tests: {}").model_copy(
        update={"ab_tests": {"t": test}, "layers": layers, "holdouts": holdouts}
    )
    keeping.put(lab.store, document, by="ada", at=NOW, start=True)

    assigner = Assigner("t", test, layers=layers, holdouts=holdouts)
    deals = Deals(json.loads(json.dumps(lab.store.snapshot())))
    now = (NOW + timedelta(hours=hours)).timestamp()
    for number in range(60):
        wanted = assigner.assign(f"user-{number}", timedelta(hours=hours))
        dealt = deals.deal("t", {"targetingKey": f"user-{number}"}, now)
        assert dealt is not None
        assert (dealt.variant if dealt.takes_part else None, dealt.why) == wanted
        assert dealt.variant == (wanted.variant or "old")


def test_a_life_of_a_test_as_those_see_it_who_deal() -> None:
    lab = Laboratory()
    document = document_of(
        "segments: {staff: {attribute: email, op: ends_with, value: '@example.com'}}\n"
        "ab_tests: {t: {variants: {a: 50, b: 50}, metrics: [conversion_rate],"
        " targeting: {segment: staff}}}"
    )
    keeping.put(lab.store, document, by="ada", at=NOW)
    staff = {"targetingKey": "user-1", "email": "ada@example.com"}
    other = {"targetingKey": "user-1", "email": "ada@else.where"}

    def deal(context: Any, test: str = "t") -> tuple[str, str] | None:
        found = Deals(lab.store.snapshot()).deal(test, context, NOW.timestamp())
        return None if found is None else (found.variant, found.why)

    assert deal(staff) == ("a", "draft")
    keeping.start(lab.store, "t", by="ada", at=NOW)
    assert deal(staff) in (("a", "assigned"), ("b", "assigned"))
    assert deal(other) == ("a", "not_eligible")
    assert deal({"email": "ada@example.com"}) == ("a", "no_unit")
    keeping.stop(lab.store, "t", by="ada", reason="b it is", serve="b", at=NOW)
    assert deal(staff) == ("b", "served")
    assert deal(other) == ("a", "not_eligible")
    assert deal(staff, "nothing") is None


def test_users_may_be_told_apart_by_another_attribute_and_by_whole_numbers() -> None:
    lab = Laboratory()
    lab.begin("t", unit="account")
    deals = Deals(lab.store.snapshot())

    def deal(**context: Any) -> Any:
        return deals.deal("t", context, NOW.timestamp())

    assert deal(account=17).unit == deal(account="17").unit == "17"
    assert deal(account=17).variant == deal(account="17").variant
    assert deal(targetingKey="17").why == "no_unit"


@pytest.mark.parametrize(
    "wrong", [{}, {"format": 2, "tests": {}}, {"format": 1}, {"format": 1, "tests": []}, None]
)
def test_what_is_no_snapshot_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        Deals(wrong)


def test_a_test_that_cannot_be_loaded_is_an_error_of_that_test_alone() -> None:
    lab = Laboratory()
    lab.begin("one")
    lab.begin("two")
    snapshot = compile_tests(lab.store.read())
    del snapshot["tests"]["one"]["control"]

    deals = Deals(snapshot)

    assert deals.names() == ["two"]
    assert "control" in deals.broken["one"]


def test_a_users_digest_is_the_documented_one() -> None:
    # printf "\0\0\0\runit:checkoutuser-1" | sha256sum | cut -c 1-32
    assert unit_digest("unit:checkout", "user-1") == "04bc1cd7697d09bd99dfaefbad47158f"
    assert unit_digest("unit:a", "bc") != unit_digest("unit:ab", "c")


def test_dealing_imports_nothing_heavy() -> None:
    code = (
        "import sys; import greenlane.experiments.dealing; "
        "print(sorted({'boto3', 'botocore', 'pydantic', 'yaml', 'typing', 'decimal', 'datetime'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
