"""What becomes of migrations: by the real workflow and functions, on a database of our own."""

from datetime import timedelta
from typing import Any

import pytest

from greenlane.deployments.phases import Phase
from greenlane.errors import SignalRefused
from greenlane.migrations.guarding import deciding
from greenlane.migrations.guarding.lease import Asked
from tests.builders import NOW, SERVICE, plan
from tests.migration_town import DESCRIBED, FAMILY, SHA, MigrationTown

OVERRIDE = {
    "rule": "rollback-target-too-old",
    "person": "ada",
    "reason": "2.3 was withdrawn for good",
}


@pytest.fixture
def town() -> MigrationTown:
    return MigrationTown()


def asked(town: MigrationTown, name: str = "pause", **more: Any) -> None:
    signal: dict[str, Any] = {"name": name, "by": "ada", "at": town.kernel.now(), "why": "a sale"}
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


# People and deployments.


def test_a_paused_run_waits_until_it_is_resumed(town):
    town.database.locked = 1
    town.begin()
    town.kernel.after(1, lambda: asked(town))
    town.run(2)
    assert town.database.done == []
    assert town.runs.run("m-1").waits_for == "ada paused it: a sale"
    town.leases.resume("orders", "m-1")
    town.run(1, done=town.quiet)

    assert town.database.done == [0, 1, 2]


def test_an_aborted_run_stops_between_two_slices_and_stays_as_it_is(town):
    town.database.statements, town.database.locked = 5, 0
    number = {"left": 2}

    def slice_then_abort(run: Any, real: Any = town.database.slice) -> Any:
        number["left"] -= 1
        if number["left"] == 0:
            asked(town, "abort")
        return real(run)

    town.database.slice = slice_then_abort
    execution = town.migrate()

    assert (execution.error, town.database.done) == ("Aborted", [0, 1])
    assert town.kinds() == ["migration_stopped"]
    assert town.runs.run("m-1").standing == "stopped"
    with pytest.raises(SignalRefused):
        asked(town)


def test_an_abort_may_ask_for_undoing(town):
    town.database.locked, town.database.done = 1, [0, 1]
    town.begin()
    town.kernel.after(2, lambda: asked(town, "abort", undo=True))
    town.run(1, done=town.quiet)

    assert town.database.done == []
    assert town.runs.run("m-1").standing == "undone"


def test_a_red_alarm_of_the_database_pauses_and_people_are_told_once(town):
    town.alarms.red.add("orders-cpu")
    town.begin()
    town.run(1)
    assert town.database.done == []
    assert town.kinds() == ["migration_waits"]
    town.alarms.red.clear()
    town.run(1, done=town.quiet)

    assert town.database.done == [0, 1, 2]
    assert town.kinds() == ["migration_waits", "migration_succeeded"]


def with_deployment(town: MigrationTown, phase: Phase, **changes: Any) -> None:
    town.deployments.put_plan(plan(deployment_id="d-9"))
    town.deployment(phase, deployment_id="d-9", **changes)


def test_a_red_alarm_of_its_deployment_pauses_it(town):
    with_deployment(town, Phase.SHIFTING)
    town.alarms.red.add(f"{SERVICE}-green-p95")
    town.begin(deployment="d-9")
    town.run(1)
    assert town.database.done == []
    assert town.runs.run("m-1").waits_for == f"red: {SERVICE}-green-p95"
    town.alarms.red.clear()
    town.run(1, done=town.quiet)
    assert town.database.done == [0, 1, 2]


def test_a_paused_deployment_pauses_its_migration(town):
    with_deployment(town, Phase.SHIFTING, paused=True)
    town.begin(deployment="d-9")
    town.run(1)
    assert town.runs.run("m-1").waits_for == "its deployment d-9 is paused"
    town.deployment(Phase.SHIFTING, deployment_id="d-9")
    town.run(1, done=town.quiet)
    assert town.database.done == [0, 1, 2]


@pytest.mark.parametrize("ended", [Phase.ROLLED_BACK, Phase.HELD, Phase.REFUSED])
def test_a_migration_ends_with_a_deployment_that_went_back_and_leaves_what_it_did(town, ended):
    with_deployment(town, Phase.SHIFTING)
    town.database.locked = 30
    town.begin(deployment="d-9")

    def back() -> None:
        town.database.done.append(0)
        town.deployment(Phase.ROLLING_BACK, deployment_id="d-9")

    town.kernel.after(10, back)
    town.kernel.after(300, lambda: town.deployment(ended, deployment_id="d-9"))
    town.run(0.05)
    assert town.runs.run("m-1").waits_for == "d-9 is being rolled back"
    town.run(1, done=town.quiet)

    assert town.runs.run("m-1").standing == "stopped"
    assert (town.database.done, town.database.undone) == ([0], [])
    assert "is left in place" in message(town)


