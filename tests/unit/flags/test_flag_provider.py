import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, GeneralError
from openfeature.flag_evaluation import Reason
from openfeature.provider import FeatureProvider

from greenlane.flags import FeatureFlagManager
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.telemetry import Telemetry
from greenlane.flags.sdk.provider import GreenlaneProvider, as_user
from tests.unit.flags.flagging import flag, rule
from tests.unit.flags.reading import Shelf, Time, body

ROOT = Path(__file__).resolve().parents[3]
USER = EvaluationContext("user-1", {"plan": "pro"})


def typed(kind: str, value: Any) -> dict[str, Any]:
    return flag(rule("a"), type=kind, variants={"a": value, "b": value}, off="b")


FLAGS = {
    "on": flag(rule(**{"if": ["==", "plan", "pro"]}), meta={"owner": "ada", "tags": ["x"]}),
    "off": flag(rule(), on=False),
    "share": flag(rule(share=99_999)),
    "text": typed("string", "hi"),
    "whole": typed("number", 2),
    "part": typed("number", 2.5),
    "object": typed("object", {"a": [1]}),
    "broken": {"type": "boolean"},
}


class World:
    """A client of OpenFeature on a provider whose store and clock are ours."""

    def __init__(self) -> None:
        self.shelf, self.at = Shelf(production=body(1, FLAGS)), Time()
        reader = Reader(
            self.shelf,
            "production",
            max_stale_seconds=60,
            clock=self.at.clock,
            monotonic=self.at.monotonic,
        )
        self.provider = GreenlaneProvider(FeatureFlagManager(reader))
        self.events: list[str] = []

    def client(self) -> OpenFeatureClient:
        api.set_provider_and_wait(self.provider)
        told = self.provider._on_emit

        # Handlers run in threads of the SDK; what it is told comes in order.
        def heard(
            provider: FeatureProvider, event: ProviderEvent, details: ProviderEventDetails
        ) -> None:
            self.events.append(event.value)
            told(provider, event, details)

        self.provider.attach(heard)
        return api.get_client()


@pytest.fixture
def world() -> Iterator[World]:
    yield World()
    api.shutdown()
    api.clear_providers()


CALLS = [
    ("boolean", "on", False, True),
    ("string", "text", "", "hi"),
    ("integer", "whole", 0, 2),
    ("float", "part", 0.0, 2.5),
    ("float", "whole", 0.0, 2.0),
    ("object", "object", {}, {"a": [1]}),
]


@pytest.mark.parametrize(("kind", "key", "default", "value"), CALLS)
def test_every_type_of_value_is_resolved(
    world: World, kind: str, key: str, default: Any, value: Any
) -> None:
    client = world.client()

    found = getattr(client, f"get_{kind}_details")(key, default, USER)
    awaited = asyncio.run(getattr(client, f"get_{kind}_details_async")(key, default, USER))

    assert (found.value, type(found.value)) == (value, type(value))
    assert found.error_code is None
    assert awaited == found


@pytest.mark.parametrize(
    ("kind", "key", "default"),
    [
        ("boolean", "text", True),
        ("string", "on", "mine"),
        ("integer", "part", 7),
        ("integer", "on", 7),
        ("float", "text", 7.0),
        ("object", "text", {"mine": 1}),
    ],
)
def test_another_type_is_a_mismatch_and_the_default(
    world: World, kind: str, key: str, default: Any
) -> None:
    found = getattr(world.client(), f"get_{kind}_details")(key, default, USER)

    assert (found.value, found.error_code) == (default, ErrorCode.TYPE_MISMATCH)
    assert found.reason == Reason.ERROR


@pytest.mark.parametrize(
    ("key", "user", "code"),
    [
        ("missing", USER, ErrorCode.FLAG_NOT_FOUND),
        ("broken", USER, ErrorCode.PARSE_ERROR),
        ("share", EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING),
    ],
)
def test_an_error_keeps_its_code_and_gives_the_default(
    world: World, key: str, user: EvaluationContext, code: ErrorCode
) -> None:
    found = world.client().get_boolean_details(key, True, user)

    assert (found.value, found.error_code, found.reason) == (True, code, Reason.ERROR)
    assert found.error_message


