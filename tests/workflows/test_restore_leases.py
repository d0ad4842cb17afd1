"""One at a time on a database; ended by a person, dead and gone on with, started twice."""

from contextlib import closing
from typing import Any

import pytest

from greenlane.errors import ApprovalRefused, Refused, SignalRefused
from greenlane.migrations.restoring.answering import end_restore, start_restore
from greenlane.migrations.restoring.model import RestoreRequest
from tests.fakes import error
from tests.migrated import DATABASE
from tests.restore_town import RESTORE, RESTORE_MACHINE, RUN, Make, RestoreTown
from tests.restore_town import make as make
from tests.restored_databases import NAMES, OLD, SECRET


def test_a_migration_under_way_keeps_a_restore_out(make: Make) -> None:
    town = make()
    town.database.locked = 500
    migration = town.executions[town.begin("m-1", phase="expand")]
    town.run(0.05)

    execution = town.restore(hours=0.5)

    assert (execution.status, execution.error) == ("FAILED", "MigrationInFlight")
    assert "is being migrated by m-1 (expand)" in execution.cause
    assert "greenlane migrations abort m-1" in execution.cause
    assert town.rds.made == []
    assert migration.status == "RUNNING"


def test_a_restore_under_way_keeps_migrations_out(make: Make) -> None:
    town = make()
    town.says = {}
    town.ask_for()
    town.run(2, done=lambda: "restore_approval" in town.kinds())

    migration = town.executions[town.begin("m-1", phase="expand")]
    town.run(0.1)

    assert (migration.status, migration.error) == ("FAILED", "MigrationInFlight")
    assert f"is being restored by {RESTORE}" in migration.cause
    assert f"greenlane migrations restore abort {RESTORE}" in migration.cause
    assert town.database.done == []


def test_a_second_restore_is_kept_out_too(make: Make) -> None:
    town = make()
    town.says = {}
    town.ask_for()
    town.run(2, done=lambda: "restore_approval" in town.kinds())

    other = town.executions[town.ask_for(restore="fix-9")]
    town.run(0.1)

    assert (other.status, other.error) == ("FAILED", "MigrationInFlight")


def test_after_a_restore_has_ended_migrations_run_again(make: Make) -> None:
    town = make()
    town.restore(mode="salvage")

    assert town.migrate("m-1", phase="expand").status == "SUCCEEDED"


# A person ends it; an execution dies.


@pytest.mark.parametrize("when", ["restore_begun", "restore_approval", "restore_writers"])
def test_a_person_may_end_it_at_any_time_before_the_cutover(make: Make, when: str) -> None:
    town = make(writes_secret=True)
    town.says = {"approve": "approve"}
    arn = town.ask_for()
    town.run(2, done=lambda: when in town.kinds())

    end_restore(
        town.leases,
        town.restores,
        town,
        town.kernel,
        database=DATABASE,
        restore=RESTORE,
        by="grace",
        reason="found another way",
    )
    town.run(0.5, done=town.quiet)

    execution = town.executions[arn]
    assert (execution.status, execution.error) == ("FAILED", "Aborted")
    assert "grace ended it: found another way" in execution.cause
    assert town.untouched()
    assert town.kinds()[-1] == "restore_aborted"
    with pytest.raises(SignalRefused):
        end_restore(
            town.leases,
            town.restores,
            town,
            town.kernel,
            database=DATABASE,
            restore=RESTORE,
            by="grace",
        )


