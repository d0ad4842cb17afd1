"""What goes, and other names for tables."""

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.inverting.before import Before, name_of
from greenlane.migrations.inverting.grants import granted, read_grants
from greenlane.migrations.planning.model import Draft, NotPlannable, PlannedChange
from greenlane.migrations.planning.queries import queries_of
from greenlane.migrations.planning.refusals import find_column, find_table
from greenlane.migrations.sql.names import Name, quoted
from greenlane.migrations.sql.parsing import parse_expression
from greenlane.migrations.validating.expressions import (
    check_expression,
    columns_in,
    proves_not_null,
)

TRASH = "greenlane_trash"
"""The schema in which tables wait before they are dropped."""


def drop_column(table: str, column: str, catalog: Catalog) -> PlannedChange:
    """A column that versions stop using, and then is gone.

    Raises:
        NotPlannable: something else uses it.
    """
    found = find_table(catalog, table)
    known = find_column(found, column)
    users = sorted(who for who, names in found.dependents.items() if column in names)
    users += [
        f"column {one.name}"
        for one in found.columns
        if one.expression and column in columns_in(parse_expression(one.expression))
    ]
    if users:
        raise NotPlannable("column", column, f"{', '.join(users)} uses it; change that first")
    if any(one.primary and column in one.columns for one in found.indexes):
        raise NotPlannable("column", column, "it is part of the primary key; choose another first")
    draft = Draft(
        f"{found.name}_drop_{column}",
        {
            "expand": f"Versions may leave {found.name}.{column} out.",
            "migrate": "",
            "contract": f"{found.name}.{column} goes, with its values.",
        },
    )
    of, named = name_of(found), quoted(column)
    loosen = [
        f"DROP CONSTRAINT {quoted(one.name)}"
        for one in found.constraints
        if one.kind == "check" and proves_not_null(check_expression(one.definition), column)
    ]
    if known.not_null and not (known.default or known.identity or known.generated):
        loosen.insert(0, f"ALTER COLUMN {named} DROP NOT NULL")
    if loosen:
        draft.add("expand", f"ALTER TABLE {of} {', '.join(loosen)}")
        draft.notes.append(
            f"from the expand on, new versions write NULL in {column}, and older ones read it"
        )
    draft.add("contract", f"ALTER TABLE {of} DROP COLUMN {named}")
    return draft.planned(queries_of(found))


def drop_table(table: str, catalog: Catalog) -> PlannedChange:
    """A table that is set aside, so that it can be brought back, and dropped later.

    Raises:
        NotPlannable: something else uses it.
    """
    found = find_table(catalog, table)
    others = [one for one in found.referenced_by if one != found.full_name]
    if others:
        said = f"foreign keys of {', '.join(others)} refer to it; drop those first"
        raise NotPlannable("table", table, said)
    if found.dependents:
        said = f"{', '.join(sorted(found.dependents))} uses it; drop that first"
        raise NotPlannable("table", table, said)
    if found.partitions:
        raise NotPlannable("table", table, "its partitions would stay where they are; drop those")
    draft = Draft(
        f"drop_{found.name}",
        {"expand": "", "migrate": "", "contract": f"{found.full_name} is set aside."},
    )
    trash = Name(TRASH, found.name)
    if f"{TRASH}.{found.name}" in catalog.tables:
        raise NotPlannable("table", table, f"{trash} is there already; drop it first")
    if TRASH not in catalog.schemas:
        draft.add("contract", f"CREATE SCHEMA IF NOT EXISTS {TRASH}")
    draft.add("contract", f"ALTER TABLE {name_of(found)} SET SCHEMA {TRASH}")
    draft.accept("contract", "rename-table")
    draft.notes.append(
        f"it is not dropped: once nobody has missed it, drop {trash} in a file of a later release"
    )
    return draft.planned(queries_of(found))


def rename_table(table: str, new: str, catalog: Catalog) -> PlannedChange:
    """Another name for a table: a view of that name first, which takes writes, then the table.

    Raises:
        NotPlannable: the name is taken.
    """
    found = find_table(catalog, table)
    target = Name(found.schema_name, new)
    if Before(catalog).has_relation(target):
        raise NotPlannable("table", new, f"{target} is there already")
    if not 0 < len(new.encode()) <= 63:
        raise NotPlannable("table", new, "a name has 1 to 63 bytes")
    draft = Draft(
        f"{found.name}_to_{new}",
        {
            "expand": f"{new} is a view of {found.name}, which takes writes too.",
            "migrate": "",
            "contract": f"The table itself is called {new}.",
        },
    )
    of = name_of(found)
    columns = ", ".join(quoted(one.name) for one in found.columns)
    invoker = " WITH (security_invoker = true)" if found.row_security else ""
    others = [one for one in found.grants if read_grants([one])[0].who != found.owner]
    draft.add("expand", f"CREATE VIEW {target}{invoker} AS SELECT {columns} FROM {of}")
    draft.add("expand", *granted("TABLE", str(target), others))
    swap = f"  DROP VIEW {target};\n  ALTER TABLE {of} RENAME TO {quoted(new)};"
    draft.add(
        "contract",
        f"DO $swap$\nBEGIN\n{swap}\nEND\n$swap$",
        why="One statement: there is no moment without the name.",
    )
    draft.notes += [
        f"until the contract, {new} takes no COPY FROM, TRUNCATE or foreign key",
        "indexes, constraints and sequences keep their names",
    ]
    if any(one.grants for one in found.columns):
        draft.questions.append(
            f"columns of {found.name} have rights of their own: who may use {new}?"
        )
    return draft.planned(queries_of(found))
