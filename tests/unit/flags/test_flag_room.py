import gzip
import hashlib
import json
import random
from typing import Any

import pytest

from greenlane.errors import FlagsTooLarge, InvalidInput, Refused
from greenlane.flags.definitions.compiling import COMPILER, compile_snapshot
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.definitions.model import Flag
from greenlane.flags.names import TABLE
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.sources import BotoSource
from greenlane.flags.storing import keeping, upkeep
from tests.flag_store import NOW, memory_store, put
from tests.table import Table

BY: dict[str, Any] = {"by": "ada", "at": NOW}


def noisy(size, seed=1):
    """A flag that takes about so many bytes, compressed."""
    noise = random.Random(seed).randbytes(size).hex()
    return Flag.model_validate({"type": "object", "variants": {"on": {"x": noise}, "off": {}}})


def filled(client=None):
    """A store that takes no flag more, with one flag to switch off."""
    store = memory_store(client)
    put(store, "feature_flags: {a: {environments: [production]}}")
    number = 0
    for size in (50_000, 10_000, 2_000):
        while True:
            number += 1
            try:
                keeping.put_flag(store, f"n{number}", noisy(size, number), **BY)
            except FlagsTooLarge:
                break
    return store


def test_a_flag_goes_off_and_goes_out_where_no_further_flag_fits():
    store = filled()
    keeping.disable(store, "a", reason="x" * 500, **BY)
    assert not store.read().flags["a"].is_on("production")
    keeping.delete(store, ["n1"], **BY)
    assert "n1" not in store.read().flags
    assert store.verify().problems == ()


def test_a_flag_goes_off_whose_definition_fits_into_no_audit_entry_twice():
    store = memory_store()
    keeping.put_flag(store, "a", noisy(250_000), **BY)
    keeping.disable(store, "a", **BY)
    assert not store.read().flags["a"].is_on("*")
    (change,) = store.audit()[0].changes
    assert change.before.keys() == change.after.keys() == {"states"}
    assert change.after["states"]["*"]["stopped"] is True
    assert store.verify().problems == ()


def test_a_flag_goes_off_however_much_is_said_about_it():
    store = memory_store()
    names = ", ".join(f"e{number}" for number in range(20))
    put(store, f"feature_flags: {{a: {{environments: [{names}]}}}}")
    log = random.Random(3).randbytes(200_000).hex()
    keeping.disable(store, "a", by="ada", reason=log, at=NOW)
    assert not store.read().flags["a"].is_on("e1")
    assert store.audit()[0].reason == log[:1000]
    with pytest.raises(InvalidInput, match="at most 1000 characters"):
        keeping.enable(store, "a", by="ada", reason=log, at=NOW)


def test_a_flag_goes_off_everywhere_however_the_environments_came_to_be():
    store = memory_store()
    put(store, "feature_flags: {a: {}}")

    def named(number):
        own = ", ".join(f"e{one}: {{percentage: 5}}" for one in range(number))
        put(store, f"feature_flags: {{a: {{per_environment: {{{own}}}}}}}")

    for number in (30, 47):
        named(number)
    with pytest.raises(FlagsTooLarge, match=r"49 of them.*greenlane flags forget"):
        named(48)
    assert len(store.read().environments) == 48
    changed = keeping.disable(store, "a", **BY)
    assert len(changed.environments) == 48


def test_environments_of_the_settings_never_stand_in_the_way():
    client = Table(TABLE)
    for number in range(47):
        put(memory_store(client), f"feature_flags: {{a: {{environments: [e{number}]}}}}")
    store = memory_store(client, environments=("more", "and-more"))
    keeping.disable(store, "a", **BY)
    assert len(store.read().environments) == 48


def test_environments_of_the_settings_leave_the_last_place_to_one_that_is_named():
    client = Table(TABLE)
    for number in range(46):
        put(memory_store(client), f"feature_flags: {{a: {{environments: [e{number}]}}}}")
    store = memory_store(client, environments=("more",))
    put(store, "feature_flags: {a: {environments: [named]}}")
    assert {"named", "more"} & {*store.read().environments} == {"named"}


def test_flags_that_would_not_fit_into_all_environments_at_once_are_refused(monkeypatch):
    monkeypatch.setattr("greenlane.flags.storing.fitting.MOST_BYTES", 1_000_000)
    store = memory_store()
    keeping.put_flag(store, "big", noisy(150_000), **BY)
    put(store, "feature_flags: {a: {environments: [e0, e1]}}")
    changes = {"environments": ["e0", "e1", "e2", "e3", "e4"]}
    with pytest.raises(FlagsTooLarge, match="in 6 environments"):
        keeping.set_keys(store, "a", changes, **BY)
    keeping.disable(store, "big", **BY)


