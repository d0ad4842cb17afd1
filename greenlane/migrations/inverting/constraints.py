"""Undoing what ALTER TABLE does to constraints."""

from greenlane.migrations.catalog.model import Column, Index, Table
from greenlane.migrations.inverting.before import columns_of, constraint_of, index_of
from greenlane.migrations.inverting.change import Change
from greenlane.migrations.inverting.columns import UNKNOWN_TABLE
from greenlane.migrations.inverting.model import Inverse, exact, none, nothing, until_written
from greenlane.migrations.inverting.naming import chosen_name, index_columns, joined
from greenlane.migrations.inverting.restoring import (
    NOT_VALID,
    constraint_again,
    index_again,
)
from greenlane.migrations.sql.names import Name, quoted
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.expressions import check_expression, columns_in, is_constant

_LABELS = {
    "CONSTR_PRIMARY": "pkey",
    "CONSTR_UNIQUE": "key",
    "CONSTR_EXCLUSION": "excl",
    "CONSTR_FOREIGN": "fkey",
    "CONSTR_CHECK": "check",
    "CONSTR_NOTNULL": "not_null",
}


def add(change: Change) -> Inverse:
    """ADD CONSTRAINT: it goes again, and with it what it brought."""
    node = change.detail("constraint")
    name = _name(change, node)
    if name is None:
        return none("PostgreSQL chooses its name, and nobody knows it yet; name the constraint")
    drop = change.alter(f"DROP CONSTRAINT {quoted(name)}")
    if change.table is None:
        if node["contype"] == "CONSTR_PRIMARY" or node.get("indexname"):
            return none(UNKNOWN_TABLE)
        return exact([drop], "a constraint without rows of its own")
    sql = [drop, *_nullable_again(change, node)]
    if not node.get("indexname"):
        return exact(sql, "a constraint has no rows of its own", from_catalog=len(sql) > 1)
    return _index_again(change, change.table, str(node["indexname"]), name, sql)


def _index_again(
    change: Change, table: Table, index: str, constraint: str, sql: list[str]
) -> Inverse:
    """USING INDEX: the index belongs to the constraint, has its name, and goes with it.

    So it is built once more first, under a name that is free, and nobody writes duplicates in
    between.
    """
    found = index_of(table, index)
    if found is None:
        return none("the catalog of before the statement does not have the index")
    taken = change.before.relations(table.schema_name) | {constraint}
    meanwhile = chosen_name(index, "", "again", taken)
    built, *told = index_again(table, found, meanwhile)
    renamed = f"ALTER INDEX {Name(table.schema_name, meanwhile)} RENAME TO {quoted(index)}"
    told = [one.replace(quoted(meanwhile), quoted(index)) for one in told]
    return until_written(
        [built, *sql, renamed, *told],
        "the index is built again, without its constraint",
        proof=(),
        from_catalog=True,
    )


def _nullable_again(change: Change, node: Node) -> list[str]:
    """A primary key made its columns NOT NULL; those that were not can be NULL again."""
    if node["contype"] != "CONSTR_PRIMARY" or change.table is None:
        return []
    if node.get("indexname"):
        index = index_of(change.table, str(node["indexname"]))
        names = list(index.columns) if index else []
    else:
        names = [str(one["string"]["sval"]) for one in node["keys"]]
    free: list[Column] = [one for one in columns_of(change.table, names) if not one.not_null]
    return [change.alter(f"ALTER COLUMN {quoted(one.name)} DROP NOT NULL") for one in free]


def _name(change: Change, node: Node) -> str | None:
    """As it is given or, if it is not, as PostgreSQL chooses it."""
    if node.get("conname"):
        return str(node["conname"])
    kind, of = str(node["contype"]), change.of
    if node.get("indexname"):
        return str(node["indexname"])
    taken = change.before.constraints(str(of.schema))
    if kind in ("CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_EXCLUSION"):
        taken = taken | change.before.relations(str(of.schema))
    middle = _middle(node)
    if change.table is None or middle is None or kind not in _LABELS:
        return None
    return chosen_name(of.name, middle, _LABELS[kind], taken)


