from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenlane.documents import load
from greenlane.errors import InvalidInput, Refused, UnknownFlag
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.definitions.model import FlagsDocument
from greenlane.flags.evaluating.engine import Engine
from greenlane.flags.names import TABLE
from greenlane.flags.storing import keeping
from greenlane.flags.storing.ramp_records import level
from greenlane.flags.storing.submitting import checked
from greenlane.problems import InvalidDocument
from tests.flag_store import NOW, Failing, memory_store, percentage, put
from tests.table import Table

BY: dict[str, Any] = {"by": "ada", "at": NOW}


@pytest.fixture
def store():
    return memory_store()


def apply(store, text, **more):
    return keeping.put(store, read_flags(text), **BY, **more)


def is_on(store, key, environment="production", **context):
    engine = Engine(store.read().compiled(environment))
    return engine.evaluate(key, {"targetingKey": "u", **context}, NOW.timestamp()).value is True


def test_a_file_is_put_over_what_is_stored_and_says_what_it_changed(store):
    apply(store, "feature_flags: {a: {}, b: {}}")
    kept = apply(store, "feature_flags: {b: {percentage: 5}, c: {}}", reason="more")
    assert (kept.version, kept.keys, sorted(kept.flags)) == (2, ("b", "c"), ["b", "c"])
    assert sorted(store.read().flags) == ["a", "b", "c"]
    assert store.audit()[0].reason == "more"


def test_pruning_takes_out_what_the_file_does_not_have(store):
    apply(store, "segments: {s: {plan: pro}}\nfeature_flags: {a: {}, b: {}}")
    kept = apply(store, "feature_flags: {b: {}}", prune=True)
    assert kept.keys == ("a", "segment:s")
    assert kept.flags == {"a": None}


def test_a_flag_that_another_needs_cannot_go(store):
    apply(store, "feature_flags: {a: {}, b: {prerequisites: [{flag: a}]}}")
    with pytest.raises(InvalidDocument, match="there is no flag of that name"):
        keeping.delete(store, ["a"], **BY)
    assert keeping.delete(store, ["a", "b"], **BY).flags == {"a": None, "b": None}


@pytest.mark.parametrize("change", ["delete", "enable", "disable", "set_keys", "get"])
def test_an_unknown_flag_is_told_with_the_one_that_was_meant(store, change):
    apply(store, "feature_flags: {checkout: {}}")
    call = {
        "delete": lambda: keeping.delete(store, ["chekout"], **BY),
        "enable": lambda: keeping.enable(store, "chekout", **BY),
        "disable": lambda: keeping.disable(store, "chekout", **BY),
        "set_keys": lambda: keeping.set_keys(store, "chekout", {"percentage": 1}, **BY),
        "get": lambda: keeping.get(store, "chekout"),
    }[change]
    with pytest.raises(UnknownFlag, match="did you mean checkout"):
        call()


def test_disabling_takes_it_from_everybody_groups_too_until_it_is_enabled(store):
    apply(store, "feature_flags: {a: {user_groups: [beta], percentage: 100}}")
    keeping.disable(store, "a", **BY, reason="it burns")
    assert not is_on(store, "a", groups=["beta"])
    assert not is_on(store, "a", "*")
    assert store.read().flags["a"].state("*").retreated == "disabled by ada: it burns"
    assert keeping.enable(store, "a", **BY).keys == ("a",)
    assert is_on(store, "a")


def test_applying_the_same_file_does_not_switch_on_what_was_disabled(store):
    text = "feature_flags: {a: {environments: [production]}}"
    apply(store, text)
    keeping.disable(store, "a", **BY)
    assert not apply(store, text).changed
    apply(store, "feature_flags: {a: {environments: [production, qa]}}")
    assert not is_on(store, "a")
    assert not is_on(store, "a", "qa")