def test_a_migration_goes_on_when_its_deployment_ended_well_and_another_began(town):
    town.ship(7, "2.4.0", deployment_id="d-7")
    with_deployment(town, Phase.SHIFTING)

    assert town.migrate(deployment="d-7").status == "SUCCEEDED"


def test_a_deployment_that_is_not_on_record_ends_its_migration(town):
    execution = town.migrate(deployment="d-404")

    assert execution.error == "Aborted"
    assert "d-404 is not on record" in execution.cause


# The release gate.


def test_a_contract_is_refused_while_an_older_task_runs_and_may_run_after_its_end(town):
    town.ship(1, "2.3.0")
    town.ship(2, "2.4.0")
    town.ecs.tasks.append((1, "RUNNING"))
    first = town.migrate(phase="contract")

    assert first.error == "Refused"
    assert f"a task of {SERVICE}:1 runs 2.3.0, older than 2.4.0" in first.cause
    assert "an undo to d-1 may bring back 2.3.0" in first.cause
    town.ecs.tasks.pop()
    town.ecs.active.discard(1)
    town.rds.instance("orders-1", MultiAZ=False)
    assert town.migrate("m-2", phase="contract").status == "SUCCEEDED"
    assert town.parameter()["min_app"] == "2.4.0"


def test_a_task_that_is_still_stopping_runs(town):
    town.ship(1, "2.3.0")
    town.ship(2, "2.4.0")
    town.ecs.active.discard(1)
    town.ecs.tasks.append((1, "DEPROVISIONING"))

    assert "runs 2.3.0" in town.migrate(phase="contract").cause
    town.ecs.tasks[1] = (1, "STOPPED")
    town.rds.instance("orders-1", MultiAZ=False)
    assert town.migrate("m-2", phase="contract").status == "SUCCEEDED"


def test_a_way_back_to_an_older_version_is_given_up_by_a_named_person(town):
    town.ship(1, "2.3.0")
    town.ship(2, "2.4.0")
    town.rds.instance("orders-1", MultiAZ=False)
    assert "an undo to d-1" in town.migrate(phase="contract").cause

    second = town.migrate("m-2", phase="contract", overrides=[OVERRIDE])

    assert second.status == "SUCCEEDED"
    (taken,) = [one for one in town.runs.history("m-2") if one.kind == "taken"]
    assert taken.detail["overrides"][0]["person"] == "ada"


def test_the_slot_that_a_rollback_goes_back_to_counts(town):
    town.ship(1, "2.3.0")
    town.ship(2, "2.4.0")
    town.ecs.active.discard(1)
    town.deployments.put_plan(plan(deployment_id="d-2"))
    town.deployment(Phase.WATCHING, deployment_id="d-2", live="blue", candidate="green")

    assert "a rollback of d-2 may bring back 2.3.0" in town.migrate(phase="contract").cause


def test_a_deployment_that_has_only_begun_counts_as_running(town):
    town.ship(2, "2.4.0")
    town.ship(3, "2.2.0", phase=Phase.PLANNING, task_definition=None)
    town.deployment(Phase.PLANNING, deployment_id="d-3", live="green", candidate="blue")

    assert "the deployment d-3 runs 2.2.0" in town.migrate(phase="contract").cause


def test_tasks_that_greenlane_did_not_ship_count_as_older(town):
    said = town.migrate(phase="contract").cause

    assert f"a task of {SERVICE}:2 runs a version that nobody knows" in said


def test_an_undo_has_the_version_of_whoever_brought_its_revision(town):
    town.ship(2, "2.4.0")
    town.ship(4, None, task_definition=f"{FAMILY}:2")
    town.rds.instance("orders-1", MultiAZ=False)

    assert town.migrate(phase="contract").status == "SUCCEEDED"


def test_a_contract_is_looked_at_again_after_its_backup(town):
    town.ship(1, "2.3.0")
    town.ship(2, "2.4.0")
    town.ecs.active.discard(1)
    town.kernel.after(3600, lambda: town.ecs.tasks.append((1, "RUNNING")))
    town.kernel.after(7200, town.rds.finish)
    execution = town.migrate(phase="contract")

    assert (execution.error, town.database.done) == ("Refused", [])
    assert "runs 2.3.0" in execution.cause
    assert execution.entered.count("BackUp") == 1


def test_expand_and_migrate_ask_for_no_version(town):
    assert town.migrate(phase="migrate").status == "SUCCEEDED"


def test_min_app_only_rises(town):
    described = DESCRIBED.rstrip() + "\n    min_app: 3.0.0\n"
    later = MigrationTown("contract", described=described)
    later.ship(2, "2.4.0")
    later.rds.instance("orders-1", MultiAZ=False)
    later.migrate()

    assert later.parameter()["min_app"] == "3.0.0"


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
