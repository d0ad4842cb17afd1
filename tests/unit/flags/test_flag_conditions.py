from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.definitions.model import Operator
from greenlane.flags.evaluating.conditions import OPERATORS, compile_condition, instant, semver

WANTED: dict[str, Any] = {
    "==": "a",
    "!=": "a",
    "in": ["a", 1, True],
    "not_in": ["a", 1, True],
    ">": 1,
    ">=": 1,
    "<": 1,
    "<=": 1,
    "starts_with": "a",
    "ends_with": "a",
    "contains": "a",
    "matches": "^a",
    "semver ==": "1.2.3",
    "semver >": "1.2.3",
    "semver >=": "1.2.3",
    "semver <": "1.2.3",
    "semver <=": "1.2.3",
    "before": "2026-01-01",
    "after": "2026-01-01",
}


def holds(op: str, wanted: Any, context: Any) -> bool:
    return compile_condition([op, "x", wanted], {})(context)


@pytest.mark.parametrize(
    ("op", "wanted", "found", "expected"),
    [
        ("==", "a", "a", True),
        ("==", "1", 1, False),
        ("==", 1, 1.0, True),
        ("==", 1, True, False),
        ("==", True, 1, False),
        ("==", True, True, True),
        ("==", False, 0, False),
        ("!=", "a", "b", True),
        ("!=", "a", 1, True),
        ("!=", "a", "a", False),
        ("in", ["a", "b"], "b", True),
        ("in", ["a", "b"], ["z", "b"], True),
        ("in", ["a", "b"], [], False),
        ("in", [1, True], 1.0, True),
        ("in", [1], True, False),
        ("in", [1], [True, 1], True),
        ("in", ["a"], {"a": 1}, False),
        ("not_in", ["a"], "b", True),
        ("not_in", ["a"], "a", False),
        ("not_in", ["a"], ["a", "b"], False),
        (">", 5, 6, True),
        (">", 5, 5, False),
        (">", 5, "6", False),
        (">", 0, True, False),
        (">", 5, float("nan"), False),
        (">=", 5, 5.0, True),
        ("<", 5, 4, True),
        ("<", 5, 10**400, False),
        ("<=", 5, 5, True),
        ("starts_with", "ab", "abc", True),
        ("starts_with", ["x", "ab"], "abc", True),
        ("starts_with", "ab", 12, False),
        ("ends_with", "@a.com", "b@a.com", True),
        ("contains", "b", "abc", True),
        ("contains", "b", ["b"], False),
        ("matches", "^a+$", "aaa", True),
        ("matches", "^a+$", "aab", False),
        ("matches", "a", "a" * 2000, False),
        ("matches", "a", 5, False),
        ("semver ==", "1.2.0", "v1.2", True),
        ("semver >", "1.9.0", "1.10.0", True),
        ("semver >", "1.0.0-rc.1", "1.0.0", True),
        ("semver <", "1.0.0-rc.10", "1.0.0-rc.9", True),
        ("semver <", "1.0.0-beta", "1.0.0-1", True),
        ("semver >=", "2.0.0", "2", True),
        ("semver <=", "2.0.0", "2.0.0+build", True),
        ("semver >", "1.0.0", "01.2.3", False),
        ("semver >", "1.0.0", 2, False),
        ("before", "2026-01-01", "2025-12-31T23:59:59Z", True),
        ("before", "2026-01-01", "2026-01-01T00:30:00+01:00", True),
        ("after", "2026-01-01T00:00:00Z", 1_800_000_000, True),
        ("after", "2026-01-01", "soon", False),
        ("after", "2026-01-01", "2026-13-01", False),
        ("after", "2026-01-01", True, False),
    ],
)
def test_operators(op: str, wanted: Any, found: Any, expected: bool) -> None:
    assert holds(op, wanted, {"x": found}) is expected


def test_every_operator_is_in_this_table_and_in_the_model() -> None:
    assert set(WANTED) == set(OPERATORS)
    assert {*OPERATORS, "present", "absent"} == set(get_args(Operator))


@pytest.mark.parametrize("op", WANTED)
@pytest.mark.parametrize("context", [{}, {"x": None}, {"y": "a"}])
def test_nothing_holds_of_what_is_not_known(op: str, context: dict[str, Any]) -> None:
    assert holds(op, WANTED[op], context) is False
    assert compile_condition(["absent", "x"], {})(context) is True
    assert compile_condition(["present", "x"], {})(context) is False


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(WANTED)), JSON)
def test_any_value_gets_an_answer(op: str, found: Any) -> None:
    assert holds(op, WANTED[op], {"x": found}) in (True, False)


def test_words() -> None:
    a, b = ["==", "x", "a"], ["==", "y", "b"]

    def met(condition: Any, **context: Any) -> bool:
        return compile_condition(condition, {"s": compile_condition(a, {})})(context)

    assert met(["all", [a, b, a]], x="a", y="b")
    assert not met(["all", [a, b]], x="a")
    assert met(["any", [a, b]], y="b")
    assert not met(["any", []], y="b")
    assert met(["not", a], x="b")
    assert met(["segment", "s"], x="a")


def test_dots_reach_into_objects() -> None:
    test = compile_condition([">", "company.size", 5], {})

    assert test({"company": {"size": 6}})
    assert test({"company.size": 6})
    assert not test({"company": 6})
    assert not test({"company": {"size": None}})


@pytest.mark.parametrize(
    "condition",
    [
        ["all", []],
        ["==", "x"],
        ["like", "x", "a"],
        ["segment", "none"],
        [">", "x", "5"],
        [">", "x", True],
        ["contains", "x", [5]],
        ["semver >", "x", "new"],
        ["after", "x", "soon"],
        ["matches", "x", "(?=a)"],
        ["matches", "x", "("],
    ],
)
def test_what_is_no_condition_is_refused(condition: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_condition(condition, {})


def test_a_pattern_of_catastrophe_is_harmless() -> None:
    assert holds("matches", "(a+)+$", {"x": "a" * 1000 + "b"}) is False


def test_versions_and_instants() -> None:
    assert semver("1.2.3-01") is None
    assert semver("1.2.3.4") is None
    assert semver("1" * 300) is None
    assert instant("2026-11-24") == instant("2026-11-24T01:00+01:00") == 1_795_478_400
    assert instant("2026-11-24T10:00:00.5-0130") == 1_795_519_800.5 + 0
    assert instant("2026-02-30") is None
    assert instant("2026-01-01T00:00:00+99:00") is None
