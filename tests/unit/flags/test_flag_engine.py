import copy
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlane.flags.evaluating.bucketing import BUCKETS, bucket
from greenlane.flags.evaluating.engine import Engine
from greenlane.flags.evaluating.explain import explain
from tests.unit.flags.flagging import NOW, engine, flag, rule

ROOT = Path(__file__).resolve().parents[3]
USERS = [{"targetingKey": f"user-{number}"} for number in range(300)]
SPLIT = [["a", 20_000], ["b", 50_000], ["c", 100_000]]
TEXTS = {"type": "string", "variants": {"a": "a", "b": "b", "c": "c", "off": ""}}


def served(flag_: dict[str, Any], users: Any = USERS, now: float = NOW) -> dict[str, str]:
    """The variant of each user who has one that is not `off`."""
    loaded = engine({"f": flag_})
    found = {user["targetingKey"]: loaded.evaluate("f", user, now) for user in users}
    assert not [one for one in found.values() if one.error]
    return {key: str(one.variant) for key, one in found.items() if one.variant != "off"}


SHARES = st.integers(0, BUCKETS)


@settings(max_examples=30)
@given(SHARES, SHARES)
def test_nobody_leaves_when_a_percentage_rises(one: int, two: int) -> None:
    low, high = sorted((one, two))

    assert served(flag(rule(share=low))).items() <= served(flag(rule(share=high))).items()


@settings(max_examples=30)
@given(SHARES, SHARES)
def test_nobody_changes_variant_when_a_percentage_rises(one: int, two: int) -> None:
    low, high = sorted((one, two))
    some, more = (
        served(flag(rule(SPLIT, of=BUCKETS, share=share), **TEXTS)) for share in (low, high)
    )

    assert some.items() <= more.items()


def test_going_from_a_part_to_everybody_moves_nobody() -> None:
    part = served(flag(rule(SPLIT, of=BUCKETS, share=60_000), **TEXTS))
    everybody = served(flag(rule(SPLIT, of=BUCKETS), **TEXTS))

    assert len(everybody) == len(USERS)
    assert set(everybody.values()) == {"a", "b", "c"}
    assert part.items() < everybody.items()


def test_stopped_and_started_again_it_is_for_the_same_people() -> None:
    before = served(flag(rule(share=30_000)))
    assert served(flag(rule(share=30_000, ceiling=0))) == {}

    assert served(flag(rule(share=30_000))) == before


def test_who_came_last_leaves_first() -> None:
    steps = [served(flag(rule(share=BUCKETS, ceiling=level))) for level in (5_000, 20_000, 60_000)]
    back = [served(flag(rule(share=BUCKETS, ceiling=level))) for level in (20_000, 5_000)]

    assert back == [steps[1], steps[0]]
    assert steps[0].items() < steps[1].items() < steps[2].items()


def test_a_schedule_is_held_by_its_ceiling() -> None:
    share = [NOW - 3_600, None, 600, 10_000, BUCKETS, 0]

    assert served(flag(rule(share=share, ceiling=30_000))) == served(flag(rule(share=30_000)))
    assert len(served(flag(rule(share=share)), now=NOW + 36_000)) == len(USERS)
    assert served(flag(rule(share=share)), now=NOW - 3_601) == {}


def test_the_threshold_is_exact() -> None:
    at = bucket("f", "user-1")
    loaded = engine({"in": flag(rule(share=at + 1)), "out": flag(rule(share=at))})

    found = loaded.evaluate("in", USERS[1], NOW)
    assert (found.value, found.reason, found.rule, found.bucket) == (True, "SPLIT", "r", at)
    assert loaded.evaluate("out", USERS[1], NOW).value is False


