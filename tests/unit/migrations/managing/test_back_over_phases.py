"""Files of several phases are undone together, on a real PostgreSQL."""

import pytest

from greenlane.errors import DataLoss, Refused
from greenlane.migrations.catalog.reading import read_catalog
from greenlane.migrations.planning.changes import rename_column
from greenlane.migrations.running.psycopg_session import connect
from tests.migration_runs import Runs, made_plan
from tests.postgres import Database

NAMED = "public.people.full_name"
BOTH = ("0001_expand", "0002_migrate")
FILLED = "SELECT count(*) FROM people WHERE full_name = name"


@pytest.fixture
def renamed(database: Database) -> Runs:
    """A column that was renamed as far as before the contract."""
    database.execute(
        "CREATE TABLE people (id bigint PRIMARY KEY, name text)",
        "INSERT INTO people SELECT n, 'name ' || n FROM generate_series(1, 50) n",
        "ANALYZE people",
    )
    with connect(database.dsn, application_name="test") as session:
        catalog = read_catalog(session)
    change = rename_column("public.people", "name", "full_name", catalog)
    runs = Runs(database, made_plan(*((one.phase, one.sql) for one in change.files)))
    for phase in ("expand", "migrate"):
        assert runs.phase(phase).outcome == "done"
        runs.epoch += 1
    return runs


def grades(database: Database) -> list[str]:
    query = "SELECT inverse->>'grade' FROM greenlane.statements WHERE migration = '0002_migrate'"
    return [grade for (grade,) in database.rows(query)]


def test_rows_that_one_phase_wrote_go_with_the_column_of_the_one_before(renamed: Runs) -> None:
    assert grades(renamed.database) == ["exact"]

    result = renamed.undo("expand", NAMED, files=BOTH)

    assert result.progress.detail == "all of it is undone"
    assert {state for _, _, state in renamed.states()} == {"undone"}
    assert "full_name" not in renamed.database.schema().split("CREATE SCHEMA greenlane")[0]


def test_what_was_undone_over_phases_is_done_again_in_all_of_them(renamed: Runs) -> None:
    renamed.undo("expand", NAMED, files=BOTH)
    renamed.epoch += 1

    assert renamed.phase("expand").outcome == "done"
    assert renamed.phase("migrate").outcome == "done"
    assert renamed.database.rows(FILLED) == [(50,)]


def test_a_column_that_another_file_has_filled_is_not_undone_without_that_file(
    renamed: Runs,
) -> None:
    with pytest.raises(Refused, match="0002_migrate"):
        renamed.undo("expand", NAMED, files=("0001_expand",))

    assert renamed.database.rows(FILLED) == [(50,)]


def test_rows_that_a_person_accepts_are_left_as_they_are(renamed: Runs) -> None:
    with pytest.raises(DataLoss, match="0002_migrate:2: what it wrote stays"):
        renamed.undo("migrate", files=("0002_migrate",))

    result = renamed.undo("migrate", "0002_migrate:2", files=("0002_migrate",))

    assert result.progress.detail == "0002_migrate:2 stays: what it wrote stays"
    assert renamed.states()[-1] == ("0002_migrate", 0, "done")
    assert renamed.database.rows(FILLED) == [(50,)]
