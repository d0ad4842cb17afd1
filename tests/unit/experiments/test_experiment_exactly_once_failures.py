"""A failure at each single call, before and after its effect; and many who record at once."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import pytest

from greenlane.errors import CountersBusy
from greenlane.experiments.counting.events import Event, Exposure
from greenlane.experiments.counting.people import person_from
from greenlane.experiments.counting.transacting import TRIES
from tests.aws_failures import BEFORE, LOST, Flaky, canceled, until_it_is_in
from tests.experiment_store import NOW, Laboratory, dealt
from tests.flag_store import Failing
from tests.unit.experiments.counting_truth import Truth

LATER = NOW + timedelta(minutes=5)
Told = Exposure | Event


def event(unit: str, id: str, value: int = 1, **more: Any) -> Event:
    return Event("checkout", unit, more.pop("metric", "conversion_rate"), value, id, LATER, **more)


def exposure(unit: str, variant: str | None = None) -> Exposure:
    return Exposure("checkout", unit, variant, at=NOW)


ONE, TWO = "user-1", "user-2"
SCENES: dict[str, tuple[Sequence[Told], Sequence[Told]]] = {
    "a first exposure": ([], [exposure(ONE)]),
    "an exposure that events waited for": (
        [event(ONE, "a"), event(ONE, "b")],
        [exposure(ONE)],
    ),
    "an event": ([exposure(ONE)], [event(ONE, "a")]),
    "an event before its exposure": ([], [event(ONE, "a")]),
    "events of several users, some of them here before": (
        [exposure(ONE), exposure(TWO), event(ONE, "a")],
        [event(ONE, "a"), event(TWO, "a"), event(ONE, "b"), event("user-3", "a")],
    ),
    "a second variant": (
        [exposure(ONE), event(ONE, "a")],
        [exposure(ONE, "treatment"), exposure(ONE, "control")],
    ),
    "an event of a second variant among others": (
        [exposure(ONE)],
        [event(ONE, "a"), event(ONE, "b", variant="treatment"), event(ONE, "c", variant="control")],
    ),
}


def tell(lab: Laboratory, told: Sequence[Told]) -> list[str]:
    """Tell all of it, events as one batch; what became of each."""
    results = [str(lab.recorder.expose(one).result) for one in told if isinstance(one, Exposure)]
    events = [one for one in told if isinstance(one, Event)]
    return results + [one.result for one in lab.recorder.record(events)]


def world(lab: Laboratory) -> tuple[Any, Any]:
    """What is counted, and what is known of everybody."""
    people = {}
    for item in lab.items("user#"):
        person = person_from(item)
        people[item["pk"]["S"]] = json.loads(item["body"]["S"]), person.variant, person.crossover
    marks = {(item["pk"]["S"], item["sk"]["S"]) for item in lab.items("event#")}
    return Laboratory.over(lab).counters(), (people, marks)


def prepared(before: Sequence[Told]) -> tuple[Laboratory, Failing]:
    client = Failing(None)
    lab = Laboratory(client)
    client.target = lab.table
    lab.begin()
    lab.clock.go(hours=1)
    tell(lab, before)
    return lab, client


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failure_at_any_call_leaves_what_one_clean_run_leaves(scene: str, when: str) -> None:
    before, then = SCENES[scene]
    clean, calls = prepared(before)
    start = len(calls.calls)
    answers = tell(clean, then)
    kinds = BEFORE if when == "before" else LOST

    for number in range(start, len(calls.calls)):
        for kind, failure in kinds.items():
            lab, client = prepared(before)
            getattr(client, when)[number] = failure()
            found: list[list[str]] = []

            def told(lab: Laboratory = lab, found: list[list[str]] = found) -> None:
                lab.recorder = lab.new_recorder()
                found.append(tell(lab, then))

            until_it_is_in(told)

            assert world(lab) == world(clean), (number, kind)
            is_write = calls.calls[number] == "transact_write_items"
            if kind != "crash" and is_write:
                # The caller never hears of it, and gets the answer of a clean run.
                assert found == [answers], (number, kind)


def test_while_all_conflicts_the_caller_is_told_to_send_it_again_and_nothing_is_changed() -> None:
    lab, _ = prepared([exposure(ONE)])
    before = world(lab)
    writes = Conflicting(lab.table)
    recorder = lab.new_recorder(writes)
    with pytest.raises(CountersBusy, match="send it again"):
        recorder.record_one(event(ONE, "a"))
    (answer,) = recorder.record([event(ONE, "a")])

    assert answer.result == "retry"
    assert writes.tries == 2 * TRIES
    assert world(lab) == before


class Conflicting:
    """A table whose every transaction meets another one."""

    def __init__(self, target: Any) -> None:
        self.target, self.tries = target, 0

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            if operation == "transact_write_items":
                self.tries += 1
                raise canceled("None", "None", "TransactionConflict")
            return getattr(self.target, operation)(**arguments)

        return call


@pytest.mark.parametrize(("users", "shards"), [(2, 1), (40, 1), (40, 8)])
def test_many_who_record_at_once_while_calls_fail_count_everything_once(
    users: int, shards: int
) -> None:
    lab = Laboratory()
    test = lab.begin(
        metrics=["conversion_rate", {"name": "spend", "kind": "mean", "direction": "higher"}],
        shards=shards,
    )
    lab.clock.go(hours=1)
    units = [f"user-{number}" for number in range(users)]
    exposures = [exposure(unit) for unit in units]
    events = [
        event(units[number % users], f"e{number}", number % 7, metric="spend")
        for number in range(160)
    ]
    # One user in ten is shown the other variant too.
    odd = [exposure(unit, variant) for unit in units[::10] for variant in ("control", "treatment")]
    told: list[Told] = [*exposures, *events, *events[:40], *exposures[:10]]

    def work(seed: int) -> None:
        recorder = lab.new_recorder(Flaky(lab.table, 0.3, seed))
        mine = told[seed::4] + told[: seed * 7]
        Random(seed).shuffle(mine)
        for one in mine:
            if isinstance(one, Exposure):
                until_it_is_in(partial(recorder.expose, one))
            else:
                until_it_is_in(partial(recorder.record_one, one))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    for one in odd:
        lab.recorder.expose(one)

    truth = Truth(test.definition, NOW)
    sides = {name: set(dealt(test, name, 400)) for name in ("control", "treatment")}
    for one in (*exposures, *odd):
        assert one.unit is not None
        mine = next(name for name, among in sides.items() if one.unit in among)
        truth.exposed(one.unit, [(NOW, mine)], one.variant, NOW, {})
    for happened in events:
        truth.recorded(happened)
    truth.check(lab.snapshot(), 0)
