"""What is exported means the same to flagd's own evaluator, and comes back as it was."""

import copy
import json
import random
from typing import Any

import pytest
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from greenlane.flags.definitions.compiling import compile_snapshot
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.definitions.flagd import export_flagd, import_flagd
from greenlane.flags.evaluating.engine import Engine
from greenlane.problems import InvalidDocument
from tests.unit.flags.flagging import NOW

FLAGS = """
segments:
  staff: {any: [{groups: [staff, beta]}, {attribute: email, op: ends_with, value: "@a.com"}]}
feature_flags:
  switch: {}
  dark: {enabled: false}
  share: {bucketing: flagd, percentage: 30, user_groups: [beta]}
  tenants:
    bucketing: flagd-text
    stickiness: plan
    salt: "t:"
    percentage: 70
    targeting: {user_attributes: [{plan: [free, pro, team]}]}
  raw: {bucketing: flagd-text, salt: "", percentage: 50}
  ramp:
    bucketing: flagd
    scheduled_rollout:
      {start_date: 2026-01-01, increment: 7.125, interval: 24h, end_date: 2026-01-05}
  split:
    type: string
    variants: {a: red, b: green, c: blue, none: ""}
    default: none
    bucketing: flagd
    rules:
      - {id: staff, when: {segment: staff}, serve: a}
      - {id: rest, when: {not: {plan: free}}, weights: {a: 1, b: 1, c: 5}}
  everything:
    type: number
    variants: {zero: 0, one: 1, two: 2, three: 3, four: 4, five: 5, six: 6, seven: 7}
    default: zero
    rules:
      - {id: r1, serve: one, when: {attribute: age, op: ">", value: 60}}
      - id: r2
        serve: two
        when: {all: [{premium: true}, {attribute: plan, op: "!=", value: pro}]}
      - {id: r3, serve: three, when: {attribute: app, op: semver >=, value: 2.1.0-rc.1}}
      - {id: r4, serve: four, when: {attribute: plan, op: not_in, value: [free, 5, true]}}
      - {id: r5, serve: five, when: {attribute: company.size, op: "<=", value: 10.5}}
      - {id: r6, serve: six, when: {attribute: email, op: starts_with, value: [x, y]}}
      - id: r7
        serve: seven
        when:
          any:
            - {attribute: email, op: contains, value: "@"}
            - {all: [{attribute: age, op: absent}, {attribute: premium, op: present}]}
            - {attribute: age, op: in, value: [1, 2, true, "7"]}
            - {age: 30}
            - {attribute: age, op: "<", value: 0}
            - {attribute: app, op: semver ==, value: 1.0.0}
"""
ANY: list[Any] = [None, True, False, 0, 1, 7, 2.5, "7", "", "true", [], ["free", 5], {"size": 3}]
USUAL: dict[str, list[Any]] = {
    "groups": ["staff", "beta", ["beta"], ["x", "staff"], ["x"]],
    "email": ["x@a.com", "y@b.com", "z", "Ä@b.com"],
    "plan": ["free", "pro", "team", 5],
    "age": [-3, 0, 1, 2.0, 30, 61, 99.5, 10**20],
    "premium": [True, False],
    "app": ["1", "v1.0.0", "2.1.0-rc.2", "2.1", "0.9", "1.0.0+b", "x.y", "01.2.3"],
    "company": [{"size": 5}, {"size": 11}, {"size": "5"}, {}],
}


def contexts(count: int, seed: int = 1) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        context: dict[str, Any] = {"targetingKey": f"user-{chance.randrange(10**6)}"}
        for name, usual in USUAL.items():
            if chance.random() < 0.6:
                context[name] = chance.choice(usual if chance.random() < 0.8 else ANY)
        made.append(context)
    return made


def by_flagd(core: FlagdCore, key: str, kind: str, context: dict[str, Any]) -> tuple[Any, Any]:
    attributes = {name: value for name, value in context.items() if name != "targetingKey"}
    where = EvaluationContext(context["targetingKey"], attributes)
    word = {"number": "integer"}.get(kind, kind)
    found = getattr(core, f"resolve_{word}_value")(key, None, where)
    return found.value, found.variant


def flagd(definition: dict[str, Any]) -> FlagdCore:
    core = FlagdCore()
    core.set_flags(copy.deepcopy(definition))
    return core


def test_flagd_answers_as_we_do_and_so_does_what_comes_back() -> None:
    snapshot = compile_snapshot(read_flags(FLAGS), "production")
    exported = json.loads(json.dumps(export_flagd(snapshot, NOW)))
    ours, core = Engine(snapshot), flagd(exported)
    back = Engine(compile_snapshot(import_flagd(exported), "production"))
    assert not ours._broken
    assert not back._broken

    for context in contexts(5_000):
        for key, flag in snapshot["flags"].items():
            found = ours.evaluate(key, context, NOW)
            # A flag that is off has no variant there.
            variant = found.variant if flag["on"] else None
            if found.error is None:
                assert by_flagd(core, key, flag["type"], context) == (found.value, variant), key
            again = back.evaluate(key, context, NOW)
            assert (again.value, again.variant) == (found.value, found.variant), (key, context)


