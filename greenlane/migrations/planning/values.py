"""Columns that must have a value."""

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.inverting.before import Before, name_of
from greenlane.migrations.inverting.naming import chosen_name
from greenlane.migrations.planning.model import Draft, NotPlannable, PlannedChange
from greenlane.migrations.planning.queries import queries_of
from greenlane.migrations.planning.refusals import check_new_name, find_column, find_table
from greenlane.migrations.sql.names import Name, quoted
from greenlane.migrations.sql.parsing import InvalidSql, Node, parse_expression, parse_script
from greenlane.migrations.validating.expressions import (
    columns_in,
    is_constant,
    is_null_constant,
    volatility,
)
from greenlane.migrations.validating.model import Phase


def set_not_null(
    table: str, column: str, catalog: Catalog, *, fill: str | None = None
) -> PlannedChange:
    """NOT NULL for a column that is there.

    Args:
        table: `schema.table`.
        column: the column.
        catalog: of the database.
        fill: the value of rows that have none, as an expression on the row.

    Raises:
        NotPlannable: it is NOT NULL already, or `fill` is no expression on the row.
    """
    found = find_table(catalog, table)
    known = find_column(found, column)
    if known.not_null:
        raise NotPlannable("column", column, f"it is NOT NULL in {found.full_name} already")
    draft = Draft(
        f"{found.name}_{column}_not_null",
        {
            "expand": f"Rows that leave {found.name}.{column} out have a value.",
            "migrate": f"Gives {found.name}.{column} of older rows a value.",
            "contract": f"{found.name}.{column} is NOT NULL.",
        },
    )
    of, named = name_of(found), quoted(column)
    if fill is None:
        draft.questions.append(f"which value do rows get in which {column} is NULL?")
        draft.notes.append(f"without one, {column} must have no NULL when the contract runs")
    else:
        names = columns_in(_expression(fill))
        for one in names:
            find_column(found, one)
        if not names and known.default is None:
            draft.add("expand", f"ALTER TABLE {of} ALTER COLUMN {named} SET DEFAULT {fill}")
        draft.add("migrate", f"UPDATE {of} SET {named} = {fill} WHERE {named} IS NULL")
    draft.notes.append(f"from the contract on, a write of NULL to {column} is refused")
    taken = Before(catalog).constraints(found.schema_name)
    _required(draft, of, column, chosen_name(found.name, column, "filled", taken), "contract")
    return draft.planned(queries_of(found))


def add_not_null_column(
    table: str, column: str, kind: str, default: str, catalog: Catalog
) -> PlannedChange:
    """A new column that is NOT NULL.

    Args:
        table: `schema.table`.
        column: its name.
        kind: its type, as SQL.
        default: the value of rows that are there, and of those that leave it out.
        catalog: of the database.

    Raises:
        NotPlannable: the table has such a column, or `default` names columns or is NULL.
    """
    found = find_table(catalog, table)
    check_new_name(found, column)
    tree = _expression(default)
    if columns_in(tree) or is_null_constant(tree):
        raise NotPlannable("default", default, "it must be a value that needs no other column")
    draft = Draft(
        f"{found.name}_{column}",
        {
            "expand": f"{found.name}.{column}, with a default for versions that leave it out.",
            "migrate": f"Gives {found.name}.{column} of older rows a value, and is NOT NULL.",
            "contract": "",
        },
    )
    of, named = name_of(found), quoted(column)
    if len(parse_script(f"ALTER TABLE {of} ADD COLUMN {named} {kind}").statements) != 1:
        raise NotPlannable("type", kind, "write one type")
    if is_constant(tree) or volatility(tree, catalog.functions) in ("immutable", "stable"):
        add = f"ALTER TABLE {of} ADD COLUMN {named} {kind} NOT NULL DEFAULT {default}"
        draft.add("expand", add, why="No row is written: the default is kept beside the table.")
        return draft.planned(queries_of(found))
    taken = Before(catalog).constraints(found.schema_name)
    draft.add("expand", f"ALTER TABLE {of} ADD COLUMN {named} {kind}")
    draft.add(
        "expand",
        f"ALTER TABLE {of} ALTER COLUMN {named} SET DEFAULT {default}",
        why="Apart from ADD COLUMN it is for new rows only, and writes none.",
    )
    draft.add("migrate", f"UPDATE {of} SET {named} = {default} WHERE {named} IS NULL")
    _required(draft, of, column, chosen_name(found.name, column, "filled", taken), "migrate")
    return draft.planned(queries_of(found))


def _required(draft: Draft, of: Name, column: str, check: str, phase: Phase) -> None:
    """NOT NULL by a CHECK that is validated first, so that no strong lock is held for a scan."""
    draft.add(
        phase,
        f"ALTER TABLE {of} ADD CONSTRAINT {quoted(check)} "
        f"CHECK ({quoted(column)} IS NOT NULL) NOT VALID",
        f"ALTER TABLE {of} VALIDATE CONSTRAINT {quoted(check)}",
        f"ALTER TABLE {of} ALTER COLUMN {quoted(column)} SET NOT NULL",
        f"ALTER TABLE {of} DROP CONSTRAINT {quoted(check)}",
    )


def _expression(text: str) -> Node:
    try:
        return parse_expression(text)
    except InvalidSql as error:
        raise NotPlannable("expression", text, error.way_out) from error
