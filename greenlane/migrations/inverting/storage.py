"""Undoing what ALTER TABLE does to a table as a whole: options, triggers, rights, partitions."""

from collections.abc import Iterable

from greenlane.migrations.catalog.model import Trigger
from greenlane.migrations.inverting.change import Change
from greenlane.migrations.inverting.columns import UNKNOWN_TABLE
from greenlane.migrations.inverting.model import Inverse, exact, none, nothing, until_written
from greenlane.migrations.inverting.restoring import trigger_state
from greenlane.migrations.sql.names import literal, quoted, relation_name


def options(change: Change) -> Inverse:
    """SET and RESET of storage parameters."""
    if change.table is None:
        return none(UNKNOWN_TABLE)
    had = dict(one.split("=", 1) for one in change.table.options)
    items = [one["def_elem"] for one in change.node["def"]["list"]["items"]]
    if any("defnamespace" in one for one in items):
        return none("the catalog does not have the parameters of its TOAST table")
    names = [str(one["defname"]) for one in items]
    back = [f"{name} = {literal(had[name])}" for name in names if name in had]
    sql = [change.alter(f"SET ({', '.join(back)})")] if back else []
    if new := [name for name in names if name not in had]:
        sql.append(change.alter(f"RESET ({', '.join(new)})"))
    return exact(sql, "the parameters that it had", from_catalog=True)


def owner(change: Change) -> Inverse:
    """OWNER TO."""
    if change.table is None or not change.table.owner:
        return none(UNKNOWN_TABLE)
    back = [change.alter(f"OWNER TO {quoted(change.table.owner)}")]
    return exact(back, "the owner that it had", from_catalog=True)


def row_security(change: Change) -> Inverse:
    """ENABLE, DISABLE, FORCE and NO FORCE ROW LEVEL SECURITY."""
    if change.table is None:
        return none(UNKNOWN_TABLE)
    if change.kind in ("AT_EnableRowSecurity", "AT_DisableRowSecurity"):
        word = "ENABLE" if change.table.row_security else "DISABLE"
        wanted = change.kind == "AT_EnableRowSecurity"
        same = change.table.row_security == wanted
    else:
        word = "FORCE" if change.table.forced_row_security else "NO FORCE"
        same = change.table.forced_row_security == (change.kind == "AT_ForceRowSecurity")
    if same:
        return nothing("it was so already", from_catalog=True)
    return exact([change.alter(f"{word} ROW LEVEL SECURITY")], "as it was", from_catalog=True)


def switch_trigger(change: Change) -> Inverse:
    """ENABLE and DISABLE TRIGGER."""
    if change.table is None:
        return none(UNKNOWN_TABLE)
    if change.kind.endswith("All"):
        return none("the catalog does not say which triggers of foreign keys were enabled")
    found: Iterable[Trigger] = (
        one
        for one in change.table.triggers
        if change.kind.endswith("User") or one.name == change.name
    )
    sql = [line for one in found for line in trigger_state(change.of, one)]
    if not sql and not change.kind.endswith("User"):
        return none("the catalog of before the statement does not have the trigger")
    return exact(sql, "as they fired", from_catalog=True)


def attach(change: Change) -> Inverse:
    """ATTACH PARTITION, where it gives the partition nothing of its own to keep."""
    child = relation_name(change.detail("partition_cmd")["name"])
    if change.table is None:
        return none(UNKNOWN_TABLE)
    leaves = [
        *(one.name for one in change.table.indexes),
        *(one.name for one in change.table.constraints if one.kind == "foreign"),
        *(one.name for one in change.table.triggers),
    ]
    if leaves:
        return none(
            "a detached table keeps what ATTACH gave it for "
            f"{', '.join(sorted(leaves))}, under names that PostgreSQL chose"
        )
    table = change.before.table(child)
    if table is None:
        return none("the catalog of before the statement does not have the partition")
    back = [change.alter(f"DETACH PARTITION {change.before.full(child)}")]
    return exact(back, "the table was there, and stays with its rows", from_catalog=True)


def detach(change: Change) -> Inverse:
    """DETACH PARTITION: attached again, if no row was written that another partition took."""
    command = change.detail("partition_cmd")
    child = change.before.full(relation_name(command["name"]))
    table = change.before.table(child)
    if table is None or table.bound is None:
        return none("the catalog of before the statement does not say the partition's bound")
    if command.get("concurrent"):
        return none(
            "DETACH CONCURRENTLY leaves a CHECK on the table, under a name that PostgreSQL chose"
        )
    return until_written(
        [change.alter(f"ATTACH PARTITION {child} {table.bound}")],
        "rows that were written since, here or in the table, may not fit; and it reads them all",
        proof=(),
        from_catalog=True,
    )
