"""What is looked at before the first statement: nothing is changed, and nothing is waited for."""

from collections.abc import Iterable, Sequence

from greenlane.clock import Clock
from greenlane.errors import Refused
from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.catalog.reading import read_catalog
from greenlane.migrations.declaring.drift import drift
from greenlane.migrations.declaring.judging import assess_plan, stopping
from greenlane.migrations.declaring.plan import Migration, Plan
from greenlane.migrations.running import executing, fence, ledger
from greenlane.migrations.running.ledger import LedgerMigration, LedgerStatement
from greenlane.migrations.running.locking import keeps_readers_out
from greenlane.migrations.running.model import CheckResult, Limits, Override, SliceRequest
from greenlane.migrations.running.obstacles import find_obstacles
from greenlane.migrations.running.session import (
    INSUFFICIENT_PRIVILEGE,
    LOCK_NOT_AVAILABLE,
    Connect,
    ConnectionLost,
    Session,
    StatementFailed,
)
from greenlane.migrations.running.slices import CATALOG_LOCK_MS
from greenlane.migrations.running.throttling import Load
from greenlane.migrations.sql.names import quoted
from greenlane.migrations.validating.model import Assessment, Finding

OLDEST_VERSION = 140_000
"""`idle_session_timeout`, which ends a hanging runner, is of PostgreSQL 14."""

WAIT_SECONDS = 15.0

_NO_WAY_IN = ("3D000", "28000", "28P01", "42501")
"""No such database, no such user, a wrong password, no right to connect: waiting helps nobody."""

_PATIENT = Limits(active_sessions=1_000_000)


def check(connect: Connect, plan: Plan, request: SliceRequest, clock: Clock) -> CheckResult:
    """Say whether one phase of a plan can run in a database as it is.

    Args:
        connect: opens a session.
        plan: what is to run.
        request: which phase, and which findings a person accepts.
        clock: the present.

    Raises:
        ConnectionLost: the server does not answer; try again.
    """
    try:
        session = connect(f"{fence.APPLICATION}/check")
    except ConnectionLost as error:
        if not _is_no_way_in(error):
            raise
        said = f"{error.told}; correct the database's description, or let its user in"
        return CheckResult(outcome="refused", reasons=(said,))
    with session:
        session.run(
            "SET default_transaction_read_only = on; SET statement_timeout = '60s'; "
            f"SET lock_timeout = {CATALOG_LOCK_MS}"
        )
        return _Check(session, plan, request, clock).result()


def _is_no_way_in(error: ConnectionLost) -> bool:
    """Libpq says in words, not by SQLSTATE, why a connection did not come about."""
    words = ("does not exist", "authentication failed", "permission denied", "no pg_hba.conf entry")
    return error.sqlstate in _NO_WAY_IN or any(one in error.message for one in words)


