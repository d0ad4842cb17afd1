"""Folders of migrations: what is accepted, and what is said of what is not."""

from pathlib import Path

import pytest

from greenlane.errors import InvalidInput
from greenlane.migrations.declaring.document import read_manifest
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.declaring.model import FILE_NAME
from greenlane.migrations.sql.parsing import InvalidSql
from greenlane.problems import InvalidDocument

MANIFEST = """\
database_migrations:
  database: orders
  owner: team-orders
  old_app_queries: old_app.sql
  files:
    - file: 0007_expand_full_name.sql
      phase: expand
      release: "2.4"
    - file: 0008_backfill_full_name.sql
      phase: migrate
      release: "2.4"
      backfill: {batch_ms: 50, nice: 0.5, max_lag: 2s}
      verify:
        - SELECT NOT EXISTS (SELECT FROM people WHERE full_name IS DISTINCT FROM name)
    - file: 0009_contract_name.sql
      phase: contract
      release: "2.4"
      min_app: "2.4.0"
"""
FILES = {
    "0007_expand_full_name.sql": "ALTER TABLE people ADD COLUMN full_name text;\n",
    "0008_backfill_full_name.sql": (
        "UPDATE people SET full_name = name WHERE full_name IS DISTINCT FROM name;\n"
    ),
    "0009_contract_name.sql": "ALTER TABLE people DROP COLUMN name;\n",
    "old_app.sql": "SELECT id, name FROM people;\nINSERT INTO people (name) VALUES ('x');\n",
}


def write(folder: Path, manifest: str = MANIFEST, **files: str | None) -> Path:
    (folder / "migrations.yaml").write_text(manifest)
    for name, text in (FILES | {f"{key}.sql": text for key, text in files.items()}).items():
        if text is not None:
            (folder / name).write_text(text)
    return folder


def said(manifest: str) -> str:
    with pytest.raises(InvalidDocument) as wrong:
        read_manifest(manifest)
    return str(wrong.value)


def test_a_folder_becomes_a_plan(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path))

    assert [(one.id, one.phase) for one in plan.migrations] == [
        ("0007_expand_full_name", "expand"),
        ("0008_backfill_full_name", "migrate"),
        ("0009_contract_name", "contract"),
    ]
    assert plan.migration("0009_contract_name").min_app == "2.4.0"
    assert plan.migrations[1].declared.backfill.batch_ms == 50
    assert [len(one.statements) for one in plan.scripts] == [1, 1, 1]
    assert len(plan.smoke_queries()) == 2
    assert [one.id for one in plan.of("migrate")] == ["0008_backfill_full_name"]


