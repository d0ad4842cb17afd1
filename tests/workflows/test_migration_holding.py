"""Who may hold a migration up or end it: people, alarms, and the deployment that it belongs to."""

from typing import Any

import pytest

from greenlane.deployments.phases import Phase
from greenlane.errors import SignalRefused
from greenlane.migrations.guarding.lease import Asked
from tests.builders import SERVICE, plan
from tests.migration_town import MigrationTown


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


def message(town: MigrationTown, number: int = -1) -> str:
    return str(town.topic.published[number]["Message"])


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
