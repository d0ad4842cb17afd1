"""A deployment that brings migrations along, by both real state machines and their functions."""

from collections.abc import Iterator

import pytest

from greenlane.deployments.model import Signal
from greenlane.deployments.phases import Phase
from tests.builders import NEW_IMAGE, SERVICE
from tests.faults.machine import Execution
from tests.migrated import DATABASE, SHA
from tests.release_town import ASKED, ReleaseTown

EXPAND, MIGRATE = "d-1-expand", "d-1-migrate"
LIVE_ALARM = f"{SERVICE}-blue-p95"


@pytest.fixture
def town() -> Iterator[ReleaseTown]:
    with ReleaseTown().works() as made:
        yield made


def untouched(town: ReleaseTown) -> None:
    """No task was started or stopped, and no traffic has moved."""
    assert town.account.weights() == {"blue": 100, "green": 0}
    changed = [one for one in town.account.faults.sites if one.operation == "update_service"]
    assert [one for one in changed if one.caller == "prepare_slot"] == []
    assert town.account.fleet.healthy("blue")[0] == 2
    assert town.account.fleet.counted("green") == 0
    assert "shift_traffic" not in town.account.invoked


def went_back(town: ReleaseTown, execution: Execution, *said: str) -> None:
    """It failed by the migration, and another deployment may begin."""
    assert (execution.status, execution.error) == ("FAILED", "MigrationFailed")
    for words in said:
        assert words in execution.cause
    assert town.phase() is Phase.ROLLED_BACK
    untouched(town)


def test_the_database_is_expanded_before_the_first_task_starts(town: ReleaseTown) -> None:
    execution = town.deploy()
    town.until(lambda: town.started == [EXPAND])
    town.until(lambda: len(town.databases["expand"].done) == 2)
    untouched(town)
    town.settle()
    assert execution.status == "SUCCEEDED"
    kinds = town.kinds()
    order = ["database expands", "database expanded", "slot starting", "shifted", "migrate begins"]
    places = [kinds.index(kind) for kind in order]
    assert places == sorted(places)
    assert town.started == [EXPAND, MIGRATE]
    assert {one.run: one.standing for one in town.runs.runs(DATABASE)} == {
        EXPAND: "succeeded",
        MIGRATE: "succeeded",
    }


def test_migrate_begins_with_the_first_traffic_and_holds_no_step_up(town: ReleaseTown) -> None:
    town.databases["migrate"].statements = 10**6
    execution = town.deploy()
    town.until(lambda: MIGRATE in town.started)
    record = town.account.record()
    assert record is not None
    assert (record.phase, record.weight) == (Phase.SHIFTING, 10)
    town.until(lambda: execution.status == "SUCCEEDED")
    assert town.standing(MIGRATE) == "running"
    assert town.started == [EXPAND, MIGRATE]


def test_a_deployment_without_migrations_begins_none(town: ReleaseTown) -> None:
    execution = town.deploy(migrations=None)
    town.settle()
    assert execution.status == "SUCCEEDED"
    assert "Expand" not in execution.entered
    assert town.started == []


def test_only_the_phases_that_are_named_are_run(town: ReleaseTown) -> None:
    town.deploy("d-1", migrations=ASKED | {"phases": ["migrate"]})
    town.settle()
    assert town.started == [MIGRATE]
    town.deploy("d-2", migrations=ASKED | {"phases": ["expand"]}, image=f"{NEW_IMAGE[:-1]}c")
    town.settle()
    assert town.started == [MIGRATE, "d-2-expand"]


def test_a_statement_that_fails_takes_the_deployment_back_before_its_first_task(
    town: ReleaseTown,
) -> None:
    town.databases["expand"].fails_at = 1
    execution = town.deploy()
    town.settle()
    went_back(town, execution, EXPAND, "undone", "UniqueViolation", "greenlane migrations get")
    assert town.databases["expand"].done == []
    town.databases["expand"].fails_at = None
    again = town.deploy("d-2")
    town.settle()
    assert again.status == "SUCCEEDED"


