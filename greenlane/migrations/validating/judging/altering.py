"""ALTER TABLE and its like: one entry for each subcommand.

Lock modes are those of AlterTableGetLockLevel (src/backend/commands/tablecmds.c, PostgreSQL 15 to
18); the labelled set holds each against the locks that a server takes. A statement takes the
strongest mode of its subcommands from its beginning.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from greenlane.migrations.sql.names import Name, relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.judging import columns, constraints, partitions, storage
from greenlane.migrations.validating.judging.change import Change
from greenlane.migrations.validating.model import LockMode
from greenlane.migrations.validating.verdict import Verdict

_ACCESS_EXCLUSIVE = LockMode.ACCESS_EXCLUSIVE
_UPDATE_EXCLUSIVE = LockMode.SHARE_UPDATE_EXCLUSIVE
_ROW_EXCLUSIVE = LockMode.SHARE_ROW_EXCLUSIVE


class Subcommand(NamedTuple):
    """Args: mode of its lock; family: whether partitions are locked too; what else it does."""

    mode: LockMode
    family: bool = True
    judge: Callable[[Change], None] | None = None


def alter_table(verdict: Verdict, node: Node) -> None:
    """ALTER TABLE, INDEX, VIEW, SEQUENCE, MATERIALIZED VIEW, FOREIGN TABLE and composite TYPE."""
    kind = str(node.get("objtype", "OBJECT_TABLE")).removeprefix("OBJECT_")
    name = relation_name(node)
    commands = [one["alter_table_cmd"] for one in node["cmds"]]
    other = _OTHERS.get(kind)
    if other is not None:
        other(verdict, name, commands)
        return
    key = verdict.key(name)
    if node.get("missing_ok"):
        verdict.find("exists-check", key, what="ALTER TABLE IF EXISTS")
    verdict.world.table(key)
    recurses = bool(node["relation"].get("inh"))
    changes = [Change(verdict, key, one, recurses, several=len(commands) > 1) for one in commands]
    for change in changes:
        known = SUBCOMMANDS.get(change.kind)
        if known is not None:
            _lock(change, known)
    for change in changes:
        known = SUBCOMMANDS.get(change.kind)
        if known is None:
            verdict.lock(key, _ACCESS_EXCLUSIVE, family=True)
            verdict.find("not-judged", key, what=f"ALTER TABLE: {change.kind}")
        elif known.judge is not None:
            known.judge(change)
    _held_through(verdict, key, changes)


def _lock(change: Change, known: Subcommand) -> None:
    mode = known.mode
    if change.kind == "AT_AddConstraint":
        mode = constraints.mode_of(change)
    elif change.kind == "AT_DetachPartition" and change.detail("partition_cmd").get("concurrent"):
        mode = _UPDATE_EXCLUSIVE
    family = known.family and change.recurses
    if known.mode == _ROW_EXCLUSIVE and not change.name:
        # ALL and USER reach partitions only by way of the triggers that they copied.
        family = family and (bool(change.table.triggers) or not change.known)
    change.verdict.lock(change.key, mode, family=family)


def _held_through(verdict: Verdict, key: str, changes: list[Change]) -> None:
    """A VALIDATE that shares its ALTER TABLE scans under the strongest lock of them all."""
    validates = any(one.kind == "AT_ValidateConstraint" for one in changes)
    held = verdict.locks.get(key)
    if validates and held is not None and held > _UPDATE_EXCLUSIVE:
        what = "VALIDATE CONSTRAINT beside a subcommand with a stronger lock"
        verdict.find("locks-add-up", key, what=what, cost=verdict.reading(key))


def _alter_index(verdict: Verdict, name: Name, commands: list[Node]) -> None:
    """ALTER INDEX: the index is locked, and its table is not."""
    for one in commands:
        if one["subtype"] == "AT_SetTableSpace":
            found = verdict.world.index_of(name)
            verdict.guess(found[0] if found else None)
            verdict.find("moves-storage", found[0] if found else None, what="SET TABLESPACE")
        elif one["subtype"] == "AT_AttachPartition":
            partitions.attach_index(verdict, name, one)


def _alter_view(verdict: Verdict, name: Name, commands: list[Node]) -> None:
    key = verdict.key(name)
    verdict.lock(key, _ACCESS_EXCLUSIVE)
    for one in commands:
        if one["subtype"] == "AT_ChangeOwner":
            verdict.needs("contract")
            verdict.find("owner-changed", key)
        else:
            verdict.find("replaces-code", key, what=f"ALTER VIEW of {key}")


def _alter_sequence(verdict: Verdict, name: Name, commands: list[Node]) -> None:
    for one in commands:
        if one["subtype"] == "AT_ChangeOwner":
            verdict.needs("contract")
            verdict.find("owner-changed", what=f"another owner of the sequence {name}")


def _alter_type(verdict: Verdict, name: Name, commands: list[Node]) -> None:
    """Of a composite type: tables with a column of it make PostgreSQL refuse most of it."""
    kinds = {str(one["subtype"]) for one in commands}
    verdict.guess()
    if kinds - {"AT_AddColumn"}:
        verdict.needs("contract")
        verdict.find("rename-object", what=f"another shape of the type {name}")


_OTHERS: Mapping[str, Callable[[Verdict, Name, list[Node]], None]] = {
    "INDEX": _alter_index,
    "VIEW": _alter_view,
    "SEQUENCE": _alter_sequence,
    "TYPE": _alter_type,
}

SUBCOMMANDS: Mapping[str, Subcommand] = {
    "AT_AddColumn": Subcommand(_ACCESS_EXCLUSIVE, True, columns.add),
    "AT_DropColumn": Subcommand(_ACCESS_EXCLUSIVE, True, columns.drop),
    "AT_AlterColumnType": Subcommand(_ACCESS_EXCLUSIVE, True, columns.change_type),
    "AT_ColumnDefault": Subcommand(_ACCESS_EXCLUSIVE, True, columns.change_default),
    "AT_SetNotNull": Subcommand(_ACCESS_EXCLUSIVE, True, columns.set_not_null),
    "AT_DropNotNull": Subcommand(_ACCESS_EXCLUSIVE, True, columns.drop_not_null),
    "AT_SetExpression": Subcommand(_ACCESS_EXCLUSIVE, True, columns.set_expression),
    "AT_DropExpression": Subcommand(_ACCESS_EXCLUSIVE, True, columns.drop_expression),
    "AT_AddIdentity": Subcommand(_ACCESS_EXCLUSIVE, False, columns.add_identity),
    "AT_SetIdentity": Subcommand(_ACCESS_EXCLUSIVE, False),
    "AT_DropIdentity": Subcommand(_ACCESS_EXCLUSIVE, False, columns.drop_identity),
    "AT_SetStatistics": Subcommand(_UPDATE_EXCLUSIVE),
    "AT_SetOptions": Subcommand(_UPDATE_EXCLUSIVE, False),
    "AT_ResetOptions": Subcommand(_UPDATE_EXCLUSIVE, False),
    "AT_SetStorage": Subcommand(_ACCESS_EXCLUSIVE),
    "AT_SetCompression": Subcommand(_ACCESS_EXCLUSIVE),
    "AT_AddConstraint": Subcommand(_ACCESS_EXCLUSIVE, True, constraints.add),
    "AT_AlterConstraint": Subcommand(_ACCESS_EXCLUSIVE, True, constraints.alter),
    "AT_ValidateConstraint": Subcommand(_UPDATE_EXCLUSIVE, True, constraints.validate),
    "AT_DropConstraint": Subcommand(_ACCESS_EXCLUSIVE, True, constraints.drop),
    "AT_AttachPartition": Subcommand(_UPDATE_EXCLUSIVE, False, partitions.attach),
    "AT_DetachPartition": Subcommand(_ACCESS_EXCLUSIVE, False, partitions.detach),
    "AT_DetachPartitionFinalize": Subcommand(_UPDATE_EXCLUSIVE, False, partitions.finalize),
    "AT_AddInherit": Subcommand(_ACCESS_EXCLUSIVE, False, partitions.inherit),
    "AT_DropInherit": Subcommand(_ACCESS_EXCLUSIVE, False, partitions.disinherit),
    "AT_AddOf": Subcommand(_ACCESS_EXCLUSIVE, False),
    "AT_DropOf": Subcommand(_ACCESS_EXCLUSIVE, False),
    "AT_ClusterOn": Subcommand(_UPDATE_EXCLUSIVE, False),
    "AT_DropCluster": Subcommand(_UPDATE_EXCLUSIVE, False),
    "AT_SetRelOptions": Subcommand(_UPDATE_EXCLUSIVE, False, storage.options),
    "AT_ResetRelOptions": Subcommand(_UPDATE_EXCLUSIVE, False, storage.options),
    "AT_SetTableSpace": Subcommand(_ACCESS_EXCLUSIVE, False, storage.moves),
    "AT_SetLogged": Subcommand(_ACCESS_EXCLUSIVE, False, storage.moves),
    "AT_SetUnLogged": Subcommand(_ACCESS_EXCLUSIVE, False, storage.moves),
    "AT_SetAccessMethod": Subcommand(_ACCESS_EXCLUSIVE, False, storage.moves),
    "AT_ReplicaIdentity": Subcommand(_ACCESS_EXCLUSIVE, False, storage.replica_identity),
    "AT_ChangeOwner": Subcommand(_ACCESS_EXCLUSIVE, False, storage.owner),
    "AT_EnableRowSecurity": Subcommand(_ACCESS_EXCLUSIVE, False, storage.row_security),
    "AT_ForceRowSecurity": Subcommand(_ACCESS_EXCLUSIVE, False, storage.row_security),
    "AT_DisableRowSecurity": Subcommand(_ACCESS_EXCLUSIVE, False),
    "AT_NoForceRowSecurity": Subcommand(_ACCESS_EXCLUSIVE, False),
    "AT_GenericOptions": Subcommand(_ACCESS_EXCLUSIVE, False),
    "AT_AlterColumnGenericOptions": Subcommand(_ACCESS_EXCLUSIVE, False),
    "AT_EnableTrig": Subcommand(_ROW_EXCLUSIVE, True, storage.enable_trigger),
    "AT_EnableTrigAll": Subcommand(_ROW_EXCLUSIVE, True, storage.enable_trigger),
    "AT_EnableTrigUser": Subcommand(_ROW_EXCLUSIVE, True, storage.enable_trigger),
    "AT_EnableAlwaysTrig": Subcommand(_ROW_EXCLUSIVE, True, storage.enable_trigger),
    "AT_EnableReplicaTrig": Subcommand(_ROW_EXCLUSIVE, True, storage.disable_trigger),
    "AT_DisableTrig": Subcommand(_ROW_EXCLUSIVE, True, storage.disable_trigger),
    "AT_DisableTrigAll": Subcommand(_ROW_EXCLUSIVE, True, storage.disable_trigger),
    "AT_DisableTrigUser": Subcommand(_ROW_EXCLUSIVE, True, storage.disable_trigger),
    "AT_EnableRule": Subcommand(_ACCESS_EXCLUSIVE, False, storage.switch_rule),
    "AT_EnableAlwaysRule": Subcommand(_ACCESS_EXCLUSIVE, False, storage.switch_rule),
    "AT_EnableReplicaRule": Subcommand(_ACCESS_EXCLUSIVE, False, storage.switch_rule),
    "AT_DisableRule": Subcommand(_ACCESS_EXCLUSIVE, False, storage.switch_rule),
}
"""All that `ALTER TABLE` can do; whether partitions are locked was measured on PostgreSQL 15."""