def test_disabling_in_one_environment_leaves_the_others(store):
    apply(store, "feature_flags: {a: {environments: [staging, production]}}")
    keeping.disable(store, "a", "production", **BY)
    assert (is_on(store, "a"), is_on(store, "a", "staging")) == (False, True)
    keeping.enable(store, "a", "production", **BY)
    assert is_on(store, "a")


@pytest.mark.parametrize("change", [keeping.enable, keeping.disable])
def test_an_environment_that_no_flag_names_is_an_error_with_a_suggestion(store, change):
    apply(store, "feature_flags: {a: {environments: [production]}}")
    with pytest.raises(InvalidInput, match=r"prodution.*did you mean production"):
        change(store, "a", "prodution", **BY)


def test_enabling_writes_what_the_file_said_otherwise(store):
    apply(store, "feature_flags: {a: {enabled: false}, b: {enabled: false, environments: [qa]}}")
    keeping.enable(store, "a", **BY)
    keeping.enable(store, "b", "qa", **BY)
    flags = store.read().flags
    assert flags["a"].flag.enabled
    assert (flags["b"].flag.enabled, flags["b"].flag.within("qa").enabled) == (False, True)


def test_the_kill_switch_is_not_told_of_a_conflict():
    client = Failing(Table(TABLE))
    store = memory_store(client)
    put(store, percentage("a", 100))
    client.between = lambda: put(memory_store(client.target), percentage("a", 50), by="bob")
    keeping.disable(store, "a", **BY)
    assert (is_on(store, "a"), store.read().flags["a"].flag.percentage) == (False, 50)


def test_a_flag_goes_off_although_the_set_breaks_a_rule_that_is_newer_than_it(store):
    broken = "feature_flags: {a: {prerequisites: [{flag: gone}]}, b: {}}"
    document = checked(FlagsDocument, load(broken).data)
    store.change(keeping.merging(document), by="old version", reason="", at=NOW)
    with pytest.raises(InvalidDocument):
        keeping.set_keys(store, "b", {"percentage": 5}, **BY)
    assert keeping.disable(store, "b", **BY).changed


def test_keys_are_set_everywhere_or_in_one_environment_and_taken_out(store):
    apply(store, "feature_flags: {a: {percentage: 5, environments: [qa, production]}}")
    keeping.set_keys(store, "a", {"percentage": 0.125}, environment="qa", **BY)
    keeping.set_keys(store, "a", {"user_groups": ["beta"], "percentage": None}, **BY)
    flag = store.read().flags["a"].flag
    assert (flag.percentage, flag.within("qa").percentage) == (None, Decimal("0.125"))
    assert flag.user_groups == ("beta",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"percentage": 101}, "percentage: 101 is not accepted"),
        ({"percentage": 0.0001}, "at most three decimals"),
        ({"percentge": 1}, "did you mean percentage"),
        ({"default": "blue"}, "there is no variant of that name"),
    ],
)
def test_a_wrong_key_or_value_is_refused_and_nothing_is_written(store, changes, said):
    apply(store, "feature_flags: {a: {percentage: 5}}")
    with pytest.raises(InvalidInput, match=said):
        keeping.set_keys(store, "a", changes, **BY)
    assert store.read().version == 1


def ramp(store, target=50, environment="production", **more):
    return keeping.start_ramp(store, "a", environment, Decimal(target), **BY, **more)


def test_a_ramp_is_recorded_and_gives_the_flag_to_nobody_by_itself(store):
    apply(store, "feature_flags: {a: {percentage: 10, environments: [production]}}")
    state = ramp(store).flags["a"].state("production")
    assert (state.ramp.target, state.ramp.increment, state.ramp.interval) == (
        50,
        5,
        timedelta(minutes=5),
    )
    assert (state.ceiling, state.ramp.last_good, state.ramp.status) == (10, 10, "running")
    assert level(store.read().flags["a"], "production", NOW.timestamp()) == 10
    (rule,) = store.read().compiled("production")["flags"]["a"]["rules"]
    assert (rule["share"], rule["ceiling"]) == (50_000, 10_000)
    assert store.read().compiled("*")["flags"]["a"]["rules"][0]["share"] == 10_000