def test_a_run_that_is_refused_takes_the_deployment_back(town: ReleaseTown) -> None:
    town.databases["expand"].refusal = "drift: 0001_expand_name was edited"
    execution = town.deploy()
    town.settle()
    went_back(town, execution, EXPAND, "drift: 0001_expand_name was edited")


def test_a_run_whose_execution_died_takes_the_deployment_back(town: ReleaseTown) -> None:
    execution = town.deploy()
    town.until(lambda: len(town.databases["expand"].done) == 1)
    (run,) = [one for arn, one in town.account.executions.items() if arn.endswith(EXPAND)]
    run.stop("Killed", "by the test")
    town.settle()
    went_back(town, execution, f"{EXPAND} is dead")


def test_a_run_that_died_unheard_is_found_once_its_lease_is_over(town: ReleaseTown) -> None:
    execution = town.deploy()
    town.until(lambda: len(town.databases["expand"].done) == 1)
    (run,) = [one for arn, one in town.account.executions.items() if arn.endswith(EXPAND)]
    run.then.clear()
    run.stop("Killed", "by the test")
    town.run(600)
    assert execution.status == "RUNNING", "the next execution might be about to start"
    town.settle()
    went_back(town, execution, f"{EXPAND} is dead", "without a word")


def test_a_run_that_ended_before_it_wrote_a_word_takes_the_deployment_back(
    town: ReleaseTown,
) -> None:
    calls = town.account.invoke
    none = {"pk": {"S": "DATABASES"}, "sk": {"S": DATABASE}}

    def forget(module: str, event: dict[str, object]) -> object:
        if module == "take_migration":
            town.table.delete_item(TableName="greenlane-deployments", Key=none)
        return calls(module, event)

    vars(town)["_call"] = forget
    execution = town.deploy()
    town.settle()
    went_back(town, execution, f"{EXPAND} is refused", "UnknownDatabase")


def test_the_id_of_another_run_is_not_taken_for_this_deployments(town: ReleaseTown) -> None:
    other = {"run": EXPAND, "database": DATABASE, "plan_sha": SHA, "phase": "expand"}
    town.account.stepfunctions.start("migration", {"request": other}, EXPAND)
    town.run(600)
    assert town.standing(EXPAND) == "succeeded"
    execution = town.deploy()
    town.settle()
    went_back(town, execution, "is not this deployment's")


def test_an_abort_while_the_database_expands_ends_the_run_and_leaves_what_it_did(
    town: ReleaseTown,
) -> None:
    town.databases["expand"].statements = 10**6
    execution = town.deploy()
    town.until(lambda: len(town.databases["expand"].done) == 5)
    record = town.account.record()
    assert record is not None
    asked = Signal(name="abort", step=0, by="ada", at=town.kernel.now())
    town.store.update(record, {"signal": asked})
    town.until(lambda: town.phase() is Phase.ROLLED_BACK)
    town.settle()
    assert (execution.status, execution.error) == ("FAILED", "Aborted")
    assert town.standing(EXPAND) == "stopped"
    assert len(town.databases["expand"].done) >= 5
    assert town.databases["expand"].undone == []
    untouched(town)


def test_a_long_expand_is_waited_for_and_max_duration_ends_it(town: ReleaseTown) -> None:
    town.databases["expand"].locked = 10**6
    execution = town.deploy()
    town.run(110 * 60)
    assert execution.status == "RUNNING"
    town.settle()
    assert (execution.status, execution.error) == ("FAILED", "DeadlineExceeded")
    assert town.standing(EXPAND) == "stopped"
    untouched(town)


def test_a_red_alarm_of_the_deployment_pauses_migrate_and_not_the_deployment(
    town: ReleaseTown,
) -> None:
    town.databases["migrate"].statements = 10**6
    town.deploy()
    town.until(lambda: len(town.databases["migrate"].done) > 3)
    town.account.watch.set_state(LIVE_ALARM, "ALARM")
    town.run(60)
    held, done = town.runs.run(MIGRATE), len(town.databases["migrate"].done)
    assert (held.standing, held.waits_for) == ("running", f"red: {LIVE_ALARM}")
    town.run(300)
    assert len(town.databases["migrate"].done) == done
    town.account.watch.set_state(LIVE_ALARM, "OK")
    town.run(60)
    assert len(town.databases["migrate"].done) > done


