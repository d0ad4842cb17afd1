"""Another name for a column, and several columns in place of one: both are dual writes."""

from collections.abc import Sequence

from greenlane.migrations.catalog.model import Catalog, Table
from greenlane.migrations.inverting.before import name_of
from greenlane.migrations.planning.model import Draft, NotPlannable, PlannedChange
from greenlane.migrations.planning.queries import queries_of
from greenlane.migrations.planning.refusals import (
    check_new_name,
    check_twin,
    find_column,
    find_table,
)
from greenlane.migrations.planning.syncing import Sync, SyncTrigger, sync_trigger
from greenlane.migrations.planning.trees import differs, uses
from greenlane.migrations.planning.twin import Twin
from greenlane.migrations.sql.names import quoted
from greenlane.migrations.sql.parsing import InvalidSql, parse_expression
from greenlane.migrations.validating.expressions import check_expression as check_tree
from greenlane.migrations.validating.expressions import columns_in, nodes, volatility

_UNTIL_FILLED = (
    "until the rows are filled, the new version finds NULL in {new} of rows that nobody has "
    "written since; it reads coalesce({new}, {old}) until then"
)
_LOOSEN = "Without the trigger nobody fills the old column: it must not refuse rows."
_NULLS = (
    "a row that is written with {new} NULL, or without it, gets what {old} has, its default "
    "included"
)


def rename_column(table: str, old: str, new: str, catalog: Catalog) -> PlannedChange:
    """Another name for a column: a second column, kept alike by a trigger, then the only one.

    Raises:
        NotPlannable: something keeps the column from being replaced.
    """
    found = find_table(catalog, table)
    column = find_column(found, old)
    check_new_name(found, new)
    check_twin(found, column)
    draft = Draft(
        f"{found.name}_{new}",
        {
            "expand": f"{found.name}.{new} beside {old}: versions may write either.",
            "migrate": f"Fills {found.name}.{new} from {old}, and checks it.",
            "contract": f"{found.name}.{new} takes the place of {old}.",
        },
    )
    twin = Twin(found, column, new, column.type, catalog)
    sync = Sync(
        table=found,
        old=old,
        old_type=column.type,
        new={new: column.type},
        forward={new: quoted(old)},
        backward=quoted(new),
    )
    trigger = sync_trigger(sync, catalog)
    twin.add_column(draft)
    draft.add("expand", *trigger.create, why="If a write changes both, the new column wins.")
    twin.add_parts(draft)
    of, one, two = name_of(found), quoted(new), quoted(old)
    draft.add(
        "migrate",
        f"UPDATE {of} SET {one} = {two} WHERE {differs(one, two, column.type)}",
        why="It runs in slices, and may run again.",
    )
    twin.validate_parts(draft)
    _take_over(draft, twin, trigger)
    draft.notes.append(_UNTIL_FILLED.format(new=new, old=old))
    draft.notes.append(_NULLS.format(new=new, old=old))
    draft.notes += other_notes(found, old, catalog)
    return draft.planned(queries_of(found))


def _take_over(draft: Draft, twin: Twin, trigger: SyncTrigger) -> None:
    """The second column alone, with the default and the names of the first one."""
    one, two = quoted(twin.column.name), quoted(twin.name)
    parts = []
    if twin.column.default is not None:
        parts += [f"ALTER COLUMN {two} SET DEFAULT {twin.column.default}"]
        parts += [f"ALTER COLUMN {one} DROP DEFAULT"]
    if twin.column.not_null:
        parts.append(f"ALTER COLUMN {one} DROP NOT NULL")
    parts += [f"DROP CONSTRAINT {quoted(name)}" for name in twin.checks]
    if parts:
        draft.add("contract", twin.alter(", ".join(parts)), why=_LOOSEN)
    if twin.sequence:
        draft.add("contract", f"ALTER SEQUENCE {twin.sequence} OWNED BY {twin.of}.{two}")
    if twin.not_null:
        named = quoted(twin.not_null)
        draft.add(
            "contract",
            twin.alter(f"ALTER COLUMN {two} SET NOT NULL"),
            twin.alter(f"DROP CONSTRAINT {named}"),
        )
    draft.add("contract", *trigger.drop)
    draft.add("contract", twin.alter(f"DROP COLUMN {one}"))
    draft.add("contract", *twin.renames)


def other_notes(table: Table, column: str, catalog: Catalog) -> list[str]:
    """What only a person can see to: functions and triggers that may know one shape only."""
    notes = []
    named = sorted(
        f"{key}({one.arguments})"
        for key, several in catalog.functions.items()
        for one in several
        if column in _words(one.definition) and table.name in _words(one.definition)
    )
    if named:
        notes.append(f"these functions name the column, and need both shapes: {', '.join(named)}")
    later = sorted(
        one.name for one in table.triggers if " BEFORE " in one.definition and one.name > "zz_"
    )
    if later:
        notes.append(f"these triggers fire after the one that syncs: {', '.join(later)}")
    return notes


