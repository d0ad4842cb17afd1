"""Another type for a column: a second column that a trigger fills, and a swap in one moment."""

from dataclasses import dataclass

from greenlane.migrations.catalog.model import Catalog, Column, Constraint, Table
from greenlane.migrations.inverting.before import index_of, name_of
from greenlane.migrations.planning.model import Draft, NotPlannable, PlannedChange
from greenlane.migrations.planning.queries import queries_of
from greenlane.migrations.planning.refusals import check_twin, find_column, find_table
from greenlane.migrations.planning.renaming import check_expression, other_notes
from greenlane.migrations.planning.syncing import Sync, SyncTrigger, sync_trigger
from greenlane.migrations.planning.trees import differs, index_on
from greenlane.migrations.planning.twin import Twin, kept_collation
from greenlane.migrations.sql.names import literal, quoted
from greenlane.migrations.sql.parsing import InvalidSql, parse_script
from greenlane.migrations.validating.assessing import assess


def change_type(
    table: str, column: str, new_type: str, using: str | None, catalog: Catalog
) -> PlannedChange:
    """Another type for a column, in place where PostgreSQL leaves the rows alone.

    Args:
        table: `schema.table`.
        column: the column, which keeps its name.
        new_type: as SQL.
        using: the new value as an expression on the column; a cast if None.
        catalog: of the database.

    Raises:
        NotPlannable: something keeps the column from being replaced.
    """
    found = find_table(catalog, table)
    old = find_column(found, column)
    named = quoted(column)
    kind = f"{new_type}{kept_collation(old, new_type)}"
    in_place = f"ALTER TABLE {name_of(found)} ALTER COLUMN {named} TYPE {kind}"
    try:
        script = parse_script(in_place, "change of a type")
    except InvalidSql as error:
        raise NotPlannable("type", new_type, error.way_out) from error
    if len(script.statements) != 1:
        raise NotPlannable("type", new_type, "write one type")
    (judged,) = assess(script, catalog)
    if using is None and not any(one.severity == "block" for one in judged.findings):
        draft = Draft(
            f"{found.name}_{column}_type",
            dict.fromkeys(("expand", "migrate", "contract"), f"{column} becomes {new_type}."),
        )
        draft.add(judged.phase, in_place, why="PostgreSQL leaves the rows as they are.")
        return draft.planned(queries_of(found))
    check_twin(found, old, keys=True)
    expression = using or f"{named}::{new_type}"
    check_expression(expression, {column}, catalog)
    return _Swap(found, old, new_type, expression, catalog).planned()


