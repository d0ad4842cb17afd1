"""Columns that come, and change, without a rewrite of the table."""

from typing import Any

from greenlane.errors import InvalidInput
from greenlane.migrations.sql.names import literal, quoted, relation_name
from greenlane.migrations.sql.parsing import Node, sql_of, written_expression
from greenlane.migrations.validating.expressions import volatility
from greenlane.migrations.validating.judging.columns import constraints_of, has_default
from greenlane.migrations.validating.model import Phase
from greenlane.migrations.validating.rewriting import constraints, indexes
from greenlane.migrations.validating.rewriting.model import (
    Draft,
    Kept,
    PlannedChange,
    altered,
)
from greenlane.migrations.validating.types import serial_of, type_of, user_type


def add(draft: Draft, relation: Node, command: Node) -> None:
    """ADD COLUMN: the column alone, then what cannot be had in an instant, step by step."""
    column = command["def"]["column_def"]
    inline = constraints_of(column)
    if "GENERATED" in inline or _constrained(draft, column):
        raise Kept
    type_node = column["type_name"]
    counted = serial_of(type_node) is not None or "IDENTITY" in inline
    default = inline.get("DEFAULT", {}).get("raw_expr")
    computed = default is not None and _varies(draft, default)
    later = {"CHECK", "UNIQUE", "PRIMARY"} | ({"FOREIGN"} if has_default(column) else set())
    if counted or computed:
        later |= {"DEFAULT", "NOTNULL", "IDENTITY", "FOREIGN"}
    elif "NOTNULL" in inline and not has_default(column):
        later |= {"NOTNULL"}
    kept = [
        one
        for one in column.get("constraints", ())
        if str(one["constraint"]["contype"]).removeprefix("CONSTR_") not in later
    ]
    made = {**column, "constraints": kept}
    if (integer := serial_of(type_node)) is not None:
        made["type_name"] = _integer(integer)
    phase: Phase = "expand"
    if counted:
        _count(draft, relation, column, command, made)
        phase = "migrate"
    elif computed:
        draft.add(altered(relation, {**command, "def": {"column_def": made}}))
        _compute(draft, relation, str(column["colname"]), default)
        phase = "migrate"
    else:
        draft.add(altered(relation, {**command, "def": {"column_def": made}}))
    _afterwards(draft, relation, column, later, phase, filled=counted or computed)


def _constrained(draft: Draft, column: Node) -> bool:
    found = user_type(type_of(column["type_name"]), draft.world.types)
    return found is not None and found.kind == "domain" and found.constrained


def _varies(draft: Draft, default: Any) -> bool:
    how = volatility(default, draft.world.functions)
    return how in (None, "volatile")


def _integer(name: str) -> dict[str, Any]:
    """The `type_name` of `smallint`, `integer` or `bigint`."""
    short = {"smallint": "int2", "integer": "int4", "bigint": "int8"}[name]
    names = [{"string": {"sval": one}} for one in ("pg_catalog", short)]
    return {"names": names, "typemod": -1}


def _compute(draft: Draft, relation: Node, column: str, default: Any) -> None:
    """A default for new rows, and a backfill for old ones."""
    draft.add(
        altered(relation, {"subtype": "AT_ColumnDefault", "name": column, "def": default}),
        comment="Of new rows from here on.",
    )
    _fill(draft, relation, column, default)


def _fill(draft: Draft, relation: Node, column: str, value: Any) -> None:
    null = {"arg": _reference(column), "nulltesttype": "IS_NULL"}
    target = {"res_target": {"name": column, "val": value}}
    node = {"relation": relation, "target_list": [target], "where_clause": {"null_test": null}}
    draft.add(
        sql_of("update_stmt", node),
        phase="migrate",
        comment="Of old rows, in slices. A NULL that was written on purpose is filled too.",
    )


def _reference(column: str) -> dict[str, Any]:
    return {"column_ref": {"fields": [{"string": {"sval": column}}]}}