def _words(text: str) -> set[str]:
    return set("".join(one if one.isalnum() or one == "_" else " " for one in text).split())


def split_column(
    table: str,
    column: str,
    into: Sequence[tuple[str, str, str]],
    joined: str,
    catalog: Catalog,
) -> PlannedChange:
    """Several columns in place of one.

    Args:
        table: `schema.table`.
        column: what is split.
        into: `(name, type, expression)` of each new column, the expression on the old one.
        joined: the old column's value, as an expression on the new ones.
        catalog: of the database.

    Raises:
        NotPlannable: something keeps the column from being replaced, or an expression is none
            that a trigger can use.
    """
    found = find_table(catalog, table)
    old = find_column(found, column)
    check_twin(found, old)
    names = {name: kind for name, kind, _ in into}
    for name in names:
        check_new_name(found, name)
    if len(names) < len(into) or not into:
        raise NotPlannable("into", tuple(name for name, _, _ in into), "name each column once")
    for _, _, expression in into:
        check_expression(expression, {column}, catalog)
    check_expression(joined, set(names), catalog)
    sync = Sync(
        table=found,
        old=column,
        old_type=old.type,
        new=names,
        forward={name: expression for name, _, expression in into},
        backward=joined,
    )
    return _split(found, sync, catalog, nullable=not old.not_null)


def _split(found: Table, sync: Sync, catalog: Catalog, *, nullable: bool) -> PlannedChange:
    listed = ", ".join(sync.new)
    draft = Draft(
        f"{found.name}_{sync.old}_split",
        {
            "expand": f"{listed} beside {found.name}.{sync.old}: versions may write either.",
            "migrate": f"Fills {listed} from {sync.old}.",
            "contract": f"{listed} take the place of {found.name}.{sync.old}.",
        },
    )
    trigger = sync_trigger(sync, catalog)
    of, old = name_of(found), quoted(sync.old)
    columns = ", ".join(f"ADD COLUMN {quoted(name)} {kind}" for name, kind in sync.new.items())
    draft.add("expand", f"ALTER TABLE {of} {columns}")
    draft.add("expand", *trigger.create, why="If a write changes both, the new columns win.")
    values = ", ".join(f"{quoted(name)} = {value}" for name, value in sync.forward.items())
    # A row that the new version wrote may be split otherwise than the expression would.
    empty = " AND ".join(f"{quoted(name)} IS NULL" for name in sync.new)
    draft.add(
        "migrate",
        f"UPDATE {of} SET {values} WHERE {old} IS NOT NULL AND {empty}",
        why="Rows that were written since are left as they are.",
    )
    checks = [
        f"DROP CONSTRAINT {quoted(one.name)}"
        for one in found.constraints
        if one.kind == "check" and sync.old in columns_in(check_tree(one.definition))
    ]
    loosen = [*([f"ALTER COLUMN {old} DROP NOT NULL"] if not nullable else ()), *checks]
    if loosen:
        draft.add("contract", f"ALTER TABLE {of} {', '.join(loosen)}", why=_LOOSEN)
    draft.add("contract", *trigger.drop)
    draft.add("contract", f"ALTER TABLE {of} DROP COLUMN {old}")
    draft.notes.append(
        "until the rows are filled, the new version finds NULL in rows that nobody has written "
        "since; it splits by itself until then"
    )
    if not nullable:
        draft.notes.append(f"{sync.old} is NOT NULL: the joined expression must never be NULL")
    lost = [one.name for one in found.constraints if sync.old in one.columns]
    lost += [one.name for one in found.indexes if uses(one, sync.old) and not one.constraint]
    if lost:
        draft.questions.append(
            f"{', '.join(sorted(lost))} go with {sync.old}; what takes their place on {listed}?"
        )
    draft.notes += other_notes(found, sync.old, catalog)
    return draft.planned(queries_of(found))


def check_expression(text: str, columns: set[str], catalog: Catalog) -> None:
    """Refuse an expression that a trigger cannot use, or that names other columns than these."""
    try:
        tree = parse_expression(text)
    except InvalidSql as error:
        raise NotPlannable("expression", text, error.way_out) from error
    if next(nodes(tree, "sub_link"), None) is not None:
        raise NotPlannable("expression", text, "a trigger's row is all that it may look at")
    if unknown := columns_in(tree) - columns:
        known = ", ".join(sorted(columns))
        raise NotPlannable("expression", text, f"{unknown.pop()} is not among {known}")
    if volatility(tree, catalog.functions) == "volatile":
        raise NotPlannable("expression", text, "it must give the same value each time")
