import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.errors import InvalidInput, Refused, UnknownFlag
from greenlane.flags import FeatureFlagManager, user_context
from greenlane.flags.names import TABLE
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.sources import BotoSource
from greenlane.flags.reading.telemetry import Telemetry
from greenlane.flags.sdk.answers import as_type
from tests.flag_store import NOW, memory_store, put
from tests.table import Table
from tests.unit.flags.flagging import flag, rule
from tests.unit.flags.reading import Shelf, Time, body

ROOT = Path(__file__).resolve().parents[3]
USER = {"targetingKey": "user-1"}


def typed(kind: str, value: Any) -> dict[str, Any]:
    return flag(rule("a"), type=kind, variants={"a": value, "b": value}, off="b")


FLAGS = {
    "on": flag(rule()),
    "off": flag(rule(), on=False),
    "share": flag(rule(share=50_000)),
    "text": typed("string", "hi"),
    "whole": typed("number", 2.0),
    "part": typed("number", 2.5),
    "object": typed("object", {"a": 1}),
}


def asking(flags: Any = FLAGS, **more: Any) -> FeatureFlagManager:
    return FeatureFlagManager(Reader(Shelf(production=body(1, flags)), "production"), **more)


class Raising(Shelf):
    def version(self, environment: str) -> int | None:
        raise OSError("down")


class FixedClock:
    def now(self) -> Any:
        return NOW


@pytest.mark.parametrize(
    ("key", "user", "on"),
    [
        ("on", USER, True),
        ("off", USER, False),
        ("missing", USER, False),
        ("share", {}, False),
        ("text", USER, False),
        ("whole", USER, False),
        ("share", "user-1", False),
        (None, USER, False),
        (["on"], USER, False),
    ],
)
def test_only_a_boolean_flag_that_is_on_is_on(key: Any, user: Any, on: bool) -> None:
    assert asking().is_feature_enabled(key, user) is on


@given(st.text() | st.sampled_from(sorted(FLAGS)), st.dictionaries(st.text(), st.text()))
def test_whatever_is_asked_of_a_store_that_is_down_is_off(key: str, user: Any) -> None:
    manager = FeatureFlagManager(Reader(Raising(), "production"))

    assert manager.is_feature_enabled(key, user) is False
    assert manager.value(key, "mine", user) == "mine"


def test_the_codes_default_counts_where_nothing_is_known() -> None:
    manager = asking()

    assert manager.is_feature_enabled("missing", USER, default=True) is True
    assert manager.is_feature_enabled("off", USER, default=True) is True


def test_a_value_is_of_the_type_of_the_codes_default() -> None:
    manager = asking()

    assert manager.value("text", "", USER) == "hi"
    assert repr(manager.value("whole", 0, USER)) == "2"
    assert repr(manager.value("whole", 0.0, USER)) == "2.0"
    assert manager.value("part", 0.0, USER) == 2.5
    assert manager.value("object", {}, USER) == {"a": 1}
    assert manager.value("on", False, USER) is True


@pytest.mark.parametrize(
    ("key", "default"), [("part", 7), ("text", 7), ("on", 7), ("whole", False), ("on", "x")]
)
def test_a_value_of_another_type_is_the_codes_default(key: str, default: Any) -> None:
    assert asking().value(key, default, USER) == default


@given(
    st.booleans() | st.integers() | st.floats() | st.text(),
    st.sampled_from([bool, int, float, str]),
)
def test_what_is_taken_equals_what_was_there(value: Any, kind: type) -> None:
    taken = as_type(value, kind)

    assert taken is None or type(taken) is kind
    # A float is near a large whole number; everything else is the same.
    assert taken is None or taken == (float(value) if kind is float else value) or taken != taken
    assert as_type(10**400, float) is None


def test_the_user_is_the_current_one_unless_given() -> None:
    manager = asking({"f": flag(rule(**{"if": ["==", "plan", "pro"]}))})

    with user_context({"plan": "pro"}):
        assert manager.is_feature_enabled("f") is True
        assert manager.is_feature_enabled("f", {}) is False


def test_trouble_with_a_flag_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    manager = asking()
    for _ in range(3):
        manager.is_feature_enabled("missing", USER)
        manager.is_feature_enabled("text", USER)

    assert [record.getMessage().split(":")[:2] for record in caplog.records] == [
        ["flag missing", " FLAG_NOT_FOUND"],
        ["flag text", " TYPE_MISMATCH"],
    ]


def test_a_store_that_is_down_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    manager = FeatureFlagManager(Reader(Raising(), "production", ttl_seconds=0))
    for _ in range(5):
        manager.evaluate("f", USER)

    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [one.getMessage() for one in warnings] == ["the flags could not be read: OSError: down"]


