import gzip
import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from greenlane.errors import FlagConflict, FlagsTooLarge
from greenlane.flags.definitions.model import Flag
from greenlane.flags.evaluating.engine import Engine
from greenlane.flags.names import TABLE
from greenlane.flags.reading.sources import BotoSource
from greenlane.flags.storing.state import StoredFlag, StoredFlags
from tests.fakes import error, timeout
from tests.flag_store import NOW, Failing, flags_from, memory_store, percentage, put
from tests.table import Table

FILE = """
segments: {staff: {attribute: email, op: ends_with, value: "@example.com"}}
approvals: {environments: [production]}
feature_flags:
  checkout:
    environments: [staging, production]
    percentage: 12.345
    per_environment: {staging: {percentage: null, enabled: true}}
    rules: [{id: staff, when: {not: {segment: staff}}, percentage: 0.001, serve: off}]
    scheduled_rollout: {start_date: 2026-11-01, increment: 2.5, interval: 24h}
    expires: 2027-01-01
    metadata: {owner: ada, weight: 1.0, size: 1}
  button:
    type: object
    variants: {a: {size: 1, ratio: 1.0, list: [1, null]}, b: {}}
    default: b
    rules: [{id: split, split: {a: 33.333, b: 66.667}}]
"""


def snapshot(client, environment):
    found = BotoSource(client, TABLE).snapshot(environment)
    assert found is not None
    version, body = found
    assert BotoSource(client, TABLE).version(environment) == version
    return json.loads(gzip.decompress(body))


def test_what_was_written_is_read_as_the_same_flags():
    store = memory_store()
    put(store, FILE)
    kept = store.read()
    again = StoredFlags.model_validate_json(kept.model_dump_json())
    assert again == kept
    assert kept.document() == again.document()
    for environment in ("staging", "production", "*"):
        assert json.dumps(kept.compiled(environment)) == json.dumps(again.compiled(environment))
    staging = kept.flags["checkout"].flag.within("staging")
    assert (staging.percentage, kept.flags["button"].flag.variants["a"]["ratio"]) == (None, 1.0)


def test_a_change_writes_head_document_audit_and_each_environments_snapshot_at_once():
    client = Failing(Table(TABLE))
    changed = put(memory_store(client), FILE, by="ada", reason="first")
    assert client.calls == ["get_item", "transact_write_items"]
    places = [(item["pk"]["S"], item["sk"]["S"]) for item in client.target.items()]
    environments = ("*", "production", "staging")
    assert places == [
        ("flags", "audit#000000000001"),
        ("flags", "document"),
        ("flags", "head"),
        *((f"snapshot#{name}", kind) for name in environments for kind in ("snapshot", "version")),
    ]
    assert (changed.version, changed.environments) == (1, environments)
    assert Engine(snapshot(client, "production")).version == 1


def test_an_environment_in_which_nothing_changed_keeps_its_version():
    client = Table(TABLE)
    store = memory_store(client)
    put(store, "feature_flags: {a: {environments: [staging, qa]}}")
    put(
        store,
        "feature_flags: {a: {environments: [staging, qa], per_environment: "
        "{staging: {percentage: 5}}}}",
    )
    versions = {name: snapshot(client, name)["version"] for name in ("staging", "qa", "*")}
    assert versions == {"staging": 2, "qa": 1, "*": 1}


def test_an_environment_that_nobody_names_any_more_keeps_a_snapshot_that_is_true():
    client = Table(TABLE)
    store = memory_store(client)
    put(store, "feature_flags: {a: {environments: [qa]}}")
    put(store, "feature_flags: {a: {environments: [staging]}}")
    assert snapshot(client, "qa")["flags"]["a"]["on"] is False


def test_the_same_again_changes_nothing_and_leaves_no_entry():
    store = memory_store()
    put(store, FILE)
    again = put(store, FILE, by="bob")
    assert (again.version, again.keys, again.entry) == (1, (), None)
    assert len(store.audit()) == 1