class _Check:
    def __init__(self, session: Session, plan: Plan, request: SliceRequest, clock: Clock) -> None:
        self._session, self._plan = session, plan
        self._request, self._clock = request, clock
        self._refused: list[str] = []
        self._waits: list[str] = []
        self._notes: list[str] = []

    def result(self) -> CheckResult:
        try:
            return self._result()
        except Refused as error:
            return CheckResult(outcome="refused", reasons=(str(error),))
        except ConnectionLost:
            raise
        except StatementFailed as error:
            if error.sqlstate == LOCK_NOT_AVAILABLE:
                why = keeps_readers_out(self._session)
                return CheckResult(outcome="waiting", wait_seconds=WAIT_SECONDS, reasons=(why,))
            if error.sqlstate != INSUFFICIENT_PRIVILEGE:
                raise
            return CheckResult(outcome="refused", reasons=(self._told(error),))

    def _told(self, error: StatementFailed) -> str:
        """What is missing, and what would help: of the ledger, that is known."""
        (row,) = self._session.rows(
            "SELECT current_user AS who, (SELECT pg_get_userbyid(nspowner) FROM pg_namespace "
            f"WHERE nspname = '{ledger.SCHEMA}') AS owner"
        )
        owner = row["owner"]
        grants = f"GRANT {quoted(owner)} TO {quoted(row['who'])}" if owner else "grant it"
        return f"{row['who']}: {error.told}; {grants}"

    def _result(self) -> CheckResult:
        fence.refuse_replica(self._session)
        has_ledger = ledger.exists(self._session)
        catalog = read_catalog(self._session)
        begun = ledger.migrations(self._session) if has_ledger else []
        ids = [one.id for one in begun if one.state == "running"]
        rows = ledger.statements(self._session, ids) if ids else []
        self._plan_and_ledger(begun, rows)
        found = self._assessments(catalog, begun)
        findings, bytes_to_scan = self._findings(found, rows, catalog)
        self._server(catalog, has_ledger)
        self._obstacles(found, catalog)
        (now,) = self._session.rows("SELECT now() AS at, pg_current_wal_lsn()::text AS lsn")
        blocking = [one for one in findings if one.severity == "block"]
        outcome = "refused" if self._refused or blocking else "waiting" if self._waits else "ready"
        return CheckResult(
            outcome=outcome,
            wait_seconds=WAIT_SECONDS if outcome == "waiting" else 0,
            findings=tuple(findings),
            reasons=(*self._refused, *self._waits, *self._notes),
            bytes_to_scan=bytes_to_scan,
            at=now["at"],
            lsn=now["lsn"],
        )

    def _plan_and_ledger(
        self, begun: Sequence[LedgerMigration], rows: Sequence[LedgerStatement]
    ) -> None:
        """Whether the plan is the one of which the database has the beginning."""
        self._refused += [one.message for one in drift(self._plan, ledger.applied(begun))]
        if half := executing.half_undone(rows):
            self._refused.append(half)
        done = {one.id for one in begun if one.state == "done"}
        for migration in self._pending(begun):
            if missing := executing.not_run_before(self._plan.migrations, migration, done):
                self._refused.append(
                    f"{migration.id} needs {', '.join(missing)}, of an earlier phase: run that "
                    "phase first"
                )
            self._refused += _unfit(migration)

    def _pending(self, begun: Iterable[LedgerMigration]) -> list[Migration]:
        done = {one.id for one in begun if one.state == "done"}
        return [one for one in self._plan.of(self._request.phase) if one.id not in done]

    def _assessments(
        self, catalog: Catalog, begun: Sequence[LedgerMigration]
    ) -> dict[Migration, tuple[Assessment, ...]]:
        pending = self._pending(begun)
        ids = {one.id for one in pending}
        others = {one.id for one in self._plan.migrations} - ids
        found = assess_plan(self._plan, catalog, applied=others)
        return {one: found[one.id] for one in pending}

    def _findings(
        self,
        assessed: dict[Migration, tuple[Assessment, ...]],
        rows: Sequence[LedgerStatement],
        catalog: Catalog,
    ) -> tuple[list[Finding], int]:
        """What is to be said of statements that have not run; what is accepted blocks nothing."""
        ran = {(one.migration, one.statement) for one in rows if one.state in ("done", "started")}
        found, size = [], 0
        for migration, assessments in assessed.items():
            stops = set(stopping(migration, assessments))
            several = [*(one for each in assessments for one in each.findings)]
            for one in dict.fromkeys((*several, *stops)):
                if (migration.id, one.statement) in ran:
                    continue
                if one.severity == "block" and (one not in stops or self._accepted(one)):
                    one = one.model_copy(update={"severity": "warn"})
                message = f"{migration.declared.file}, line {one.line}: {one.message}"
                found.append(one.model_copy(update={"message": message}))
            keys = [key for each in assessments for key in (*each.scans, *each.rewrites)]
            size += sum(catalog.tables[key].bytes for key in keys if key in catalog.tables)
        return found, size

    def _accepted(self, finding: Finding) -> bool:
        return any(_accepts(one, finding) for one in self._request.overrides)

    def _server(self, catalog: Catalog, has_ledger: bool) -> None:
        """Whether the server and the user are such that a runner can work."""
        if catalog.version < OLDEST_VERSION:
            major = catalog.version // 10_000
            self._refused.append(f"PostgreSQL {major} is too old; 14 or newer is needed")
        (may,) = self._session.rows(
            "SELECT current_user AS who, has_database_privilege(current_database(), 'CREATE') "
            "AS creates, pg_has_role('pg_monitor', 'USAGE') AS sees"
        )
        if not has_ledger and not may["creates"]:
            self._refused.append(
                f"{may['who']} may not create the schema of the ledger; as the owner: "
                f'GRANT CREATE ON DATABASE "{self._name()}" TO {may["who"]}'
            )
        if not may["sees"]:
            self._notes.append(
                f"{may['who']} does not see what other sessions and replicas do, so nothing waits "
                f"for them; GRANT pg_monitor TO {may['who']}"
            )

    def _name(self) -> str:
        (row,) = self._session.rows("SELECT current_database() AS name")
        return str(row["name"])

    def _obstacles(
        self, assessed: dict[Migration, tuple[Assessment, ...]], catalog: Catalog
    ) -> None:
        holder = fence.holder(self._session)
        if holder is not None:
            self._waits.append(f"pid {holder['pid']} ({holder['application']}) works here")
        locks = [lock for several in assessed.values() for one in several for lock in one.locks]
        found = find_obstacles(self._session, locks, catalog)
        self._refused += found.refused
        self._waits += found.waits
        self._notes += found.notes
        backfills = any(one.runs_as == "backfill" for each in assessed.values() for one in each)
        if backfills:
            limits = self._request.limits.model_copy(
                update={"active_sessions": _PATIENT.active_sessions}
            )
            if late := Load(self._session, self._clock, limits).look():
                self._waits.append(late)


def _accepts(override: Override, finding: Finding) -> bool:
    return override.rule == finding.rule and override.statement in (None, finding.statement)


def _unfit(migration: Migration) -> list[str]:
    """Statements that the runner cannot run, whoever accepts them."""
    found = []
    for one in migration.script.statements:
        where = f"{migration.declared.file}, line {one.line}"
        if one.kind == "transaction_stmt":
            found.append(f"{where}: the runner gives each statement its own transaction")
        name = one.node.get("name")
        if one.kind == "variable_set_stmt" and name in ("search_path", "role"):
            found.append(
                f"{where}: SET {name} does not hold for the statements after it; write names with "
                "their schema, and let the database's description name the user"
            )
    return found