def test_a_tenant_goes_as_one() -> None:
    tenants = flag(rule(share=50_000), by=["tenant", "targetingKey"])
    users = [
        {"targetingKey": f"u{user}", "tenant": f"t{tenant}"}
        for tenant in range(30)
        for user in range(5)
    ]
    loaded = engine({"f": tenants})
    on = {
        tenant: {loaded.evaluate("f", one, NOW).value for one in users if one["tenant"] == tenant}
        for tenant in {user["tenant"] for user in users}
    }

    assert all(len(values) == 1 for values in on.values())
    assert {value for values in on.values() for value in values} == {True, False}
    assert loaded.evaluate("f", {"tenant": 7}, NOW).bucket == bucket("f", "7") or (
        loaded.evaluate("f", {"tenant": 7}, NOW).reason == "DEFAULT"
    )


def test_reasons() -> None:
    meant = rule(**{"if": ["==", "plan", "pro"]})
    loaded = engine(
        {
            "static": flag(rule()),
            "never": flag(rule(share=0)),
            "meant": flag(meant),
            "disabled": flag(rule(), on=False),
            "needs": flag(rule(), requires=[["meant", "on"]]),
        }
    )
    pro, free = {"plan": "pro"}, {"plan": "free"}

    def told(key: str, context: Any) -> tuple[Any, ...]:
        found = loaded.evaluate(key, context, NOW)
        return found.value, found.variant, found.reason, found.rule

    assert told("static", {}) == (True, "on", "STATIC", "r")
    assert told("never", {}) == (False, "off", "STATIC", None)
    assert told("meant", pro) == (True, "on", "TARGETING_MATCH", "r")
    assert told("meant", free) == (False, "off", "DEFAULT", None)
    assert told("disabled", {}) == (None, "off", "DISABLED", None)
    assert told("needs", pro) == (True, "on", "TARGETING_MATCH", "r")
    assert told("needs", free) == (False, "off", "DEFAULT", "requires meant")


def test_rules_are_tried_in_order() -> None:
    first = {**rule("a", **{"if": ["==", "plan", "pro"]}, share=50_000), "id": "first"}
    loaded = engine({"f": flag(first, {**rule("b"), "id": "second"}, **TEXTS)})
    found = {
        loaded.evaluate("f", {**user, "plan": plan}, NOW).rule
        for user in USERS
        for plan in ("pro", "free")
    }

    assert found == {"first", "second"}


def test_prerequisites_that_fail_take_the_flag_with_them() -> None:
    loaded = engine(
        {
            "share": flag(rule(share=50_000)),
            "needs": flag(rule(), requires=[["share", "on"]]),
            "off": flag(rule(), on=False),
            "unmet": flag(rule(), requires=[["off", "on"]]),
            "lost": flag(rule(), requires=[["nothing", "on"]]),
            "round": flag(rule(), requires=[["trip", "on"]]),
            "trip": flag(rule(), requires=[["round", "on"]]),
        }
    )

    assert loaded.evaluate("needs", {}, NOW).error == "TARGETING_KEY_MISSING"
    assert loaded.evaluate("unmet", {}, NOW).value is False
    for key in ("lost", "round", "trip"):
        found = loaded.evaluate(key, {}, NOW)
        assert (found.value, found.error) == (None, "PARSE_ERROR")


def test_an_object_is_the_callers_own() -> None:
    value = {"limits": {"cpu": [1, 2]}}
    loaded = engine({"f": flag(rule("big"), type="object", variants={"big": value, "off": {}})})

    found = loaded.evaluate("f", {}, NOW).value
    found["limits"]["cpu"].append(3)
    found["more"] = True

    assert loaded.evaluate("f", {}, NOW).value == {"limits": {"cpu": [1, 2]}}


def test_an_evaluation_cannot_be_changed() -> None:
    found = engine({"f": flag(rule())}).evaluate("f", {}, NOW)

    with pytest.raises(AttributeError):
        found.value = False  # type: ignore[misc]


