"""What goes wrong at 3 a.m.: ends that cannot be written, processes that end, and late comers."""

import hashlib
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenlane.deployments.stepping.judging import Tick
from greenlane.errors import InvalidInput, NotReconciled, Refused
from greenlane.experiments.decision import decide
from greenlane.experiments.report.compose import compose
from greenlane.experiments.report.segments import SegmentsRead, compare_segments, fitting
from greenlane.experiments.running import settling
from greenlane.experiments.running.ending import end
from greenlane.experiments.running.ticking import tick_experiments
from greenlane.experiments.running.watching_over import watch_over
from greenlane.experiments.running.winner_flag import ramp_winner
from greenlane.experiments.storing import keeping, looks, stored_items
from greenlane.experiments.storing.state import owed
from greenlane.flags.storing.state import StoredFlags
from tests.builders import NOW, SERVICE
from tests.experiment_town import NAME, TEST, WITH_FLAG, ExperimentTown
from tests.fakes import error
from tests.unit.experiments.experimenting import experiment, snapshot, succeeded
from tests.unit.experiments.test_experiment_alarmed import alarm_name, metrics, red, ring, town_of

HARM = {
    "conversion_rate": {"control": 0.10, "treatment": 0.10},
    "error_rate": {"control": 0.01, "treatment": 0.2},
}
SELDOM = TEST.replace("watch_interval: 5m", "watch_interval: 20m").replace(
    "look_interval: 20m", "look_interval: 2h"
)
MINUTE = timedelta(minutes=1)


def broken_ends(town: ExperimentTown, minutes: float) -> None:
    """Until then no end can be written; everything else of the table answers."""

    def throttled(**given: Any) -> Any:
        if town.kernel.seconds < minutes * 60:
            raise error("ProvisionedThroughputExceededException")
        return transact(**given)

    transact = town.table.transact_write_items
    town.table.transact_write_items = throttled  # type: ignore[method-assign]


def test_harm_that_could_not_be_ended_is_ended_by_the_minute_and_not_by_the_next_watch() -> None:
    town = ExperimentTown(SELDOM, rates=HARM)
    broken_ends(town, 22)
    town.run(1, done=town.over)
    test = town.test()
    assert test.verdict == "rollback"
    assert test.ended_at is not None
    assert test.ended_at - NOW <= 24 * MINUTE


def test_an_alarm_whose_end_could_not_be_written_ends_the_test_within_a_minute_of_the_table() -> (
    None
):
    town = town_of()
    town.silent = {"error_rate"}
    red(town, alarm_name())
    metrics(town, failing=0.3)
    broken_ends(town, 13)
    town.run(10 / 60)
    town.call("stop_experiments", {"service": SERVICE, "name": alarm_name(), "at": NOW})
    town.run(8 / 60, done=town.over)
    test = town.test()
    assert test.verdict == "rollback"
    assert test.ended_at is not None
    assert test.ended_at - NOW <= 15 * MINUTE


def test_a_look_that_ended_a_test_ends_it_though_the_next_watch_finds_nothing() -> None:
    town = ExperimentTown(SELDOM, rates=deepcopy(HARM))
    broken_ends(town, 22)
    town.run(20.6 / 60)
    (look,) = town.looks()
    assert (look.verdict, town.test().status) == ("rollback", "running")
    town.rates["error_rate"]["treatment"] = 0.01
    town.run(6 / 60, done=town.over)
    assert town.test().verdict == "rollback"


def test_an_end_that_too_many_others_kept_from_being_written_is_an_error() -> None:
    town = ExperimentTown()

    def busy(*_: Any, **__: Any) -> Any:
        raise Refused("the A/B tests are being changed by too many others at once; try again")

    town.runtime.experiments.change = busy  # type: ignore[method-assign]
    with pytest.raises(Refused, match="too many others"):
        end(town.runtime, town.test(), "rollback", "harm", "an alarm")


def test_people_are_told_once_though_writing_the_report_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Killed(BaseException):
        """As a function that ran out of time or of memory."""

    def killed(*_: Any) -> None:
        raise Killed

    town = ExperimentTown(WITH_FLAG)
    keeping.stop(town.store, NAME, by="ada", reason="enough", at=town.kernel.now())
    monkeypatch.setattr(settling, "compose", killed)
    for _ in range(3):
        with pytest.raises(Killed):
            settling.settle(town.runtime, town.test())
    assert town.kinds() == ["experiment_stopped"]
    assert owed(town.test()) == ("report",)