def test_a_red_alarm_holds_expand_up(town: ReleaseTown) -> None:
    town.databases["expand"].locked = 3
    town.deploy()
    town.until(lambda: EXPAND in town.started)
    town.account.watch.set_state(LIVE_ALARM, "ALARM")
    town.run(600)
    assert town.runs.run(EXPAND).waits_for == f"red: {LIVE_ALARM}"
    assert town.databases["expand"].done == []


def test_it_does_not_where_the_deployment_is_the_cure(town: ReleaseTown) -> None:
    town.account.watch.set_state(LIVE_ALARM, "ALARM")
    execution = town.deploy(despite_alarms="it is the cure")
    town.finish(execution)
    assert execution.status == "SUCCEEDED"
    assert town.standing(EXPAND) == "succeeded"


def test_a_rollback_ends_migrate_and_leaves_the_schema_expanded(town: ReleaseTown) -> None:
    town.databases["migrate"].statements = 10**6
    town.deploy()
    town.until(lambda: len(town.databases["migrate"].done) > 3)
    record = town.account.record()
    assert record is not None
    trigger = {"kind": "person", "name": "ada", "reason": "no", "at": town.kernel.now().isoformat()}
    given = {"service": SERVICE, "deployment_id": "d-1", "trigger": trigger}
    town.account.start("rollback", given, "by-hand")
    town.until(lambda: town.account.weights() == {"blue": 100, "green": 0})
    town.settle()
    assert town.phase() is Phase.ROLLED_BACK
    assert town.standing(MIGRATE) == "stopped"
    assert town.databases["expand"].done == [0, 1, 2]
    assert [one.undone for one in town.databases.values()] == [[], []]
    assert town.runs.published(DATABASE).phase == "expand"
    done = len(town.databases["migrate"].done)
    town.run(600)
    assert len(town.databases["migrate"].done) == done
    assert town.started == [EXPAND, MIGRATE]


def test_a_version_that_goes_back_within_its_first_minute_begins_no_migrate() -> None:
    with ReleaseTown(bad=True).works() as town:
        town.deploy()
        town.settle()
        town.run(600)
        assert town.phase() is Phase.ROLLED_BACK
        assert town.account.weights() == {"blue": 100, "green": 0}
        assert town.started == [EXPAND]
        assert town.databases["expand"].done == [0, 1, 2]


def test_the_next_release_waits_for_the_migration_of_the_one_before(town: ReleaseTown) -> None:
    town.databases["migrate"].statements = 10**6
    town.deploy()
    town.until(lambda: town.phase() is Phase.RETIRED)
    execution = town.deploy("d-2", image=f"{NEW_IMAGE[:-1]}c")
    town.run(60)
    assert (execution.status, execution.error) == ("FAILED", "Refused")
    assert f"{DATABASE} is taken by {MIGRATE}" in execution.cause
    other = town.deploy("d-3", migrations=None, image=f"{NEW_IMAGE[:-1]}d")
    town.until(lambda: other.status == "SUCCEEDED")


def test_migrate_is_begun_by_the_next_minute_if_this_one_fails(town: ReleaseTown) -> None:
    failing = town.account.stepfunctions.start_execution
    calls: list[str] = []

    def start_execution(**arguments: str) -> object:
        calls.append(arguments.get("name", ""))
        if calls.count(MIGRATE) == 1 and arguments.get("name") == MIGRATE:
            raise RuntimeError("by the test")
        return failing(**arguments)

    vars(town.account.stepfunctions)["start_execution"] = start_execution
    execution = town.deploy()
    town.settle()
    assert execution.status == "SUCCEEDED"
    assert town.started == [EXPAND, MIGRATE]
    assert len(town.account.failed["tick_migrations"]) == 1
