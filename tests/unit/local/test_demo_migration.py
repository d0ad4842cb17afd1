"""What the scene of migrations promises, and that its files are what it runs."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from greenlane.local.demo.migration import (
    FOLDER,
    ROWS,
    MigrationResult,
    People,
    broken_promises,
    database,
)
from greenlane.migrations.databases.document import read_databases
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.guarding.model import RunRecord, Standing
from greenlane.migrations.validating.model import Phase

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def run(phase: Phase, standing: Standing) -> RunRecord:
    return RunRecord(
        run=f"people-{phase}",
        database="people",
        service="claude-manager",
        phase=phase,
        plan_sha="0" * 64,
        standing=standing,
        started_at=NOW,
        updated_at=NOW,
    )


KEPT = MigrationResult(
    seconds=1.0,
    runs=[
        run("contract", "succeeded"),
        run("contract", "refused"),
        run("migrate", "succeeded"),
        run("expand", "succeeded"),
    ],
    refused="a version that needs the old column runs",
    columns=("id", "visitor", "visits", "full_name"),
    rows=ROWS,
    requests=1000,
)


def test_nothing_is_broken_where_all_is_as_promised() -> None:
    assert broken_promises(KEPT) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runs": KEPT.runs[:3]}, "the runs ended as"),
        ({"refused": ""}, "the contract was not refused"),
        ({"columns": ("id", "name", "full_name")}, "people has id, name, full_name"),
        ({"rows": ROWS - 1}, f"{ROWS - 1} of {ROWS} rows"),
        ({"nameless": 2}, "2 of them without a name"),
        ({"failed": 1}, "1 of 1000 requests failed"),
    ],
)
def test_each_broken_promise_is_named(change: dict[str, object], said: str) -> None:
    (words,) = broken_promises(replace(KEPT, **change))  # type: ignore[arg-type]
    assert said in words


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    with database() as made:
        yield made


def test_the_database_is_described_as_one_that_rds_does_not_run(people: People) -> None:
    (described,) = read_databases(people.described(), "databases.yaml").databases.values()
    assert not described.managed
    assert described.endpoint.host == people.server.socket_folder


def test_both_versions_queries_work_once_the_database_is_expanded(people: People) -> None:
    plan = load_plan(FOLDER)
    old = (FOLDER / "old_app.sql").read_text()
    new = old.replace("name", "full_name")
    with psycopg.connect(people.dsn("migrator"), autocommit=True) as migrator:
        steps: list[tuple[Phase, list[str]]] = [
            ("expand", [old, new]),
            ("migrate", [old, new]),
            ("contract", [new]),
        ]
        for phase, queries in steps:
            for one in plan.of(phase):
                migrator.execute((FOLDER / one.declared.file).read_text())
            with psycopg.connect(people.dsn("application")) as application:
                for query in queries:
                    application.execute(query)
        full = migrator.execute("SELECT count(*) FROM people WHERE full_name IS NOT NULL")
        assert full.fetchone() == (ROWS + 1,)