def _count(draft: Draft, relation: Node, column: Node, command: Node, made: Any) -> None:
    """A number from a sequence: of its own, as a default, and backfilled."""
    name = relation_name(relation)
    sequence = indexes.sequence_name(name, str(column["colname"]))
    given = constraints_of(column).get("IDENTITY", {}).get("options", [])
    of_type = {"def_elem": {"defname": "as", "arg": {"type_name": made["type_name"]}}}
    named: dict[str, Any] = {"relname": sequence.name, "inh": True, "relpersistence": "p"}
    if sequence.schema:
        named["schemaname"] = sequence.schema
    options = [{**of_type}, *given]
    draft.add(sql_of("create_seq_stmt", {"sequence": named, "options": options}))
    draft.add(altered(relation, {**command, "def": {"column_def": made}}))
    draft.add(f"ALTER SEQUENCE {sequence} OWNED BY {name}.{quoted(str(column['colname']))}")
    call = {
        "func_call": {
            "funcname": [{"string": {"sval": "nextval"}}],
            "args": [{"a_const": {"sval": {"sval": str(sequence)}}}],
            "funcformat": "COERCE_EXPLICIT_CALL",
        }
    }
    _compute(draft, relation, str(column["colname"]), call)
    if "IDENTITY" in constraints_of(column):
        draft.note(
            f"{column['colname']} takes its numbers from {literal(str(sequence))} by a default, as "
            "a serial column does: an identity cannot be added to rows without writing them all"
        )


def _afterwards(
    draft: Draft, relation: Node, column: Node, later: set[str], phase: Phase, *, filled: bool
) -> None:
    """Constraints that were taken out of ADD COLUMN, one after another."""
    inline = constraints_of(column)
    name = str(column["colname"])
    counted = serial_of(column["type_name"]) is not None or "IDENTITY" in inline
    if "FOREIGN" in inline and "FOREIGN" in later:
        node = {**inline["FOREIGN"], "fk_attrs": [{"string": {"sval": name}}]}
        constraints.validated_later(draft, relation, node, phase)
    if "CHECK" in inline:
        constraints.validated_later(draft, relation, inline["CHECK"], phase)
    if counted or {"NOTNULL", "PRIMARY"} & set(inline) & later:
        if filled:
            constraints.not_null(draft, relation, name, phase)
        elif not has_default(column):
            draft.note(
                f"{name} has to be filled before it can be NOT NULL, and every version that "
                "inserts rows has to give it a value: a backfill in migrate is yours to write"
            )
            constraints.not_null(draft, relation, name, "contract")
    for kind in ("UNIQUE", "PRIMARY"):
        if kind in inline:
            node = {**inline[kind], "keys": [{"string": {"sval": name}}]}
            indexes.unique(draft, relation, node)


def change_type(draft: Draft, relation: Node, command: Node) -> None:
    """ALTER COLUMN TYPE: planned as a new column, where there is a planner and a catalog."""
    if draft.planner is None or draft.world.catalog is None:
        raise Kept
    column = command["def"]["column_def"]
    using = column.get("raw_default")
    text = written_expression(using) if using is not None else None
    key = draft.world.key(relation_name(relation))
    try:
        planned = draft.planner.change_type(
            table=key,
            column=str(command["name"]),
            new_type=str(type_of(column["type_name"])),
            using=text,
            catalog=draft.world.catalog,
        )
    except InvalidInput as problem:
        raise Kept(str(problem)) from problem
    _planned(draft, planned)


def rename(draft: Draft, node: Node) -> None:
    """RENAME of a column or table: planned over all phases, with a planner and a catalog."""
    planner, catalog = draft.planner, draft.world.catalog
    kind = node.get("rename_type")
    if planner is None or catalog is None or kind not in ("OBJECT_COLUMN", "OBJECT_TABLE"):
        raise Kept
    key, new = draft.world.key(relation_name(node)), str(node["newname"])
    try:
        if kind == "OBJECT_TABLE":
            planned = planner.rename_table(table=key, new=new, catalog=catalog)
        else:
            old = str(node["subname"])
            planned = planner.rename_column(table=key, old=old, new=new, catalog=catalog)
    except InvalidInput as problem:
        raise Kept(str(problem)) from problem
    _planned(draft, planned)


def _planned(draft: Draft, planned: PlannedChange) -> None:
    """Each statement of its files, so that comments and order stay."""
    for one in planned.files:
        draft.add(one.sql.rstrip().rstrip(";"), phase=one.phase)
    draft.notes.extend([*planned.notes, *planned.questions])
