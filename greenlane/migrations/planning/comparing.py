"""One table as it is and as it is to be: the statements between them, each in its phase."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from greenlane.migrations.catalog.model import Catalog, Column, Constraint, Index, Table
from greenlane.migrations.inverting.before import (
    Before,
    column_name,
    constraint_of,
    index_of,
    name_of,
)
from greenlane.migrations.inverting.naming import chosen_name
from greenlane.migrations.inverting.restoring import (
    column_definition,
    constraint_again,
    set_comment,
)
from greenlane.migrations.planning.model import Draft, NotPlannable
from greenlane.migrations.planning.renaming import rename_column
from greenlane.migrations.planning.retyping import change_type
from greenlane.migrations.planning.tables import drop_column
from greenlane.migrations.planning.trees import constraint_on, index_on, uses
from greenlane.migrations.planning.values import add_not_null_column, set_not_null
from greenlane.migrations.sql.names import Name, quoted
from greenlane.migrations.sql.parsing import parse_expression, parse_script
from greenlane.migrations.validating.assessing import assess
from greenlane.migrations.validating.expressions import is_constant, volatility
from greenlane.migrations.validating.model import PHASES, Phase

_X = "x"


@dataclass
class Comparison:
    """The way from one table to another.

    Args:
        draft: takes the statements.
        old: as it is.
        new: as it is to be.
        catalog: of the schema as it is.
        fills: by column, the value of rows that have none.
    """

    draft: Draft
    old: Table
    new: Table
    catalog: Catalog
    fills: Mapping[str, str]
    late: list[str] = field(default_factory=list)

    @property
    def of(self) -> Name:
        """The table."""
        return name_of(self.old)

    def rename(self, old: str, new: str) -> None:
        """A column is to have another name; nothing else of it changes in the same plan."""
        column, wanted = self.old.column(old), self.new.column(new)
        if column is None or wanted is None:
            raise NotPlannable("renames", f"{old}: {new}", "no such column goes, or comes")
        if self._shape(column.model_copy(update={"name": new})) != self._shape(wanted):
            said = (
                f"{new} is otherwise than {old} is; rename it first, and change it in a next plan"
            )
            raise NotPlannable("renames", f"{old}: {new}", said)
        self.draft.take(rename_column(self.old.full_name, old, new, self.catalog))
        names = {old: new}
        self.old = self.old.model_copy(
            update={
                "columns": tuple(
                    one.model_copy(update={"name": new}) if one.name == old else one
                    for one in self.old.columns
                ),
                "indexes": tuple(self._renamed_index(one, names) for one in self.old.indexes),
                "constraints": tuple(
                    self._renamed_constraint(one, names) for one in self.old.constraints
                ),
            }
        )

    def _shape(self, column: Column) -> Column:
        return column.model_copy(update={"comment": None, "grants": ()})

    def _renamed_index(self, index: Index, names: dict[str, str]) -> Index:
        columns = tuple(names.get(one, one) for one in index.columns)
        definition = index_on(self.old, index, names, index.name).replace(" CONCURRENTLY", "", 1)
        return index.model_copy(update={"columns": columns, "definition": definition})

    def _renamed_constraint(self, constraint: Constraint, names: dict[str, str]) -> Constraint:
        columns = tuple(names.get(one, one) for one in constraint.columns)
        if constraint.kind not in ("check", "foreign"):
            listed = ", ".join(map(quoted, columns))
            head = constraint.definition.partition("(")[0]
            tail = constraint.definition.partition(")")[2]
            definition = f"{head}({listed}){tail}"
        else:
            text = constraint_on(self.old, constraint, names, _X)
            definition = text.partition(f" ADD CONSTRAINT {_X} ")[2].removesuffix(" NOT VALID")
        return constraint.model_copy(update={"columns": columns, "definition": definition})

    def columns(self) -> None:
        """Columns that come, go or change."""
        for wanted in self.new.columns:
            column = self.old.column(wanted.name)
            if column is None:
                self._add(wanted)
            elif self._shape(column) != self._shape(wanted):
                self._change(column, wanted)
            if wanted.comment != (column.comment if column else None):
                target = column_name(self.of, wanted.name)
                self.draft.add("expand", set_comment("COLUMN", target, wanted.comment))
        for column in self.old.columns:
            if self.new.column(column.name) is None:
                self.draft.take(drop_column(self.old.full_name, column.name, self.catalog))

    def _add(self, column: Column) -> None:
        if column.identity or column.generated == "stored" or _counts(column):
            said = "it would write every row anew; add a plain column, and make it so afterwards"
            raise NotPlannable("column", f"{self.of}.{column.name}", said)
        if column.not_null:
            self._add_not_null(column)
            return
        default = column.default
        if default is None or is_constant(parse_expression(default)):
            self.draft.add("expand", self._alter(f"ADD COLUMN {column_definition(column)}"))
            return
        plain = column.model_copy(update={"default": None})
        named = quoted(column.name)
        self.draft.add(
            "expand",
            self._alter(f"ADD COLUMN {column_definition(plain)}"),
            self._alter(f"ALTER COLUMN {named} SET DEFAULT {default}"),
        )
        self.draft.add("migrate", f"UPDATE {self.of} SET {named} = {default} WHERE {named} IS NULL")

    def _add_not_null(self, column: Column) -> None:
        given = column.default or self.fills.get(column.name)
        if given is None:
            said = (
                f"rows that are there need a value; answer with "
                f"fills={{'{self.old.full_name}.{column.name}': '...'}}"
            )
            raise NotPlannable("column", f"{self.of}.{column.name}", said)
        kind = column.type + (f" COLLATE {column.collation}" if column.collation else "")
        known = self.catalog
        self.draft.take(add_not_null_column(self.old.full_name, column.name, kind, given, known))
        if column.default is None:
            # Versions before this one leave the column out until then.
            self.draft.add(
                "contract", self._alter(f"ALTER COLUMN {quoted(column.name)} DROP DEFAULT")
            )

    def _change(self, column: Column, wanted: Column) -> None:
        where = f"{self.of}.{column.name}"
        changed = {
            name
            for name in Column.model_fields
            if getattr(self._shape(column), name) != getattr(self._shape(wanted), name)
        }
        if changed & {"collation", "generated", "expression", "identity"}:
            said = f"its {', '.join(sorted(changed))} cannot change in place; add another column"
            raise NotPlannable("column", where, said)
        if "type" in changed:
            if changed != {"type"}:
                said = "change its type in one plan, and the rest in a next one"
                raise NotPlannable("column", where, said)
            change = change_type(self.old.full_name, column.name, wanted.type, None, self.catalog)
            self.draft.take(change)
            return
        named = quoted(column.name)
        if "statistics" in changed:
            self._simple(
                self._alter(f"ALTER COLUMN {named} SET STATISTICS {wanted.statistics or -1}")
            )
        if "storage" in changed:
            if wanted.storage is None:
                raise NotPlannable("column", where, "say which storage it is to have")
            self._simple(self._alter(f"ALTER COLUMN {named} SET STORAGE {wanted.storage.upper()}"))
        if "default" in changed:
            to = f"SET DEFAULT {wanted.default}" if wanted.default is not None else "DROP DEFAULT"
            self._simple(self._alter(f"ALTER COLUMN {named} {to}"))
        if "not_null" in changed and wanted.not_null:
            table = self.old.full_name
            fill = self.fills.get(column.name)
            # With a default in the catalog none is set that the schema does not have.
            known = column.model_copy(update={"default": wanted.default or "NULL"})
            self.draft.take(set_not_null(table, column.name, self._with(known), fill=fill))
        elif "not_null" in changed:
            self._simple(self._alter(f"ALTER COLUMN {named} DROP NOT NULL"))

    def _with(self, column: Column) -> Catalog:
        """The catalog with another column in place of the one of its name."""
        table = self.old.model_copy(
            update={
                "columns": tuple(
                    column if one.name == column.name else one for one in self.old.columns
                )
            }
        )
        tables = {**self.catalog.tables, table.full_name: table}
        return self.catalog.model_copy(update={"tables": tables})

    def constraints(self) -> None:
        """Constraints that come, go, change or have another name."""
        left = [one for one in self.old.constraints if not self._goes_with_column(one.columns)]
        for wanted in self.new.constraints:
            same = next((one for one in left if one.definition == wanted.definition), None)
            if same is None:
                self._add_constraint(wanted)
                continue
            left.remove(same)
            if same.comment != wanted.comment:
                target = f"{quoted(same.name)} ON {self.of}"
                self.draft.add("expand", set_comment("CONSTRAINT", target, wanted.comment))
            if same.name != wanted.name:
                self._later(f"RENAME CONSTRAINT {quoted(same.name)} TO {quoted(wanted.name)}")
        for one in left:
            drop = self._alter(f"DROP CONSTRAINT {quoted(one.name)}")
            replaced = constraint_of(self.new, one.name) is not None
            self.draft.add("contract" if replaced else self._phase(drop), drop)

    def _add_constraint(self, wanted: Constraint) -> None:
        """A new one; under another name for a while, where the old one still has its name."""
        if wanted.kind in ("primary", "exclusion"):
            said = f"a {wanted.kind} constraint on a table in use is not planned; add it by hand"
            raise NotPlannable("constraint", wanted.name, said)
        index = index_of(self.new, wanted.name)
        if constraint_of(self.old, wanted.name) is not None:
            name = self._meanwhile(wanted.name)
            self._later(f"RENAME CONSTRAINT {quoted(name)} TO {quoted(wanted.name)}")
            wanted = wanted.model_copy(update={"name": name})
            if index is not None:
                definition = index_on(self.old, index, {}, name).replace(" CONCURRENTLY", "", 1)
                index = index.model_copy(update={"name": name, "definition": definition})
        first, *rest = constraint_again(self.old, wanted, index)
        phase = self._phase(first)
        self.draft.add(phase, first)
        after: Phase = max(phase, "migrate", key=PHASES.index)
        self.draft.add(after if "VALIDATE" in "".join(rest) else phase, *rest)

    def indexes(self) -> None:
        """Indexes that come, go, change or have another name; those of constraints apart."""
        left = [
            one
            for one in self.old.indexes
            if one.constraint is None and not self._loses_column(one)
        ]
        for wanted in self.new.indexes:
            if wanted.constraint is not None:
                continue
            same = next((one for one in left if _unnamed(one) == _unnamed(wanted)), None)
            if same is None:
                self._add_index(wanted)
                continue
            left.remove(same)
            if same.comment != wanted.comment:
                self._comment_index(same.name, wanted.comment)
            if same.name != wanted.name:
                self._rename_index(same.name, wanted.name)
        for one in left:
            full = Name(self.old.schema_name, one.name)
            self.draft.add("contract", f"DROP INDEX CONCURRENTLY {full}")

    def _add_index(self, wanted: Index) -> None:
        name = wanted.name
        if index_of(self.old, name) is not None:
            name = self._meanwhile(name)
            self._rename_index(name, wanted.name)
        self.draft.add("expand", index_on(self.old, wanted, {}, name))
        if wanted.comment is not None:
            self._comment_index(name, wanted.comment)

    def _comment_index(self, name: str, text: str | None) -> None:
        target = str(Name(self.old.schema_name, name))
        self.draft.add("expand", set_comment("INDEX", target, text))

    def _rename_index(self, old: str, new: str) -> None:
        full = Name(self.old.schema_name, old)
        self.late.append(f"ALTER INDEX {full} RENAME TO {quoted(new)}")

    def _meanwhile(self, name: str) -> str:
        before = Before(self.catalog)
        place = self.old.schema_name
        return chosen_name(name, "", "new", before.relations(place) | before.constraints(place))

    def _later(self, rest: str) -> None:
        """At the end of the contract, when old names are free."""
        self.late.append(self._alter(rest))

    def finish(self) -> None:
        """Names, after all that had them before is gone."""
        self.draft.add("contract", *self.late)

    def _loses_column(self, index: Index) -> bool:
        gone = [one.name for one in self.old.columns if self.new.column(one.name) is None]
        return any(uses(index, one) for one in gone)

    def _goes_with_column(self, columns: tuple[str, ...]) -> bool:
        return any(self.new.column(one) is None for one in columns)

    def _alter(self, rest: str) -> str:
        return f"ALTER TABLE {self.of} {rest}"

    def _simple(self, sql: str) -> None:
        self.draft.add(self._phase(sql), sql)

    def _phase(self, sql: str) -> Phase:
        (judged,) = assess(parse_script(sql), self.catalog)
        return judged.phase


def _unnamed(index: Index) -> Any:
    node = dict(parse_script(index.definition).statements[0].node)
    return str({key: value for key, value in _plain(node).items() if key != "idxname"})


def _plain(node: Any) -> Any:
    """A tree without the places of its parts."""
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items() if key != "location"}
    return [_plain(one) for one in node] if isinstance(node, list) else node


def _counts(column: Column) -> bool:
    """Whether its default takes from a sequence."""
    if column.default is None:
        return False
    tree = parse_expression(column.default)
    return "nextval" in column.default and volatility(tree, {}) == "volatile"
