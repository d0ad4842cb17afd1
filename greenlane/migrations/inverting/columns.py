"""Undoing what ALTER TABLE does to columns."""

from greenlane.migrations.catalog.model import Column, Constraint, Index, Table
from greenlane.migrations.inverting.change import Change
from greenlane.migrations.inverting.grants import only_by
from greenlane.migrations.inverting.model import (
    Inverse,
    exact,
    lossy,
    none,
    nothing,
    until_written,
)
from greenlane.migrations.inverting.naming import chosen_name
from greenlane.migrations.inverting.restoring import column_again, constraint_again, index_again
from greenlane.migrations.sql.names import Name, quoted
from greenlane.migrations.sql.parsing import Node, parse_script, written_expression
from greenlane.migrations.validating.expressions import columns_in, is_constant
from greenlane.migrations.validating.types import (
    TypeName,
    printed_type,
    serial_of,
    type_of,
)

_NO_EQUALITY = {"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"}
_INTEGERS = ("smallint", "integer", "bigint")
UNKNOWN_TABLE = "the catalog of before the statement does not have the table"


def inline_constraints(column: Node) -> dict[str, Node]:
    """The constraints of a `column_def`, by kind: `DEFAULT`, `GENERATED`, `IDENTITY` and so on."""
    found = (one["constraint"] for one in column.get("constraints", ()))
    return {str(one["contype"]).removeprefix("CONSTR_"): one for one in found}


def add(change: Change) -> Inverse:
    """ADD COLUMN: it goes again, with what anybody has written in it."""
    column = change.detail("column_def")
    if change.node.get("missing_ok") and (change.column or change.table is None):
        if change.table is None:
            return none(f"{UNKNOWN_TABLE}, so nobody can tell whether IF NOT EXISTS did anything")
        return nothing("the column was there", from_catalog=True)
    drop = [change.alter(f"DROP COLUMN {quoted(change.name)}")]
    made = (change.full,)
    if "GENERATED" in inline_constraints(column):
        return exact(drop, "its values follow from other columns", makes=made)
    return until_written(
        drop,
        "what is written in the new column goes with it",
        loses=made,
        proof=_unwritten(change.of, column),
        makes=made,
        from_catalog=bool(change.node.get("missing_ok")),
    )


def _unwritten(of: Name, column: Node) -> tuple[str, ...] | None:
    """The query that says that every row has the column's default; None if none can."""
    inline, named = inline_constraints(column), quoted(str(column["colname"]))
    if "IDENTITY" in inline or serial_of(column["type_name"]):
        return None
    given = inline.get("DEFAULT", {}).get("raw_expr")
    test = f"{named} IS NOT NULL"
    if given is not None:
        kind = type_of(column["type_name"])
        if not is_constant(given) or kind.base in _NO_EQUALITY:
            return None
        test = f"{named} IS DISTINCT FROM {written_expression(given)}"
    return (f"SELECT NOT EXISTS (SELECT FROM {of} WHERE {test})",)


def drop(change: Change) -> Inverse:
    """DROP COLUMN: it comes back at the end of the table, empty."""
    if change.table is None:
        return none(UNKNOWN_TABLE, (change.full,))
    column = change.column
    if column is None:
        return nothing("there was no such column", from_catalog=True)
    users = [who for who, names in change.table.dependents.items() if column.name in names]
    if change.node.get("behavior") == "DROP_CASCADE" and users:
        return none(f"CASCADE took {', '.join(sorted(users))} with it", (change.full,))
    if not only_by(column.grants, change.table.owner):
        return none("somebody other than the owner had granted rights on it", (change.full,))
    back = column_again(change.table, column)
    for index in _indexes_on(change.table, column.name):
        back += index_again(change.table, index)
    for constraint in _constraints_on(change.table, column.name):
        carrier = next(
            (one for one in change.table.indexes if one.constraint == constraint.name), None
        )
        if constraint.kind not in ("primary", "not null"):
            back += constraint_again(change.table, constraint, carrier)
    why = "its values are gone, and it comes back as the last column"
    if column.not_null and not (column.default or column.identity or column.generated):
        why += ", without NOT NULL"
    return lossy(back, (change.full,), why)


def _indexes_on(table: Table, column: str) -> list[Index]:
    """Those without a constraint that use it, in whatever way."""
    return [
        one
        for one in table.indexes
        if one.constraint is None
        and (column in one.columns or column in columns_in(_tree(one.definition)))
    ]


def _tree(definition: str) -> Node:
    return parse_script(definition, "index").statements[0].node


def _constraints_on(table: Table, column: str) -> list[Constraint]:
    return [one for one in table.constraints if column in one.columns]


def change_default(change: Change) -> Inverse:
    """SET and DROP DEFAULT."""
    column = change.column
    if column is None:
        return none(UNKNOWN_TABLE)
    was = f"SET DEFAULT {column.default}" if column.default is not None else "DROP DEFAULT"
    return exact([change.alter_column(was)], "the default that it had is known", from_catalog=True)


