"""A whole script: each statement is kept, left out, or replaced by its safe form."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.sql.names import relation_name
from greenlane.migrations.sql.parsing import Node, Script, Statement, parse_script, sql_of
from greenlane.migrations.validating.assessing import judged
from greenlane.migrations.validating.model import PHASES, Assessment, Finding, Phase
from greenlane.migrations.validating.rewriting import columns, constraints, indexes, partitions
from greenlane.migrations.validating.rewriting.model import (
    Draft,
    Kept,
    Piece,
    Planner,
    Rewritten,
    altered,
    commands,
)
from greenlane.migrations.validating.world import World

_LEFT_OUT = {
    "transaction_stmt": "the runner gives each statement its own transaction",
    "lock_stmt": "the runner takes locks by itself, without making others wait",
    "variable_set_stmt": "the runner sets its own timeouts",
    "constraints_set_stmt": "each statement has its own transaction",
    "discard_stmt": "the runner sets its own timeouts",
}


def rewrite(script: Script, catalog: Catalog | None, planner: Planner | None = None) -> Rewritten:
    """Write the safe form of a script.

    What is safe stays as it is written. Statements stay in their order, and what needs a later
    phase takes along what works on the same table after it.

    Args:
        script: what somebody would run.
        catalog: of the database; without one the worst plausible case is rewritten.
        planner: plans renames and changes of types, as `greenlane.migrations.planning.changes`;
            without one they are not rewritten.
    """
    world = World(catalog)
    pieces: list[Piece] = []
    notes: list[str] = []
    kept: list[Finding] = []
    reached: dict[str, Phase] = {}
    for statement in script.statements:
        if statement.kind in _LEFT_OUT:
            notes.append(_left_out(statement))
            continue
        draft = Draft(world, statement, _phase(reached, statement), planner)
        before = world.copy()
        assessment = judged(statement, world.copy())
        why = _try(draft) if _stops(assessment) else "nothing stops it"
        rewritten = why is None and _is_safe(draft.pieces, before)
        judged(statement, world)
        if not rewritten:
            draft.pieces.clear()
            draft.notes.clear()
            if why and _stops(assessment):
                draft.note(f"not rewritten: {why}")
            draft.add(statement.text, phase=assessment.phase)
            kept.extend(_stops(assessment))
        pieces += draft.pieces
        notes += [f"line {statement.line}: {one}" for one in draft.notes]
        for name in _touched(statement):
            reached[name] = draft.pieces[-1].phase
    files = {phase: _text(pieces, phase) for phase in PHASES}
    return Rewritten(
        {phase: text for phase, text in files.items() if text}, tuple(notes), tuple(kept)
    )


def _is_safe(pieces: Iterable[Piece], world: World) -> bool:
    """Whether nothing stops what was written; the world is used up."""
    script = parse_script(";\n".join(one.sql for one in pieces))
    return not any(_stops(judged(one, world)) for one in script.statements)


def _left_out(statement: Statement) -> str:
    text = " ".join(statement.text.split())
    return f"line {statement.line}: {text} is left out: {_LEFT_OUT[statement.kind]}"


def _stops(assessment: Assessment) -> list[Finding]:
    return [one for one in assessment.findings if one.severity == "block"]


def _phase(reached: dict[str, Phase], statement: Statement) -> Phase:
    """The phase of whatever came before on the same tables, where it matters."""
    found = [reached[name] for name in _touched(statement) if name in reached]
    latest: Phase = max(found, key=PHASES.index, default="expand")
    if latest == "migrate" and not _depends_on_rows(statement):
        return "expand"
    return latest


def _depends_on_rows(statement: Statement) -> bool:
    """Whether it would find other rows before a backfill than after it."""
    if statement.kind == "alter_table_stmt":
        kinds = {str(one["subtype"]) for one in commands(statement.node)}
        rows = {"AT_SetNotNull", "AT_AddConstraint", "AT_ValidateConstraint", "AT_AlterColumnType"}
        return bool(kinds & rows)
    return statement.kind in (
        *("index_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "select_stmt"),
        *("create_table_as_stmt", "refresh_mat_view_stmt", "do_stmt"),
    )


def _touched(statement: Statement) -> set[str]:
    """Names of all tables and views that a statement works on, without their schemas."""
    found = set(_tables(statement.node))
    if statement.kind == "drop_stmt":
        for item in statement.node["objects"]:
            parts = item.get("list", {}).get("items", [])
            found |= {str(one["string"]["sval"]) for one in parts if "string" in one}
    return found


def _tables(node: Any) -> Iterator[str]:
    """Names of all relations that a tree mentions, without their schemas."""
    if isinstance(node, list):
        for one in node:
            yield from _tables(one)
    elif isinstance(node, dict):
        if "relname" in node:
            yield str(node["relname"])
        for one in node.values():
            yield from _tables(one)


def _try(draft: Draft) -> str | None:
    """Write the safe form; why that is not possible, or None. Empty where findings say it."""
    writer = _WRITERS.get(draft.statement.kind)
    if writer is None:
        return ""
    try:
        writer(draft, draft.statement.node)
    except Kept as reason:
        return str(reason)
    return None if draft.pieces else ""


def _alter_table(draft: Draft, node: Node) -> None:
    """Each subcommand in a statement of its own, in its safe form."""
    if node.get("objtype", "OBJECT_TABLE") != "OBJECT_TABLE" or node.get("missing_ok"):
        raise Kept
    relation = node["relation"]
    for command in commands(node):
        writer = _SUBCOMMANDS.get(str(command["subtype"]))
        if writer is None:
            draft.add(altered(relation, command))
        else:
            writer(draft, relation, command)


def _set_not_null(draft: Draft, relation: Node, command: Node) -> None:
    constraints.not_null(draft, relation, str(command["name"]))


def _drop_column(draft: Draft, relation: Node, command: Node) -> None:
    if command.get("behavior") == "DROP_CASCADE":
        raise Kept
    draft.add(altered(relation, command), phase="contract")


def _detach(draft: Draft, relation: Node, command: Node) -> None:
    """CONCURRENTLY; PostgreSQL leaves a CHECK of the old bounds on the table."""
    part = relation_name(command["def"]["partition_cmd"]["name"])
    draft.note(f"{part} keeps a CHECK of its old bounds, by a name that PostgreSQL chooses")
    detached = {**command["def"]["partition_cmd"], "concurrent": True}
    made = {**command, "def": {"partition_cmd": detached}}
    draft.add(altered(relation, made), phase="contract")


def _kept(draft: Draft, relation: Node, command: Node) -> None:
    raise Kept


def _domain(draft: Draft, node: Node) -> None:
    """A constraint of a domain NOT VALID; validating it would stop writers of every table."""
    if node["subtype"] != "C" or node["def"]["constraint"]["contype"] != "CONSTR_CHECK":
        raise Kept
    made = {
        **node["def"]["constraint"],
        "skip_validation": True,
        "initially_valid": False,
    }
    draft.add(sql_of("alter_domain_stmt", {**node, "def": {"constraint": made}}))
    draft.note(
        "the domain's constraint holds for new values only: VALIDATE CONSTRAINT of a domain stops "
        "the writers of every table that has a column of it"
    )


_WRITERS: dict[str, Callable[[Draft, Node], None]] = {
    "alter_table_stmt": _alter_table,
    "alter_domain_stmt": _domain,
    "create_stmt": partitions.create,
    "drop_stmt": indexes.drop,
    "index_stmt": indexes.index,
    "refresh_mat_view_stmt": indexes.refresh,
    "reindex_stmt": indexes.reindex,
    "rename_stmt": columns.rename,
}

_SUBCOMMANDS: dict[str, Callable[[Draft, Node, Node], None]] = {
    "AT_AddColumn": columns.add,
    "AT_AddConstraint": constraints.add,
    "AT_AlterColumnType": columns.change_type,
    "AT_AttachPartition": partitions.attach,
    "AT_DetachPartition": _detach,
    "AT_DropColumn": _drop_column,
    "AT_SetNotNull": _set_not_null,
    "AT_SetAccessMethod": _kept,
    "AT_SetLogged": _kept,
    "AT_SetTableSpace": _kept,
    "AT_SetUnLogged": _kept,
}


def _text(pieces: Iterable[Piece], phase: Phase) -> str:
    parts = []
    for one in pieces:
        if one.phase == phase:
            comment = f"-- {one.comment}\n" if one.comment else ""
            parts.append(f"{comment}{one.sql};\n")
    return "\n".join(parts)
