"""`MigrationManager`, on a town in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenlane.errors import DataLoss, InvalidInput, UnknownMigration
from greenlane.migrations.declaring.model import Manifest
from greenlane.migrations.declaring.plan import Plan, SourceFile
from greenlane.migrations.managing import MigrationManager
from greenlane.migrations.managing.starting import up_to_release
from greenlane.migrations.validating.model import Phase
from tests.migration_town import MigrationTown
from tests.postgres_town import TownConnection

EXPAND = "ALTER TABLE users ADD COLUMN full_name text;"
FILES: tuple[tuple[str, Phase, str | None, str], ...] = (
    ("0001_expand_name.sql", "expand", "2.4", EXPAND),
    ("0002_fill_name.sql", "migrate", "2.4", "UPDATE users SET full_name = name;"),
    ("0003_expand_age.sql", "expand", "2.5", "ALTER TABLE users ADD COLUMN age int;"),
)


def plan_of(*files: tuple[str, Phase, str | None, str]) -> Plan:
    declared = [
        {"file": name, "phase": phase} | ({"release": release} if release else {})
        for name, phase, release, _ in files
    ]
    manifest = {"database": "orders", "owner": "team", "files": declared}
    sources = tuple(SourceFile(file=name, text=text) for name, _, _, text in files)
    return Plan(manifest=Manifest.model_validate(manifest), sources=sources)


@pytest.fixture
def town() -> Iterator[MigrationTown]:
    made = MigrationTown()
    yield made
    made.kernel.close()


@pytest.fixture
def manager(town: MigrationTown, monkeypatch: pytest.MonkeyPatch) -> MigrationManager:
    """Its waits let the town's time pass."""
    made = MigrationManager(TownConnection(town), by="jo")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    wait = made.wait
    monkeypatch.setattr(
        made, "wait", lambda run: wait(run, sleep=lambda seconds: town.run(seconds / 3600))
    )
    return made


def test_a_phase_is_executed_to_its_end_and_the_answer_says_whether_it_succeeded(
    manager: MigrationManager, town: MigrationTown
) -> None:
    assert manager.execute_migration(plan_of(*FILES), "expand", run="m-1", reason="why not")

    town.database.fails_at = len(town.database.done)
    town.database.statements += 1
    assert not manager.execute_migration(plan_of(*FILES), "expand", run="m-2")
    assert (manager.run("m-1").standing, manager.run("m-1").reason) == ("succeeded", "why not")
    assert [one.run for one in manager.runs("orders")] == ["m-2", "m-1"]
    assert manager.run("m-1").requested_by == "jo"


def test_two_schemas_become_steps_of_three_phases() -> None:
    old, new = "CREATE TABLE t (a int, b text);", "CREATE TABLE t (a int, c text);"

    with pytest.raises(InvalidInput, match="is it renamed?"):
        MigrationManager.backward_compatible_migration(old, new)
    change = MigrationManager.backward_compatible_migration(old, new, renames={"t.b": "c"})

    assert [one.phase for one in change.files] == ["expand", "migrate", "contract"]


def test_a_way_back_is_planned_and_executed(manager: MigrationManager, town: MigrationTown) -> None:
    manager.execute_migration(plan_of(FILES[0]), "expand", run="m-1")
    rollback = manager.create_rollback_plan("m-1")

    assert (rollback.files, rollback.basis) == (("0001_expand_name",), "text")
    assert [step.sql for step in rollback.steps] == [
        ("ALTER TABLE public.users DROP COLUMN full_name",)
    ]
    assert rollback.steps[0].proof
    assert manager.execute_rollback(rollback, run="m-2")
    assert town.database.undone == [2, 1, 0]
    assert manager.run("m-2").reason == "takes back m-1"


def test_a_way_back_that_loses_data_is_refused_until_each_object_is_named(
    manager: MigrationManager,
) -> None:
    gone = plan_of(("0001_expand_name.sql", "expand", "2.4", "DROP INDEX users_name;"))
    manager.execute_migration(gone, "expand", run="m-1")
    with pytest.raises(DataLoss) as refused:
        manager.create_rollback_plan("m-1")
    accepted = manager.create_rollback_plan("m-1", accept_data_loss=refused.value.objects)

    assert refused.value.objects == ("0001_expand_name:1",)
    assert [one.of for one in accepted.left] == ["0001_expand_name:1"]


def test_what_was_run_of_the_same_release_since_goes_back_too(manager: MigrationManager) -> None:
    plan = plan_of(*FILES)
    manager.execute_migration(plan, "expand", run="m-1", release="2.4")
    before = manager.create_rollback_plan("m-1", accept_data_loss=["public.users.full_name"])
    manager.execute_migration(plan, "migrate", run="m-2")
    after = manager.create_rollback_plan("m-1", accept_data_loss=["public.users.full_name"])

    assert before.files == ("0001_expand_name",)
    assert after.files == ("0002_fill_name", "0001_expand_name")


def test_files_without_a_release_are_named_by_a_person(manager: MigrationManager) -> None:
    plan = plan_of(*((name, phase, None, text) for name, phase, _, text in FILES))
    manager.execute_migration(plan, "expand", run="m-1")
    with pytest.raises(InvalidInput, match="--file 0001_expand_name --file 0003_expand_age"):
        manager.create_rollback_plan("m-1")
    one = manager.create_rollback_plan("m-1", files=["0003_expand_age"])
    with pytest.raises(InvalidInput, match="did you mean 0003_expand_age?"):
        manager.create_rollback_plan("m-1", files=["0003_expand_agee"])

    assert one.files == ("0003_expand_age",)


def test_a_run_that_is_not_known_is_told(manager: MigrationManager) -> None:
    for call in (manager.run, manager.history, manager.look, manager.create_rollback_plan):
        with pytest.raises(UnknownMigration, match="greenlane migrations list"):
            call("m-9")


def test_a_folder_is_read_as_it_is(manager: MigrationManager, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"there is no migrations\.yaml"):
        manager.execute_migration(tmp_path, "expand")


def test_a_plan_up_to_a_release_leaves_later_files_of_that_phase_out() -> None:
    plan = plan_of(*FILES)

    assert up_to_release(plan, "expand", None) is plan
    assert up_to_release(plan, "expand", "2.5").sha256 == plan.sha256
    cut = up_to_release(plan, "expand", "2.4")
    assert [one.id for one in cut.migrations] == ["0001_expand_name", "0002_fill_name"]
