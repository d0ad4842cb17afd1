"""What is found about one statement while its tree is walked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from greenlane.migrations.catalog.model import Table
from greenlane.migrations.sql.names import Name
from greenlane.migrations.sql.parsing import Statement
from greenlane.migrations.validating.model import (
    PHASES,
    Assessment,
    Finding,
    LockMode,
    Phase,
    RunsAs,
    Severity,
    TableLock,
)
from greenlane.migrations.validating.rules import RULES
from greenlane.migrations.validating.vocabulary import words
from greenlane.migrations.validating.world import World

SMALL_ROWS = 10_000
SMALL_BYTES = 8 * 1024 * 1024
"""A table that is known to be no larger is read or written whole within some 20 ms: a finding that
is about time alone is a warning there."""

ABOUT_TIME = words("""
    add-column-check add-column-constrained-domain add-column-generated add-column-identity
    add-column-references add-column-serial add-column-unique add-column-volatile-default
    attach-partition-scan check-validated-at-once default-partition-scan domain-constraint-scan
    exclusion-builds-index foreign-key-validated-at-once index-not-concurrent merge-many-rows
    moves-storage not-null-scan primary-key-on-nullable
    reindex-not-concurrent type-change-checks type-change-rewrites unique-builds-index
    update-not-sliceable
""")


@dataclass
class Verdict:
    """An assessment in the making.

    Args:
        world: as it is before the statement; handlers advance it.
        statement: what is judged.
        judge: judges another statement within this one, as in a DO block.
    """

    world: World
    statement: Statement
    judge: Callable[["Verdict", Statement], None]
    phase: Phase = "expand"
    runs_as: RunsAs = "transaction"
    certain: bool = True
    locks: dict[str, LockMode] = field(default_factory=dict)
    rewrites: list[str] = field(default_factory=list)
    scans: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    within_code: bool = False

    def key(self, name: Name) -> str:
        """Of a table as the statement names it."""
        return self.world.key(name)

    def lock(self, key: str, mode: LockMode, *, family: bool = False) -> None:
        """It takes this lock. Args: family: on all of its partitions too."""
        for one in self.world.family(key) if family else (key,):
            if one not in self.world.fresh:
                self.locks[one] = max(mode, self.locks.get(one, mode))

    def scan(self, key: str, *, family: bool = False) -> None:
        """It reads every row under its lock."""
        self._rows(self.scans, key, family)

    def rewrite(self, key: str, *, family: bool = False) -> None:
        """It writes every row anew under its lock."""
        self._rows(self.rewrites, key, family)

    def _rows(self, kept: list[str], key: str, family: bool) -> None:
        for one in self.world.family(key) if family else (key,):
            known = self.world.tables.get(one)
            if family and known is not None and known.kind == "partitioned":
                continue  # it has no rows of its own
            if one not in self.world.fresh and one not in kept:
                kept.append(one)

    def needs(self, phase: Phase) -> None:
        """It breaks a version in use in any earlier phase."""
        self.phase = max(self.phase, phase, key=PHASES.index)

    def guess(self, key: str | None = None) -> None:
        """The catalog would have been needed here; not for a table that the plan describes."""
        if key is None or not self.world.known(key):
            self.certain = False

    def alone(self) -> None:
        """It cannot run in a transaction."""
        self.runs_as = "alone"
        if self.world.transaction is not None or self.within_code:
            self.find("concurrently-in-transaction")

    def allow(self, rule: str, key: str) -> None:
        """A rule that held of a part does not hold of the whole statement."""
        self.findings = [one for one in self.findings if (one.rule, one.table) != (rule, key)]

    def find(
        self,
        rule: str,
        key: str | None = None,
        *,
        what: str = "",
        cost: str = "",
        severity: Severity | None = None,
        safe_form: str = "",
    ) -> None:
        """A rule holds.

        Args:
            rule: its name.
            key: the table; nothing is said of one that nobody uses yet.
            what: what was found, if the rule's own words are too general.
            cost: what it costs.
            severity: instead of the rule's.
            safe_form: instead of the rule's.
        """
        if key is not None and not self.world.in_use(key):
            return
        known = RULES[rule]
        chosen = severity or known.severity
        small = ""
        if chosen == "block" and rule in ABOUT_TIME and key and self._small(key):
            chosen, small = "warn", "; the table is small"
        self.findings.append(
            Finding(
                rule=rule,
                severity=chosen,
                line=self.statement.line,
                statement=self.statement.index,
                message=f"{what or known.what}: {known.why}{small}",
                table=key,
                lock=self.locks.get(key) if key else None,
                cost=cost,
                safe_form=safe_form or known.safe_form,
            )
        )

    def _small(self, key: str) -> bool:
        return all(is_small(self.world.tables.get(one)) for one in self.world.family(key))

    def reading(self, key: str) -> str:
        """What reading every row costs, in words."""
        return f"a scan of {self._size(key)}"

    def writing(self, key: str) -> str:
        """What writing every row costs, in words."""
        return f"a rewrite of {self._size(key)} and of all indexes"

    def _size(self, key: str) -> str:
        tables = [
            table
            for one in self.world.family(key)
            if (table := self.world.tables.get(one)) is not None and table.kind != "partitioned"
        ]
        rows = [one.rows for one in tables if one.rows is not None]
        if not tables or len(rows) < len(tables):
            return f"all rows of {key}"
        return f"about {sum(rows):,} rows ({sum(one.bytes for one in tables) // 1024**2:,} MB)"

    def assessment(self) -> Assessment:
        """What was found."""
        locks = sorted(self.locks.items(), key=lambda one: (-one[1], one[0]))
        return Assessment(
            statement=self.statement.index,
            line=self.statement.line,
            phase=self.phase,
            runs_as=self.runs_as,
            locks=tuple(TableLock(table=table, mode=mode) for table, mode in locks),
            rewrites=tuple(self.rewrites),
            scans=tuple(one for one in self.scans if one not in self.rewrites),
            findings=tuple(_once(self.findings, self.locks)),
            certain=self.certain,
        )


def is_small(table: Table | None) -> bool:
    """Whether a table is known to have few rows."""
    if table is None or (table.rows is None and table.kind != "partitioned"):
        return False
    return (table.rows or 0) <= SMALL_ROWS and table.bytes <= SMALL_BYTES


def _once(findings: Iterable[Finding], locks: dict[str, LockMode]) -> list[Finding]:
    """Each finding once, with the strongest lock that was found in the end."""
    found: dict[tuple[str, str | None, str], Finding] = {}
    for one in findings:
        lock = locks.get(one.table) if one.table else None
        key = (one.rule, one.table, one.message)
        found.setdefault(key, one.model_copy(update={"lock": lock}))
    return list(found.values())
