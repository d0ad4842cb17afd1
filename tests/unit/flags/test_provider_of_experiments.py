"""A/B tests by the in-process provider of OpenFeature: variants are the values of strings."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.hook import Hook

from greenlane.experiments.answering import Answers
from greenlane.experiments.names import TABLE
from greenlane.flags import FeatureFlagManager
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.sources import BotoSource
from greenlane.flags.reading.telemetry import Telemetry
from greenlane.flags.sdk.provider import GreenlaneProvider
from tests.experiment_store import Laboratory, dealt
from tests.unit.flags.flagging import flag, rule
from tests.unit.flags.reading import Shelf, body


class World:
    def __init__(self) -> None:
        self.laboratory = Laboratory()
        self.test = self.laboratory.begin()
        self.source = BotoSource(self.laboratory.table, TABLE)
        self.lines: list[str] = []
        reader = Reader(Shelf(production=body(flags={"on": flag(rule())})), "production")
        self.manager = FeatureFlagManager(
            reader,
            telemetry=Telemetry("production", sampled=1, flush_seconds=0, write=self.lines.append),
        )
        reader.clock = lambda: self.laboratory.clock.now().timestamp()
        self.experiments = Answers(self.source, clock=reader.clock)

    def client(self) -> OpenFeatureClient:
        api.set_provider_and_wait(GreenlaneProvider(self.manager, self.experiments))
        return api.get_client()

    def user(self, variant: str = "treatment") -> EvaluationContext:
        (unit,) = dealt(self.test, variant, 1)
        return EvaluationContext(unit)


@pytest.fixture
def world() -> Iterator[World]:
    yield World()
    api.clear_providers()
    api.clear_hooks()


def test_a_variant_is_a_string_with_what_a_hook_needs(world: World) -> None:
    found = world.client().get_string_details("checkout", "control", world.user())

    assert (found.value, found.variant, found.reason) == ("treatment", "treatment", "SPLIT")
    assert found.flag_metadata["experiment"] == "checkout"
    assert found.flag_metadata["takesPart"] is True


def test_in_an_event_loop_it_is_the_same(world: World) -> None:
    client, user = world.client(), world.user()

    found = asyncio.run(client.get_string_details_async("checkout", "control", user))

    assert found.value == "treatment"


def test_flags_are_what_they_were_and_hide_tests(world: World) -> None:
    world.laboratory.begin("on")
    client = world.client()

    assert client.get_boolean_value("on", False, world.user()) is True
    missing = client.get_boolean_details("nothing", True, world.user())
    assert (missing.value, str(missing.error_code and missing.error_code.value)) == (
        True,
        "FLAG_NOT_FOUND",
    )


def test_a_variant_is_no_boolean(world: World) -> None:
    found = world.client().get_boolean_details("checkout", True, world.user())

    assert (found.value, str(found.error_code and found.error_code.value)) == (
        True,
        "TYPE_MISMATCH",
    )


def test_tests_that_cannot_be_read_give_the_codes_default(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise OSError("no answer")

    monkeypatch.setattr(world.source, "version", fails)
    client = world.client()
    found = client.get_string_details("checkout", "mine", world.user())

    assert (found.value, str(found.error_code and found.error_code.value)) == ("mine", "GENERAL")
    assert client.get_boolean_value("on", False, world.user()) is True


def test_a_lookup_is_counted_under_the_tests_name_and_exposes_nobody(world: World) -> None:
    world.client().get_string_value("checkout", "control", world.user())

    (line,) = world.lines
    assert '"feature_flag.key":"checkout"' in line
    assert "flag_not_found" not in line
    assert world.laboratory.counters() == {}


def test_a_hook_reports_what_was_shown_and_nothing_else(world: World) -> None:
    shown: list[tuple[str, str]] = []

    class Reports(Hook):
        def after(self, hook_context: Any, details: Any, hints: Any) -> None:
            if details.flag_metadata.get("takesPart"):
                shown.append((details.flag_key, details.variant))

    client = world.client()
    client.add_hooks([Reports()])
    client.get_string_value("checkout", "control", world.user())
    client.get_string_value("checkout", "control", EvaluationContext(None))
    client.get_boolean_value("on", False, world.user())

    assert shown == [("checkout", "treatment")]


def test_without_experiments_a_tests_key_is_unknown(world: World) -> None:
    api.set_provider_and_wait(GreenlaneProvider(world.manager))
    found = api.get_client().get_string_details("checkout", "mine", world.user())

    assert str(found.error_code and found.error_code.value) == "FLAG_NOT_FOUND"