def _middle(node: Node) -> str | None:
    match node["contype"]:
        case "CONSTR_PRIMARY":
            return ""
        case "CONSTR_CHECK":
            names = columns_in(node["raw_expr"])
            return names.pop() if len(names) == 1 else ""
        case "CONSTR_FOREIGN":
            return joined([str(one["string"]["sval"]) for one in node["fk_attrs"]])
        case "CONSTR_EXCLUSION":
            # Each is a list of an `index_elem` and an operator.
            elements = [one["list"]["items"][0]["index_elem"] for one in node["exclusions"]]
            found = index_columns(elements)
            return None if found is None else joined(found)
        case _:
            keys = [*node.get("keys", ()), *node.get("including", ())]
            return joined([str(one["string"]["sval"]) for one in keys])


def drop(change: Change) -> Inverse:
    """DROP CONSTRAINT: it comes back, if the rows that were written since obey it."""
    if change.table is None:
        return none(UNKNOWN_TABLE)
    found = constraint_of(change.table, change.name)
    if found is None:
        return nothing("there was no such constraint", from_catalog=True)
    keyed = found.kind in ("primary", "unique")
    if change.node.get("behavior") == "DROP_CASCADE" and keyed and change.table.referenced_by:
        return none("CASCADE may have taken foreign keys of other tables with it")
    back = constraint_again(change.table, found, index_of(change.table, found.name))
    proof: tuple[str, ...] = ()
    tree = check_expression(found.definition) if found.kind == "check" else None
    if tree is not None and not is_constant(tree) and found.validated:
        body = found.definition.removeprefix("CHECK ").removesuffix(NOT_VALID)
        body = body.removesuffix(" NO INHERIT")
        proof = (f"SELECT NOT EXISTS (SELECT FROM {change.of} WHERE {body} IS FALSE)",)
    return until_written(
        back,
        "rows that were written since may break it",
        proof=proof,
        from_catalog=True,
    )


def validate(change: Change) -> Inverse:
    """VALIDATE CONSTRAINT: replaced by one that is not validated, in one short statement."""
    if change.table is None:
        return none(UNKNOWN_TABLE)
    found = constraint_of(change.table, change.name)
    if found is None:
        return none("the catalog of before the statement does not have the constraint")
    if found.validated:
        return nothing("it was validated already", from_catalog=True)
    named = quoted(found.name)
    definition = found.definition.removesuffix(NOT_VALID) + NOT_VALID
    sql = [change.alter(f"DROP CONSTRAINT {named}, ADD CONSTRAINT {named} {definition}")]
    if found.comment is not None:
        sql += constraint_again(change.table, found, None)[-1:]
    return exact(sql, "not validated, as it was", from_catalog=True)


def index_marks(change: Change) -> Inverse:
    """CLUSTER ON, SET WITHOUT CLUSTER and REPLICA IDENTITY."""
    if change.table is None:
        return none(UNKNOWN_TABLE)
    marked: list[Index] = [
        one
        for one in change.table.indexes
        if (one.replica_identity if change.kind == "AT_ReplicaIdentity" else one.clustered)
    ]
    if change.kind == "AT_ReplicaIdentity":
        identity = change.table.replica_identity
        if identity == "index" and not marked:
            return none("the catalog does not say which index was the replica identity")
        how = f"USING INDEX {quoted(marked[0].name)}" if identity == "index" else identity.upper()
        sql = change.alter(f"REPLICA IDENTITY {how}")
    elif marked:
        sql = change.alter(f"CLUSTER ON {quoted(marked[0].name)}")
    else:
        sql = change.alter("SET WITHOUT CLUSTER")
    return exact([sql], "as it was marked", from_catalog=True)