def test_a_ramp_that_a_person_took_back_is_not_begun_again_whatever_his_clock_says() -> None:
    town = ExperimentTown(WITH_FLAG)
    now = town.kernel.now() + timedelta(hours=1)
    town.kernel.seconds += 3600
    keeping.conclude(
        town.store, NAME, run=1, verdict="ship", serve="treatment", by="greenlane", at=now
    )
    assert "is ramped to" in ramp_winner(town.runtime, town.test())

    def taken_back(flags: StoredFlags) -> StoredFlags:
        flag = flags.flags["new_checkout"].with_state("production", ramp=None)
        return flags.with_flag("new_checkout", flag)

    late = now - timedelta(minutes=5)
    town.flags.change(taken_back, by="ada", reason="not now", at=late)
    assert town.flags.read().flags["new_checkout"].state("production").ramp is None
    assert "is ramped to" in ramp_winner(town.runtime, town.test())
    assert town.flags.read().flags["new_checkout"].state("production").ramp is None


def test_an_alarm_decides_also_just_after_weights_changed() -> None:
    town = town_of()
    town.silent = {"error_rate"}
    red(town, alarm_name())
    metrics(town, failing=0.3)
    town.run(9.9 / 60)
    weights = {"control": Decimal(40), "treatment": Decimal(60)}
    keeping.change(town.store, NAME, weights=weights, by="ada", at=town.kernel.now())
    ring(town, alarm_name())
    assert town.test().verdict == "rollback"


def test_a_look_that_was_on_its_way_at_the_end_is_in_no_report() -> None:
    town = ExperimentTown()
    town.run(0.4)
    before = town.test()
    taken = town.looks()
    town.stop()
    told = compose(town.test(), taken)
    late = decide(
        before.definition, town.runtime.snapshot(before, town.kernel.now() + MINUTE), taken
    )
    town.store.keep_look(NAME, 1, late)
    assert len(town.looks()) == len(taken) + 1
    assert compose(town.test(), town.looks()) == told


def test_a_watch_that_comes_late_takes_no_place_of_a_later_one() -> None:
    town = ExperimentTown(rates=HARM)
    town.run(0.2)
    watch = town.store.watch(NAME, 1)
    assert watch is not None
    older = watch.model_copy(update={"at": watch.at - MINUTE, "verdict": None, "reason": None})
    town.store.keep_watch(NAME, 1, older)
    assert town.store.watch(NAME, 1) == watch


def test_a_stop_that_was_meant_for_an_earlier_run_stops_no_later_one() -> None:
    town = ExperimentTown()
    town.stop()
    keeping.start(town.store, NAME, by="bob", at=town.kernel.now(), again=True)
    with pytest.raises(Refused, match="run 2 is there now"):
        town.stop("meant for the first", run=1)
    assert town.test().status == "running"
    town.stop("meant for this", run=2)
    assert town.test().status == "concluded"


def test_an_old_process_that_watched_an_earlier_run_leaves_the_new_one_alone() -> None:
    town = ExperimentTown(rates=HARM)
    town.run(0.05)
    old = town.test()
    town.kernel.seconds += 3600
    town.stop()
    keeping.start(town.store, NAME, by="bob", at=town.kernel.now(), again=True)
    watch_over(town.runtime, old, [])
    test = town.test()
    assert (test.run, test.status, town.looks()) == (2, "running", [])


# A snapshot that is full.


def test_when_the_snapshot_is_full_no_test_is_added_and_all_that_run_can_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored_items, "LARGEST_BYTES", 4000)
    monkeypatch.setattr(stored_items, "ROOM", 1500)
    store = ExperimentTown().store
    names = [
        f"test-{hashlib.sha256(str(number).encode()).hexdigest()[:40]}" for number in range(99)
    ]
    added: list[str] = []

    def add_all() -> None:
        for name in names:
            keeping.create(store, name, experiment(), by="ada", at=NOW, start=True)
            added.append(name)

    with pytest.raises(InvalidInput, match="--again") as refused:
        add_all()
    assert len(added) > 5
    assert refused.value.field == "ab_tests"
    # What the error says is a way out,
    first = added[0]
    keeping.stop(store, first, by="ada", reason="old", at=NOW)
    other = experiment(minimum_sample_size=77)
    begun = keeping.create(store, first, other, by="ada", at=NOW, start=True, again=True)
    assert (begun.run, begun.status) == (2, "running")
    # and harm can be ended.
    for name in added:
        run = store.test(name).run
        keeping.conclude(store, name, run=run, verdict="rollback", by="greenlane", at=NOW)
    assert {store.test(name).status for name in added} == {"concluded"}


