from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from greenlane.flags.definitions.compiling import compile_snapshot
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.evaluating.bucketing import BUCKETS
from greenlane.flags.evaluating.engine import Engine
from greenlane.problems import InvalidDocument
from tests.unit.flags.flagging import NOW, from_yaml

SPEC = (Path(__file__).resolve().parents[2] / "data/spec/feature-flags.yaml").read_text()
DAY = 86_400.0
UI_START = datetime(2024, 2, 1, tzinfo=UTC).timestamp()


def on(loaded: Engine, key: str, now: float = NOW, **context: Any) -> int:
    """How many of 1,000 users have it."""
    users = ({"targetingKey": f"user-{number}", **context} for number in range(1_000))
    return sum(loaded.evaluate(key, user, now).value is True for user in users)


def test_the_specs_file_means_what_it_says() -> None:
    loaded = from_yaml(SPEC)

    assert 210 < on(loaded, "advanced_analytics") < 290
    assert on(loaded, "advanced_analytics", groups=["beta_users"]) == 1_000
    assert on(loaded, "performance_optimization") == 0
    assert on(loaded, "performance_optimization", premium=True) == 0
    assert on(loaded, "performance_optimization", premium="true", region="us-east") == 0
    assert 70 < on(loaded, "performance_optimization", premium=True, region="us-west") < 130
    assert loaded.evaluate("ui_redesign", {}, NOW).reason == "DISABLED"
    assert loaded.flags["advanced_analytics"]["meta"]["owner"] == "analytics-team"


def test_elsewhere_a_flag_is_off_without_an_error() -> None:
    found = from_yaml(SPEC, "development").evaluate("advanced_analytics", {}, NOW)

    assert (found.value, found.reason, found.error) == (None, "DISABLED", None)


def test_the_specs_schedule_runs_when_it_is_switched_on() -> None:
    text = SPEC.replace("enabled: false", "enabled: true")
    in_time, late = from_yaml(text), from_yaml(text, enabled_since={"ui_redesign": UI_START + DAY})

    assert on(in_time, "ui_redesign", UI_START - 1) == 0
    assert 70 < on(in_time, "ui_redesign", UI_START) < 130
    assert on(in_time, "ui_redesign", UI_START + 12 * DAY) == 1_000
    assert on(late, "ui_redesign", UI_START + DAY) == on(in_time, "ui_redesign", UI_START)
    assert on(late, "ui_redesign", UI_START + 2 * DAY) == on(in_time, "ui_redesign", UI_START + DAY)


def test_switched_on_before_the_start_changes_nothing() -> None:
    text = SPEC.replace("enabled: false", "enabled: true")
    loaded = from_yaml(text, enabled_since={"ui_redesign": UI_START - DAY})

    assert loaded.snapshot == compile_snapshot(read_flags(text), "production")


def test_a_ceiling_caps_the_rollout_and_leaves_the_groups() -> None:
    loaded = from_yaml(SPEC, ceilings={"advanced_analytics": Decimal(0)})

    assert on(loaded, "advanced_analytics") == 0
    assert on(loaded, "advanced_analytics", groups="internal_team") == 1_000


@pytest.mark.parametrize(
    ("keys", "nobody", "member", "eligible"),
    [
        ("{}", 1_000, 1_000, 1_000),
        ("{enabled: false}", 0, 0, 0),
        ("{percentage: 0}", 0, 0, 0),
        ("{user_groups: [g]}", 0, 1_000, 0),
        ("{targeting: {user_attributes: [{p: 1}]}}", 0, 0, 1_000),
        ("{user_groups: [g], targeting: {user_attributes: [{p: 1}]}}", 0, 1_000, 1_000),
        ("{user_groups: [g], percentage: 0}", 0, 1_000, 0),
        ("{rules: [{id: r, when: {p: 1}, serve: 'on'}]}", 0, 0, 1_000),
        ("{rules: [{id: r, when: {p: 1}, serve: 'on'}], user_groups: [g]}", 0, 1_000, 1_000),
        ("{rules: [{id: r, when: {p: 1}, serve: 'off'}], percentage: 100}", 1_000, 1_000, 0),
    ],
)
def test_how_the_keys_combine(keys: str, nobody: int, member: int, eligible: int) -> None:
    loaded = from_yaml(f"feature_flags: {{f: {keys}}}")

    assert on(loaded, "f") == nobody
    assert on(loaded, "f", groups=["g"]) == member
    assert on(loaded, "f", p=1) == eligible