@pytest.mark.parametrize("context", [None, 5, "user", ["targetingKey"]])
def test_a_context_that_is_none_is_an_error_and_not_on(context: Any) -> None:
    found = engine({"f": flag(rule(share=99_999))}).evaluate("f", context, NOW)

    assert (found.value, found.error) == (None, "INVALID_CONTEXT")


@pytest.mark.parametrize("key", ["", None, True, 1.5, ["u"], {"u": 1}])
def test_a_share_needs_somebody(key: Any) -> None:
    found = engine({"f": flag(rule(share=99_999))}).evaluate("f", {"targetingKey": key}, NOW)

    assert (found.value, found.error) == (None, "TARGETING_KEY_MISSING")


def test_an_error_tells_nothing_of_the_user() -> None:
    class Secret:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("ada@example.com")

    loaded = engine({"f": flag(rule(**{"if": ["==", "email", "x"]}))})
    found = loaded.evaluate("f", {"email": Secret()}, NOW)

    assert (found.value, found.error, found.message) == (None, "GENERAL", "RuntimeError")
    assert "ada" not in json.dumps(explain(loaded, "f", {"email": Secret()}, NOW))


def test_all_flags_at_once_are_in_the_order_of_their_keys() -> None:
    loaded = engine({"b": flag(rule()), "a": {}, "c": flag(rule(share=1))})
    found = loaded.evaluate_all({}, NOW)

    assert [(one.key, one.error) for one in found] == [
        ("a", "PARSE_ERROR"),
        ("b", None),
        ("c", "TARGETING_KEY_MISSING"),
    ]


def test_what_is_not_there() -> None:
    loaded = engine({"f": flag(rule())})

    assert loaded.evaluate("g", {}, NOW).error == "FLAG_NOT_FOUND"
    assert loaded.evaluate(["f"], {}, NOW).error == "FLAG_NOT_FOUND"  # type: ignore[arg-type]


@pytest.mark.parametrize("snapshot", [None, {}, {"format": 2}, [], {"format": 1, "flags": []}])
def test_another_format_is_refused(snapshot: Any) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        Engine(snapshot)


WHOLE = {
    "plain": flag(rule(share=50_000)),
    "split": flag(rule(SPLIT, of=BUCKETS, share=50_000), **TEXTS),
    "meant": flag(
        rule(**{"if": ["all", [["segment", "staff"], ["not", ["==", "plan", "free"]]]]}),
        {**rule(share=[NOW - 60, None, 30, 1_000, BUCKETS, 0]), "id": "later"},
        requires=[["plain", "on"]],
    ),
    "object": flag(rule("big", share=90_000), type="object", variants={"big": {"a": 1}, "off": {}}),
    "murmur": flag(rule(share=50_000), hash="flagd"),
}
SEGMENTS = {"staff": ["any", [["in", "groups", ["staff"]], ["ends_with", "email", "@a.com"]]]}
JUNK: list[Any] = [None, True, -1, 1e400, "yes", "", [], {}, [[]], ["=="], {"on": "x"}, 10**30]


def _spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    for key, one in inner:
        found += _spots(one, (*path, key)) if isinstance(one, dict | list) else [(*path, key)]
    return found


@pytest.mark.parametrize("seed", range(400))
def test_a_snapshot_that_was_damaged_never_gives_what_it_does_not_name(seed: int) -> None:
    chance = random.Random(seed)
    flags = copy.deepcopy(WHOLE)
    for _ in range(chance.randint(1, 3)):
        *way, last = chance.choice(_spots(flags))
        part: Any = flags
        try:
            for step in way:
                part = part[step]
            if chance.random() < 0.3:
                del part[last]
            else:
                part[last] = copy.deepcopy(chance.choice(JUNK))
        except (IndexError, KeyError, TypeError):
            continue
    loaded = engine(flags, SEGMENTS)
    kinds = {"plain": bool, "split": str, "meant": bool, "object": dict, "murmur": bool}
    for user in ({}, {"targetingKey": "u", "groups": ["staff"], "plan": "pro"}, None):
        for key, kind in kinds.items():
            found = loaded.evaluate(key, user, NOW)  # type: ignore[arg-type]
            assert found.value is None or (isinstance(found.value, kind) and not found.error)
            if found.error is None and found.reason != "DISABLED" and flags[key] is WHOLE[key]:
                assert found.variant in WHOLE[key]["variants"]
    if isinstance(flags.get("plain"), dict) and flags["plain"].get("on") is not True:
        assert loaded.evaluate("plain", {"targetingKey": "user-1"}, NOW).value is None


CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "targetingKey": st.text(max_size=3) | st.integers(),
        "groups": st.sampled_from(["staff", "beta"]) | st.lists(st.sampled_from(["staff", "x"])),
        "plan": st.sampled_from(["free", "pro", 5]),
        "email": st.sampled_from(["x@a.com", "x@b.com", None]),
    },
)


@given(CONTEXTS, st.sampled_from(sorted(WHOLE)))
def test_an_explanation_agrees_with_the_answer(context: dict[str, Any], key: str) -> None:
    loaded = engine(WHOLE, SEGMENTS)
    found = loaded.evaluate(key, context, NOW)
    told = explain(loaded, key, context, NOW)

    json.dumps(told)
    assert (told["variant"], told["reason"], told["rule"]) == (
        found.variant,
        found.reason,
        found.rule,
    )
    assert all(one["met"] for one in told["requires"]) or told["rules"] == []
    serving = [one for one in told["rules"] if one["served"] is not None]
    if found.error:
        assert not serving
    elif serving:
        assert [(one["rule"], one["served"]) for one in serving] == [(found.rule, found.variant)]
        assert found.bucket in (None, serving[0].get("bucket"))
    else:
        assert found.variant == "off"


def test_an_explanation_shows_each_condition_and_no_value_of_the_user() -> None:
    loaded = engine(WHOLE, SEGMENTS)
    user = {"targetingKey": "user-9", "email": "ada@b.com", "plan": "pro"}
    told = explain(loaded, "meant", user, NOW)
    if not told["rules"]:
        told = explain(engine({**WHOLE, "plain": flag(rule())}, SEGMENTS), "meant", user, NOW)

    segment, negation = told["rules"][0]["condition"]["of"]
    assert (segment["segment"], segment["met"], negation["met"]) == ("staff", False, True)
    assert segment["of"][0]["of"][1] == {
        "is": "ends_with",
        "attribute": "email",
        "met": False,
        "wanted": "@a.com",
        "context_has": "str",
    }
    assert told["rules"][1]["schedule"] == {"level": 3_000, "next_change": NOW + 30}
    assert not {"ada", "user-9"} & set(json.dumps(told).replace('"', " ").split())
    assert "ada" not in json.dumps(told)


HEAVY = ["boto3", "botocore", "pydantic", "aws_lambda_powertools", "yaml", "dataclasses", "typing"]


def test_a_lookup_imports_nothing_heavy() -> None:
    asked = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules)\n"
        "from greenlane.flags.evaluating.engine import Engine\n"
        "from greenlane.flags.evaluating.explain import explain\n"
        "e = Engine({'format': 1, 'version': 1, 'environment': '', 'segments': {}, 'flags': {'f': "
        "{'type': 'boolean', 'on': True, 'variants': {'on': True, 'off': False}, 'off': 'off',"
        "'salt': 'f', 'by': ['targetingKey'], 'requires': [], 'meta': {},"
        "'rules': [{'id': 'r', 'if': ['==', 'a', 'b'], 'share': 99999, 'serve': 'on'}]}}})\n"
        "e.evaluate('f', {'a': 'b', 'targetingKey': 'u'}, 0.0)\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", asked, str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = done.stdout.split()

    assert "greenlane.flags.evaluating.engine" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {*HEAVY, "hashlib", "datetime", "re2"}
