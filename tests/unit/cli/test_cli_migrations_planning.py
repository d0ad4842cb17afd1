"""`greenlane migrations plan`: changes become files, and lines of the manifest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.planning import changes

Run = Callable[..., Any]
SCHEMA = """
CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL, age integer, nick text);
CREATE INDEX people_name ON people (name);
CREATE TABLE badges (id bigint PRIMARY KEY, label text);
"""
NEW = ("--name", "orders", "--owner", "team-orders")
FULL = ("--min-app", "2.4.0", "--release", "2.4", *NEW)
MANIFEST = """# Ours.
database_migrations:
  database: orders
  owner: team-orders
  files:
    # The first one.
    - file: 0007_expand_note.sql
      phase: expand
      verify:
        - SELECT true  # always
  notify: failures
"""


@pytest.fixture
def client() -> object:
    """No cloud: planning asks none, and asking this one fails."""
    return object()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "migrations"


@pytest.fixture
def plan(run: Run, tmp_path: Path, folder: Path) -> Run:
    """Plans against a schema: `plan("rename-column", "people", "name", "full_name")`."""
    (tmp_path / "schema.sql").write_text(SCHEMA)

    def plan(*arguments: str, source: tuple[str, ...] | None = None) -> Any:
        source = ("--schema", str(tmp_path / "schema.sql")) if source is None else source
        return run("migrations", "plan", *arguments, "-f", str(folder), *source)

    return plan


def said(result: Any, code: int = 0) -> str:
    assert result.exit_code == code, result.output + result.stderr
    return str(result.stdout)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir()) if folder.exists() else []


def test_a_rename_becomes_three_files_and_a_manifest_that_can_be_run(
    plan: Run, folder: Path
) -> None:
    told = said(plan("rename-column", "people", "name", "full_name", *FULL))

    assert names(folder) == [
        "0001_expand_people_full_name.sql",
        "0002_migrate_people_full_name.sql",
        "0003_contract_people_full_name.sql",
        "migrations.yaml",
    ]
    assert f"wrote {folder / names(folder)[0]}: expand: " in told
    assert "note: until the rows are filled" in told
    planned = load_plan(folder)
    assert (planned.manifest.database, planned.manifest.owner) == ("orders", "team-orders")
    assert [one.release for one in planned.manifest.files] == ["2.4"] * 3
    assert planned.manifest.files[2].min_app == "2.4.0"


@pytest.mark.parametrize(
    ("arguments", "phases"),
    [
        (("change-type", "people", "age", "bigint"), ("expand", "migrate", "contract")),
        (
            ("set-not-null", "people", "age", "--fill", "0"),
            ("expand", "migrate", "contract"),
        ),
        (("add-not-null-column", "people", "vip", "boolean", "--default", "false"), ("expand",)),
        (("drop-column", "people", "nick"), ("contract",)),
        (("drop-table", "badges"), ("contract",)),
        (("rename-table", "people", "persons"), ("expand", "contract")),
        (
            (
                *("split-column", "people", "name", "--joined", "first || ' ' || last"),
                *("--into", "first text = split_part(name, ' ', 1)"),
                *("--into", "last text = split_part(name, ' ', 2)"),
            ),
            ("expand", "migrate", "contract"),
        ),
    ],
)
def test_every_change_is_planned_by_a_command_of_its_name(
    plan: Run, folder: Path, arguments: tuple[str, ...], phases: tuple[str, ...]
) -> None:
    told = json.loads(said(plan(*arguments, *FULL, "-o", "json")))

    assert tuple(one["phase"] for one in told["files"]) == phases
    assert names(folder)[:-1] == [one["name"] for one in told["files"]]
    assert load_plan(folder)


def test_no_change_is_without_its_command(run: Run) -> None:
    told = said(run("migrations", "plan", "--help"))

    for name, value in vars(changes).items():
        if callable(value):
            assert name.replace("_", "-") in told


def test_the_next_change_gets_the_next_number_and_the_manifest_keeps_its_layout(
    plan: Run, folder: Path
) -> None:
    folder.mkdir()
    (folder / "migrations.yaml").write_text(MANIFEST)
    (folder / "0007_expand_note.sql").write_text("ALTER TABLE people ADD COLUMN note text;")
    said(plan("drop-column", "people", "nick", "--min-app", "2.4.0", "--release", "2.4"))
    text = (folder / "migrations.yaml").read_text()

    head, _, tail = MANIFEST.partition("  notify: failures\n")
    added = (
        "    - file: 0008_contract_people_drop_nick.sql\n      phase: contract\n"
        "      release: '2.4'\n      min_app: '2.4.0'\n"
    )
    assert text == f"{head}{added}  notify: failures\n{tail}"
    assert load_plan(folder).manifest.notify == "failures"


def test_with_check_nothing_is_written_and_the_sql_is_shown(plan: Run, folder: Path) -> None:
    told = said(plan("drop-column", "people", "nick", *FULL, "--dry-run"))

    assert "would write" in told
    assert "ALTER TABLE public.people DROP COLUMN nick;" in told
    assert not folder.exists()


def test_a_contract_asks_for_the_version_that_does_not_need_the_old_shape(
    plan: Run, folder: Path
) -> None:
    result = plan("drop-column", "people", "nick", *NEW)

    assert result.exit_code == 2
    assert "min_app: nothing is not accepted: say the first version" in result.stderr
    assert not folder.exists()


@pytest.mark.parametrize("missing", ["database", "owner"])
def test_a_new_manifest_asks_for_its_database_and_owner(
    plan: Run, folder: Path, missing: str
) -> None:
    given = {"database": ("--name", "orders"), "owner": ("--owner", "team-orders")}
    del given[missing]
    (rest,) = given.values()
    result = plan("drop-column", "people", "nick", "--min-app", "2", *rest)

    assert result.exit_code == 2
    assert f"say its {missing}" in result.stderr


def test_what_a_planned_file_has_to_break_is_accepted_by_a_person(plan: Run, folder: Path) -> None:
    accepted = ("--approved-by", "ada", "--reason", "nobody reads it: since March")
    open_ = said(plan("drop-table", "badges", *FULL, "--dry-run"))
    said(plan("drop-table", "badges", *FULL, *accepted))
    half = plan("drop-table", "badges", *FULL, "--approved-by", "ada")
    (file,) = load_plan(folder).manifest.files

    assert "to accept: 0001_contract_drop_badges.sql does what rename-table stops" in open_
    assert (file.accept, file.approved_by) == (("rename-table",), "ada")
    assert file.reason == "nobody reads it: since March"
    assert half.exit_code == 2


def test_a_question_that_is_open_stands_in_the_first_file(plan: Run, folder: Path) -> None:
    told = said(plan("set-not-null", "people", "age", *FULL))
    first = (folder / names(folder)[0]).read_text()

    assert "question: which value do rows get in which age is NULL?" in told
    assert first.startswith("-- Before it runs: which value do rows get in which age is NULL?")


def test_what_the_live_version_asks_is_written_on_demand_and_once(
    plan: Run, folder: Path, tmp_path: Path
) -> None:
    queries = tmp_path / "old_app.sql"
    given = ("drop-column", "people", "nick", *FULL, "--queries", str(queries))
    said(plan(*given))
    again = plan(*given)

    assert "SELECT id, name, age, nick FROM public.people LIMIT 1;" in queries.read_text()
    assert again.exit_code == 2
    assert "it is there already" in again.stderr
    assert len(names(folder)) == 2


def test_a_folder_that_is_wrong_is_told_by_its_own_name_and_left_alone(
    plan: Run, folder: Path
) -> None:
    folder.mkdir()
    (folder / "migrations.yaml").write_text(MANIFEST)
    result = plan("drop-column", "people", "nick", "--min-app", "2.4.0")

    assert result.exit_code == 2
    assert f"{folder / 'migrations.yaml'}: line 7: " in result.stderr
    assert "the folder has no such file" in result.stderr
    assert names(folder) == ["migrations.yaml"]


def test_files_in_one_line_are_not_added_to_but_shown(plan: Run, folder: Path) -> None:
    folder.mkdir()
    body = {"database": "orders", "owner": "x", "files": []}
    text = yaml.safe_dump({"database_migrations": body}, default_flow_style=True)
    (folder / "migrations.yaml").write_text(text)
    result = plan("drop-column", "people", "nick", "--min-app", "2.4.0")

    assert result.exit_code == 2
    assert "- file: 0001_contract_people_drop_nick.sql" in result.stderr
    assert names(folder) == ["migrations.yaml"]


@pytest.mark.parametrize("source", [(), ("--database", "dbname=x", "--schema", "x.sql")])
def test_one_of_database_and_schema_is_asked_for(plan: Run, source: tuple[str, ...]) -> None:
    result = plan("drop-column", "people", "nick", *FULL, source=source)

    assert result.exit_code == 2
    assert "give --database DSN, or --schema FILE in its place" in result.stderr


def test_a_change_that_is_not_planned_says_what_to_do_first(plan: Run, folder: Path) -> None:
    result = plan("drop-column", "people", "id", *FULL)

    assert result.exit_code == 2
    assert "choose another first" in result.stderr
    assert not folder.exists()


class TestSchemas:
    """From one schema to another."""

    @pytest.fixture
    def schemas(self, plan: Run, tmp_path: Path) -> Run:
        (tmp_path / "old.sql").write_text(SCHEMA)
        new = SCHEMA.replace("nick text", "alias text")
        (tmp_path / "new.sql").write_text(new)
        files = (str(tmp_path / "old.sql"), str(tmp_path / "new.sql"))
        return lambda *more: plan("schema", *files, *FULL, *more, source=())

    def test_a_rename_that_cannot_be_told_is_asked_and_nothing_is_written(
        self, schemas: Run, folder: Path
    ) -> None:
        result = schemas()

        assert result.exit_code == 2
        assert "it goes, and alias of the same type text comes; is it renamed?" in result.stderr
        assert "--rename public.people.nick=ITS_NEW_NAME, or --drop" in result.stderr
        assert "renames={" not in result.stderr
        assert not folder.exists()

    def test_the_answer_says_whether_the_values_stay(self, schemas: Run, folder: Path) -> None:
        kept = said(schemas("--rename", "people.nick=alias", "--dry-run"))
        lost = said(schemas("--drop", "people.nick", "--dry-run"))

        assert "people_alias_sync" in kept
        assert "people_alias_sync" not in lost

    def test_an_answer_without_its_second_half_is_refused(self, schemas: Run) -> None:
        result = schemas("--rename", "people.nick")

        assert result.exit_code == 2
        assert "people.name=full_name" in result.stderr
