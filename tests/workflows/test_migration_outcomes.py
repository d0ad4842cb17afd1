"""What becomes of migrations: by the real workflow and functions, on a database of our own."""

from datetime import timedelta
from typing import Any

import pytest

from greenlane.migrations.guarding import deciding
from greenlane.migrations.guarding.lease import Asked
from tests.builders import NOW
from tests.migrated import SHA
from tests.migration_town import MigrationTown

OVERRIDE = {
    "rule": "rollback-target-too-old",
    "person": "ada",
    "reason": "2.3 was withdrawn for good",
}


@pytest.fixture
def town() -> MigrationTown:
    return MigrationTown()


def asked(town: MigrationTown, name: str = "pause", **more: Any) -> None:
    signal: dict[str, Any] = {
        "name": name,
        "by": "ada",
        "at": town.kernel.now(),
        "reason": "a sale",
    }
    town.leases.ask("orders", "m-1", Asked.model_validate(signal | more))


def history(town: MigrationTown, run: str = "m-1") -> list[str]:
    return [event.kind for event in town.runs.history(run)]


def message(town: MigrationTown, number: int = -1) -> str:
    return str(town.topic.published[number]["Message"])


# A run that goes well.


def test_what_stands_is_published_recorded_and_told(town):
    execution = town.migrate()

    assert execution.status == "SUCCEEDED"
    assert town.parameter() == {
        "database": "orders",
        "phase": "expand",
        "migration": "0001_expand_name",
        "min_app": None,
        "plan": SHA,
    }
    assert town.kinds() == ["migration_succeeded"]
    line = town.runs.run("m-1")
    assert (line.standing, line.progress.statement, line.ended_at) == (
        "succeeded",
        3,
        line.updated_at,
    )
    assert line.backup.model_dump(mode="json") == {
        "kind": "marker",
        "at": "2026-11-23T12:00:00Z",
        "lsn": "0/3000060",
        "snapshot": None,
        "note": "",
    }
    kinds = ["backed up", "begun", "published", "succeeded", "taken"]
    assert sorted(history(town)) == kinds


def test_a_lock_and_an_old_transaction_are_waited_for_and_why_is_on_record(town):
    town.database.locked, town.database.busy = 3, 2
    town.begin()
    town.run(0.008)
    assert town.runs.run("m-1").waits_for == "an old transaction"
    town.run(8, done=town.quiet)

    assert town.database.done == [0, 1, 2]
    events = town.runs.history("m-1")
    waited = [one.detail["why"] for one in events if one.kind == "waits"]
    assert waited == ["an old transaction", "lock"]
    assert "goes on" in {one.kind for one in events}


# Who may not run.


def test_what_cannot_run_is_refused_told_and_nothing_is_changed(town):
    town.objects.objects.clear()
    execution = town.migrate()

    assert (execution.error, execution.entered) == ("InvalidInput", ["Begin", "Take", "Refused"])
    assert town.kinds() == ["migration_refused"]
    assert "start the run from its folder again" in message(town)
    assert town.runs.run("m-1").standing == "refused"
    assert town.leases.read("orders") is None
    assert town.database.fence == 0


def test_an_unknown_database_is_refused(town):
    execution = town.migrate(database="order")

    assert execution.error == "UnknownDatabase"
    assert "did you mean orders?" in execution.cause


def test_a_plan_of_another_database_or_without_the_phase_is_refused(town):
    key = f"plans/{SHA}.json"
    text = town.objects.objects[key]
    town.objects.objects[key] = text.replace('"migrate"', '"expand"')
    assert "the plan has expand, contract only" in town.migrate(phase="migrate").cause
    town.objects.objects[key] = text.replace('"database": "orders"', '"database": "billing"')
    assert "the plan is for billing; run it there" in town.migrate("m-2").cause


def test_what_the_check_finds_ends_the_run_before_a_backup(town):
    town.database.refusal = "0001_expand_name.sql was edited after it ran"
    execution = town.migrate()

    assert (execution.error, "BackUp" in execution.entered) == ("Refused", False)
    assert town.kinds() == ["migration_failed"]
    assert "was edited after it ran" in message(town)
    assert "nothing was changed" in message(town)
    assert town.leases.read("orders").held_by is None


# Backups.


def test_a_contract_waits_for_its_snapshot_which_takes_hours_and_keeps_its_lease(town):
    town.ship(2, "2.4.0")
    town.kernel.after(3 * 3600, town.rds.finish)
    execution = town.migrate(phase="contract")

    assert execution.status == "SUCCEEDED"
    assert town.rds.made == ["greenlane-orders-m-1"]
    assert town.runs.run("m-1").backup.snapshot.endswith(":snapshot:greenlane-orders-m-1")
    assert town.kernel.now() - NOW >= timedelta(hours=3)


def test_an_abort_ends_a_run_that_waits_for_its_snapshot(town):
    town.ship(2, "2.4.0")
    town.begin(phase="contract")
    town.run(0.5)
    asked(town, "abort")
    town.run(1, done=town.quiet)

    assert town.runs.run("m-1").standing == "stopped"
    assert town.database.done == []


def test_a_single_zone_instance_has_a_marker_in_the_place_of_a_snapshot(town):
    town.ship(2, "2.4.0")
    town.rds.instance("orders-1", MultiAZ=False)
    town.migrate(phase="contract")

    backup = town.runs.run("m-1").backup
    assert (backup.kind, town.rds.made) == ("marker", [])
    assert "suspends_io: accepted" in backup.note


