"""A second column beside the first, with all that the first one has: until it takes its place."""

import re
from dataclasses import dataclass, field

from greenlane.migrations.catalog.model import Catalog, Column, Constraint, Index, Table
from greenlane.migrations.inverting.before import Before, index_of, name_of
from greenlane.migrations.inverting.grants import column_grants_again
from greenlane.migrations.inverting.naming import chosen_name
from greenlane.migrations.inverting.restoring import comment
from greenlane.migrations.planning.model import Draft
from greenlane.migrations.planning.trees import constraint_on, index_on, uses
from greenlane.migrations.sql.names import Name, quoted
from greenlane.migrations.validating.expressions import check_expression, columns_in
from greenlane.migrations.validating.model import Phase

_SEQUENCE = re.compile(r"\Anextval\('(?P<name>(?:[^']|'')+)'::regclass\)\Z")


@dataclass
class Twin:
    """The second column of a table.

    Args:
        table: as it is.
        column: the first column.
        name: of the second one.
        type: of the second one.
        catalog: for names that are free.
    """

    table: Table
    column: Column
    name: str
    type: str
    catalog: Catalog
    renames: list[str] = field(default_factory=list)
    """Statements that give what the second column has the names of what the first one had."""
    not_null: str | None = None
    """The CHECK that says that the second column is not NULL."""
    _copies: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Names in use, so that new ones are free."""
        before = Before(self.catalog)
        schema = self.table.schema_name
        self._taken = before.relations(schema) | before.constraints(schema)

    @property
    def of(self) -> Name:
        """The table."""
        return name_of(self.table)

    def alter(self, rest: str) -> str:
        """`ALTER TABLE` of its table."""
        return f"ALTER TABLE {self.of} {rest}"

    def add_column(self, draft: Draft) -> None:
        """The column itself, without default and NOT NULL."""
        named = quoted(self.name)
        collate = kept_collation(self.column, self.type)
        draft.add("expand", self.alter(f"ADD COLUMN {named} {self.type}{collate}"))
        same = self.type == self.column.type
        if self.column.storage and same:
            storage = f"ALTER COLUMN {named} SET STORAGE {self.column.storage.upper()}"
            draft.add("expand", self.alter(storage))
        if self.column.statistics is not None:
            target = f"ALTER COLUMN {named} SET STATISTICS {self.column.statistics}"
            draft.add("expand", self.alter(target))
        draft.add(
            "expand",
            *comment("COLUMN", f"{self.of}.{named}", self.column.comment),
            *column_grants_again(str(self.of), self.name, self.column.grants),
        )

    def add_parts(self, draft: Draft) -> None:
        """Indexes, constraints and NOT NULL, none of them checked against old rows yet."""
        for index in self.table.indexes:
            if index.constraint is None and index.valid and uses(index, self.column.name):
                self._index(draft, index)
        for constraint in self.table.constraints:
            if constraint.kind == "unique" and self.column.name in constraint.columns:
                self._unique(draft, constraint)
            if self._is_on_column(constraint):
                self._copied(draft, constraint)
            if constraint.kind == "not null" and self.column.name in constraint.columns:
                # Since PostgreSQL 18 NOT NULL has a name, which SET NOT NULL chooses.
                chosen = chosen_name(self.table.name, self.name, "not_null", self._taken)
                self._rename_constraint(chosen, constraint.name)
        if self.column.not_null and not self.column.generated:
            self.not_null = self.free(f"{self.table.name}_{self.name}_filled")
            test = f"CHECK ({quoted(self.name)} IS NOT NULL) NOT VALID"
            draft.add("expand", self.alter(f"ADD CONSTRAINT {quoted(self.not_null)} {test}"))

    def validate_parts(self, draft: Draft) -> None:
        """Check old rows, once they are filled."""
        for constraint in self.table.constraints:
            if self._is_on_column(constraint) and constraint.validated:
                named = quoted(self._copies[constraint.name])
                draft.add("migrate", self.alter(f"VALIDATE CONSTRAINT {named}"))
        if self.not_null:
            draft.add("migrate", self.alter(f"VALIDATE CONSTRAINT {quoted(self.not_null)}"))

    @property
    def checks(self) -> list[str]:
        """CHECKs of the first column, which could refuse rows that leave it out."""
        return [
            one.name
            for one in self.table.constraints
            if one.kind == "check" and self._is_on_column(one)
        ]

    @property
    def sequence(self) -> str | None:
        """The sequence that the first column's default takes from, as SQL names it."""
        found = _SEQUENCE.match(self.column.default or "")
        return found["name"].replace("''", "'") if found else None

    def free(self, wanted: str) -> str:
        """A name that nothing has, the wanted one if it is free; it is taken from now on."""
        fits = len(wanted.encode()) <= 63 and wanted not in self._taken
        name = wanted if fits else chosen_name(wanted, "", "new", self._taken)
        self._taken.add(name)
        return name

    def _is_on_column(self, constraint: Constraint) -> bool:
        if constraint.kind == "foreign":
            return self.column.name in constraint.columns
        if constraint.kind == "check":
            return self.column.name in columns_in(check_expression(constraint.definition))
        return False

    def _names(self) -> dict[str, str]:
        return {self.column.name: self.name}

    def _copied(self, draft: Draft, constraint: Constraint) -> None:
        copy = self.free(self._copy_name(constraint.name))
        self._copies[constraint.name] = copy
        draft.add("expand", constraint_on(self.table, constraint, self._names(), copy))
        target = f"{quoted(copy)} ON {self.of}"
        draft.add("expand", *comment("CONSTRAINT", target, constraint.comment))
        self._rename_constraint(copy, constraint.name)

    def _copy_name(self, name: str) -> str:
        """`orders_code_key` is `orders_number_key` on the column `number`."""
        old, new = f"_{self.column.name}", f"_{self.name}"
        return name.replace(old, new) if old in name else f"{name}_new"

    def _index(self, draft: Draft, index: Index) -> None:
        copy = self._built(draft, index)
        self.renames.append(
            f"ALTER INDEX {Name(self.table.schema_name, copy)} RENAME TO {quoted(index.name)}"
        )
        if index.clustered:
            self.renames.append(self.alter(f"CLUSTER ON {quoted(index.name)}"))

    def _built(self, draft: Draft, index: Index) -> str:
        copy = self.free(self._copy_name(index.name))
        phase = _phase(index)
        draft.add(phase, index_on(self.table, index, self._names(), copy))
        target = str(Name(self.table.schema_name, copy))
        draft.add(phase, *comment("INDEX", target, index.comment))
        return copy

    def _unique(self, draft: Draft, constraint: Constraint) -> None:
        index = index_of(self.table, constraint.name)
        if index is None:
            return
        copy = self._built(draft, index)
        tail = constraint.definition.partition(")")[2]
        tail = re.sub(r"\A INCLUDE \(.*?\)", "", tail)
        phase = _phase(index)
        add = f"ADD CONSTRAINT {quoted(copy)} UNIQUE USING INDEX {quoted(copy)}{tail}"
        draft.add(phase, self.alter(add))
        target = f"{quoted(copy)} ON {self.of}"
        draft.add(phase, *comment("CONSTRAINT", target, constraint.comment))
        self._rename_constraint(copy, constraint.name)

    def _rename_constraint(self, copy: str, name: str) -> None:
        self.renames.append(self.alter(f"RENAME CONSTRAINT {quoted(copy)} TO {quoted(name)}"))


def _phase(index: Index) -> Phase:
    """Where NULLs are equal, rows that are not filled yet would be duplicates."""
    return "migrate" if "NULLS NOT DISTINCT" in index.definition else "expand"


def kept_collation(column: Column, kind: str) -> str:
    """`COLLATE ...` where a column of another type can keep its own; a type alone resets it."""
    has_one = kind.startswith(("text", "character", "varchar", "char", "name", "citext"))
    return f" COLLATE {column.collation}" if column.collation and has_one else ""
