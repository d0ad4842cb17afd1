"""A run knows nothing of another one, and a look nothing of half a transaction."""

from typing import Any

import pytest

from greenlane.experiments.counting.events import Exposure
from greenlane.experiments.counting.reading import MOST_READS, counted
from greenlane.experiments.counting.recording import Recorder
from greenlane.experiments.names import TABLE
from greenlane.experiments.storing import keeping
from tests.experiment_store import Laboratory, begun, dealt

WAIT = {"name": "wait", "kind": "quantile", "quantile": 0.5, "direction": "lower"}


def again(lab: Laboratory) -> None:
    keeping.stop(lab.store, "checkout", by="ada", reason="a mistake", at=lab.clock.go(minutes=1))
    keeping.start(lab.store, "checkout", by="ada", at=lab.clock.go(minutes=1), again=True)


def test_what_was_shown_in_an_earlier_run_is_no_exposure_of_this_one() -> None:
    lab = begun(variants={"control": 90, "treatment": 10})
    test = lab.store.test("checkout")
    assigned = [lab.recorder.assign("checkout", {"targetingKey": f"u{n}"}) for n in range(200)]
    again(lab)

    seen = [
        lab.expose(f"u{number}", one.variant, epoch=one.epoch, run=one.run)
        for number, one in enumerate(assigned)
    ]

    assert {one.result for one in seen} == {"not_in_test"}
    assert seen[0].why == "it was shown in run 1, and run 2 is there now"
    assert lab.snapshot().crossovers == 0
    assert lab.snapshot().epochs[0].users == {"control": 0, "treatment": 0}
    assert test.run == 1


def test_an_exposure_of_the_next_run_makes_a_recorder_read_the_test_again() -> None:
    lab = begun()
    slow = Recorder(lab.table, TABLE, clock=lab.clock, known_seconds=3600)
    slow.assign("checkout", {"targetingKey": "u"})
    again(lab)
    assigned = lab.recorder.assign("checkout", {"targetingKey": "u"})

    shown = Exposure("checkout", "u", assigned.variant, epoch=0, run=assigned.run)

    assert slow.expose(shown).result == "exposed"
    assert sum(lab.snapshot().epochs[0].users.values()) == 1


class Torn:
    """Answers so many queries with what another transaction wrote between two of their items."""

    def __init__(self, table: Any, often: int) -> None:
        self.table, self.often, self.asked = table, often, 0

    def query(self, **given: Any) -> Any:
        answer = self.table.query(**given)
        self.asked += 1
        if self.asked <= self.often:
            for item in answer["Items"]:
                if "#h#" in item["sk"]["S"]:
                    item["b99"] = {"N": "1"}
        return answer


@pytest.mark.parametrize(("often", "users"), [(0, 1), (1, 1), (MOST_READS - 1, 1), (99, 2)])
def test_half_of_a_transaction_is_read_again_and_one_that_stays_is_told(
    often: int, users: int
) -> None:
    lab = begun(shards=1, metrics=["conversion_rate", WAIT])
    (unit,) = dealt(lab.store.test("checkout"), "control", 1)
    lab.expose(unit)
    lab.record(unit, 3, metric="wait")
    torn = Torn(lab.table, often)

    found = counted(torn, TABLE, lab.store.test("checkout"))

    assert sum(found["0#control#h#wait"].values()) == users
    assert found["0#control"]["n"] == 1
    assert torn.asked == min(often + 1, MOST_READS)


@pytest.mark.parametrize("told", ["epoch", "at"])
def test_reports_that_come_after_a_change_of_weights_leave_no_epoch_lopsided(told: str) -> None:
    lab = begun()
    units = [f"u{number}" for number in range(200)]
    assigned = {unit: lab.recorder.assign("checkout", {"targetingKey": unit}) for unit in units}
    shown = lab.clock.at
    lab.clock.go(hours=1)
    lab.reweigh(control=10, treatment=90)
    lab.clock.go(hours=1)

    for unit, one in assigned.items():
        more = {"epoch": one.epoch} if told == "epoch" else {"at": shown}
        assert lab.expose(unit, one.variant, **more).result == "exposed"

    first, second = lab.snapshot().epochs
    assert sum(second.users.values()) == 0
    assert all(80 < count < 120 for count in first.users.values())
