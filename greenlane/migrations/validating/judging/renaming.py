"""RENAME, SET SCHEMA and OWNER of anything."""

from greenlane.migrations.sql.names import Name, object_name, relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.model import LockMode
from greenlane.migrations.validating.verdict import Verdict

_TABLES = ("TABLE", "VIEW", "MATVIEW", "FOREIGN_TABLE")


def rename(verdict: Verdict, node: Node) -> None:
    """ALTER ... RENAME TO: of a table, of a part of one, or of something else."""
    kind = str(node.get("rename_type", "OBJECT_ACCESS_METHOD")).removeprefix("OBJECT_")
    if kind == "INDEX":
        _index(verdict, node)
    elif kind in _TABLES:
        _table(verdict, kind, node)
    elif kind in ("COLUMN", "TABCONSTRAINT", "TRIGGER", "POLICY", "RULE"):
        _part(verdict, kind, node)
    elif kind in ("ROLE", "DATABASE", "TABLESPACE", "PUBLICATION", "SUBSCRIPTION"):
        verdict.find("server-wide", what=f"ALTER {kind} ... RENAME")
    else:
        if kind == "SEQUENCE":
            verdict.guess()
        verdict.needs("contract")
        old = node.get("subname") or _object(node)
        what = f"a rename of the {kind.lower()} {old} to {node['newname']}"
        verdict.find("rename-object", what=what)


def _object(node: Node) -> str:
    if "relation" in node:
        return str(relation_name(node))
    return str(object_name(node["object"])) if "object" in node else ""


def _index(verdict: Verdict, node: Node) -> None:
    """An index's name is used by nobody; its table is not locked."""
    world = verdict.world
    found = world.index_of(relation_name(node))
    if found is not None:
        key, index = found
        renamed = index.model_copy(update={"name": str(node["newname"])})
        world.drop_index(key, index.name)
        world.add_index(key, renamed)


def _table(verdict: Verdict, kind: str, node: Node) -> None:
    world = verdict.world
    name = relation_name(node)
    key = verdict.key(name)
    if kind == "TABLE" and (found := world.index_of(name)) and key not in world.tables:
        verdict.guess(found[0])  # ALTER TABLE works on an index too
        return
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    if world.in_use(key):
        verdict.needs("contract")
    verdict.find("rename-table", key, what=f"a rename of {name} to {node['newname']}")
    schema = key.rpartition(".")[0]
    new = f"{schema}.{node['newname']}" if schema else str(node["newname"])
    _moved(verdict, key, new)


def _moved(verdict: Verdict, old: str, new: str) -> None:
    world = verdict.world
    if old in world.views:
        world.views[new] = world.views.pop(old)
        for known in (world.unused, world.fresh):
            if old in known:
                known.discard(old)
                known.add(new)
        return
    world.rename(old, new)


def _part(verdict: Verdict, kind: str, node: Node) -> None:
    """A column, constraint, trigger, policy or rule of a table."""
    world = verdict.world
    key = verdict.key(relation_name(node))
    table = world.table(key)
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE, family=kind in ("COLUMN", "TABCONSTRAINT"))
    old, new = str(node["subname"]), str(node["newname"])
    if kind == "COLUMN":
        if world.in_use(key):
            verdict.needs("contract")
        verdict.find("rename-column", key, what=f"a rename of {old} to {new}")
        _rename_column(verdict, key, old, new)
    elif kind == "TABCONSTRAINT":
        renamed = tuple(
            one.model_copy(update={"name": new}) if one.name == old else one
            for one in table.constraints
        )
        indexes = tuple(
            one.model_copy(update={"name": new, "constraint": new}) if one.name == old else one
            for one in table.indexes
        )
        world.change(key, constraints=renamed, indexes=indexes)
        if (key, old) in world.checks:
            world.checks[key, new] = world.checks.pop((key, old))


def _rename_column(verdict: Verdict, key: str, old: str, new: str) -> None:
    world = verdict.world

    def named(columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if one == old else one for one in columns)

    for one in world.family(key):
        table = world.table(one)
        world.change(
            one,
            columns=tuple(
                column.model_copy(update={"name": new}) if column.name == old else column
                for column in table.columns
            ),
            indexes=tuple(
                index.model_copy(update={"columns": named(index.columns)})
                for index in table.indexes
            ),
            constraints=tuple(
                found.model_copy(update={"columns": named(found.columns)})
                for found in table.constraints
            ),
        )


def set_schema(verdict: Verdict, node: Node) -> None:
    """ALTER ... SET SCHEMA: as a rename."""
    kind = str(node.get("object_type", "OBJECT_ACCESS_METHOD")).removeprefix("OBJECT_")
    if kind not in _TABLES:
        verdict.needs("contract")
        verdict.find("rename-object", what=f"ALTER {kind} ... SET SCHEMA {node['newschema']}")
        return
    name = relation_name(node)
    key = verdict.key(name)
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    if verdict.world.in_use(key):
        verdict.needs("contract")
    what = f"another schema for {name}: {node['newschema']}"
    verdict.find("rename-table", key, what=what)
    _moved(verdict, key, str(Name(str(node["newschema"]), name.name)).replace('"', ""))


def owner(verdict: Verdict, node: Node) -> None:
    """ALTER ... OWNER TO, of what is no table."""
    kind = str(node.get("object_type", "OBJECT_ACCESS_METHOD")).removeprefix("OBJECT_")
    if kind in ("DATABASE", "TABLESPACE", "PUBLICATION", "SUBSCRIPTION", "EVENT_TRIGGER"):
        verdict.find("server-wide", what=f"ALTER {kind} ... OWNER TO")
        return
    verdict.needs("contract")
    what = f"another owner of the {kind.lower()} {object_name(node['object'])}"
    verdict.find("owner-changed", what=what)