def test_one_and_one_point_nought_and_true_are_three_values():
    store = memory_store()
    for number, value in enumerate(("1", "1.0", "true"), start=1):
        changed = put(store, f"feature_flags: {{a: {{metadata: {{x: {value}}}}}}}")
        assert changed.version == number
        assert changed.environments == ("*",)


def test_of_two_who_change_the_same_flag_one_wins_and_the_other_is_told_by_whom():
    client = Failing(Table(TABLE))
    store = memory_store(client)
    put(store, percentage("a", 1))
    client.between = lambda: put(memory_store(client.target), percentage("a", 2), by="bob")
    with pytest.raises(FlagConflict, match=r"a: bob changed it at 2026-11-24 12:00:00 UTC"):
        put(store, percentage("a", 3))
    assert store.read().flags["a"].flag.percentage == 2
    assert [entry.by for entry in store.audit("a")] == ["bob", "ada"]


def test_two_who_create_the_same_flag_do_not_both_win():
    client = Failing(Table(TABLE))
    client.between = lambda: put(memory_store(client.target), percentage("a", 2), by="bob")
    with pytest.raises(FlagConflict, match="bob"):
        put(memory_store(client), percentage("a", 3))


def test_who_changes_a_flag_that_was_deleted_meanwhile_is_told_who_did():
    client = Failing(Table(TABLE))
    store = memory_store(client)
    put(store, percentage("a", 1))
    other = memory_store(client.target)
    client.between = lambda: other.change(
        lambda flags: flags.with_flag("a", None), by="bob", reason="", at=NOW
    )
    with pytest.raises(FlagConflict, match="bob"):
        put(store, percentage("a", 3))


def test_changes_of_different_flags_both_go_in():
    client = Failing(Table(TABLE))
    store = memory_store(client)
    client.between = lambda: put(memory_store(client.target), percentage("b", 2), by="bob")
    assert put(store, percentage("a", 3)).version == 2
    assert sorted(store.read().flags) == ["a", "b"]
    assert store.verify().problems == ()


def test_what_was_looked_at_must_not_have_moved_when_the_caller_says_so():
    store = memory_store()
    put(store, percentage("a", 1))
    put(store, percentage("a", 2), by="bob")
    with pytest.raises(FlagConflict, match="bob"):
        store.change(flags_from(percentage("a", 9)), by="x", reason="", at=NOW, touches={"a": 1})
    kept = store.change(flags_from(percentage("a", 9)), by="x", reason="", at=NOW, touches={"a": 2})
    assert kept.version == 3


def test_many_writers_at_once_all_go_in_and_the_chain_holds():
    client = Table(TABLE)

    def write(number):
        return put(memory_store(client), percentage(f"flag-{number}", number % 100))

    with ThreadPoolExecutor(8) as pool:
        versions = [one.version for one in pool.map(write, range(24))]
    store = memory_store(client)
    assert sorted(versions) == list(range(1, 25))
    assert len(store.read().flags) == 24
    assert store.verify().problems == ()


def test_of_many_who_raise_one_flag_each_version_is_one_writers():
    client = Table(TABLE)
    put(memory_store(client), percentage("a", 0))

    def write(number):
        try:
            return put(memory_store(client), percentage("a", number)).version
        except FlagConflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [one for one in pool.map(write, range(1, 17)) if one is not None]
    store = memory_store(client)
    assert won
    assert sorted(won) == list(range(2, len(won) + 2))
    assert len(store.audit(limit=100)) == len(won) + 1


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("failure", [timeout(), error("InternalServerError")])
def test_a_transaction_whose_answer_is_lost_goes_in_exactly_once(kind, failure):
    client = Failing(Table(TABLE))
    store = memory_store(client)
    put(store, percentage("a", 1))
    start = len(client.calls)
    getattr(client, kind)[start + 1] = failure
    changed = put(store, percentage("a", 2))
    assert (changed.version, store.read().version) == (2, 2)
    assert len(store.audit()) == 2
    assert store.verify().problems == ()