def test_an_unknown_migration_is_named_with_what_is_close(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="did you mean 0009_contract_name"):
        load_plan(write(tmp_path)).migration("0009_contract_names")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("owner:", "onwer:"),
            "line 3: database_migrations.onwer: 'team-orders' is not accepted: "
            "there is no such key; did you mean owner?",
        ),
        (("phase: migrate", "phase: backfill"), "use one of expand, migrate, contract"),
        (("0008_backfill_full_name.sql", "backfill.sql"), "name it like 0007_expand"),
        (
            ("0008_backfill", "0009_backfill"),
            "0009_backfill_full_name.sql has that number; number it 0010",
        ),
        (("0008_backfill", "0006_backfill"), "it comes after number 0007; keep files in order"),
        (("0009_contract", "0011_contract"), "number 0009 is missing; leave no gap"),
        (
            ('      min_app: "2.4.0"\n', ""),
            "min_app: nothing is not accepted: say the first version",
        ),
        (
            ("phase: expand\n", "phase: expand\n      min_app: '2'\n"),
            "only a contract takes something away",
        ),
        (
            ("phase: expand\n", "phase: contract\n      min_app: '2'\n"),
            "0007_expand_full_name.sql of release 2.4 is contract already",
        ),
        (("batch_ms: 50", "batch_ms: 5"), "greater than or equal to 10"),
        (("max_lag: 2s", "max_lag: 2"), "a duration needs a unit"),
        (("SELECT NOT EXISTS", "SELEC NOT EXISTS"), "syntax error"),
        (("SELECT NOT EXISTS", "DELETE FROM people; SELECT NOT EXISTS"), "write one SELECT"),
        (
            ("phase: expand\n", "phase: expand\n      accept: [drop-colum]\n"),
            "there is no such rule; did you mean drop-column?",
        ),
        (
            ("phase: expand\n", "phase: expand\n      accept: [drop-column]\n"),
            "approved_by: "
            "nothing is not accepted: a finding is accepted with a reason, by a person",
        ),
        (("database: orders", "database: Orders!"), "it should match pattern"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_line_and_the_way_out(
    change: tuple[str, str], expected: str
) -> None:
    assert change[0] in MANIFEST
    assert expected in said(MANIFEST.replace(*change, 1))


def test_everything_that_is_wrong_is_said_at_once() -> None:
    text = said(MANIFEST.replace('      min_app: "2.4.0"\n', "").replace("0008_", "0018_"))

    assert len(text.splitlines()) == 3


def test_phases_may_begin_again_where_no_release_says_otherwise() -> None:
    manifest = "\n".join(
        line for line in MANIFEST.splitlines() if not line.strip().startswith("release:")
    )
    more = "    - {file: 0010_next.sql, phase: expand}\n"

    assert len(read_manifest(f"{manifest}\n{more}").files) == 4


def test_a_missing_file_is_named_with_the_one_that_is_meant(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "0008_backfill_full_name.sql").rename(folder / "0008_backfil_full_name.sql")

    with pytest.raises(InvalidDocument) as wrong:
        load_plan(folder)

    assert "did you mean 0008_backfil_full_name.sql?" in str(wrong.value)
    assert "is in the folder and not listed" in str(wrong.value)
    assert [one.line for one in wrong.value.problems] == [5, 9]


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"there is no migrations\.yaml in it"):
        load_plan(tmp_path)


def test_a_file_that_is_no_sql_is_refused_with_the_place(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "0009_contract_name.sql").write_text("ALTER TABLE people\n  DORP COLUMN name;\n")

    with pytest.raises(InvalidSql) as wrong:
        load_plan(folder)

    assert (wrong.value.name, wrong.value.line, wrong.value.column) == (
        "0009_contract_name.sql",
        2,
        3,
    )


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "0009_contract_name.sql").write_text("-- nothing yet\n")

    with pytest.raises(InvalidInput, match="write a statement, or take it out"):
        load_plan(folder)


def test_a_phase_that_is_too_early_is_refused_unless_a_person_accepts_it(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "0007_expand_full_name.sql").write_text(
        "ALTER TABLE people ADD COLUMN full_name text;\nALTER TABLE people DROP COLUMN age;\n"
    )

    with pytest.raises(InvalidDocument) as wrong:
        load_plan(folder)
    accepted = MANIFEST.replace(
        "phase: expand\n",
        "phase: expand\n      accept: [phase-too-early]\n      reason: no version has read it "
        "since 2.1\n      approved_by: maria\n",
    )
    (folder / "migrations.yaml").write_text(accepted)

    assert wrong.value.line == 7
    assert "0007_expand_full_name.sql, line 2: this belongs to contract, not to expand" in str(
        wrong.value
    )
    assert load_plan(folder).migrations[0].declared.approved_by == "maria"


@pytest.mark.parametrize("name", ["0001_a.sql", "123456789_add_x2.sql"])
def test_names_of_files(name: str) -> None:
    assert FILE_NAME.match(name)


@pytest.mark.parametrize(
    "name", ["1_a.sql", "0001-a.sql", "0001_A.sql", "../0001_a.sql", "0001_.sq"]
)
def test_names_that_are_none(name: str) -> None:
    assert not FILE_NAME.match(name)
