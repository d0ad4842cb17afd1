"""The lookup function writes down which flags it is asked for, and never lets a lookup suffer."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from functions import look_up_flags
from greenlane.flags.lifecycle.noting import PAUSE_SECONDS, Noted
from greenlane.flags.lifecycle.seen import Seen
from greenlane.flags.reading.dynamo_http import StdlibSource, StoreUnreadable
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.sources import chosen_writer
from tests.unit.flags.flagging import NOW as NOON
from tests.unit.flags.ofrep_asking import context, event
from tests.unit.flags.reading import Shelf, body


class Table:
    """Takes updates, or refuses them."""

    def __init__(self) -> None:
        self.updates: list[Mapping[str, Any]] = []
        self.broken = False

    def __call__(self, update: Mapping[str, Any]) -> None:
        self.updates.append(update)
        if self.broken:
            raise StoreUnreadable("DynamoDB answered 500")

    def written(self) -> list[tuple[str, str]]:
        return [(one["Key"]["pk"]["S"], one["Key"]["sk"]["S"]) for one in self.updates]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """The lookup function with flags to answer from, and with this to write to."""
    shelf = Shelf(production=body(), **{"*": body()})
    taken = Table()
    monkeypatch.setattr(look_up_flags, "_environments", {})
    monkeypatch.setattr(look_up_flags, "chosen_source", lambda: shelf)
    monkeypatch.setattr(look_up_flags, "chosen_writer", lambda: taken)
    monkeypatch.setenv("FLAGS_RECORDED", "1")
    return taken


def look_up(key: str | None = "f", stage: str = "production") -> tuple[int, Any]:
    asked = {**event(context(), key), "requestContext": {"stage": stage}}
    answer = look_up_flags.handler(asked, None)
    return answer["statusCode"], json.loads(answer["body"])


def test_a_flag_that_is_asked_for_is_written_down_once_an_hour(table: Table) -> None:
    for _ in range(5):
        assert look_up()[0] == 200

    assert table.written() == [("seen#production", "f")]
    assert table.updates[0]["ExpressionAttributeNames"]["#v0"].startswith("variant:")


def test_an_answer_with_all_flags_counts_each(table: Table) -> None:
    status, answer = look_up(None)

    assert status == 200
    for _ in answer["flags"]:
        look_up(None)
    assert {key for _, key in table.written()} == {one["key"] for one in answer["flags"]}


def test_a_name_that_nobody_defined_is_not_written_down(table: Table) -> None:
    assert look_up("misspelt")[0] == 404

    assert table.updates == []


def test_an_environment_that_no_flag_names_is_noted_where_its_flags_come_from(
    table: Table,
) -> None:
    assert look_up(stage="qa")[0] == 200

    assert table.written() == [("seen#*", "f")]


def test_it_is_off_unless_the_template_asks_for_it(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLAGS_RECORDED")

    assert look_up()[0] == 200
    assert table.updates == []


def test_a_table_that_refuses_changes_no_answer_and_is_left_alone_for_a_minute() -> None:
    table, now = Table(), [100.0]
    table.broken = True
    reader = Reader(Shelf(production=body()), "production", clock=lambda: NOON)
    hour = [NOON]
    noted = Noted(
        Seen(table, "production", clock=lambda: hour[0]), reader, monotonic=lambda: now[0]
    )
    engine, _ = reader.engine()
    assert engine is not None
    found = engine.evaluate("f", context()["context"], NOON)

    for _ in range(10):
        noted.note(found)
        noted.flush()
        hour[0] += 3600  # due again each time
    assert len(table.updates) == 1

    now[0] += PAUSE_SECONDS
    table.broken = False
    noted.note(found)
    noted.flush()
    assert len(table.updates) == 2


def test_a_write_is_sent_once_for_a_lost_answer_may_mean_that_it_went_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []

    def broken(self: StdlibSource, operation: str, asked: bytes) -> tuple[int, bytes]:
        sent.append(operation)
        raise OSError("reset by peer")

    monkeypatch.setattr(StdlibSource, "_exchange", broken)
    environ = {
        "FLAGS_TABLE": "flags",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
    }

    with pytest.raises(StoreUnreadable):
        chosen_writer(environ)({"Key": {}})
    assert sent == ["UpdateItem"]