def test_nothing_runs_on_a_blue_green_deployment_or_a_full_disk(town):
    arn = town.rds.instances["orders-1"]["DBInstanceArn"]
    town.rds.blue_green.append(
        {"Source": arn, "Target": "x", "Status": "AVAILABLE", "BlueGreenDeploymentName": "up"}
    )
    assert "the blue/green deployment up" in town.migrate().cause
    town.rds.blue_green.clear()
    town.rds.instance("orders-1", DBInstanceStatus="storage-full")
    assert "its storage is full" in town.migrate("m-2").cause
    assert town.database.done == []


def test_a_database_that_reboots_is_waited_for(town):
    town.rds.instance("orders-1", DBInstanceStatus="rebooting")
    town.kernel.after(300, lambda: town.rds.instance("orders-1"))

    assert town.migrate().status == "SUCCEEDED"


# Failures.


def test_a_failed_statement_is_undone_and_told_with_its_line(town):
    town.database.fails_at = 2
    execution = town.migrate()

    assert execution.status == "FAILED"
    assert "0001_expand_name, statement 2: UniqueViolation: two alike" in execution.cause
    assert (town.database.undone, town.database.done) == ([1, 0], [])
    assert town.kinds() == ["migration_undone"]
    assert "undoing" in history(town)
    assert town.objects.parameters == {}


def test_what_is_left_in_place_is_said_so(town):
    town.database.fails_at = 1
    town.migrate(on_failure="leave")

    assert (town.database.undone, town.database.done) == ([], [0])
    assert town.kinds() == ["migration_failed"]
    assert "what it did stands" in message(town)


def test_what_could_not_be_undone_pages_with_both_reasons(town):
    town.database.fails_at, town.database.undo_fails = 1, True
    execution = town.migrate()

    assert "two alike" in execution.cause
    assert "could not be undone" in execution.cause
    (news,) = town.topic.published
    assert news["MessageAttributes"]["severity"]["StringValue"] == "critical"
    assert town.runs.run("m-1").standing == "failed"
    assert town.leases.read("orders").held_by is None


def test_slices_that_only_fail_end_the_run_after_a_while(town):
    def fail(run: Any) -> Any:
        raise ValueError("a defect")

    town.database.slice = fail
    execution = town.migrate()

    assert (execution.status, execution.error) == ("FAILED", "ValueError")
    assert town.runs.run("m-1").standing == "undone"
    assert history(town).count("a slice failed") == deciding.MOST_TROUBLES


def test_of_successes_people_are_not_told_where_the_plan_says_so(town):
    key = f"plans/{SHA}.json"
    text = town.objects.objects[key]
    quiet = text.replace('"owner"', '"notify": "failures", "owner"')
    town.objects.objects[key] = quiet
    town.migrate()
    assert town.kinds() == []
    town.database.fails_at, town.database.done = 1, [0]
    town.migrate("m-2")
    assert town.kinds() == ["migration_undone"]


# Long runs.


def test_a_long_run_goes_on_in_further_executions_with_the_same_lease(town, monkeypatch):
    monkeypatch.setattr(deciding, "MOST_ROUNDS", 5)
    town.database.statements = 16
    town.begin()
    town.run(8, done=lambda: len(town.database.done) == 16 and town.quiet())

    assert town.database.done == list(range(16))
    assert [one.status for one in town.executions.values()] == ["SUCCEEDED"] * 5
    names = [arn.rsplit(":", 1)[-1] for arn in town.executions]
    assert names == ["m-1", "m-1-2", "m-1-3", "m-1-4", "m-1-5"]
    assert town.leases.read("orders").epoch == 1
    assert town.kinds() == ["migration_succeeded"]


def test_a_further_execution_that_dies_is_told_as_its_run(town, monkeypatch):
    monkeypatch.setattr(deciding, "MOST_ROUNDS", 3)
    town.database.statements, town.database.locked = 8, 40
    town.begin()
    town.run(0.02)
    *_, last = town.executions.values()
    assert last.arn.endswith("m-1-2") or last.arn.rsplit("-", 1)[-1].isdigit()
    last.stop("Killed", "by the test")
    town.run(0.01)

    assert town.kinds() == ["migration_dead"]
    assert town.runs.run("m-1").standing == "dead"


# Going back.


def test_a_phase_that_came_to_its_end_is_undone_by_a_run_of_its_own(town):
    town.migrate()
    execution = town.migrate("m-2", undo=["0001_expand_name"])

    assert execution.status == "SUCCEEDED"
    assert execution.entered[:8] == [
        *("Begin", "Take", "Route", "BackUp", "Route", "Watch", "Route", "Undo"),
    ]
    assert (town.database.done, town.database.undone) == ([], [2, 1, 0])
    assert town.parameter()["migration"] == ""
    assert town.kinds() == ["migration_succeeded", "migration_succeeded"]


def test_undoing_the_second_file_leaves_the_first_one_as_what_stands(town):
    town.migrate(phase="migrate")
    town.migrate("m-2", phase="migrate", undo=["0002_fill_name"])

    parameter = town.parameter()
    assert (parameter["phase"], parameter["migration"]) == ("expand", "0001_expand_name")


def test_a_file_that_the_plan_does_not_have_cannot_be_undone(town):
    execution = town.migrate(undo=["0001_expand_nam"])

    assert execution.error == "InvalidInput"
    assert "did you mean 0001_expand_name?" in execution.cause


def test_what_cannot_be_undone_ends_its_run_as_failed(town):
    town.migrate()
    town.database.undo_fails = True
    execution = town.migrate("m-2", undo=["0001_expand_name"])

    assert execution.status == "FAILED"
    assert town.runs.run("m-2").standing == "failed"
    assert town.kinds()[-1] == "migration_failed"
