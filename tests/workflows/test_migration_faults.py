"""Migrations by the real workflow and functions, with something wrong at each call in turn."""

from functools import partial

import pytest

from tests.effort import part
from tests.flag_town import KINDS, Kind
from tests.migration_town import MigrationTown, calls_of

AGAIN = "m-2"
EACH = 3
"""Every third call in each run of a kind; the kinds begin at different calls, so each is struck."""


def struck(phase: str, fault: Kind, number: int, fails_at: int | None = None) -> MigrationTown:
    """A run with one fault, and if its execution died by that, another that is started later."""
    town = MigrationTown(phase)
    town.database.fails_at = fails_at
    town.strikes = {number: fault}
    town.migrate()
    town.run(0.1)  # what is delivered twice comes late
    first = town.executions[next(iter(town.executions))]
    if first.status != "SUCCEEDED" and fails_at is None:
        town.migrate(AGAIN)
    return town


@pytest.mark.parametrize("fault", KINDS)
def test_each_statement_runs_once_and_the_end_is_published_whatever_happens_at_any_call(
    fault: Kind,
) -> None:
    for number in part(range(1, calls_of("expand") + 1), EACH, KINDS.index(fault)):
        town = struck("expand", fault, number)
        where = f"{fault} at call {number} of {town.calls[number - 1]}"
        last = list(town.executions.values())[-1]
        assert last.status == "SUCCEEDED", f"{where}: {last.error} {last.cause}"
        assert town.database.done == [0, 1, 2], where
        assert town.database.epochs == sorted(town.database.epochs), where
        assert town.parameter()["migration"] == "0001_expand_name", where
        lease = town.leases.read("orders")
        assert lease is not None
        assert lease.held_by is None, where
        assert "migration_succeeded" in town.kinds(), where
        assert town.runs.runs("orders")[0].standing == "succeeded", where
        town.kernel.close()


@pytest.mark.parametrize("fault", KINDS)
def test_a_failed_statement_is_undone_and_told_whatever_happens_at_any_call(fault: Kind) -> None:
    for number in part(range(1, calls_of("expand", 2) + 1), EACH, KINDS.index(fault)):
        town = struck("expand", fault, number, fails_at=2)
        where = f"{fault} at call {number} of {town.calls[number - 1]}"
        (execution, *_) = town.executions.values()
        died = fault == "aborted"
        assert execution.status == ("ABORTED" if died else "FAILED"), where
        if not died:
            assert town.database.done == [], where
            assert execution.error in ("MigrationFailed", "Superseded"), where
            assert town.kinds()[-1] == "migration_undone", where
            assert town.runs.run("m-1").standing == "undone", where
            assert town.leases.read("orders").held_by is None, where
        elif town.leases.read("orders") is not None and town.leases.read("orders").held_by:
            assert town.kinds()[-1] == "migration_dead", where
            assert town.runs.run("m-1").standing == "dead", where
        town.kernel.close()


@pytest.mark.parametrize("fault", ["gone", "before", "timeout"])
def test_a_run_goes_on_although_a_call_fails_again_and_again_for_a_while(fault: Kind) -> None:
    total = calls_of("expand")
    for first in range(1, total + 1, 3):
        town = MigrationTown("expand")
        town.strikes = dict.fromkeys(range(first, first + 4), fault)
        execution = town.migrate()
        assert execution.status == "SUCCEEDED", f"{fault} from call {first}: {execution.cause}"
        assert town.database.done == [0, 1, 2]
        town.kernel.close()


def both_ended(town: MigrationTown) -> bool:
    return len(town.executions) == 2 and town.quiet()


def test_of_two_runs_at_once_one_migrates_and_the_other_is_refused() -> None:
    for seconds in range(0, 12, 3):
        town = MigrationTown("expand", statements=2)
        town.database.locked = 3
        town.begin("m-1")
        town.kernel.after(seconds, partial(town.begin, "m-2"))
        town.run(8, done=partial(both_ended, town))
        one, other = town.executions.values()
        assert (one.status, other.status) == ("SUCCEEDED", "FAILED")
        assert other.error == "MigrationInFlight"
        assert town.database.done == [0, 1]
        assert sorted(town.kinds()) == ["migration_refused", "migration_succeeded"]
        town.kernel.close()


def test_a_slice_of_a_dead_run_that_comes_late_writes_nothing() -> None:
    town = MigrationTown("expand", statements=6)
    town.database.locked = 4
    arn = town.begin("m-1")
    town.run(0.004, done=lambda: len(town.database.done) > 0 or town.database.locked < 3)
    module, event = "run_migration", dict(town._latest[1])
    event = next(one for one in (event,) if "epoch" in one) | {"next": "run"}
    town.executions[arn].stop("Killed", "by the test")
    town.run(0.1)
    second = town.migrate("m-2")
    assert (second.status, town.database.epochs) == ("SUCCEEDED", [2] * 6)

    late = town.call(module, event)
    town.run(0.01)

    assert late.failure is not None
    assert late.failure.error == "FenceLost"
    assert town.database.done == list(range(6))
    town.kernel.close()


def test_the_lease_of_a_dead_run_is_waited_for_and_then_taken_over() -> None:
    town = MigrationTown("expand", statements=3)
    town.database.locked = 50
    arn = town.begin("m-1")
    town.run(0.02)
    town.executions[arn].stop("Killed", "by the test")
    died = town.kernel.now()
    town.database.locked = 0
    town.run(0.01)
    assert town.kinds() == ["migration_dead"]
    (page,) = town.topic.published
    assert "run it again" in page["Message"]

    second = town.migrate("m-2")

    assert second.status == "SUCCEEDED"
    assert (town.kernel.now() - died).total_seconds() < 25 * 60
    assert town.leases.read("orders").epoch == 2
    town.kernel.close()
