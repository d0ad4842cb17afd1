"""What docs/flags-python.md says runs as it stands, and its tables are whole."""

import asyncio
import inspect
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from openfeature import api

from greenlane.flags import FeatureFlagManager, use_manager
from greenlane.flags.names import TABLE
from greenlane.flags.reading import sources as chosen
from greenlane.flags.reading import telemetry as told
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.sources import BotoSource
from greenlane.flags.sdk.manager import FeatureFlagManager as Manager
from tests.docs.pages import ROOT, blocks, table
from tests.flag_store import memory_store, put
from tests.table import Table

PAGE = ROOT / "docs" / "flags-python.md"
FILE = next(block for block in blocks("yaml") if block.page == ROOT / "docs" / "flags.md")


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the blocks leave behind, run one after the other beside the file of docs/flags.md."""
    monkeypatch.chdir(tmp_path)
    Path("feature-flags.yaml").write_text(FILE.text)
    found: dict[str, Any] = {}
    with redirect_stdout(StringIO()) as printed:
        for block in blocks("python"):
            if block.page == PAGE:
                exec(compile(block.text, block.id, "exec"), found)
    yield found | {"printed": printed.getvalue()}
    use_manager(None)
    api.shutdown()
    api.clear_providers()


def test_the_examples_print_what_they_say(names: dict[str, Any]) -> None:
    enabled, button, *rest = names["printed"].splitlines()

    said = re.findall(r"^ *print\(.*\)  # (.*)$", PAGE.read_text(), re.MULTILINE)
    assert [enabled, *rest] == [said[0], *said[2:]]
    assert button in ("#c00", "#00c", "#888")


def test_the_decorated_coroutine_is_for_those_who_have_the_flag(names: dict[str, Any]) -> None:
    recommend, user = names["recommend"], names["user"]

    assert asyncio.run(recommend(user)) == ["tea"]
    assert asyncio.run(recommend(user_context={"targetingKey": "u"})) is None


def test_changes_are_made_as_shown(names: dict[str, Any]) -> None:
    class Noon:
        def now(self) -> datetime:
            return datetime(2026, 11, 24, 12, tzinfo=UTC)

    client = Table(TABLE)
    store = memory_store(client)
    put(store, FILE.text)
    reader = Reader(BotoSource(client, TABLE), "production")

    names["roll_out"](FeatureFlagManager(reader, store=store, clock=Noon()))

    ramp = store.read().flags["new_checkout"].state("production").ramp
    assert (ramp.target, ramp.last_good, ramp.by) == (50, 5, "ada")
    assert [entry.reason for entry in store.audit("new_checkout", limit=2)] == ["go", "first look"]


def test_every_variable_that_is_read_is_described() -> None:
    listed = {name for row in table(PAGE, "Ask") for name in re.findall(r"`(FLAGS_\w+)`", row[0])}
    read = inspect.getsource(Manager.from_environment) + inspect.getsource(chosen)

    assert listed == set(re.findall(r'"(FLAGS_\w+)"', read))


def test_the_times_are_those_of_the_code() -> None:
    parameters = inspect.signature(Manager.connect).parameters
    text = PAGE.read_text()

    assert f"`ttl_seconds` ({parameters['ttl_seconds'].default:g})" in text
    assert f"`max_stale_seconds` ({parameters['max_stale_seconds'].default:,.0f})" in text


def test_every_field_of_a_count_is_described() -> None:
    listed = {name for row in table(PAGE, "Count") for name in re.findall(r"`([\w.]+)`", row[0])}

    assert listed | {told.ERROR_TYPE} == {
        told.METRIC,
        told.ERRORS,
        told.KEY,
        told.VARIANT,
        told.REASON,
        told.SET,
        told.VERSION,
        told.ERROR_TYPE,
    }
    assert f"`{told.NAMESPACE}`" in PAGE.read_text()
