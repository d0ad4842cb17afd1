"""`greenlane apply` and a file of databases."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.migrations.databases.store import DatabaseStore
from tests.builders import SettableClock
from tests.table import Table

TABLE = "greenlane-deployments"
FILE = """
databases:
  orders:
    service: checkout
    engine: aurora-postgresql
    cluster: orders-prod
    endpoint: {host: db.example, dbname: orders, user: greenlane}
"""


@pytest.fixture
def store() -> DatabaseStore:
    return DatabaseStore(Table(TABLE), TABLE)


@pytest.fixture
def client(store: DatabaseStore) -> Any:
    """A cloud with databases; the credentials are Jo's."""
    connection = SimpleNamespace(clock=SettableClock(), principal="arn:jo", databases=store)
    return SimpleNamespace(connection=connection)


@pytest.fixture
def file(tmp_path: Any) -> Any:
    path = tmp_path / "databases.yaml"
    path.write_text(FILE)
    return path


def said(result: Any, code: int = 0) -> str:
    assert result.exit_code == code, result.output
    return str(result.output)


def test_each_database_is_applied_once_and_by_whom_is_kept(run: Any, file: Any, store: Any) -> None:
    first = said(run("apply", "-f", str(file)))
    again = said(run("apply", "-f", str(file)))

    assert "orders: applied, version 1" in first
    assert "verify-full with root_certificates" in " ".join(first.split())
    assert "orders: unchanged, version 1" in again
    assert store.database("orders").applied_by == "arn:jo"


def test_programs_get_the_versions(run: Any, file: Any) -> None:
    answer = json.loads(run("--output", "json", "apply", "-f", str(file)).stdout)

    assert answer["kind"] == "databases"
    assert answer["databases"] == {"orders": 1}


def test_a_file_is_checked_without_applying_it(run: Any, file: Any, store: Any) -> None:
    assert "a correct file of 1 database; nothing was applied" in " ".join(
        said(run("apply", "-f", str(file), "--check")).split()
    )
    assert store.names() == []


@pytest.mark.parametrize("option", [("--service", "checkout"), ("--reason", "x"), ("--prune",)])
def test_options_of_other_kinds_of_files_are_refused(run: Any, file: Any, option: Any) -> None:
    assert "only a file" in " ".join(said(run("apply", "-f", str(file), *option), 2).split())


def test_what_is_wrong_names_its_line(run: Any, file: Any, store: Any) -> None:
    file.write_text(FILE.replace("cluster:", "clustr:"))

    told = " ".join(said(run("apply", "-f", str(file)), 2).split())

    assert "line 6" in told
    assert "did you mean cluster?" in told
    assert store.names() == []
