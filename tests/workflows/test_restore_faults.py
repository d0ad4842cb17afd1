"""Restores by the real workflow and functions, with something wrong at each call in turn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import pytest

from greenlane.migrations.restoring.model import Question
from tests.effort import part
from tests.flag_town import KINDS, Kind
from tests.migrated import DATABASE
from tests.restore_town import RESTORE, RestoreTown, quietly
from tests.restored_databases import NAMES

Says = Mapping[Question, str]
AT_ONCE = 20.0
"""Seconds in which RDS makes a database here, so that there are few looks at it that are alike."""


@contextmanager
def a_town(
    fault: Kind | None = None, number: int = 0, says: Says | None = None
) -> Iterator[RestoreTown]:
    town = RestoreTown(members=1, writes_secret=True)
    town.rds.makes_seconds = AT_ONCE
    town.says = town.says if says is None else dict(says)
    if fault is not None:
        town.strikes = {number: fault}
    try:
        yield town
    finally:
        town.close()


def calls() -> int:
    """How many calls a restore makes with which nothing is wrong."""
    with a_town() as town:
        town.restore(hours=40)
        return len(town.calls)


CUTOVER = calls()


def ran(town: RestoreTown) -> None:
    """A restore, and if its execution died by the fault, another that is started later."""
    execution = town.restore(hours=40)
    town.run(0.1)  # what is delivered twice comes late
    if execution.status == "ABORTED":
        assert_told_if_it_died_in_the_middle(town)
        town.run(0.5)  # until the lease of the dead one is over
        town.restore(number=2, hours=40)
        town.run(0.1)


def assert_told_if_it_died_in_the_middle(town: RestoreTown) -> None:
    lease = town.leases.read(DATABASE)
    if lease is not None and lease.held_by is not None:
        assert town.kinds()[-1] == "restore_dead"
        assert town.restores.restore(RESTORE).standing == "dead"


@pytest.mark.parametrize("fault", KINDS)
def test_whatever_happens_at_any_call_all_clients_are_sent_to_one_new_database(fault: Kind) -> None:
    for number in part(range(1, CUTOVER + 1), len(KINDS), KINDS.index(fault)):
        with a_town(fault, number) as town:
            ran(town)
            where = f"{fault} at call {number} of {town.calls[number - 1]}"
            last = list(town.executions.values())[-1]
            assert last.status == "SUCCEEDED", f"{where}: {last.error} {last.cause}"
            assert town.rds.made == [town.new, f"{town.new}-1"], where
            host = town.rds.host("cluster", town.new)
            sent = {town.host_in_secret(), town.endpoint()["host"], town.host_described()}
            assert sent == {host}, where
            assert town.restores.restore(RESTORE).standing == "cut_over", where
            assert town.leases.read(DATABASE).held_by is None, where
            assert "restore_cut_over" in town.kinds(), where
            for kind in ("restore_approval", "restore_writers"):
                assert kind in town.kinds(), where
            assert town.rds.described("cluster", NAMES["cluster"])["Status"] == "available", where


NOT_APPROVED: list[Says] = [{"approve": "refuse"}, {"approve": "approve"}]


@pytest.mark.parametrize("fault", KINDS)
@pytest.mark.parametrize("says", NOT_APPROVED, ids=lambda says: says["approve"])
def test_whatever_happens_at_any_call_nothing_is_cut_over_without_both_answers(
    fault: Kind, says: Says
) -> None:
    # What comes before the first question is the same as above.
    with a_town(says=says) as town:
        town.restore(hours=40)
        first = town.calls.index(("postgres", "look"))
        total = len(town.calls)
    for number in part(range(first, total + 1), 5, KINDS.index(fault)):
        with a_town(fault, number, says) as town:
            ran(town)
            where = f"{fault} at call {number} of {town.calls[number - 1]}"
            assert town.untouched(), where
            lease = town.leases.read(DATABASE)
            assert lease.held_by is None, where
            assert town.restores.restore(RESTORE).standing in ("refused", "expired")
            assert "restore_cut_over" not in town.kinds(), where
            assert town.rds.made == [town.new, f"{town.new}-1"], where


@pytest.mark.parametrize("fault", ["gone", "before", "timeout"])
def test_a_restore_goes_on_although_a_call_fails_again_and_again_for_a_while(fault: Kind) -> None:
    for first in part(range(1, CUTOVER + 1, 4), 3, KINDS.index(fault)):
        with a_town() as town:
            town.strikes = dict.fromkeys(range(first, first + 4), fault)
            execution = town.restore(hours=40)
            said = f"{fault} from call {first}: {execution.error} {execution.cause}"
            assert execution.status == "SUCCEEDED", said
            assert len(town.rds.made) == 2, said


def test_an_abort_at_any_call_ends_it_before_the_cutover_or_not_at_all() -> None:
    from greenlane.migrations.restoring.answering import end_restore

    ends = set()
    for number in part(range(1, CUTOVER + 1), 4):
        with a_town() as town:
            end = partial(
                end_restore,
                town.leases,
                town.restores,
                town,
                town.kernel,
                database=DATABASE,
                restore=RESTORE,
                by="grace",
            )
            town.acts = {number: partial(quietly, end)}
            execution = town.restore(hours=40)
            where = f"before call {number} of {town.calls[number - 1]}"
            if execution.status == "SUCCEEDED":
                host = town.rds.host("cluster", town.new)
                sent = {town.host_in_secret(), town.endpoint()["host"], town.host_described()}
                assert sent == {host}, where
            else:
                assert execution.error == "Aborted", where
                assert town.untouched(), where
                assert town.kinds()[-1] == "restore_aborted", where
            assert town.leases.read(DATABASE).held_by is None, where
            ends.add(execution.status)
    assert ends == {"SUCCEEDED", "FAILED"}


def both_ended(town: RestoreTown) -> bool:
    return len(town.executions) == 2 and town.quiet()


def test_of_two_executions_at_once_one_makes_and_publishes() -> None:
    for seconds in range(0, 300, 45):
        with a_town() as town:
            town.ask_for()
            town.kernel.after(seconds, partial(town.ask_for, 2))
            town.run(40, done=partial(both_ended, town))
            one, other = town.executions.values()
            assert sorted((one.status, other.status)) == ["FAILED", "SUCCEEDED"]
            lost = other if one.status == "SUCCEEDED" else one
            assert lost.error == "MigrationInFlight"
            assert town.rds.made == [town.new, f"{town.new}-1"]


def test_a_call_of_a_dead_execution_that_comes_late_publishes_nothing() -> None:
    with a_town() as town:
        town.says = {"approve": "approve"}
        arn = town.ask_for()
        town.run(10, done=lambda: "restore_writers" in town.kinds())
        state = town.state()
        offer = town.restores.asked(RESTORE, "writers").offer
        town.answer("stopped", offer)
        ready = state.model_copy(update={"stage": "cut_over", "cutting": True})
        town.executions[arn].stop("Killed", "by the test")
        town.run(0.5)
        town.says = {}
        town.ask_for(number=2)
        town.run(2, done=lambda: town.kinds().count("restore_approval") == 2)

        late = town.call("cut_over_restore", ready.model_dump(mode="json"))
        town.run(0.01)

        assert late.failure is not None
        assert late.failure.error == "FenceLost"
        assert town.untouched()
