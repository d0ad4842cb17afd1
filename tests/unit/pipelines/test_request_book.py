"""What pipelines asked for is written by one, and found by the others."""

from datetime import timedelta
from typing import Any

import pytest

from greenlane.errors import InvalidInput
from greenlane.pipelines.book import KEPT_FOR, Book, End, Entry, Mark
from greenlane.pipelines.request import NoFiles, read_asked
from tests.builders import NOW, SERVICE
from tests.faults.wiring import TABLE
from tests.table import Table
from tests.unit.pipelines.turns import asked


def entry(**changed: Any) -> Entry:
    made = {
        "execution": "e-1",
        "kind": "deployment",
        "name": SERVICE,
        "digest": "d",
        "job": "j-1",
        "subject_id": "s-1",
        "began_at": NOW,
    }
    return Entry.model_validate(made | changed)


@pytest.fixture
def table() -> Table:
    return Table(TABLE)


@pytest.fixture
def book(table: Table) -> Book:
    return Book(table, TABLE)


def test_of_two_who_write_first_one_does(book: Book) -> None:
    assert book.write(entry(requested_by="one"), None) is not None
    assert book.write(entry(requested_by="two"), None) is None

    found = book.entry("e-1", "deployment", SERVICE, "")
    assert found is not None
    assert (found.requested_by, found.version) == ("one", 1)


def test_who_read_an_older_version_writes_nothing(book: Book) -> None:
    first = book.write(entry(), None)
    assert first is not None
    second = book.write(first.model_copy(update={"stopped": "by a person"}), first)

    assert second is not None
    assert book.write(first.model_copy(update={"end": End(name="failed")}), first) is None
    found = book.entry("e-1", "deployment", SERVICE, "")
    assert found == second


def test_requests_with_names_of_their_own_stand_beside_each_other(book: Book) -> None:
    for action in ("", "second"):
        assert book.write(entry(action=action), None) is not None
    book.mark("e-1", Mark(why="stopped", at=NOW))

    assert [one.action for one in book.entries("e-1")] == ["", "second"]
    assert book.stopped("e-1") == Mark(why="stopped", at=NOW)
    assert book.stopped("e-2") is None


def test_all_of_it_is_forgotten_in_time(book: Book, table: Table) -> None:
    book.write(entry(), None)
    book.mark("e-1", Mark(why="stopped", at=NOW + timedelta(days=1)))

    expected = {(NOW + KEPT_FOR).timestamp(), (NOW + KEPT_FOR + timedelta(days=1)).timestamp()}
    assert {int(item["expires_at"]["N"]) for item in table.items()} == expected


def test_a_version_that_wrote_more_is_still_read(book: Book, table: Table) -> None:
    book.write(entry(), None)
    (item,) = table.items()
    text = item["body"]["S"].replace('"attempt":1', '"attempt":1,"from_the_future":{"a":1}')
    table.put_item(TableName=TABLE, Item=item | {"body": {"S": text}})

    assert book.entry("e-1", "deployment", SERVICE, "") == entry()


def test_equal_requests_have_one_digest_however_they_are_written() -> None:
    base = {"service": SERVICE, "version": "1", "steps": [10, 100]}
    written = asked(**base | {"steps": [{"weight": 10}, {"weight": 100}]})

    assert asked(**base).digest == written.digest
    assert asked(**base | {"version": "2"}).digest != written.digest


@pytest.mark.parametrize("execution", ["", "a b", "#x", "-a", "a" * 101, 7, None])
def test_an_execution_id_is_one_that_a_key_and_a_name_can_hold(execution: Any) -> None:
    given = {"service": SERVICE, "version": "1", "pipeline_execution_id": execution}

    with pytest.raises(InvalidInput, match="pipeline_execution_id"):
        read_asked(given, NoFiles(), by="test")
