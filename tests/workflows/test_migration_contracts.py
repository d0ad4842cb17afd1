"""A contract waits for versions: by the real workflow, with what ECS and the table say."""

import pytest

from greenlane.deployments.phases import Phase
from tests.builders import SERVICE, plan
from tests.migrated import FAMILY
from tests.migration_town import DESCRIBED, MigrationTown

OVERRIDE = {
    "rule": "rollback-target-too-old",
    "person": "ada",
    "reason": "2.3 was withdrawn for good",
}


@pytest.fixture
def town() -> MigrationTown:
    return MigrationTown()


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
