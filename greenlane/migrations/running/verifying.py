"""Whether what ran has done what it should, and the version that is live still works."""

from collections.abc import Iterable

from greenlane.migrations.declaring.plan import Migration
from greenlane.migrations.running.ledger import LedgerStatement
from greenlane.migrations.running.model import Failure
from greenlane.migrations.running.session import (
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
    ConnectionLost,
    Session,
    StatementFailed,
)
from greenlane.migrations.running.slices import Slice, Step
from greenlane.migrations.validating.model import Phase

QUERY_MS = 30_000
"""For one query that must say true."""

PREPARE_LOCK_MS = 1000
WAIT_SECONDS = 3.0
LIVE_PHASES: tuple[Phase, ...] = ("expand", "migrate")
"""In these the version from before still runs, or may come back."""


def verified(slice_: Slice, migration: Migration) -> Step | None:
    """Ask a file's queries; a step where one does not say true.

    They run in a transaction that may write nothing.
    """
    last = migration.script.statements[-1]
    for query in migration.declared.verify:
        try:
            said = _answer(slice_.session, query)
        except ConnectionLost:
            raise
        except StatementFailed as error:
            return _failed(error.condition, f"{query}: {error.told}", last.index, last.line)
        if said is not True:
            return _failed("NotVerified", f"it says {said}: {query}", last.index, last.line)
    return None


def broken_queries(slice_: Slice, phase: Phase, row: LedgerStatement) -> Step | None:
    """Let the server read the queries of the version that is live; a step where one has no meaning.

    It looks up their tables, columns, types and functions, as for any prepared statement, and runs
    none of them.
    """
    if phase not in LIVE_PHASES:
        return None
    for query in slice_.plan.smoke_queries():
        text = ";\n".join(
            [
                "BEGIN READ ONLY",
                f"SET LOCAL lock_timeout = {PREPARE_LOCK_MS}",
                # It reads no rows, so none are passed over; the service may live with policies.
                "SET LOCAL row_security = on",
                f"PREPARE greenlane_query AS {query}\n",
                "DEALLOCATE greenlane_query",
                "COMMIT",
            ]
        )
        try:
            slice_.session.run(text)
        except ConnectionLost:
            raise
        except StatementFailed as error:
            if error.sqlstate in (LOCK_NOT_AVAILABLE, QUERY_CANCELED):
                said = f"what it reads is locked, so nobody could ask: {query}: {error.told}"
                return Step("waiting", WAIT_SECONDS, said)
            message = f"the version that is live could no longer ask: {query}: {error.told}"
            return _failed(error.condition, message, row.statement, row.line)
    return None


def all_true(session: Session, queries: Iterable[str]) -> bool:
    """Whether every query says true; one that fails says nothing, so no."""
    try:
        return all(_answer(session, query) is True for query in queries)
    except ConnectionLost:
        raise
    except StatementFailed:
        return False


def _answer(session: Session, query: str) -> object:
    session.run(f"SET default_transaction_read_only = on; SET statement_timeout = {QUERY_MS}")
    try:
        rows = session.rows(query)
    finally:
        session.run("RESET default_transaction_read_only; SET statement_timeout = 0")
    return next(iter(rows[0].values())) if len(rows) == 1 else f"{len(rows)} rows"


def _failed(error: str, message: str, statement: int, line: int) -> Step:
    failure = Failure(error=error, message=message, statement=statement, line=line)
    return Step("failed", detail=message, failure=failure)
