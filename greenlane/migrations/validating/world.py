"""What is known of a database while a script runs: its catalog, advanced by each statement."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from greenlane.migrations.catalog.model import (
    Catalog,
    Column,
    Constraint,
    Function,
    Index,
    Table,
    UserType,
    View,
)
from greenlane.migrations.sql.names import Name
from greenlane.migrations.validating.expressions import check_expression, proves_not_null


@dataclass
class Transaction:
    """What one BEGIN of a script holds until its COMMIT.

    Args:
        line: of the BEGIN.
        not_valid: constraints added unvalidated in it.
        labels: labels added to enums in it.
        strong: tables on which it holds a lock that writers wait for, and since which line.
    """

    line: int
    not_valid: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)
    strong: dict[str, int] = field(default_factory=dict)


class World:
    """Tables as they are at one point of a plan.

    Without a catalog it starts empty, and a table that is named first by an ALTER is guessed: it
    has the columns and constraints that scripts gave it, and nothing is known of the others.

    Args:
        catalog: of the moment before the plan, or during it; None where there is none.
    """

    def __init__(self, catalog: Catalog | None) -> None:
        """See the class."""
        self.catalog = catalog
        self.tables: dict[str, Table] = dict(catalog.tables) if catalog else {}
        self.views: dict[str, View] = dict(catalog.views) if catalog else {}
        self.types: dict[str, UserType] = dict(catalog.types) if catalog else {}
        self.functions: dict[str, tuple[Function, ...]] = dict(catalog.functions) if catalog else {}
        self.guessed: set[str] = set()
        self.unused: set[str] = set()
        """Tables and views that the plan made and that no version uses yet."""
        self.fresh: set[str] = set()
        """Those among them that this script made: they had no lock to take before it."""
        self.checks: dict[tuple[str, str], Any] = {}
        """The trees of CHECKs that scripts added, by table and name."""
        self.added: set[tuple[str, str]] = set()
        """Columns that the plan added to tables in use: no version in use writes them."""
        self.made_functions: set[str] = set()
        """Functions that the plan made: replacing one again surprises nobody."""
        self.transaction: Transaction | None = None

    def copy(self) -> "World":
        """As it is now; what is told to the one changes nothing of the other."""
        other = World(self.catalog)
        for name, value in vars(self).items():
            kept = value.copy() if isinstance(value, dict | set) else value
            setattr(other, name, kept)
        if self.transaction is not None:
            other.transaction = replace(
                self.transaction,
                not_valid=set(self.transaction.not_valid),
                labels=set(self.transaction.labels),
                strong=dict(self.transaction.strong),
            )
        return other

    def settle(self, *, used: bool) -> None:
        """A script ended. Args: used: whether what it made is in use when the next one runs."""
        self.fresh = set()
        self.transaction = None
        if used:
            self.unused = set()

    def key(self, name: Name) -> str:
        """`schema.name` of what a script calls so, as far as that is known."""
        if name.schema:
            full = f"{name.schema}.{name.name}"
            short = self.catalog is None and name.schema == "public" and name.name in self.tables
            return name.name if short and full not in self.tables else full
        path = self.catalog.search_path if self.catalog else ("public",)
        for schema in path:
            if f"{schema}.{name.name}" in self.tables or f"{schema}.{name.name}" in self.views:
                return f"{schema}.{name.name}"
        return f"{path[0]}.{name.name}" if self.catalog and path else name.name

    def has(self, key: str) -> bool:
        """Whether a table, partitioned table, partition or materialised view is known so."""
        return key in self.tables

    def table(self, key: str) -> Table:
        """The table of that key; one that nobody described yet is guessed."""
        if key not in self.tables:
            schema, _, name = key.rpartition(".")
            self.guessed.add(key)
            self.tables[key] = Table(schema_name=schema, name=name)
        return self.tables[key]

    def known(self, key: str) -> bool:
        """Whether all of its columns and constraints are known."""
        return key in self.tables and key not in self.guessed

    def in_use(self, key: str) -> bool:
        """Whether versions of the service may be reading and writing it."""
        return key not in self.unused

    def family(self, key: str) -> list[str]:
        """It and all its partitions, whatever their depth."""
        found, waiting = [], [key]
        while waiting:
            one = waiting.pop(0)
            if one not in found:
                found.append(one)
                if one in self.tables:
                    waiting.extend(self.tables[one].partitions)
        return found

    def make(self, table: Table, key: str) -> None:
        """A statement made this table."""
        self.tables[key] = table
        self.guessed.discard(key)
        self.fresh.add(key)
        self.unused.add(key)

    def change(self, key: str, **parts: Any) -> None:
        """Replace parts of a table."""
        self.tables[key] = self.table(key).model_copy(update=parts)

    def forget(self, key: str) -> None:
        """A table was dropped or renamed away."""
        dropped = self.tables.pop(key, None)
        for known in (self.guessed, self.unused, self.fresh):
            known.discard(key)
        self.views.pop(key, None)
        if dropped is not None and dropped.parent in self.tables:
            parent = self.tables[dropped.parent]
            rest = tuple(one for one in parent.partitions if one != key)
            self.change(dropped.parent, partitions=rest)
        for other, table in list(self.tables.items()):
            if key in table.referenced_by:
                rest = tuple(one for one in table.referenced_by if one != key)
                self.change(other, referenced_by=rest)

    def rename(self, old: str, new: str) -> None:
        """A table has another name, or is in another schema."""
        table = self.table(old)
        schema, _, name = new.rpartition(".")
        self.tables.pop(old)
        self.tables[new] = table.model_copy(update={"schema_name": schema, "name": name})
        for known in (self.guessed, self.unused, self.fresh):
            if old in known:
                known.discard(old)
                known.add(new)

    def column(self, key: str, name: str) -> Column | None:
        """A column, if it is known."""
        return self.table(key).column(name)

    def put_column(self, key: str, column: Column) -> None:
        """Add a column, or replace the one of its name."""
        columns = self.table(key).columns
        if self.column(key, column.name) is None:
            self.change(key, columns=(*columns, column))
        else:
            self.change(
                key, columns=tuple(column if one.name == column.name else one for one in columns)
            )

    def alter_column(self, key: str, name: str, **parts: Any) -> None:
        """Change a column; of a guessed table's unknown one nothing is kept but what cannot lie."""
        found = self.column(key, name)
        if found is not None:
            self.put_column(key, found.model_copy(update=parts))

    def add_constraint(self, key: str, constraint: Constraint) -> None:
        """A constraint is there from now on."""
        others = tuple(one for one in self.table(key).constraints if one.name != constraint.name)
        self.change(key, constraints=(*others, constraint))
        target = constraint.references
        if target is not None:
            referenced = self.table(target)
            if key not in referenced.referenced_by:
                self.change(target, referenced_by=(*referenced.referenced_by, key))

    def constraint(self, key: str, name: str) -> Constraint | None:
        """A constraint, if it is known."""
        return next((one for one in self.table(key).constraints if one.name == name), None)

    def proves(self, key: str, column: str) -> bool:
        """Whether a validated CHECK says that the column is not NULL."""
        return any(
            one.kind == "check" and one.validated and proves_not_null(self.check(key, one), column)
            for one in self.table(key).constraints
        )

    def check(self, key: str, constraint: Constraint) -> Any:
        """The tree of a CHECK's expression; None if it cannot be read."""
        given = self.checks.get((key, constraint.name))
        return given if given is not None else check_expression(constraint.definition)

    def add_index(self, key: str, index: Index) -> None:
        """An index is there from now on."""
        others = (one for one in self.table(key).indexes if one.name != index.name)
        self.change(key, indexes=(*others, index))

    def index_of(self, name: Name) -> tuple[str, Index] | None:
        """The table that an index of that name belongs to, and the index."""
        return self._find(
            lambda table: (one for one in table.indexes if one.name == name.name), name.schema
        )

    def _find(
        self, part: Callable[[Table], Iterable[Index]], schema: str | None
    ) -> tuple[str, Index] | None:
        for key, table in self.tables.items():
            if schema in (None, table.schema_name or None) or not table.schema_name:
                for found in part(table):
                    return key, found
        return None

    def drop_index(self, key: str, name: str) -> None:
        """An index is gone, and with it the constraint that it carried."""
        table = self.table(key)
        self.change(
            key,
            indexes=tuple(one for one in table.indexes if one.name != name),
            constraints=tuple(one for one in table.constraints if one.name != name),
        )
