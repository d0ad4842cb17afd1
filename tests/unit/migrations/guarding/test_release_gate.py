"""A contract waits until nothing that needs the old shape runs or may come back."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.migrations.guarding.release import InUse, refusals
from greenlane.migrations.guarding.versions import is_older, precedence

# Semantic Versioning 2.0.0, section 11: each older than the next.
IN_ORDER = [
    *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2"),
    *("1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "v1.9.0", "1.10.0", "2.0.0", "2.1.0", "2.1.1"),
]


@pytest.mark.parametrize(("older", "newer"), list(pairwise(IN_ORDER)))
def test_semantic_versions_are_in_the_order_of_their_specification(older, newer):
    assert is_older(older, newer, [])
    assert not is_older(newer, older, [])


@pytest.mark.parametrize(
    "text", ["2.4", "1.02.0", "latest", "1.0.0-01", "1.0.0-", "", "1.0.0.0", "١.0.0"]
)
def test_what_is_no_semantic_version_is_none(text):
    assert precedence(text) is None


def test_build_metadata_makes_no_version_older():
    assert not is_older("1.2.3+a", "1.2.3+b", [])
    assert not is_older("1.2.3+b", "1.2.3+a", [])


numbers = st.integers(0, 50)
semver = st.builds("{}.{}.{}".format, numbers, numbers, numbers)
identifiers = st.from_regex(
    r"(0|[1-9][0-9]{0,3}|[0-9]{0,2}[a-zA-Z-][0-9a-zA-Z-]{0,4})", fullmatch=True
)
with_pre = st.builds(
    lambda core, pre: f"{core}-{'.'.join(pre)}" if pre else core,
    semver,
    st.lists(identifiers, max_size=3),
)


@given(with_pre, with_pre, with_pre)
def test_semantic_versions_are_totally_ordered(one, two, three):
    assert not is_older(one, one, [])
    assert not (is_older(one, two, []) and is_older(two, one, []))
    if is_older(one, two, []) and is_older(two, three, []):
        assert is_older(one, three, [])
    if precedence(one) != precedence(two):
        assert is_older(one, two, []) != is_older(two, one, [])


words = st.sampled_from(["blue-sky", "main-3f2a", "2026-11-23", "latest", "r7"])


@given(st.lists(words, unique=True), words, words)
def test_other_names_compare_by_what_was_shipped_first(shipped, version, least):
    older = is_older(version, least, shipped)
    if version == least:
        assert not older
    elif version in shipped and least in shipped:
        assert older == (shipped.index(version) < shipped.index(least))
    else:
        assert older, "nothing shows that it is not"


def test_one_semantic_version_beside_a_name_compares_by_shipping():
    assert is_older("3.0.0", "main-3f2a", ["3.0.0", "main-3f2a"])
    assert not is_older("main-3f2a", "3.0.0", ["3.0.0", "main-3f2a"])


def in_use(version, standing="runs"):
    return InUse(version, standing, "a task of shop-blue", "deploy a newer one")


def test_a_running_older_task_refuses_and_is_named_with_the_way_out():
    (said,) = refusals("2.4.0", [in_use("2.3.9"), in_use("2.4.0")], [])

    assert said == "a task of shop-blue runs 2.3.9, older than 2.4.0: deploy a newer one"


def test_a_way_back_refuses_until_a_person_gives_it_up():
    back = in_use("2.3.9", "may come back")

    assert "may bring back 2.3.9" in refusals("2.4.0", [back], [])[0]
    assert refusals("2.4.0", [back], [], waived=True) == ()


def test_a_running_task_is_never_waived():
    assert refusals("2.4.0", [in_use("2.3.9")], [], waived=True)
    assert refusals("2.4.0", [in_use(None)], [], waived=True)


def test_an_unknown_version_counts_as_older():
    assert "nobody knows" in refusals("2.4.0", [in_use(None, "may come back")], [])[0]
    assert refusals("2.4.0", [in_use("sha256:123456789abc")], [])


def test_nothing_in_use_is_nothing_to_wait_for():
    assert refusals("2.4.0", [], []) == ()


def test_many_are_counted_and_not_all_named():
    said = refusals("2.4.0", [in_use(f"1.0.{number}") for number in range(25)], [])

    assert len(said) == 11
    assert said[-1] == "and 15 more"


@given(
    st.lists(st.tuples(with_pre, st.sampled_from(["runs", "may come back"])), max_size=12),
    with_pre,
    st.booleans(),
)
def test_a_contract_may_run_only_when_nothing_older_is_left(pairs, least, waived):
    used = [in_use(version, standing) for version, standing in pairs]
    older = [
        one
        for one in used
        if is_older(one.version, least, []) and not (waived and one.standing == "may come back")
    ]

    assert bool(refusals(least, used, [], waived=waived)) == bool(older)