@dataclass
class _Swap:
    """One change of a type. Args: expression: the new value, on the column."""

    table: Table
    column: Column
    new_type: str
    expression: str
    catalog: Catalog

    def planned(self) -> PlannedChange:
        """All its files."""
        found, column = self.table, self.column
        draft = Draft(
            f"{found.name}_{column.name}_type",
            {
                "expand": f"A second {found.name}.{column.name}, of the new type.",
                "migrate": f"Fills the second {found.name}.{column.name}, and checks it.",
                "contract": f"The second {found.name}.{column.name} takes the first one's place.",
            },
        )
        taken = {one.name for one in found.columns}
        name = f"{column.name[:50]}_new"
        while name in taken:
            name += "_"
        twin = Twin(found, column, name, self.new_type, self.catalog)
        forward = {name: self.expression}
        sync = Sync(found, column.name, column.type, {name: self.new_type}, forward, None)
        trigger = sync_trigger(sync, self.catalog)
        twin.add_column(draft)
        draft.add("expand", *trigger.create, why="Versions write the first column, and only it.")
        twin.add_parts(draft)
        key = self._primary_key(draft, twin)
        draft.add(
            "migrate",
            f"UPDATE {twin.of} SET {quoted(name)} = {self.expression} "
            f"WHERE {differs(quoted(name), self.expression, self.new_type)}",
            why="It runs in slices, and may run again.",
        )
        twin.validate_parts(draft)
        self._swap(draft, twin, trigger, key)
        draft.notes += [
            f"a value of {column.name} that does not become a {self.new_type} is refused from the "
            "expand on, whoever writes it",
            "statements that were prepared before the swap may fail once with `cached plan must "
            "not change result type`",
            *other_notes(found, column.name, self.catalog),
        ]
        return draft.planned(queries_of(found))

    def _primary_key(self, draft: Draft, twin: Twin) -> tuple[Constraint, str] | None:
        """The primary key, if the column is part of it, and the index that takes its place."""
        for one in self.table.constraints:
            if one.kind != "primary" or self.column.name not in one.columns:
                continue
            index = index_of(self.table, one.name)
            if index is not None:
                copy = twin.free(f"{one.name}_new")
                names = {self.column.name: twin.name}
                draft.add("expand", index_on(self.table, index, names, copy))
                return one, copy
        return None

    def _swap(
        self, draft: Draft, twin: Twin, trigger: SyncTrigger, key: tuple[Constraint, str] | None
    ) -> None:
        """All that must not be seen half done, as one statement; none of it reads rows."""
        one, two = quoted(self.column.name), quoted(twin.name)
        old = quoted(twin.free(f"{self.column.name[:50]}_old"))
        parts = [f"DROP CONSTRAINT {quoted(name)}" for name in twin.checks]
        if key:
            parts.append(f"DROP CONSTRAINT {quoted(key[0].name)}")
        if self.column.default is not None:
            parts.append(f"ALTER COLUMN {one} DROP DEFAULT")
        if self.column.identity:
            parts.append(f"ALTER COLUMN {one} DROP IDENTITY")
        lines = [*trigger.drop]
        if parts:
            lines.append(twin.alter(", ".join(parts)))
        if self.column.not_null:  # not with the key: that still needs it then
            lines.append(twin.alter(f"ALTER COLUMN {one} DROP NOT NULL"))
        if twin.not_null:
            lines.append(twin.alter(f"ALTER COLUMN {two} SET NOT NULL"))
            lines.append(twin.alter(f"DROP CONSTRAINT {quoted(twin.not_null)}"))
        lines += [
            twin.alter(f"RENAME COLUMN {one} TO {old}"),
            twin.alter(f"RENAME COLUMN {two} TO {one}"),
            *self._as_before(twin, key),
        ]
        draft.add(
            "contract", self._block(twin, lines), why="One statement: nobody sees half of it."
        )
        draft.add("contract", twin.alter(f"DROP COLUMN {old}"))
        draft.add("contract", *twin.renames)

    def _as_before(self, twin: Twin, key: tuple[Constraint, str] | None) -> list[str]:
        """Default, identity and key, now of the second column."""
        one = quoted(self.column.name)
        lines = []
        if twin.sequence:
            lines.append(f"ALTER SEQUENCE {twin.sequence} OWNED BY {twin.of}.{one}")
            if self.new_type in ("bigint", "int8"):
                lines.append(f"ALTER SEQUENCE {twin.sequence} AS bigint")
            lines.append(twin.alter(f"ALTER COLUMN {one} SET DEFAULT {self.column.default}"))
        elif self.column.default is not None:
            default = f"({self.column.default})::{self.new_type}"
            lines.append(twin.alter(f"ALTER COLUMN {one} SET DEFAULT {default}"))
        if self.column.identity:
            how = f"GENERATED {self.column.identity.upper()} AS IDENTITY"
            lines.append(twin.alter(f"ALTER COLUMN {one} ADD {how}"))
            lines.append(f"PERFORM setval({self._counter(twin)}, counted, false)")
        if key:
            add = f"ADD CONSTRAINT {quoted(key[0].name)} PRIMARY KEY USING INDEX {quoted(key[1])}"
            lines.append(twin.alter(add))
        return lines

    def _counter(self, twin: Twin) -> str:
        return f"pg_get_serial_sequence({literal(str(twin.of))}, {literal(self.column.name)})"

    def _block(self, twin: Twin, lines: list[str]) -> str:
        declared = ""
        if self.column.identity:
            declared = f"DECLARE\n  counted bigint := nextval({self._counter(twin)});\n"
        body = "\n".join(f"  {line};" for line in lines)
        return f"DO $swap$\n{declared}BEGIN\n{body}\nEND\n$swap$"