def test_a_restore_that_died_is_told_and_goes_on_under_the_same_id_asking_anew(make: Make) -> None:
    town = make(writes_secret=True)
    town.says = {"approve": "approve"}
    arn = town.ask_for()
    town.run(2, done=lambda: "restore_writers" in town.kinds())
    before = town.restores.asked(RESTORE, "approve")
    town.executions[arn].stop("Killed", "by the test")
    town.run(0.01)

    assert town.kinds()[-1] == "restore_dead"
    page = town.told("restore_dead")
    assert "restore again under the same id after" in page
    assert "delete-db-cluster" in page
    assert town.restores.restore(RESTORE).standing == "dead"
    with pytest.raises(ApprovalRefused, match=r"has ended \(dead\)"):
        town.answer("stopped", before.offer)

    town.says = {}
    made = town.rds.made
    second = town.ask_for(number=2)
    town.run(3, done=lambda: town.kinds().count("restore_approval") == 2)
    asked = town.restores.asked(RESTORE, "approve")
    assert asked.answer is None, "what was said to an execution that died is asked again"
    assert asked.offer != before.offer
    # The later question of the first execution is still there, and is not what this answers.
    town.answer("refuse", asked.offer)
    town.run(1, done=town.quiet)

    assert town.executions[second].error == "Aborted"
    assert town.rds.made == made, "it was found, not made again"
    assert town.untouched()


def test_a_cutover_that_died_half_done_is_told_as_such_and_is_finished_under_the_same_id(
    make: Make,
) -> None:
    written = ("secretsmanager", "update_secret_version_stage")
    with closing(RestoreTown(writes_secret=True)) as whole:
        whole.restore()
        number = whole.calls.index(written) + 1
    town = make(writes_secret=True)
    arn = town.ask_for()
    # Execution and process end at once, after the first of the writes.
    town.acts = {number: lambda: town.executions[arn].stop("Killed", "by the test")}
    town.strikes = {number: "gone_after"}
    town.run(3, done=town.quiet)
    town.run(0.02)
    assert town.calls[number - 1] == written
    assert town.host_in_secret() != OLD
    assert town.endpoint() == {}
    assert town.host_described() == OLD
    page = town.told("restore_dead")
    assert "it had begun: look at where clients are sent" in page
    assert f"write {OLD} into the secret {SECRET}" in page

    second = town.restore(number=2)

    assert second.status == "SUCCEEDED"
    host = town.rds.host("cluster", town.new)
    assert {town.host_in_secret(), town.endpoint()["host"], town.host_described()} == {host}
    old = town.rds.described("cluster", NAMES["cluster"])
    assert old["Status"] == "available"


# How it is started.


def test_starting_it_twice_is_once_and_after_its_end_goes_on(make: Make) -> None:
    town = make()
    town.says = {}
    asked = RestoreRequest.model_validate(town.given)

    def start(request: RestoreRequest) -> str:
        return start_restore(town.restores, town, RESTORE_MACHINE, request)

    first = start(asked)
    town.run(0.1)
    assert start(asked) == first
    with pytest.raises(Refused, match="it runs, and was asked for otherwise"):
        start(asked.model_copy(update={"reason": "another"}))

    town.run(24, done=town.quiet)
    second = start(asked)

    assert second == f"{first}-2"
    assert town.executions[first].error == "ApprovalMissing"


def test_an_id_that_was_used_for_another_run_is_refused(make: Make) -> None:
    town = make(mode="salvage")
    town.restore()
    town.began("m-other")

    execution = town.restore(number=2, run="m-other")

    assert execution.error == "InvalidInput"
    assert f"go back to before {RUN}" in execution.cause


def test_a_cutover_that_cannot_be_finished_pages_and_says_how_it_is_taken_back(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = make(writes_secret=True)
    put = town.put_parameter

    def refused(**given: Any) -> None:
        raise error("AccessDeniedException")

    monkeypatch.setattr(town, "put_parameter", refused)

    execution = town.restore()

    assert (execution.status, execution.error) == ("FAILED", "ClientError")
    (page,) = [one for one in town.topic.published if "half done" in one["Subject"]]
    assert page["MessageAttributes"]["severity"]["StringValue"] == "critical"
    said = town.told("restore_failed")
    assert f"write {OLD} into the secret {SECRET}" in said
    assert "to finish, restore again under the same id" in said
    assert town.host_described() == OLD

    monkeypatch.setattr(town, "put_parameter", put)
    assert town.restore(number=2).status == "SUCCEEDED"
    assert town.host_in_secret() == town.host_described() == town.endpoint()["host"]
