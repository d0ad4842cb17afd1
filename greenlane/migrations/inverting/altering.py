"""Undoing ALTER TABLE: its subcommands, in the reverse of the order in which they run."""

from collections.abc import Callable, Mapping

from greenlane.migrations.inverting import columns, constraints, storage
from greenlane.migrations.inverting.before import Before
from greenlane.migrations.inverting.change import Change
from greenlane.migrations.inverting.model import Inverse, combined, none, nothing
from greenlane.migrations.sql.names import relation_name
from greenlane.migrations.sql.parsing import Node

SUBCOMMANDS: Mapping[str, Callable[[Change], Inverse]] = {
    "AT_AddColumn": columns.add,
    "AT_DropColumn": columns.drop,
    "AT_ColumnDefault": columns.change_default,
    "AT_SetNotNull": columns.set_not_null,
    "AT_DropNotNull": columns.drop_not_null,
    "AT_AlterColumnType": columns.change_type,
    "AT_AddIdentity": columns.add_identity,
    "AT_SetStatistics": columns.set_statistics,
    "AT_SetStorage": columns.set_storage,
    "AT_AddConstraint": constraints.add,
    "AT_DropConstraint": constraints.drop,
    "AT_ValidateConstraint": constraints.validate,
    "AT_ClusterOn": constraints.index_marks,
    "AT_DropCluster": constraints.index_marks,
    "AT_ReplicaIdentity": constraints.index_marks,
    "AT_SetRelOptions": storage.options,
    "AT_ResetRelOptions": storage.options,
    "AT_ChangeOwner": storage.owner,
    "AT_EnableRowSecurity": storage.row_security,
    "AT_DisableRowSecurity": storage.row_security,
    "AT_ForceRowSecurity": storage.row_security,
    "AT_NoForceRowSecurity": storage.row_security,
    "AT_AttachPartition": storage.attach,
    "AT_DetachPartition": storage.detach,
    **dict.fromkeys(
        (
            "AT_EnableTrig",
            "AT_EnableTrigAll",
            "AT_EnableTrigUser",
            "AT_EnableAlwaysTrig",
            "AT_EnableReplicaTrig",
            "AT_DisableTrig",
            "AT_DisableTrigAll",
            "AT_DisableTrigUser",
        ),
        storage.switch_trigger,
    ),
}

_FIRST = {"AT_DropColumn", "AT_DropConstraint", "AT_DropNotNull", "AT_DropIdentity"}
_ABOUT_COLUMN = {"AT_ColumnDefault", "AT_SetNotNull", "AT_AddIdentity", "AT_SetStatistics"}


def alter_table(before: Before, node: Node) -> Inverse:
    """ALTER TABLE.

    PostgreSQL runs subcommands in passes: what is dropped first, then types, then new columns,
    then the rest (AlterTablePass, tablecmds.c). So `DROP COLUMN c, ADD COLUMN c int`, in whatever
    order, drops the old one.
    """
    kind = str(node.get("objtype", "OBJECT_TABLE")).removeprefix("OBJECT_")
    if kind != "TABLE":
        return none(f"nothing here undoes ALTER {kind.replace('MATVIEW', 'MATERIALIZED VIEW')}")
    name = relation_name(node)
    of, table = before.full(name), before.table(name)
    if table is None and node.get("missing_ok"):
        return nothing("there was no such table", from_catalog=True)
    changes = [Change(before, of, table, one["alter_table_cmd"]) for one in node["cmds"]]
    changes.sort(key=_pass)
    added = {one.name for one in changes if one.kind == "AT_AddColumn" and one.column is None}
    return combined(
        _undo(one) for one in changes if not (one.kind in _ABOUT_COLUMN and one.name in added)
    )


def _pass(change: Change) -> int:
    if change.kind in _FIRST or (change.kind == "AT_ColumnDefault" and not change.node.get("def")):
        return 0
    if change.kind == "AT_AlterColumnType":
        return 1
    return 2 if change.kind == "AT_AddColumn" else 3


def _undo(change: Change) -> Inverse:
    handler = SUBCOMMANDS.get(change.kind)
    if handler is None:
        words = change.kind.removeprefix("AT_")
        return none(f"nothing here undoes the ALTER TABLE of kind {words}")
    return handler(change)
