"""What keeps a column or table from being planned over phases, with what to do first."""

from collections.abc import Callable

from greenlane.migrations.catalog.model import Catalog, Column, Table
from greenlane.migrations.planning.model import NotPlannable
from greenlane.migrations.planning.trees import uses
from greenlane.migrations.sql.parsing import parse_expression, parse_script
from greenlane.migrations.validating.expressions import columns_in
from greenlane.problems import suggest


def find_table(catalog: Catalog, name: str) -> Table:
    """A table by `schema.name`, or by its name where the search path finds it.

    Raises:
        NotPlannable: there is none, or it is nothing that phases could be planned for.
    """
    schema, _, plain = name.rpartition(".")
    table = catalog.tables.get(name) or catalog.table(schema or None, plain)
    if table is None:
        near = suggest(name, list(catalog.tables))
        raise NotPlannable("table", name, f"the database has no such table{near}")
    if table.kind in ("materialized", "foreign"):
        raise NotPlannable("table", name, f"it is a {table.kind} table, and has no triggers")
    if table.parent is not None:
        raise NotPlannable("table", name, f"it is a partition; change {table.parent}")
    return table


def find_column(table: Table, name: str) -> Column:
    """One of its columns.

    Raises:
        NotPlannable: there is none of that name.
    """
    column = table.column(name)
    if column is None:
        near = suggest(name, [one.name for one in table.columns])
        raise NotPlannable("column", name, f"{table.full_name} has no such column{near}")
    return column


def check_new_name(table: Table, name: str) -> None:
    """Refuse a name that a column has, or that PostgreSQL would cut."""
    if table.column(name) is not None:
        raise NotPlannable("column", name, f"{table.full_name} has that column already")
    if not 0 < len(name.encode()) <= 63:
        raise NotPlannable("column", name, "a name has 1 to 63 bytes")


def check_twin(table: Table, column: Column, *, keys: bool = False) -> None:
    """Refuse a column that a second one cannot stand in for.

    Args:
        table: its table.
        column: the column.
        keys: whether it may be of the primary key, or an identity.

    Raises:
        NotPlannable: with the reason, and what to do first.
    """
    where, name = f"{table.full_name}.{column.name}", column.name

    def refuse(reason: str) -> None:
        raise NotPlannable("column", where, reason)

    users = sorted(who for who, names in table.dependents.items() if name in names)
    if users:
        refuse(f"{', '.join(users)} would keep it from being dropped; change that first")
    if column.generated:
        refuse("it is generated; add the other one, and drop this one when nothing reads it")
    for one in table.columns:
        if one.expression and name in columns_in(parse_expression(one.expression)):
            refuse(f"{one.name} is generated from it; drop that first")
    for index in table.indexes:
        if index.replica_identity and uses(index, name):
            refuse(f"{index.name} is the replica identity; choose another one first")
        if table.kind == "partitioned" and uses(index, name):
            refuse(f"{index.name} is on a partitioned table, where no index is built concurrently")
    if table.partition_key and name in table.partition_key:
        refuse("the table is partitioned by it; make a new table and copy")
    for trigger in table.triggers:
        if name in _of_trigger(trigger.definition):
            refuse(f"trigger {trigger.name} names it; change that first")
    _check_constraints(table, column, keys, refuse)


def _check_constraints(
    table: Table, column: Column, keys: bool, refuse: Callable[[str], None]
) -> None:
    if column.identity and not keys:
        refuse("it is an identity, which cannot move to another column without a pause")
    for one in table.constraints:
        if column.name not in one.columns:
            continue
        if one.kind == "primary" and not keys:
            refuse(f"it is part of the primary key {one.name}; other tables and replicas know it")
        if one.kind == "exclusion":
            refuse(f"{one.name} excludes by it; drop that first, and add it to the new column")
        if one.kind in ("primary", "unique") and table.referenced_by:
            others = ", ".join(table.referenced_by)
            refuse(f"foreign keys of {others} may refer to it; drop those first")
        if one.kind == "foreign" and table.kind == "partitioned":
            refuse(f"{one.name} cannot be added NOT VALID to a partitioned table; drop it first")


def _of_trigger(definition: str) -> set[str]:
    """Columns that a trigger names in `UPDATE OF` or `WHEN`."""
    node = parse_script(definition, "trigger").statements[0].node
    listed = {str(one["string"]["sval"]) for one in node.get("columns", ())}
    return listed | columns_in(node.get("when_clause", {}))
