import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.flags.names import TABLE
from greenlane.flags.storing.audit import GENESIS, AuditEntry, broken
from tests.flag_store import NOW, memory_store, percentage, put
from tests.table import Table


def chain(length):
    entries, previous = [], GENESIS
    for version in range(1, length + 1):
        entry = AuditEntry(version=version, id=str(version), at=NOW, by="a", previous=previous)
        entry = entry.hashed()
        entries.append(entry.model_dump(mode="json"))
        previous = entry.hash
    return entries, previous


@given(st.integers(0, 8))
def test_a_whole_chain_has_no_problem(length):
    entries, newest = chain(length)
    assert list(broken(entries, length, newest)) == []


@given(st.data())
def test_any_entry_that_is_changed_taken_out_or_moved_is_found(data):
    entries, newest = chain(data.draw(st.integers(1, 8), "length"))
    at = data.draw(st.integers(0, len(entries) - 1), "entry")
    length = len(entries)
    how = data.draw(st.sampled_from(["change", "rehash", "remove", "swap", "add", "repeat"]))
    if how == "change":
        name = data.draw(st.sampled_from(["by", "reason", "at", "previous", "digest", "id", "new"]))
        entries[at] = entries[at] | {name: "forged"}
    elif how == "rehash":
        forged = AuditEntry.model_validate(entries[at] | {"by": "mallory"}).hashed()
        entries[at] = forged.model_dump(mode="json")
    elif how == "remove":
        del entries[at]
    elif how == "swap":
        other = data.draw(
            st.integers(0, length - 1).filter(lambda number: number != at or length == 1)
        )
        if other == at:
            return
        entries[at], entries[other] = entries[other], entries[at]
    elif how == "add":
        more, _ = chain(length + 1)
        entries.append(more[-1])
    else:
        entries.insert(at, entries[at])
    assert list(broken(entries, length, newest))


@pytest.fixture
def client():
    client = Table(TABLE)
    store = memory_store(client)
    for number in range(1, 4):
        put(store, f"feature_flags: {{a: {{percentage: {number}, environments: [qa]}}}}")
    put(store, percentage("b", 5))
    return client


def forge(client, pk, sk, change):
    item = client._items[(pk, sk)]
    body = json.loads(gzip.decompress(item["body"]["B"]))
    change(body)
    item["body"] = {"B": gzip.compress(json.dumps(body).encode())}


@pytest.mark.parametrize(
    ("pk", "sk", "change", "found"),
    [
        (
            "flags",
            "audit#000000000002",
            lambda body: body.update(by="x"),
            "version 2: the entry was",
        ),
        ("flags", "document", lambda body: body["flags"].pop("b"), "the flags are not those"),
        (
            "snapshot#qa",
            "snapshot",
            lambda body: body["flags"]["a"].update(on=False),
            "the snapshot of qa is not what the flags compile to",
        ),
    ],
)
def test_what_is_changed_beside_greenlane_is_found(client, pk, sk, change, found):
    store = memory_store(client)
    assert store.verify().problems == ()
    forge(client, pk, sk, change)
    (problem,) = store.verify().problems
    assert problem.startswith(found)


def test_a_snapshot_whose_version_item_says_otherwise_is_found(client):
    client._items[("snapshot#qa", "version")]["version"] = {"N": "99"}
    (problem,) = memory_store(client).verify().problems
    assert problem.startswith("the snapshot of qa is not what the flags compile to")


def test_the_audit_is_read_on_from_a_version_and_by_flag(client):
    store = memory_store(client)
    assert [entry.version for entry in store.audit()] == [4, 3, 2, 1]
    assert [entry.version for entry in store.audit(limit=2)] == [4, 3]
    assert [entry.version for entry in store.audit(before=3, limit=1)] == [2]
    assert [entry.version for entry in store.audit("b")] == [4]
    assert store.audit("c") == []


def test_an_entry_has_what_a_flag_was_and_what_it_became(client):
    entry = memory_store(client).audit("a", limit=1)[0]
    (change,) = entry.changes
    assert change.before["flag"]["percentage"] == 2
    assert change.after["flag"]["percentage"] == 3


def test_many_pages_of_the_audit_are_read_to_the_end():
    store = memory_store()
    for number in range(1, 120):
        put(store, percentage("a", number % 100))
    assert len(store.audit(limit=1000)) == 119
    assert store.verify().entries == 119
    assert store.verify().problems == ()
