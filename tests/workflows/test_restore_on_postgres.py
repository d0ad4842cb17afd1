"""The real workflow, its real functions and two real PostgreSQL databases: only AWS stands in."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from greenlane.migrations.databases.model import Database as Described
from greenlane.migrations.restoring import verifying
from greenlane.migrations.restoring.model import RestoreRun
from greenlane.migrations.restoring.salvaging import salvage_of
from greenlane.migrations.restoring.verifying import verify_restore
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.session import Connect, ConnectionLost
from tests.postgres import Database, MakeDatabase
from tests.postgres import make_database as make_database
from tests.postgres import postgres_server as postgres_server
from tests.postgres import postgres_templates as postgres_templates
from tests.restore_town import RestoreTown
from tests.restored_databases import OLD
from tests.restored_pair import ACCIDENT, BEFORE, TABLES


class RealTown(RestoreTown):
    """A town whose two databases are real; which is which their hosts say."""

    refusals = 0
    """So many next sessions of the new one do not come about."""

    def __init__(self, old: Database, new: Database, **asks: Any) -> None:
        self.databases = old, new
        super().__init__("instance", tables=TABLES, **asks)

    def connecting(self, described: Described, _: object) -> Connect:
        """Stands in for signing in, which needs AWS."""
        old, new = self.databases
        if described.endpoint.host == OLD:
            return connector(old.dsn)
        assert described.endpoint.host == self.rds.host("instance", self.new)
        if self.refusals:
            self.refusals -= 1

            def refused(_: str) -> Any:
                raise ConnectionLost("08006", "ConnectionFailure", "the server is starting up")

            return refused
        return connector(new.dsn)

    def _look(self, run: RestoreRun) -> RestoreRun:
        return verify_restore(run, self.runtime)  # type: ignore[arg-type]


def build(database: Database) -> None:
    database.execute(BEFORE)


@pytest.fixture
def make(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., RealTown]]:
    made: list[RealTown] = []

    def town(**asks: Any) -> RealTown:
        old, new = make_database(build), make_database(build)
        old.execute(ACCIDENT)
        made.append(RealTown(old, new, **asks))
        monkeypatch.setattr(verifying, "connecting", made[-1].connecting)
        return made[-1]

    yield town
    for one in made:
        one.close()


def test_a_restore_ends_with_the_statements_that_bring_the_tables_back(
    make: Callable[..., RealTown],
) -> None:
    town = make(mode="salvage", least_rows={"public.people": 100})

    execution = town.restore()

    assert (execution.status, execution.cause) == ("SUCCEEDED", "")
    assert town.untouched()
    steps = salvage_of(town.state())
    whole = next(one for one in steps if one.where == "shell" and "audit" in one.title)
    assert f"--host={town.rds.host('instance', town.new)}" in whole.text
    assert f"| psql --host={OLD}" in whole.text


def test_who_approves_reads_what_the_databases_hold(make: Callable[..., RealTown]) -> None:
    town = make()

    execution = town.restore()

    assert execution.status == "SUCCEEDED"
    said = town.told("restore_approval")
    assert "public.people: 71 rows now, 100 rows then" in said
    assert "nothing of public.audit: only the new one has it, with 10 rows" in said
    assert "WAL since: " in said


def test_a_new_database_that_does_not_answer_yet_is_asked_again(
    make: Callable[..., RealTown],
) -> None:
    town = make()
    town.refusals = 3

    execution = town.restore()

    assert (execution.status, town.refusals) == ("SUCCEEDED", 0)


def test_rows_that_are_missing_in_the_new_one_too_end_it_before_anybody_is_asked(
    make: Callable[..., RealTown],
) -> None:
    town = make(verify=["SELECT count(*) > 1000 FROM people"])

    execution = town.restore()

    assert execution.error == "ValidationFailed"
    assert "restore_approval" not in town.kinds()
    assert town.untouched()


def test_no_session_is_left_in_either(make: Callable[..., RealTown]) -> None:
    town = make()
    town.restore()

    for one in town.databases:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'greenlane/%'"
        ends = time.monotonic() + 20
        while one.rows(query) != [(0,)]:  # it ends a moment after it was closed
            assert time.monotonic() < ends
            time.sleep(0.02)


def test_the_error_of_a_wrong_query_is_an_answer_of_the_database(
    make: Callable[..., RealTown],
) -> None:
    town = make(verify=["SELEC 1"])

    execution = town.restore()

    assert execution.error == "ValidationFailed"
    assert "syntax error" in execution.cause