def test_applying_the_same_file_leaves_a_ramp_alone_and_another_percentage_is_refused(store):
    text = "feature_flags: {a: {percentage: 10, environments: [production]}}"
    apply(store, text)
    ramp(store)
    assert not apply(store, text).changed
    apply(store, text.replace("environments", "metadata: {x: 1}, environments"))
    with pytest.raises(Refused, match=r"a: its percentage in production belongs to the ramp a-"):
        apply(store, text.replace("10", "20"))
    keeping.stop_ramp(store, "a", "production", **BY)
    apply(store, text.replace("10", "20"))
    state = store.read().flags["a"].state("production")
    assert (state.ramp, state.ceiling) == (None, None)


def test_a_second_ramp_and_one_of_a_flag_that_is_off_are_refused(store):
    apply(store, "feature_flags: {a: {percentage: 0, environments: [qa, production]}}")
    ramp(store)
    with pytest.raises(Refused, match="is running in production; stop it first"):
        ramp(store)
    keeping.disable(store, "a", "qa", **BY)
    with pytest.raises(Refused, match="enable it first"):
        ramp(store, environment="qa")


def test_a_ramp_to_what_is_reached_already_is_refused(store):
    apply(store, "feature_flags: {a: {environments: [production]}}")
    with pytest.raises(InvalidInput, match="100 percent have it in production"):
        ramp(store, target=100)


@pytest.mark.parametrize(
    ("field", "value"), [("target", 0), ("target", 101), ("increment", Decimal("0.0001"))]
)
def test_a_ramps_numbers_are_percent(store, field, value):
    with pytest.raises(InvalidInput, match=field):
        keeping.start_ramp(
            store, "a", "production", **({"target": Decimal(5)} | {field: Decimal(value)}), **BY
        )


def test_stopping_a_ramp_keeps_its_level_or_goes_back_and_can_be_repeated(store):
    apply(store, "feature_flags: {a: {percentage: 10, environments: [production]}}")
    ramp(store)
    keeping.stop_ramp(store, "a", "production", **BY)
    assert not keeping.stop_ramp(store, "a", "production", **BY).changed
    assert level(store.read().flags["a"], "production", 0) == 10
    keeping.stop_ramp(store, "a", "production", **BY, back=True)
    assert level(store.read().flags["a"], "production", 0) == 0


def test_disabling_stops_a_ramp_that_runs(store):
    apply(store, "feature_flags: {a: {percentage: 10, environments: [production]}}")
    ramp(store)
    keeping.disable(store, "a", "production", **BY, reason="it burns")
    stopped = store.read().flags["a"].state("production").ramp
    assert (stopped.status, stopped.reason) == ("stopped", "disabled by ada: it burns")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("{}", 100),
        ("{percentage: 7.5}", Decimal("7.5")),
        ("{user_groups: [beta]}", 0),
        ("{user_groups: [beta], targeting: {user_attributes: [{a: 1}]}}", 100),
        ("{rules: [{id: r, serve: 'on', percentage: 5}]}", 0),
        ("{enabled: false}", 0),
        ("{scheduled_rollout: {start_date: 2026-11-20, increment: 10, interval: 24h}}", 10),
    ],
)
def test_the_level_is_what_the_short_keys_give_to_the_eligible(store, keys, expected):
    apply(store, f"feature_flags: {{a: {keys}}}")
    assert level(store.read().flags["a"], "*", NOW.timestamp()) == expected


def test_a_difference_names_what_applying_would_change_and_changes_nothing(store):
    apply(store, "feature_flags: {a: {percentage: 5}, b: {}}")
    found = keeping.difference(store.read(), read_flags("feature_flags: {a: {percentage: 6}}"))
    assert [(one.key, one.before["flag"], one.after["flag"]) for one in found] == [
        ("a", {"percentage": 5}, {"percentage": 6})
    ]
    assert store.read().version == 1