def test_evaluations_are_counted_with_their_version() -> None:
    lines: list[str] = []
    telemetry = Telemetry("production", sampled=1, flush_seconds=0, write=lines.append)
    manager = asking(telemetry=telemetry)

    assert manager.is_feature_enabled("on", USER)

    told = json.loads(lines[0])
    assert (told["feature_flag.key"], told["feature_flag.version"]) == ("on", "1")


def test_counts_that_cannot_be_written_change_no_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(line: str) -> None:
        raise OSError("no space left")

    telemetry = Telemetry("production", sampled=1, flush_seconds=0, write=full)

    found = asking(telemetry=telemetry).evaluate("on", USER)

    assert (found.value, found.error) == (True, None)
    assert "flag on: telemetry: it cannot be counted: OSError" in caplog.text


@pytest.fixture
def changing() -> FeatureFlagManager:
    client, at = Table(TABLE), Time()
    store = memory_store(client)
    put(store, "feature_flags: {f: {percentage: 0, environments: [production, staging]}}")
    reader = Reader(BotoSource(client, TABLE), "production", clock=at.clock, monotonic=at.monotonic)
    return FeatureFlagManager(reader, store=store, clock=FixedClock(), by="ada")


def test_a_change_is_stored_audited_and_seen_at_once(changing: FeatureFlagManager) -> None:
    assert changing.is_feature_enabled("f", USER) is False

    kept = changing.update_flag("f", {"percentage": 100}, reason="ready")

    assert (kept.version, kept.keys) == (2, ("f",))
    assert changing.is_feature_enabled("f", USER) is True
    assert changing.store is not None
    (entry,) = changing.store.audit("f", limit=1)
    assert (entry.by, entry.reason, entry.at) == ("ada", "ready", NOW)


def test_a_change_may_be_for_one_environment(changing: FeatureFlagManager) -> None:
    changing.update_flag("f", {"percentage": 100}, environment="staging", by="grace")

    assert changing.is_feature_enabled("f", USER) is False
    assert changing.store is not None
    assert changing.store.audit("f", limit=1)[0].by == "grace"


def test_a_rollout_is_recorded_and_nobody_waits(changing: FeatureFlagManager) -> None:
    kept = changing.gradual_rollout("f", 50, increment=2.5, reason="slowly")

    stored = kept.flags["f"]
    assert stored is not None
    ramp = stored.state("production").ramp
    assert ramp is not None
    assert (ramp.target, ramp.increment, ramp.interval, ramp.by, ramp.status) == (
        Decimal(50),
        Decimal("2.5"),
        timedelta(minutes=5),
        "ada",
        "running",
    )
    assert stored.state("staging").ramp is None
    assert changing.is_feature_enabled("f", USER) is False


@pytest.mark.parametrize(
    ("target", "field"), [(0, "target"), ("many", "target_percentage"), (True, "target_percentage")]
)
def test_a_rollout_to_nowhere_is_refused(
    changing: FeatureFlagManager, target: Any, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        changing.gradual_rollout("f", target)

    assert refused.value.field == field


def test_changes_say_what_is_wrong_with_them(changing: FeatureFlagManager) -> None:
    with pytest.raises(UnknownFlag):
        changing.update_flag("g", {"percentage": 1})
    with pytest.raises(InvalidInput, match="percentage"):
        changing.update_flag("f", {"percentag": 1})
    with pytest.raises(InvalidInput, match="say who"):
        FeatureFlagManager(changing.reader, store=changing.store).update_flag("f", {})
    with pytest.raises(Refused, match="asked and not changed"):
        FeatureFlagManager(changing.reader, by="ada").gradual_rollout("f", 5)


def test_a_file_serves_a_laptop(tmp_path: Path) -> None:
    file = tmp_path / "feature-flags.yaml"
    file.write_text("feature_flags: {f: {}}\n")
    environ = {"FLAGS_FILE": str(file), "FLAGS_ENVIRONMENT": "qa"}

    assert FeatureFlagManager.from_file(file, "qa").is_feature_enabled("f", USER) is True
    assert FeatureFlagManager.from_environment(environ).is_feature_enabled("f", USER) is True


def test_refreshing_reads_only_what_is_due() -> None:
    shelf = Shelf(production=body(1, FLAGS))
    manager = FeatureFlagManager(Reader(shelf, "production", ttl_seconds=60))

    asyncio.run(manager.refresh())
    asyncio.run(manager.refresh())

    assert len(shelf.asked) == 2


def test_importing_flags_imports_nothing_of_the_manager() -> None:
    code = (
        "import greenlane.flags, sys; print([n for n in sys.modules if n[:16]=='greenlane.flags.'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_a_manager_that_only_asks_imports_no_boto() -> None:
    code = (
        "import sys; from greenlane.flags import feature_flag, FeatureFlagManager\n"
        "print(sorted({'boto3', 'botocore', 'pydantic', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_only_what_is_there_can_be_imported() -> None:
    import greenlane.flags

    with pytest.raises(AttributeError, match="no attribute 'feature_flags'"):
        _ = greenlane.flags.feature_flags