def set_not_null(change: Change) -> Inverse:
    """SET NOT NULL, unless it was so already."""
    column = change.column
    if column is None:
        return none(f"{UNKNOWN_TABLE}, so nobody can tell whether it was NOT NULL already")
    if column.not_null:
        return nothing("the column was NOT NULL already", from_catalog=True)
    return exact(
        [change.alter_column("DROP NOT NULL")], "the column could be NULL", from_catalog=True
    )


def drop_not_null(change: Change) -> Inverse:
    """DROP NOT NULL: it can come back while no NULL was written."""
    column = change.column
    if change.table is None or column is None:
        return none(f"{UNKNOWN_TABLE}, so nobody can tell whether it was NOT NULL")
    if not column.not_null:
        return nothing("the column could be NULL already", from_catalog=True)
    return until_written(
        not_null_again(change.of, column, change.before.constraints(change.table.schema_name)),
        "a NULL that was written since keeps it from being NOT NULL again",
        proof=(f"SELECT NOT EXISTS (SELECT FROM {change.of} WHERE {quoted(column.name)} IS NULL)",),
        from_catalog=True,
    )


def not_null_again(of: Name, column: Column, taken: set[str]) -> list[str]:
    """NOT NULL without a scan under a strong lock: by a CHECK, validated first.

    PostgreSQL skips the scan where a valid CHECK says the same (tablecmds.c,
    NotNullImpliedByRelConstraints).
    """
    named = quoted(column.name)
    check = quoted(chosen_name(of.name, column.name, "not_null_again", taken))
    return [
        f"ALTER TABLE {of} ADD CONSTRAINT {check} CHECK ({named} IS NOT NULL) NOT VALID",
        f"ALTER TABLE {of} VALIDATE CONSTRAINT {check}",
        f"ALTER TABLE {of} ALTER COLUMN {named} SET NOT NULL",
        f"ALTER TABLE {of} DROP CONSTRAINT {check}",
    ]


def change_type(change: Change) -> Inverse:
    """Another type: back without loss only where each old value is a new one, and is told apart."""
    column = change.column
    if change.table is None or column is None:
        return none(UNKNOWN_TABLE, (change.full,))
    node = change.detail("column_def")
    old, new = printed_type(column.type), type_of(node["type_name"])
    back = f"TYPE {column.type}"
    if column.collation:
        back += f" COLLATE {column.collation}"
    default = (
        [change.alter_column(f"SET DEFAULT {column.default}")] if column.default is not None else []
    )
    using = "raw_default" in node
    if not using and _same(old, new) and "coll_clause" not in node:
        return nothing("the column had that type", from_catalog=True)
    if not using and _widens(old, new):
        return until_written(
            [change.alter_column(back), *default],
            "the way back reads or writes every row, and fails at a value that is too large for "
            "the old type",
            from_catalog=True,
        )
    sql = [change.alter_column(f"{back} USING {quoted(column.name)}::{column.type}")]
    if default:
        sql = [change.alter_column("DROP DEFAULT"), *sql, *default]
    return lossy(sql, (change.full,), "values that were converted need not be what they were")


def _same(old: TypeName, new: TypeName) -> bool:
    return (old.base, old.modifiers, old.array) == (new.base, new.modifiers, new.array) and (
        new.schema in (None, old.schema)
    )


def _widens(old: TypeName, new: TypeName) -> bool:
    """Whether the cast back gives the old values, and refuses those that do not fit."""
    if old.array or new.array:
        return False
    if old.base in _INTEGERS and new.base in _INTEGERS:
        return _INTEGERS.index(old.base) < _INTEGERS.index(new.base)
    if old.base in ("character varying", "text") and new.base in ("character varying", "text"):
        return not new.modifiers or bool(old.modifiers) and old.modifiers < new.modifiers
    if old.base == new.base == "bit varying":
        return not new.modifiers or bool(old.modifiers) and old.modifiers < new.modifiers
    if old.base == new.base == "numeric" and old.modifiers and new.modifiers:
        return (
            old.modifiers[0] < new.modifiers[0] and (*old.modifiers, 0)[1] == (*new.modifiers, 0)[1]
        )
    return False


def add_identity(change: Change) -> Inverse:
    """ADD GENERATED AS IDENTITY."""
    return exact([change.alter_column("DROP IDENTITY")], "the column had no identity")


def set_statistics(change: Change) -> Inverse:
    """SET STATISTICS."""
    column = change.column
    if column is None:
        return none(UNKNOWN_TABLE)
    target = -1 if column.statistics is None else column.statistics
    return exact(
        [change.alter_column(f"SET STATISTICS {target}")], "the old target", from_catalog=True
    )


def set_storage(change: Change) -> Inverse:
    """SET STORAGE."""
    column = change.column
    if column is None:
        return none(UNKNOWN_TABLE)
    if column.storage is None:
        return none("the catalog does not say which storage the type has by itself")
    back = [change.alter_column(f"SET STORAGE {column.storage.upper()}")]
    return exact(back, "the old storage", from_catalog=True)