def test_what_targets_by_ever_more_leaves_room_for_ends_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored_items, "LARGEST_BYTES", 4000)
    monkeypatch.setattr(stored_items, "ROOM", 2000)
    store = ExperimentTown().store
    keeping.create(store, "later", experiment(), by="ada", at=NOW)
    values = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(150)]

    def target_more() -> None:
        for size in range(1, len(values), 10):
            targeting = {"plan": values[:size]}
            keeping.create(store, "later", experiment(targeting=targeting), by="ada", at=NOW)

    with pytest.raises(InvalidInput, match="at most 3000 leave room"):
        target_more()
    assert keeping.stop(store, "later", by="ada", reason="no", at=NOW).status == "concluded"


# Looks that do not fit into the table.


def test_harm_is_ended_though_neither_look_nor_watch_fits_into_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    town = ExperimentTown(SELDOM, rates=HARM)
    town.run(15 / 60)
    fits = stored_items.packed

    def too_large(value: Any, what: str, way_out: str) -> bytes:
        if what.startswith("look ") or value.get("snapshot", {}).get("moments"):
            raise InvalidInput(what, "500000 bytes, compressed", way_out)
        return fits(value, what, way_out)

    monkeypatch.setattr(looks, "packed", too_large)
    town.kernel.seconds += 400
    watch_over(town.runtime, town.test(), [])
    test = town.test()
    assert (test.verdict, test.served, town.looks()) == ("rollback", "control", [])
    assert "treatment breaks error_rate < 0.05" in test.reason
    assert town.kinds() == ["experiment_rollback"]
    watch = town.store.watch(NAME, 1)
    assert watch is not None
    assert watch.verdict == "rollback"


def test_weights_that_would_make_looks_too_large_are_refused_with_a_way_out() -> None:
    store = ExperimentTown().store
    quantiles = [
        {"name": f"latency_{each}", "kind": "quantile", "quantile": 0.95, "direction": "lower"}
        for each in "abc"
    ]
    metrics = ["conversion_rate", *quantiles]
    keeping.create(store, "wide", experiment(metrics=metrics), by="ada", at=NOW, start=True)

    def change_often() -> None:
        for number in range(48):
            weights = {"control": Decimal(40 + number % 2), "treatment": Decimal(60 - number % 2)}
            keeping.change(store, "wide", weights=weights, by="ada", at=NOW)

    with pytest.raises(Refused, match="begin it again"):
        change_often()
    assert 10 < len(store.test("wide").epochs) < 40


def test_a_test_whose_first_look_would_not_fit_is_not_begun() -> None:
    store = ExperimentTown().store
    quantiles = [
        {"name": f"latency_{each}", "kind": "quantile", "quantile": 0.95, "direction": "lower"}
        for each in range(30)
    ]
    variants = {"control": 5} | {f"t{number}": 5 for number in range(19)}
    wide = experiment(metrics=["conversion_rate", *quantiles], variants=variants)
    with pytest.raises(InvalidInput, match="fewer quantiles"):
        keeping.create(store, "wide", wide, by="ada", at=NOW, start=True)


def test_an_execution_that_fails_again_and_again_is_told_by_the_alarm_of_the_tick() -> None:
    town = ExperimentTown()
    town.run(1.5 / 60)
    next(iter(town.executions.values())).status = "FAILED"
    with pytest.raises(NotReconciled, match="checkout"):
        tick_experiments(Tick(), town.runtime)
    assert len(town.executions) == 2
    tick_experiments(Tick(), town.runtime)
    assert len(town.executions) == 2


def test_segments_too_many_to_keep_leave_a_report_without_the_rest() -> None:
    moments = {
        name: {variant: (succeeded(10),) for variant in ("control", "treatment")}
        for name in ("conversion_rate", *(f"other_{number}" for number in range(50)))
    }
    read = SegmentsRead(
        at=NOW,
        snapshots={
            f"segment-{number}": snapshot(3, {"control": 99, "treatment": 99}, {}).model_copy(
                update={"moments": moments}
            )
            for number in range(3)
        },
    )
    test = experiment(metrics=["conversion_rate"])
    assert fitting(read, test, most=10**6) == read
    sizes = range(50, 3000, 10)
    less = next(found for most in sizes if (found := fitting(read, test, most=most)))
    assert {name for one in less.snapshots.values() for name in one.moments} == {"conversion_rate"}
    assert compare_segments(test, less.snapshots) == compare_segments(test, read.snapshots)
    assert fitting(read, test, most=50) is None
