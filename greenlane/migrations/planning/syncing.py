"""Triggers that keep two shapes of a row alike while versions write either.

A BEFORE trigger changes the row at hand and writes no other, so it fires nothing again. It sees
NOT NULL, CHECKs and foreign keys after it has filled in, so a version may leave out the shape that
it does not know. Its name sorts after those of other triggers: it sees what they made of the row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from greenlane.migrations.catalog.model import Catalog, Table
from greenlane.migrations.inverting.before import name_of
from greenlane.migrations.inverting.naming import chosen_name
from greenlane.migrations.planning.trees import differs, of_row
from greenlane.migrations.sql.names import Name, quoted


@dataclass(frozen=True)
class Sync:
    """What follows from what.

    Args:
        table: whose rows.
        old: the column that versions before write.
        old_type: its type.
        new: columns that versions after write, with their types.
        forward: for each of these, its value from the old column, as an expression.
        backward: the old column's value from the new ones; None where nothing writes these.
    """

    table: Table
    old: str
    old_type: str
    new: Mapping[str, str]
    forward: Mapping[str, str]
    backward: str | None


@dataclass(frozen=True)
class SyncTrigger:
    """A trigger and its function: how they are made, and how they go."""

    create: tuple[str, str]
    drop: tuple[str, str]


def sync_trigger(sync: Sync, catalog: Catalog) -> SyncTrigger:
    """Make a trigger for every INSERT and UPDATE."""
    of = name_of(sync.table)
    what = next(iter(sync.new))
    functions = {key.split(".", 1)[1] for key in catalog.functions}
    function = Name(of.schema, chosen_name(sync.table.name, what, "sync", functions))
    triggers = {one.name for one in sync.table.triggers}
    trigger = quoted(chosen_name(f"zz_{sync.table.name}", what, "sync", triggers))
    body = _both_ways(sync) if sync.backward is not None else _forward(sync, "  ")
    create = (
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $sync$\n"
        f"BEGIN\n{body}\n  RETURN new;\nEND\n$sync$"
    )
    return SyncTrigger(
        create=(
            create,
            f"CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {of}\n"
            f"  FOR EACH ROW EXECUTE FUNCTION {function}()",
        ),
        drop=(f"DROP TRIGGER {trigger} ON {of}", f"DROP FUNCTION {function}()"),
    )


def _row(row: str, column: str) -> str:
    return f"{row}.{quoted(column)}"


def _value(sync: Sync, column: str) -> str:
    return of_row(sync.forward[column], "new", {sync.old: sync.old})


def _forward(sync: Sync, indent: str) -> str:
    """The new columns follow from the old one."""
    return "\n".join(
        f"{indent}{_row('new', column)} := {_value(sync, column)};" for column in sync.new
    )


def _backward(sync: Sync, indent: str) -> str:
    """The old column follows from the new ones."""
    value = of_row(sync.backward or "", "new", {one: one for one in sync.new})
    return f"{indent}{_row('new', sync.old)} := {value};"


def _both_ways(sync: Sync) -> str:
    given = " OR ".join(f"{_row('new', one)} IS NOT NULL" for one in sync.new)
    changed = " OR ".join(
        differs(_row("new", one), _row("old", one), kind) for one, kind in sync.new.items()
    )
    old = (_row("new", sync.old), _row("old", sync.old))
    unfilled = " AND ".join(f"{_row('new', one)} IS NULL" for one in sync.new)
    return f"""\
  IF TG_OP = 'INSERT' THEN
    IF {given} THEN
{_backward(sync, "      ")}
    ELSE
{_forward(sync, "      ")}
    END IF;
  ELSIF {changed} THEN
    -- Filling rows must not change what it fills from.
    IF {_not_filled(sync)} THEN
{_backward(sync, "      ")}
    END IF;
  ELSIF {differs(*old, sync.old_type)} OR ({unfilled}) THEN
{_forward(sync, "    ")}
  END IF;"""


def _not_filled(sync: Sync) -> str:
    """Whether the new columns are other than what the old one makes of them."""
    return " OR ".join(
        differs(_row("new", one), _value(sync, one), kind) for one, kind in sync.new.items()
    )
