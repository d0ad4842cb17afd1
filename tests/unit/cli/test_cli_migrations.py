import json
from pathlib import Path

import pytest

from tests.postgres import database as database
from tests.postgres import make_database as make_database
from tests.postgres import postgres_server as postgres_server
from tests.postgres import postgres_templates as postgres_templates

NAIVE = "CREATE INDEX orders_mail ON orders (mail);\n"
SAFE = "CREATE INDEX CONCURRENTLY orders_mail ON orders (mail);\n"


@pytest.fixture
def client():
    """No cloud: files are judged without one, and asking this one fails."""
    return object()


@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "0001_index.sql") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_file_that_would_make_writers_wait_is_said_to_and_ends_with_1(run, file):
    name = file(NAIVE)
    result = run("migrations", "check", name)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == f"{name}: 1 statement, expand"
    assert lines[1].startswith(f"{name}:1: block: index-not-concurrent: ")
    assert lines[2] == "    takes  SHARE on orders, a scan of all rows of orders"
    assert lines[3].startswith("    safe   CREATE INDEX CONCURRENTLY")


def test_a_safe_file_ends_with_0(run, file):
    assert run("migrations", "check", file(SAFE)).exit_code == 0


def test_a_phase_that_is_too_early_is_found(run, file):
    result = run("migrations", "check", file("DROP TABLE orders;"), "--phase", "expand")
    assert result.exit_code == 1
    assert "block: phase-too-early" in result.stdout


def test_what_is_no_sql_is_refused_with_its_place(run, file):
    result = run("migrations", "check", file("SELECT 1;\nALTER TBLE x;"))
    assert result.exit_code == 2
    assert "line 2" in result.stderr
    assert 'syntax error at or near "TBLE" (column 7)' in result.stderr


def test_programs_get_every_finding_with_its_lock(run, file):
    told = json.loads(run("migrations", "check", file(NAIVE), "-o", "json").stdout)
    assert told["blocked"] is True
    (finding,) = told["files"][0]["findings"]
    assert (finding["rule"], finding["table"]) == ("index-not-concurrent", "orders")
    assert told["files"][0]["statements"][0]["runs_as"] == "transaction"


def test_the_safe_plan_is_written_to_a_folder_of_its_own(run, file, tmp_path):
    folder = tmp_path / "safe"
    result = run("migrations", "check", file(NAIVE), "--rewrite", str(folder))
    (written,) = folder.iterdir()
    assert written.name == "0001_expand_index.sql"
    assert written.read_text().startswith("CREATE INDEX CONCURRENTLY orders_mail")
    assert f"wrote {written}" in result.stdout
    assert run("migrations", "check", str(written)).exit_code == 0

    again = run("migrations", "check", file(NAIVE), "--rewrite", str(folder))
    assert again.exit_code == 2
    assert "nothing was written" in again.stderr
    assert [one.name for one in folder.iterdir()] == [written.name]


def test_a_database_settles_what_the_sql_leaves_open(run, file, database):
    database.execute("CREATE TABLE orders (mail varchar(20))")
    name = file("ALTER TABLE orders ALTER COLUMN mail TYPE varchar(40);")
    blind = run("migrations", "check", name)
    assert blind.exit_code == 1
    assert "some of it depends on the tables: --database DSN looks at them" in blind.stdout
    seen = run("migrations", "check", name, "--database", database.dsn)
    assert "--database" not in seen.stdout
    assert seen.exit_code == 0, "it is wide enough for all that is there"


def test_a_database_that_is_not_there_is_an_error_of_one_line(run, file, database):
    dsn = database.dsn.replace(database.name, "nowhere")
    result = run("migrations", "check", file(SAFE), "--database", dsn)
    assert result.exit_code != 0
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr


def test_files_that_run_before_are_known(run, file):
    first = file("CREATE TABLE fresh (a int);", "0001_table.sql")
    second = file("CREATE INDEX fresh_a ON fresh (a);", "0002_index.sql")
    assert run("migrations", "check", first, second).exit_code == 0
    assert Path(first).exists()
