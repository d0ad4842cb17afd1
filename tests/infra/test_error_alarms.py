"""What the two alarms on errors say, evaluated as CloudWatch would, minute by minute."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from greenlane.local.alarms import evaluate_alarm
from greenlane.local.cloudwatch_store import MetricStore
from infra.alarms import ERROR_METRICS, NAMESPACE
from infra.nag import as_finding
from tests.infra.conftest import Template

FIRST = 600_000_000
MINUTE = 60

Counts = Mapping[str, int]
"""What one minute published, by the ids of the expression."""


def plain(value: Any) -> Any:
    """A template's value without intrinsic functions."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::Join"):
            return as_finding(value)
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


class Slot:
    """Both alarms of a slot of the sample, and the metrics that they look at."""

    def __init__(self, sample: Template) -> None:
        self.store, self.minute = MetricStore(), 0
        self.settings = {
            kind: plain(
                sample.only(
                    "AWS::CloudWatch::Alarm", AlarmName=f"claude-manager-green-{kind}"
                ).properties
            )
            for kind in ("error-rate", "unanswered")
        }
        self.dimensions = next(
            item["MetricStat"]["Metric"]["Dimensions"]
            for item in self.settings["unanswered"]["Metrics"]
            if "MetricStat" in item
        )

    def publish(self, counts: Counts, minute: int) -> None:
        at = FIRST + minute * MINUTE
        for short, value in counts.items():
            datum = {
                "MetricName": ERROR_METRICS[short],
                "Dimensions": self.dimensions,
                "Value": float(value),
                "Timestamp": datetime.fromtimestamp(at, UTC),
            }
            self.store.put(NAMESPACE, datum, at)

    def red(self) -> set[str]:
        """The alarms that are red when the next minute is over."""
        self.minute += 1
        end = FIRST + self.minute * MINUTE
        found = {
            kind: evaluate_alarm(settings, "OK", self.store, end)
            for kind, settings in self.settings.items()
        }
        return {kind for kind, verdict in found.items() if verdict and verdict.value == "ALARM"}

    def sees(self, *minutes: Counts) -> Iterator[set[str]]:
        """What is red after each of the minutes, all of their metrics published in time."""
        for counts in minutes:
            self.publish(counts, self.minute)
            yield self.red()


@pytest.fixture
def slot(sample: Template) -> Slot:
    return Slot(sample)


GOOD = {"r": 100, "c2": 100}


def test_errors_of_the_target_are_red_after_one_minute(slot: Slot) -> None:
    bad = {"r": 100, "c2": 92, "c5": 8}
    assert list(slot.sees(GOOD, bad)) == [set(), {"error-rate"}]


def test_refused_connections_are_red_after_one_minute(slot: Slot) -> None:
    assert list(slot.sees(GOOD, {"r": 100, "c2": 90, "k": 10})) == [set(), {"error-rate"}]


@pytest.mark.parametrize("answered", [{"c2": 80}, {"c2": 40, "c3": 20, "c4": 20}, {}])
def test_hangs_and_resets_are_red_after_two_minutes(slot: Slot, answered: Counts) -> None:
    hang = {"r": 100, **answered}
    assert list(slot.sees(GOOD, hang, hang)) == [set(), set(), {"unanswered"}]


def test_errors_and_hangs_that_are_too_many_together_are_red(slot: Slot) -> None:
    mixed = {"r": 100, "c2": 94, "c5": 3}
    assert list(slot.sees(mixed, mixed)) == [set(), {"unanswered"}]


def test_answers_that_come_in_the_next_minute_are_no_errors(slot: Slot) -> None:
    few, many = {"r": 60, "c2": 50}, {"r": 60, "c2": 70}
    assert list(slot.sees(few, many, few, many, few)) == [set()] * 5


def test_requests_that_are_published_before_their_answers_are_no_errors(slot: Slot) -> None:
    slot.publish(GOOD, 0)
    slot.publish({"r": 100}, 1)
    slot.minute = 1
    assert slot.red() == set()
    slot.publish({"c2": 100}, 1)
    slot.publish({"r": 100}, 2)
    assert slot.red() == set()


def test_few_requests_or_none_say_nothing(slot: Slot) -> None:
    few = {"r": 19, "c5": 19, "k": 19}
    assert list(slot.sees(few, few, {}, {}, few)) == [set()] * 5


def test_the_two_minutes_of_hangs_are_in_a_row(slot: Slot) -> None:
    hang, quiet = {"r": 100, "c2": 50}, {"r": 5, "c2": 5}
    assert list(slot.sees(hang, quiet, hang)) == [set()] * 3
    assert list(slot.sees(hang)) == [{"unanswered"}]