def test_an_environment_overrides_what_it_names() -> None:
    text = """
feature_flags:
  f:
    percentage: 10
    user_groups: [g]
    per_environment:
      staging: {percentage: 100}
      production: {enabled: false}
"""
    assert on(from_yaml(text, "staging"), "f") == 1_000
    assert 70 < on(from_yaml(text, "test"), "f") < 130
    assert on(from_yaml(text, "test"), "f", groups=["g"]) == 1_000
    assert on(from_yaml(text, "production"), "f", groups=["g"]) == 0


def test_all_types_of_variants() -> None:
    text = """
segments:
  paying: {any: [{segment: vip}, {plan: [pro, team]}]}
  vip: {attribute: spent, op: ">=", value: 1000}
feature_flags:
  colour:
    type: string
    variants: {red: "#f00", blue: "#00f", none: ""}
    default: none
    rules:
      - {id: paying, when: {segment: paying}, split: {red: 33.333, blue: 66.667}}
  limit: {type: number, variants: {low: 1, high: 2.5}, default: low, served: high}
  page: {type: object, variants: {new: {columns: [1, 2]}, old: {}}, default: old, served: new}
  thirds:
    type: string
    variants: {a: a, b: b, c: c}
    default: a
    stickiness: [tenant, targetingKey]
    rules: [{id: all, weights: {a: 1, b: 1, c: 1}}]
"""
    loaded = from_yaml(text)
    user = {"targetingKey": "u", "spent": 1000}

    assert loaded.evaluate("colour", user, NOW).value in ("#f00", "#00f")
    assert loaded.evaluate("colour", {"targetingKey": "u"}, NOW).value == ""
    assert loaded.evaluate("limit", {}, NOW).value == 2.5
    assert loaded.evaluate("page", {}, NOW).value == {"columns": [1, 2]}
    assert loaded.evaluate("thirds", {"tenant": "t"}, NOW).value in ("a", "b", "c")
    assert loaded.flags["colour"]["rules"][0]["serve"] == [["red", 33_333], ["blue", BUCKETS]]
    assert loaded.flags["thirds"]["rules"][0]["of"] == 3


WRONG = [
    ("enabled: yes", "yes, no, on and off are text"),
    ("percentge: 5", "did you mean percentage?"),
    ("percentage: 101", "less than or equal to 100"),
    ("percentage: -1", "greater than or equal to 0"),
    ("percentage: 0.0001", "at most three decimals"),
    ("percentage: true", "write a number"),
    ("percentage: 25%", "write a number"),
    ("variants: {on: yes, off: false}", "write true or false"),
    ("variants: {on: 1, off: false}", "it is no boolean"),
    ("type: number\n    variants: {on: .inf, off: 1}", "JSON has no such number"),
    (
        "type: string\n    variants: {a: x}\n    default: b\n    served: a",
        "no variant of that name",
    ),
    ("served: onn", "did you mean on?"),
    ("rules: [{id: a, serve: oof}]", "did you mean off?"),
    ("rules: [{id: a, split: {on: 60, off: 50}}]", "it adds up to 110, not to 100"),
    ("rules: [{id: a, split: {on: 60, of: 40}}]", "did you mean off?"),
    ("rules: [{id: a, weights: {on: 0, off: 0}}]", "one of them is more than 0"),
    ("rules: [{id: a}]", "write one of serve, split and weights"),
    ("rules: [{id: groups, serve: 'on'}]", "kept for the rules of the short keys"),
    (
        "rules: [{id: a, serve: 'on', when: {p: 1}}, {id: a, serve: 'on', when: {p: 2}}]",
        "an earlier rule has this id",
    ),
    (
        "rules: [{id: a, serve: 'on'}, {id: b, serve: 'off', when: {p: 1}}]",
        "rule a takes everybody it is for",
    ),
    (
        "rules: [{id: a, serve: 'on', percentage: 20}, {id: b, serve: 'off', percentage: 20}]",
        "rule a takes the same 20 %",
    ),
    (
        "rules: [{id: a, serve: 'on', when: {p: 1}}, {id: b, serve: 'off', when: {p: 1, q: 2}}]",
        "rule a takes everybody it is for",
    ),
    ("percentage: 5\n    rules: [{id: a, serve: 'on'}]", "rule a takes everybody it is for"),
    ("rules: [{id: a, serve: 'on', when: {segment: staf}}]", "did you mean staff?"),
    ("rules: [{id: a, serve: 'on', when: {}}]", "write one of all, any, not, segment"),
    ("rules: [{id: a, serve: 'on', when: {all: []}}]", "at least one condition"),
    (
        "rules: [{id: a, serve: 'on', when: {attribute: p, op: matches, value: '(?<=a)'}}]",
        "matches: invalid perl operator",
    ),
    (
        "rules: [{id: a, serve: 'on', when: {attribute: p, op: matchs, value: a}}]",
        "did you mean matches?",
    ),
    (
        "rules: [{id: a, serve: 'on', when: {attribute: p, op: '>', value: '5'}}]",
        ">: it is compared with a number",
    ),
    (
        "rules: [{id: a, serve: 'on', when: {attribute: p, op: semver >, value: new}}]",
        "no version such as 1.4.2",
    ),
    ("rules: [{id: a, serve: 'on', when: {attribute: p, op: in, value: a}}]", "in needs a list"),
    ("rules: [{id: a, serve: 'on', when: {attribute: p}}]", "== needs one"),
    ("prerequisites: [{flag: othr}]", "did you mean other?"),
    ("prerequisites: [{flag: other, variant: onn}]", "did you mean on?"),
    ("prerequisites: [{flag: f}]", "f -> f"),
    ("prerequisites: [{flag: needs_f}]", "flags need each other in a cycle"),
    ("rollback_conditions: [error_rat > 0.02]", "did you mean error_rate?"),
    ("scheduled_rollout: {start_date: 2024-02-30}", "day is out of range"),
    ("scheduled_rollout: {start_date: '2024-02-01T00:00:00'}", "write an offset"),
    ("scheduled_rollout: {start_date: 2024-02-01, end_date: 2024-01-01}", "after start_date"),
    ("scheduled_rollout: {start_date: 2024-02-01, increment: 0}", "greater than 0"),
    ("scheduled_rollout: {start_date: 2024-02-01, interval: 24}", "needs a unit"),
    (
        "environments: [production]\n    per_environment: {produktion: {enabled: true}}",
        "did you mean",
    ),
    ("bucketing: flagd\n    stickiness: tenant", "use bucketing: flagd-text"),
    (
        "bucketing: flagd\n    rules: [{id: a, percentage: 5, weights: {on: 1, off: 1}}]",
        "a split is its own share",
    ),
]


