"""Runs of migrations on a real PostgreSQL, slice by slice."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from greenlane.clock import SystemClock
from greenlane.migrations.declaring.model import Manifest
from greenlane.migrations.declaring.plan import Plan, SourceFile
from greenlane.migrations.running.checking import check
from greenlane.migrations.running.model import CheckResult, Limits, SliceRequest, SliceResult
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.session import Connect, ConnectionLost, Row, Session
from greenlane.migrations.running.slicing import run_slice
from greenlane.migrations.running.undoing import undo_slice
from greenlane.migrations.validating.model import Phase
from tests.postgres import Database

MOST_SLICES = 200

Heard = Callable[[str], str | None]


def made_plan(*files: tuple[Phase, str] | tuple[Phase, str, dict[str, Any]], **more: Any) -> Plan:
    """A plan of files that are called by their place and phase: `0001_expand.sql`."""
    declared, sources = [], []
    for number, (phase, text, *rest) in enumerate(files, start=1):
        name = f"{number:04}_{phase}.sql"
        extra = {"min_app": "2.0"} if phase == "contract" else {}
        declared.append({"file": name, "phase": phase} | extra | (rest[0] if rest else {}))
        sources.append(SourceFile(file=name, text=text))
    queries = more.pop("old_app_queries", None)
    named = {"old_app_queries": "queries.sql"} if queries else {}
    manifest = {"database": "shop", "owner": "team", "files": declared} | named | more
    return Plan(
        manifest=Manifest.model_validate(manifest), sources=tuple(sources), old_app_queries=queries
    )


class Runs:
    """One plan on one database.

    Args:
        plan: what runs.
        database: where.
        limits: what spares it.
    """

    def __init__(self, database: Database, plan: Plan, **limits: Any) -> None:
        self.database, self.plan = database, plan
        self.limits = Limits(**limits)
        self.epoch = 1
        self.connect: Connect = connector(database.dsn)
        self.sleep: Callable[[float], None] | None = None

    def request(self, phase: Phase, seconds: float = 60, **more: Any) -> SliceRequest:
        return SliceRequest(
            database="shop",
            plan_sha=self.plan.sha256,
            phase=phase,
            epoch=self.epoch,
            execution="arn:test",
            deadline=datetime.now(UTC) + timedelta(seconds=seconds),
            limits=self.limits,
            **more,
        )

    def slice(self, phase: Phase, seconds: float = 60) -> SliceResult:
        request = self.request(phase, seconds)
        more = {"sleep": self.sleep} if self.sleep else {}
        return run_slice(self.connect, self.plan, request, SystemClock(), **more)

    def phase(self, phase: Phase, seconds: float = 60) -> SliceResult:
        """Slices, until the phase is done or has failed; what waits is asked again at once."""
        for _ in range(MOST_SLICES):
            result = self.slice(phase, seconds)
            if result.outcome in ("done", "failed"):
                return result
        raise AssertionError(f"no end after {MOST_SLICES} slices: {result}")

    def phase_later(self, phase: Phase, seconds: float = 10) -> SliceResult:
        """Slices, until the phase is done or has failed; with a rest in between."""
        ends = time.monotonic() + seconds
        while (result := self.slice(phase)).outcome not in ("done", "failed"):
            assert time.monotonic() < ends, result
            time.sleep(0.05)
        return result

    def undo_slice(
        self, phase: Phase, *accepted: str, seconds: float = 60, files: tuple[str, ...] = ()
    ) -> SliceResult:
        request = self.request(phase, seconds, undo=files)
        return undo_slice(self.connect, self.plan, request, SystemClock(), frozenset(accepted))

    def undo(self, phase: Phase, *accepted: str, files: tuple[str, ...] = ()) -> SliceResult:
        for _ in range(MOST_SLICES):
            result = self.undo_slice(phase, *accepted, files=files)
            if result.outcome in ("done", "failed"):
                return result
        raise AssertionError(f"no end after {MOST_SLICES} slices: {result}")

    def check(self, phase: Phase, **more: Any) -> CheckResult:
        return check(self.connect, self.plan, self.request(phase, **more), SystemClock())

    def states(self) -> list[tuple[str, int, str]]:
        """Of all statements that the ledger knows."""
        query = (
            "SELECT migration, statement, state FROM greenlane.statements "
            "ORDER BY migration, statement"
        )
        return [(name, number, state) for name, number, state in self.database.rows(query)]

    def invalid(self) -> list[str]:
        """INVALID indexes."""
        query = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
        return [name for (name,) in self.database.rows(query)]


class Watched:
    """A session that tells of each text that it runs, before and after.

    Args:
        before: may raise in place of the server, which then never hears of the text, or give
            another text.
        after: may raise too: a lost response of what the server has done.
    """

    def __init__(self, session: Session, before: Heard, after: Heard) -> None:
        self._session, self._before, self._after = session, before, after

    @property
    def pid(self) -> int:
        return self._session.pid

    def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        return self._session.rows(query, parameters)

    def run(self, text: str, seconds: float | None = None) -> None:
        self._session.run(self._before(text) or text, seconds)
        self._after(text)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def watched(
    connect: Connect, before: Heard = lambda text: None, after: Heard = lambda text: None
) -> Connect:
    """What opens sessions that tell of the texts they run."""
    return lambda name: Watched(connect(name), before, after)


def lose_response(text: str) -> str | None:
    raise ConnectionLost("08006", "ConnectionFailure", f"the answer to this was lost: {text}")


def schema_of(database: Database) -> str:
    """What `pg_dump -s` says of all but the ledger."""
    dump = database.server.run(
        "pg_dump", "-s", "--exclude-schema=greenlane", "--dbname", database.name
    )
    lines = [one for one in dump.splitlines() if not one.startswith(("\\restrict", "\\unr"))]
    return "\n".join(lines)