def test_each_flag_was_asked_something() -> None:
    snapshot = compile_snapshot(read_flags(FLAGS), "production")
    ours = Engine(snapshot)
    for key, flag in snapshot["flags"].items():
        seen = {ours.evaluate(key, context, NOW).variant for context in contexts(5_000)}
        assert len(seen - {None}) == {"switch": 1, "dark": 1, "split": 4, "everything": 8}.get(
            key, 2
        )
        assert flag["variants"]


THEIRS: dict[str, Any] = {
    "$evaluators": {"staff": {"in": ["@a.com", {"var": ["email"]}]}},
    "flags": {
        "colour": {
            "state": "ENABLED",
            "variants": {"red": "r", "blue": "b", "grey": "g"},
            "defaultVariant": "grey",
            "targeting": {
                "if": [
                    {"$ref": "staff"},
                    {"fractional": [["red", 25], ["blue", 74], ["grey", 1]]},
                    {"if": [{"==": [{"var": "plan"}, "pro"]}, "blue", "red"]},
                ]
            },
        },
        "by_email": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "targeting": {
                "fractional": [
                    {"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]},
                    ["on"],
                    ["off", 3],
                ]
            },
        },
        "nested": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "on",
            "targeting": {
                "if": [
                    {"!==": [{"var": "plan"}, None]},
                    {"if": [{"starts_with": [{"var": "email"}, "x"]}, "off"]},
                    {"sem_ver": [{"var": "app"}, "<", "2.0.0"]},
                    "off",
                ]
            },
        },
    },
}


def test_what_flagd_wrote_buckets_here_as_there() -> None:
    core = flagd(THEIRS)
    ours = Engine(compile_snapshot(import_flagd(THEIRS), "production"))
    usual = {name: [one for one in USUAL[name] if isinstance(one, str)] for name in USUAL}
    chance = random.Random(3)
    for number in range(3_000):
        context = {"targetingKey": f"user-{number}", "email": chance.choice(usual["email"])}
        context |= {"plan": chance.choice(["free", "pro"])} if chance.random() < 0.5 else {}
        context |= {"app": chance.choice(["1.0.0", "2.0.0", "3.1.0"])}
        for key, kind in (("colour", "string"), ("by_email", "boolean"), ("nested", "boolean")):
            found = ours.evaluate(key, context, NOW)
            assert by_flagd(core, key, kind, context) == (found.value, found.variant), key


def test_the_earlier_hash_of_flagd_is_another_one() -> None:
    import mmh3

    made = import_flagd({"flags": {"by_email": THEIRS["flags"]["by_email"]}}, hashing="text")
    ours = Engine(compile_snapshot(made, "production"))
    for number in range(500):
        user = f"user-{number}"
        there = (mmh3.hash(f"by_email{user}", signed=False) * 4) >> 32
        found = ours.evaluate("by_email", {"targetingKey": user}, NOW)
        assert found.value is (there < 1)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("{percentage: 30}", "flagd hashes otherwise"),
        ("{prerequisites: [{flag: other}]}", "no prerequisites"),
        ("{rules: [{id: r, serve: 'on', when: {attribute: a, op: matches, value: x}}]}", "matches"),
        ("{rules: [{id: r, serve: 'on', when: {attribute: a, op: after, value: 1}}]}", "after"),
        ("{bucketing: flagd, salt: x, percentage: 30}", "flagd-text"),
        ("{bucketing: flagd-v2, percentage: 30}", "flagd of today hashes otherwise"),
    ],
)
def test_what_flagd_cannot_say_is_refused_by_name(keys: str, said: str) -> None:
    snapshot = compile_snapshot(read_flags(f"feature_flags: {{f: {keys}, other: {{}}}}"), "x")

    with pytest.raises(InvalidDocument, match=said) as caught:
        export_flagd(snapshot, NOW)
    assert [problem.field for problem in caught.value.problems] == ["f"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"defaultVariant": None}, "defaultVariant"),
        ({"variants": {"on": True, "off": "no"}}, "one type"),
        ({"targeting": {"if": [{"var": "x"}, "on"]}}, "'var' is not read"),
        ({"targeting": {"if": [{"==": [{"var": "x"}, {"var": "y"}]}, "on"]}}, "one attribute"),
        ({"targeting": {"fractional": [["on", 1], ["on", 2]]}}, "each variant once"),
        ({"targeting": {"fractional": [{"+": [1, 2]}, ["on", 1]]}}, "told apart by"),
        ({"targeting": {"reduce": []}}, "an if, a fractional"),
        ({"targeting": "on"}, ""),
        ({"state": None, "variants": None}, "no flag of flagd"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    flag = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": {"if": [{"==": [{"var": "x"}, 1]}, "on"]},
    }
    if said:
        with pytest.raises(InvalidDocument, match=said):
            import_flagd({"flags": {"f": {**flag, **change}}})
    else:
        import_flagd({"flags": {"f": {**flag, **change}}})
