"""Changes of a table under load: as a statement that is run directly, and as Greenlane runs it.

The safe form is what `rewrite` makes of the statement, with the planner that users have; its folder
is read by `load_plan`, and run by the runner's own checks and slices, one phase after the other.
Only Step Functions is not there: this process waits as the state machine would.
"""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import psycopg

from benchmarks.live_catalog import live_catalog
from greenlane.clock import SystemClock
from greenlane.migrations.declaring.loading import load_plan
from greenlane.migrations.declaring.plan import Plan
from greenlane.migrations.planning import changes
from greenlane.migrations.running.checking import check
from greenlane.migrations.running.model import CheckResult, SliceRequest, SliceResult
from greenlane.migrations.running.psycopg_session import connector
from greenlane.migrations.running.slicing import run_slice
from greenlane.migrations.sql.parsing import parse_script
from greenlane.migrations.validating.model import PHASES, Phase
from greenlane.migrations.validating.rewriting import rewrite

SLICE_SECONDS = 900
"""As long as a function may run; the runner gives its answer earlier by itself."""

_FILLED = """
SELECT sum(rows)::bigint, sum(exec_ms)::float8 / 1000 FROM greenlane.statements
WHERE runs_as = 'backfill' AND state = 'done'
"""
_HOLD: LiteralString = "SELECT count(*) FROM orders WHERE id < 10"


@dataclass(frozen=True)
class Case:
    """One change.

    Args:
        name: in the page and the chart.
        sql: as somebody would run it.
        blocked: behind another session's transaction, which has read the table.
    """

    name: str
    sql: str
    blocked: bool = False


CASES = (
    Case("CREATE INDEX", "CREATE INDEX orders_email ON orders (email)"),
    Case("SET NOT NULL", "ALTER TABLE orders ALTER COLUMN email SET NOT NULL"),
    Case(
        "ADD FOREIGN KEY",
        "ALTER TABLE orders ADD CONSTRAINT orders_customer "
        "FOREIGN KEY (customer_id) REFERENCES customers (id)",
    ),
    Case("ADD UNIQUE", "ALTER TABLE orders ADD CONSTRAINT orders_reference_key UNIQUE (reference)"),
    Case(
        "ADD COLUMN with a volatile default",
        "ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid()",
    ),
    Case("int to bigint", "ALTER TABLE orders ALTER COLUMN quantity TYPE bigint"),
    Case(
        "ADD COLUMN behind a transaction",
        "ALTER TABLE orders ADD COLUMN reviewed boolean",
        blocked=True,
    ),
)
FILLING = CASES[4]
"""The one whose backfill is timed."""


class NotMigrated(Exception):
    """The safe form could not be made, or did not run to its end; the message says why."""


@dataclass(frozen=True)
class Filled:
    """What the ledger tells of backfills. Args: seconds: of all of them together."""

    rows: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows written, over the time from the first batch to the last."""
        return self.rows / self.seconds


def safe_plan(dsn: str, case: Case) -> Plan:
    """The plan that a user gets for a case.

    Raises:
        NotMigrated: a part of it has no safe form.
    """
    with psycopg.connect(dsn) as connection:
        catalog = live_catalog(connection)
    done = rewrite(parse_script(f"{case.sql};"), catalog, changes)
    if done.not_rewritten:
        raise NotMigrated("; ".join(one.message for one in done.not_rewritten))
    with tempfile.TemporaryDirectory(prefix="greenlane-plan-") as name:
        folder = Path(name)
        listed = []
        for number, (phase, sql) in enumerate(done.files.items(), start=1):
            file = f"{number:04}_{phase}_change.sql"
            (folder / file).write_text(sql)
            min_app = ', min_app: "2"' if phase == "contract" else ""
            listed.append(f"    - {{file: {file}, phase: {phase}{min_app}}}\n")
        (folder / "migrations.yaml").write_text(
            "database_migrations:\n  database: shop\n  owner: benchmarks\n  files:\n"
            + "".join(listed)
        )
        return load_plan(folder, catalog)


def run_plan(dsn: str, plan: Plan) -> None:
    """Run all phases of a plan, with the runner's own limits: filling rows never rests.

    Raises:
        NotMigrated: it was refused, or failed.
    """
    for phase in PHASES:
        if plan.of(phase):
            _until("ready", dsn, plan, phase)
            _until("done", dsn, plan, phase)


def _until(wanted: str, dsn: str, plan: Plan, phase: Phase) -> None:
    """Ask the check, or slice after slice, and wait as they say."""
    connect, clock = connector(dsn), SystemClock()
    while True:
        request = SliceRequest(
            database="shop",
            plan_sha=plan.sha256,
            phase=phase,
            epoch=1,
            execution="benchmark",
            deadline=datetime.now(UTC) + timedelta(seconds=SLICE_SECONDS),
        )
        result: CheckResult | SliceResult = (
            check(connect, plan, request, clock)
            if wanted == "ready"
            else run_slice(connect, plan, request, clock)
        )
        if result.outcome == wanted:
            return
        if result.outcome in ("refused", "failed"):
            raise NotMigrated(f"{phase}: {_why(result)}")
        time.sleep(result.wait_seconds)


def _why(result: CheckResult | SliceResult) -> str:
    if isinstance(result, SliceResult):
        return f"{result.failure}"
    blocking = [one.message for one in result.findings if one.severity == "block"]
    return "; ".join([*result.reasons, *blocking])


def run_directly(dsn: str, case: Case) -> None:
    """Run the statement as it is written."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(case.sql.encode())


def filled(dsn: str) -> Filled:
    """How many rows were filled, and in what time, as the ledger has it."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(_FILLED.encode()).fetchone()
    if row is None or not row[0]:
        raise NotMigrated("the ledger has no backfill that is done")
    return Filled(row[0], row[1])


@contextmanager
def blocker(dsn: str, seconds: float) -> Iterator[None]:
    """Another session's transaction that has read the table, for so long from now on.

    It holds the weakest lock there is, and no row. Leaving the block waits for its end.
    """
    holds = threading.Event()
    failed: list[BaseException] = []

    def hold() -> None:
        try:
            with psycopg.connect(dsn, application_name="report") as connection:
                connection.execute(_HOLD)
                holds.set()
                time.sleep(seconds)
        except psycopg.Error as error:
            failed.append(error)
            holds.set()

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait()
    try:
        if failed:
            raise failed[0]
        yield
    finally:
        thread.join()
