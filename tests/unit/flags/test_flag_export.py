import json

from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.definitions.compiling import compile_snapshot
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.definitions.model import FlagsDocument
from greenlane.flags.storing.export import to_yaml
from greenlane.flags.storing.keeping import merging
from greenlane.flags.storing.state import (
    StoredFlag,
    StoredFlags,
    StoredSegment,
    changed_keys,
    settled,
)
from greenlane.flags.storing.stored_items import moved
from tests.flag_store import NOW

texts = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
    st.sampled_from(
        [
            "on",
            "yes",
            "No",
            "null",
            "~",
            "1",
            "1e5",
            "0o17",
            "0x1f",
            "1_000",
            ".inf",
            "12:30:45",
            "2026-11-24",
            "- a",
            "a: b",
            "#",
            "",
            " x ",
            "!t",
            "&a",
            "*a",
            "%",
            "=",
            "<<",
            "\u2028",
            "\x85",
            "\ufeff",
        ]
    ),
)
scalars = st.one_of(
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda one: abs(one) < 1e15),
    texts,
)
percentages = st.integers(0, 100_000).map(lambda number: number / 1000)
flags = st.fixed_dictionaries(
    {"metadata": st.dictionaries(texts.filter(bool), scalars, max_size=4)},
    optional={
        "enabled": st.booleans(),
        "percentage": percentages,
        "user_groups": st.lists(texts, min_size=1, max_size=3),
        "environments": st.lists(st.sampled_from(["qa", "production"]), min_size=1, unique=True),
        "targeting": st.fixed_dictionaries(
            {"user_attributes": st.lists(st.dictionaries(texts, scalars, max_size=2), max_size=2)}
        ),
        "per_environment": st.dictionaries(
            st.sampled_from(["qa", "production"]),
            st.fixed_dictionaries({}, optional={"percentage": percentages | st.none()}),
            max_size=2,
        ),
        "scheduled_rollout": st.just(
            {"start_date": "2026-11-24", "increment": 2.5, "interval": "1h30m"}
        ),
    },
)


def compiled(document):
    return json.dumps([compile_snapshot(document, name) for name in ("qa", "production", "*")])


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.-]{0,9}", fullmatch=True), flags, max_size=3))
def test_what_is_exported_or_stored_reads_as_the_same_flags(made):
    document = FlagsDocument.model_validate({"feature_flags": made})
    stored = StoredFlags(
        flags={key: StoredFlag(flag=one) for key, one in document.feature_flags.items()}
    )
    again = StoredFlags.model_validate_json(stored.model_dump_json())
    assert compiled(again.document()) == compiled(document)
    assert changed_keys(again, stored) == {}
    text = to_yaml(document)
    from greenlane.documents import load, validate

    assert compiled(validate(FlagsDocument, load(text))) == compiled(document)


sets = st.dictionaries(st.sampled_from(["a", "b", "c"]), flags, max_size=3)
segments = st.dictionaries(
    st.sampled_from(["s", "t"]), st.just({"plan": "a"}) | st.just({"plan": "b"}), max_size=2
)


@given(sets, sets, segments, segments, st.sets(st.sampled_from(["a", "b", "c"])))
def test_exactly_those_snapshots_are_written_that_are_not_what_they_were(
    old, new, old_segments, new_segments, kept
):
    def put(made, written):
        document = FlagsDocument.model_validate({"feature_flags": made, "segments": written})
        return memory.put(document)

    memory = _Memory()
    before = put(old, old_segments)
    after = put(new | {key: old[key] for key in kept & old.keys()}, new_segments)
    expected = [
        name
        for name in after.environments
        if name not in before.environments
        or json.dumps(before.compiled(name) | {"version": 0})
        != json.dumps(after.compiled(name) | {"version": 0})
    ]
    assert [one["environment"] for one in moved(before, after)] == expected


class _Memory:
    """Sets that follow each other, as the store makes them."""

    def __init__(self):
        self.flags = StoredFlags()

    def put(self, document):
        edited = merging(document, prune=True)(self.flags)
        self.flags = settled(self.flags, edited, by="ada", at=NOW)
        return self.flags


def test_every_key_of_a_flag_survives_the_way_through_the_store_and_yaml():
    document = read_flags("""
segments:
  staff: {any: [{attribute: email, op: ends_with, value: ["@a.b", "@c.d"]}, {not: {plan: pro}}]}
approvals: {environments: [production]}
feature_flags:
  other: {}
  a:
    type: object
    variants: {x: {n: 1, f: 1.0, t: "on", l: [null, true]}, y: {}}
    default: y
    served: x
    percentage: 0.001
    rules:
      - {id: r, when: {segment: staff}, percentage: 99.999, split: {x: 33.333, y: 66.667}}
      - {id: w, when: {plan: [a, b]}, weights: {x: 1, y: 2}}
    prerequisites: [{flag: other, variant: "off"}]
    stickiness: [tenant, targetingKey]
    salt: s
    per_environment: {production: {enabled: false, rules: [], percentage: null}}
    rollback_conditions: [error_rate > 0.02]
    signal_conditions: [response_time_p95 > 900]
    service: shop
    expires: 2027-01-01T10:00:00+02:00
    scheduled_rollout: {start_date: 2026-11-01, end_date: 2026-12-01, increment: 2.5, interval: 24h}
""")
    segments = {name: StoredSegment(condition=one) for name, one in document.segments.items()}
    kept = StoredFlags(
        flags={key: StoredFlag(flag=one) for key, one in document.feature_flags.items()},
        segments=segments,
    )
    again = StoredFlags.model_validate_json(kept.model_dump_json()).document()
    assert again.feature_flags == document.feature_flags
    assert again.segments == document.segments
    assert read_flags(to_yaml(document)) == document