def test_a_repeat_that_the_table_does_not_know_again_finds_its_own_entry():
    """The token is good for ten minutes; after that the condition fails on what we wrote."""
    client = Failing(Table(TABLE))
    client.after[1] = timeout()
    client.target._asked = _Forgetful()
    assert put(memory_store(client), percentage("a", 2)).version == 1
    assert client.target.items()[0]["sk"]["S"] == "audit#000000000001"


class _Forgetful(dict[str, Any]):
    def __setitem__(self, key, value):
        pass


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_a_crash_at_any_call_leaves_all_of_a_change_or_nothing_and_a_repeat_completes_it(
    kind, number
):
    client = Failing(Table(TABLE))
    put(memory_store(client.target), percentage("a", 1))
    getattr(client, kind)[number] = KeyboardInterrupt()
    store = memory_store(client)
    client.between = lambda: put(memory_store(client.target), percentage("b", 2))
    try:
        put(store, percentage("a", 2))
    except KeyboardInterrupt:
        clean = memory_store(client.target)
        assert clean.verify().problems == ()
        put(clean, percentage("a", 2))
    after = memory_store(client.target)
    assert after.verify().problems == ()
    assert after.read().flags["a"].flag.percentage == 2
    assert sum(any(one.key == "a" for one in entry.changes) for entry in after.audit()) == 2


def test_what_cannot_be_sent_at_all_is_an_error_and_nothing_is_written():
    client = Failing(Table(TABLE))
    client.before = {number: timeout() for number in range(1, 9)}
    with pytest.raises(type(timeout())):
        put(memory_store(client), percentage("a", 2))
    assert client.calls.count("transact_write_items") == 4
    assert client.target.items() == []


def test_flags_that_do_not_fit_are_refused_with_their_size():
    client = Table(TABLE)
    large = Flag.model_validate({"metadata": {"x": random.Random(1).randbytes(450_000).hex()}})
    with pytest.raises(FlagsTooLarge, match=r"bytes, compressed.*at most 389120 fit"):
        memory_store(client).change(
            lambda flags: flags.with_flag("a", StoredFlag(flag=large)), by="ada", reason="", at=NOW
        )
    assert client.items() == []


def test_more_environments_than_one_transaction_carries_are_refused_by_name():
    names = ", ".join(f"e{number}" for number in range(60))
    with pytest.raises(FlagsTooLarge, match="61 of them.*there may be 48"):
        put(memory_store(), f"feature_flags: {{a: {{environments: [{names}]}}}}")


def test_more_bytes_than_one_transaction_carries_are_refused_with_their_sum(monkeypatch):
    monkeypatch.setattr("greenlane.flags.storing.fitting.MOST_BYTES", 2000)
    monkeypatch.setattr("greenlane.flags.storing.fitting.SPARE_BYTES", 100)
    client = Table(TABLE)
    noise = random.Random(2).randbytes(200).hex()
    names = ", ".join(f"e{number}" for number in range(8))
    text = f"feature_flags: {{a: {{environments: [{names}], metadata: {{x: x{noise}}}}}}}"
    with pytest.raises(FlagsTooLarge, match=r"bytes in 9 environments.*at most 1900"):
        put(memory_store(client), text)
    assert client.items() == []


def test_a_flag_that_was_off_is_on_since_the_change_that_switched_it_on():
    store = memory_store()
    schedule = "scheduled_rollout: {start_date: 2026-10-01, increment: 10, interval: 24h}"
    put(store, f"feature_flags: {{a: {{enabled: false, {schedule}}}}}")
    assert store.read().flags["a"].states == {}
    put(store, f"feature_flags: {{a: {{enabled: true, {schedule}}}}}")
    kept = store.read()
    assert kept.flags["a"].state("production").enabled_since == NOW
    assert kept.compiled("*")["flags"]["a"]["rules"][0]["share"][0] == NOW.timestamp()