def test_an_environment_that_nothing_names_is_forgotten_and_gets_what_all_others_get():
    client = Table(TABLE)
    store = memory_store(client)
    put(store, "feature_flags: {a: {environments: [production, pr-1]}, b: {}}")
    put(store, "feature_flags: {a: {environments: [production]}}")
    kept = upkeep.forget(store, "pr-1", reason="merged", **BY)
    assert (kept.version, store.read().environments) == (3, ("*", "production"))
    assert [one for one in client.items() if one["pk"]["S"] == "snapshot#pr-1"] == []
    assert all("pr-1" not in one.states for one in store.read().flags.values())
    engine, _ = Reader(BotoSource(client, TABLE), "pr-1").engine()
    assert engine is not None
    assert engine.evaluate("b", {}, NOW.timestamp()).value is True
    assert store.verify().problems == ()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ("*", "stays"),
        ("production", "the flag a names it"),
        ("staging", "the approvals name it"),
        ("pr-1", "b would change for who still asks there"),
    ],
)
def test_what_is_named_or_decides_something_is_not_forgotten(environment, said):
    store = memory_store()
    put(
        store,
        "approvals: {environments: [staging]}\n"
        "feature_flags: {a: {environments: [production, pr-1]}, b: {}}",
    )
    put(store, "feature_flags: {a: {environments: [production]}}")
    keeping.disable(store, "b", "pr-1", **BY)
    with pytest.raises(Refused, match=said):
        upkeep.forget(store, environment, **BY)
    assert "pr-1" in store.read().environments


def test_what_was_stopped_in_a_forgotten_environment_does_not_come_back_on():
    store = memory_store()
    put(store, "feature_flags: {a: {environments: [pr-1]}, b: {}}")
    put(store, "feature_flags: {a: {environments: [production]}}")
    upkeep.forget(store, "pr-1", **BY)
    keeping.disable(store, "b", **BY)
    put(store, "feature_flags: {a: {environments: [pr-1]}}")
    assert not store.read().flags["b"].is_on("pr-1")


GOLDEN = """
segments: {staff: {attribute: email, op: ends_with, value: "@example.com"}}
feature_flags:
  a:
    environments: [production]
    prerequisites: [{flag: b}]
    user_groups: [beta]
    targeting: {user_attributes: [{premium: true}, {region: [us, de]}]}
    percentage: 12.345
    rules:
      - {id: r, when: {not: {any: [{segment: staff}, {age: 5}]}}, percentage: 5, serve: on}
      - {id: s, when: {all: [{attribute: x, op: present}]}, split: {on: 50, off: 50}}
    scheduled_rollout: {start_date: 2026-11-01, end_date: 2026-12-01, increment: 5, interval: 24h}
    metadata: {owner: ada}
  b: {stickiness: [tenant, targetingKey], salt: s, enabled: false}
  d: {bucketing: flagd, percentage: 5}
  c: {type: string, variants: {x: "1", y: "2"}, default: x, served: y, user_groups: [beta]}
"""


def test_whoever_compiles_otherwise_raises_the_number_of_the_compiler():
    compiled = compile_snapshot(
        read_flags(GOLDEN), "production", enabled_since={"a": 1_795_000_000.0}
    )
    digest = hashlib.sha256(json.dumps(compiled).encode()).hexdigest()[:16]
    assert (COMPILER, digest) == (1, "d5d97c9e52b03816")


def test_the_first_change_after_an_upgrade_writes_all_snapshots_anew(monkeypatch):
    store = memory_store()
    put(store, "feature_flags: {a: {environments: [production, staging]}, b: {}}")
    assert keeping.disable(store, "b", "staging", **BY).environments == ("staging",)
    monkeypatch.setattr("greenlane.flags.storing.state.COMPILER", 2)
    changed = keeping.disable(store, "a", "staging", **BY)
    assert changed.environments == ("*", "production", "staging")
    assert keeping.enable(store, "a", "staging", **BY).environments == ("staging",)


def test_snapshots_that_are_not_what_the_flags_compile_to_are_written_anew():
    client = Table(TABLE)
    store = memory_store(client)
    put(store, "feature_flags: {a: {environments: [production]}}")
    item = client._items[("snapshot#production", "snapshot")]
    body = json.loads(gzip.decompress(item["body"]["B"]))
    body["flags"]["a"]["rules"] = []
    item["body"] = {"B": gzip.compress(json.dumps(body).encode())}
    (problem,) = store.verify().problems
    assert "greenlane flags recompile" in problem
    done = store.recompile(by="ada", reason="repaired", at=NOW)
    assert (done.version, done.environments) == (2, ("production",))
    assert store.verify().problems == ()
    assert store.audit()[0].reason == "repaired"
    again = store.recompile(by="ada", reason="", at=NOW)
    assert (again.version, again.environments, len(store.audit())) == (2, (), 2)


def test_nothing_is_recompiled_where_there_are_no_flags():
    assert memory_store().recompile(by="ada", reason="", at=NOW).version == 0