def test_a_flag_that_is_off_is_the_default_and_no_error(world: World) -> None:
    found = world.client().get_boolean_details("off", True, USER)

    assert (found.value, found.reason, found.error_code) == (True, Reason.DISABLED, None)


def test_an_answer_says_why_and_by_what(world: World) -> None:
    client = world.client()

    on = client.get_boolean_details("on", False, USER)
    share = client.get_boolean_details("share", False, USER)

    assert (on.variant, on.reason) == ("on", Reason.TARGETING_MATCH)
    assert on.flag_metadata == {
        "owner": "ada",
        "version": 1,
        "environment": "production",
        "ruleId": "r",
    }
    assert share.reason == Reason.SPLIT
    assert 0 <= int(share.flag_metadata["bucket"]) < 100_000


def test_a_store_that_is_down_is_told_as_stale_and_then_as_an_error(world: World) -> None:
    client = world.client()
    client.get_boolean_details("on", False, USER)
    world.shelf.broken = OSError("down")
    world.at.passes(30)
    stale = client.get_boolean_details("on", False, USER)
    world.at.passes(31)
    gone = client.get_boolean_details("on", False, USER)
    world.shelf.broken = None
    world.at.passes(5)
    well = client.get_boolean_details("on", False, USER)

    assert (stale.value, stale.reason) == (True, Reason.STALE)
    assert (gone.value, gone.error_code) == (False, ErrorCode.GENERAL)
    assert (well.value, well.reason) == (True, Reason.TARGETING_MATCH)
    assert world.events == ["PROVIDER_STALE", "PROVIDER_READY"]


def test_handlers_are_told_of_a_change_once(world: World) -> None:
    client = world.client()
    world.shelf.put(2, body(2, FLAGS))
    world.at.passes(5)
    for _ in range(3):
        client.get_boolean_details("missing", False, USER)

    assert world.events == ["PROVIDER_CONFIGURATION_CHANGED"]


def test_flags_that_cannot_be_read_at_first_are_an_error_until_they_can(world: World) -> None:
    world.shelf.broken = OSError("down")
    with pytest.raises(GeneralError, match="down"):
        api.set_provider_and_wait(world.provider)
    client = api.get_client()
    assert client.get_boolean_details("on", False, USER).error_code == ErrorCode.GENERAL

    world.shelf.broken = None
    world.at.passes(5)

    assert client.get_boolean_details("on", False, USER).value is True
    assert client.get_provider_status().value == "READY"


def test_a_context_becomes_what_conditions_compare() -> None:
    there = timezone(timedelta(hours=2))
    attributes: Any = {
        "since": datetime(2026, 1, 1, 12, tzinfo=there),
        "local": datetime(2026, 1, 1, 12),
        "day": date(2026, 1, 1),
        "company": {"joined": datetime(2026, 1, 1, tzinfo=UTC), "tags": ("a", "b")},
        "targetingKey": "another",
    }
    context = EvaluationContext("user-1", attributes)

    assert as_user(context) == {
        "targetingKey": "user-1",
        "since": "2026-01-01T10:00:00+00:00",
        "local": "2026-01-01T12:00:00",
        "day": "2026-01-01",
        "company": {"joined": "2026-01-01T00:00:00+00:00", "tags": ["a", "b"]},
    }
    assert as_user(None) == {}


def test_without_the_sdk_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['openfeature'] = None; import greenlane.flags.sdk.provider"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "pip install 'openfeature-sdk>=0.10'" in done.stderr


def test_shutting_down_writes_the_rest_of_what_was_counted(world: World) -> None:
    lines: list[str] = []
    telemetry = Telemetry("production", sampled=1, write=lines.append)
    manager = FeatureFlagManager(world.provider._manager.reader, telemetry=telemetry)
    provider = GreenlaneProvider(manager)
    provider.resolve_boolean_details("on", False, USER)
    assert lines == []
    provider.shutdown()
    assert len(lines) == 1
    world.provider.shutdown()
