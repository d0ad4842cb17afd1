"""What a rewrite consists of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.sql.parsing import Node, Statement, sql_of
from greenlane.migrations.validating.model import PHASES, Finding, Phase
from greenlane.migrations.validating.world import World


class PlannedFile(Protocol):
    """One file of a planned change."""

    @property
    def phase(self) -> Phase:
        """The phase that it belongs to."""

    @property
    def sql(self) -> str:
        """Its statements."""


class PlannedChange(Protocol):
    """A change that was planned over all phases."""

    @property
    def files(self) -> Sequence[PlannedFile]:
        """In their order."""

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know of it."""

    @property
    def questions(self) -> Sequence[str]:
        """What a person has to answer before it can run."""


class Planner(Protocol):
    """Plans changes that need a new column or table, a trigger and a backfill.

    A module with these functions is one. Each raises InvalidInput for what it does not plan.
    """

    def rename_column(self, *, table: str, old: str, new: str, catalog: Catalog) -> PlannedChange:
        """Of `schema.table`."""

    def rename_table(self, *, table: str, new: str, catalog: Catalog) -> PlannedChange:
        """Of `schema.table`."""

    def change_type(
        self, *, table: str, column: str, new_type: str, using: str | None, catalog: Catalog
    ) -> PlannedChange:
        """Of a column of `schema.table`; using as SQL."""


@dataclass(frozen=True)
class Rewritten:
    """A script in its safe form.

    Args:
        files: by phase, SQL with comments; only phases that have statements.
        notes: what was changed or left out, and what a person still has to see to.
        not_rewritten: findings that stop a run and have no safe form that could be written here.
            Their statements are in `files` as they were.
    """

    files: Mapping[Phase, str]
    notes: tuple[str, ...] = ()
    not_rewritten: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Piece:
    """One statement of a safe form, without its semicolon. Args: comment without dashes."""

    sql: str
    phase: Phase = "expand"
    comment: str = ""


@dataclass
class Draft:
    """The safe form of one statement in the making.

    Args:
        world: as it is before the statement.
        statement: what is rewritten.
        phase: the earliest that its pieces may have, for what came before them.
        planner: for changes that need a new column; None where there is none.
    """

    world: World
    statement: Statement
    phase: Phase
    planner: Planner | None
    pieces: list[Piece] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, sql: str, *, phase: Phase | None = None, comment: str = "") -> None:
        """The next piece, no earlier than the one before it or than asked."""
        least = self.pieces[-1].phase if self.pieces else self.phase
        chosen = max(phase or "expand", least, key=PHASES.index)
        self.pieces.append(Piece(sql, chosen, comment))

    def note(self, text: str) -> None:
        """Something that a person should know."""
        self.notes.append(text)


class Kept(Exception):  # noqa: N818 - it ends a rewrite as StopIteration ends a loop
    """The statement has no safe form that could be written; it stays as it is.

    Its text says why, where that is not clear from the statement's own findings.
    """


def altered(relation: Node, command: Node, *, kind: str = "OBJECT_TABLE") -> str:
    """`ALTER TABLE` with that one subcommand."""
    node = {"relation": relation, "cmds": [{"alter_table_cmd": command}], "objtype": kind}
    return sql_of("alter_table_stmt", node)


def commands(node: Node) -> Iterator[Node]:
    """The subcommands of an ALTER TABLE."""
    for one in node.get("cmds", ()):
        yield one["alter_table_cmd"]


def without(node: Node, *names: str) -> dict[str, Any]:
    """A node without some of its fields."""
    return {name: value for name, value in node.items() if name not in names}