@pytest.mark.parametrize(("keys", "said"), WRONG)
def test_what_is_wrong_is_told_with_its_line(keys: str, said: str) -> None:
    text = f"""
segments:
  staff: {{groups: [staff]}}
feature_flags:
  other: {{}}
  needs_f:
    prerequisites: [{{flag: f}}]
  f:
    {keys}
"""
    with pytest.raises(InvalidDocument) as caught:
        read_flags(text, "flags.yaml")

    assert said in str(caught.value)
    lines = {problem.line for problem in caught.value.problems if "needs_f" not in problem.field}
    assert lines <= {9, 10, 11, 12}


def test_a_rule_at_nothing_waits_to_be_raised() -> None:
    read_flags(
        "feature_flags: {f: {rules: [{id: a, percentage: 20, serve: 'on'}, "
        "{id: b, percentage: 0, serve: 'off'}, {id: c, percentage: 30, serve: 'off'}]}}"
    )


def test_segments_that_go_round() -> None:
    with pytest.raises(InvalidDocument, match="goes round"):
        read_flags("{feature_flags: {}, segments: {a: {segment: b}, b: {not: {segment: a}}}}")


def test_prerequisites_that_ask_too_many_flags() -> None:
    flags = ["f0: {}"] + [
        f"f{n}: {{prerequisites: [{', '.join(f'{{flag: f{m}}}' for m in range(n))}]}}"
        for n in range(1, 9)
    ]
    with pytest.raises(InvalidDocument, match="more than 100 flags"):
        read_flags(f"feature_flags: {{{', '.join(flags)}}}")


@pytest.mark.parametrize("key", ["a/b", "a?b", "a#b", "", "ä", "x" * 129])
def test_a_key_that_clients_cannot_put_into_a_url(key: str) -> None:
    with pytest.raises(InvalidDocument):
        read_flags(f"feature_flags: {{{key!r}: {{}}}}")


def test_no_is_norway() -> None:
    loaded = from_yaml("feature_flags: {f: {targeting: {user_attributes: [{country: [no, se]}]}}}")

    assert loaded.evaluate("f", {"country": "no"}, NOW).value is True


def test_null_in_an_environment_clears_what_may_be_nothing_and_leaves_the_rest_as_it_is() -> None:
    document = read_flags(
        """
feature_flags:
  a:
    enabled: true
    percentage: 25
    user_groups: [staff]
    per_environment:
      staging: {enabled: null, user_groups: null, rules: null, percentage: null}
"""
    )

    staging = document.feature_flags["a"].within("staging")
    assert (staging.enabled, staging.user_groups, staging.rules) == (True, ("staff",), ())
    assert staging.percentage is None
