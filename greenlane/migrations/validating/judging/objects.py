"""Functions, types, sequences, schemas, rights and comments."""

from greenlane.migrations.catalog.model import Function, UserType
from greenlane.migrations.sql.names import Name, listed_name, object_name, relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.model import LockMode
from greenlane.migrations.validating.types import printed_type, type_of
from greenlane.migrations.validating.verdict import Verdict


def harmless(verdict: Verdict, node: Node) -> None:
    """What makes something new, or says something, and locks no table."""
    if node.get("if_not_exists") or node.get("missing_ok"):
        verdict.find("exists-check")


def function(verdict: Verdict, node: Node) -> None:
    """CREATE FUNCTION and PROCEDURE; with OR REPLACE, of one that may be in use."""
    name = listed_name(node["funcname"])
    world = verdict.world
    key = _key(verdict, name)
    there = world.functions.get(key, ())
    if node.get("replace"):
        if world.catalog is None:
            verdict.guess()
        if (there or world.catalog is None) and key not in world.made_functions:
            verdict.find("replaces-code", what=f"CREATE OR REPLACE FUNCTION {name}")
    world.made_functions.add(key)
    volatility = "volatile"
    for one in node.get("options", ()):
        element = one["def_elem"]
        if element["defname"] == "volatility":
            volatility = str(element["arg"]["string"]["sval"])
    made = {"schema_name": key.rpartition(".")[0], "name": name.name, "arguments": ""}
    world.functions[key] = (*there, Function.model_validate({**made, "volatility": volatility}))


def _key(verdict: Verdict, name: Name) -> str:
    path = verdict.world.catalog.search_path if verdict.world.catalog else ("public",)
    return f"{name.schema or (path[0] if path else 'public')}.{name.name}"


def change_function(verdict: Verdict, node: Node) -> None:
    """ALTER FUNCTION: its callers get the new behaviour at once."""
    verdict.find(
        "replaces-code",
        what=f"ALTER FUNCTION {object_name({'list': {'items': node['func']['objname']}})}",
    )


def enum(verdict: Verdict, node: Node) -> None:
    """CREATE TYPE ... AS ENUM."""
    name = listed_name(node["type_name"])
    key = _key(verdict, name)
    labels = tuple(str(one["string"]["sval"]) for one in node.get("vals", ()))
    schema = key.rpartition(".")[0]
    verdict.world.types[key] = UserType(
        schema_name=schema, name=name.name, kind="enum", labels=labels
    )


def change_enum(verdict: Verdict, node: Node) -> None:
    """ALTER TYPE ... ADD VALUE and RENAME VALUE."""
    name = listed_name(node["type_name"])
    if node.get("skip_if_new_val_exists"):
        verdict.find("exists-check", what="ADD VALUE IF NOT EXISTS")
    if "old_val" in node:
        verdict.needs("contract")
        what = f"a rename of the label {node['old_val']} of {name}"
        verdict.find("rename-object", what=what)
    elif verdict.world.transaction is not None:
        verdict.world.transaction.labels.add(str(node["new_val"]))


def domain(verdict: Verdict, node: Node) -> None:
    """CREATE DOMAIN."""
    name = listed_name(node["domainname"])
    key = _key(verdict, name)
    kinds = {str(one["constraint"]["contype"]) for one in node.get("constraints", ())}
    verdict.world.types[key] = UserType(
        schema_name=key.rpartition(".")[0],
        name=name.name,
        kind="domain",
        base=str(type_of(node["type_name"])),
        constrained=bool(kinds & {"CONSTR_CHECK", "CONSTR_NOTNULL"}),
    )


def change_domain(verdict: Verdict, node: Node) -> None:
    """ALTER DOMAIN: a check of every column of the domain, under a lock that stops writers."""
    name = listed_name(node["type_name"])
    kind = str(node["subtype"])
    checks_now = (kind == "C" and not node["def"]["constraint"].get("skip_validation")) or (
        kind in ("O", "V")
    )
    if kind == "C" and not checks_now:
        verdict.find("constraint-on-writes", what=f"a constraint of the domain {name}")
    if kind == "T" and "def" not in node:
        verdict.needs("contract")
        verdict.find("drop-default", what=f"DROP DEFAULT of the domain {name}")
    world = verdict.world
    if kind in ("C", "O"):
        key = _key(verdict, name)
        if key in world.types:
            world.types[key] = world.types[key].model_copy(update={"constrained": True})
    if not checks_now:
        return
    if world.catalog is None:
        verdict.guess()
        verdict.find("domain-constraint-scan", what=f"a constraint of the domain {name}")
    for key, table in list(world.tables.items()):
        if any(printed_type(column.type).base == name.name for column in table.columns):
            verdict.lock(key, LockMode.SHARE)
            verdict.scan(key)
            verdict.find("domain-constraint-scan", key, cost=verdict.reading(key))


def composite(verdict: Verdict, node: Node) -> None:
    """CREATE TYPE ... AS (...)."""
    name = relation_name(node["typevar"])
    key = _key(verdict, name)
    schema = key.rpartition(".")[0]
    verdict.world.types[key] = UserType(schema_name=schema, name=name.name, kind="composite")


def sequence(verdict: Verdict, node: Node) -> None:
    """CREATE and ALTER SEQUENCE: OWNED BY looks at its table."""
    for one in node.get("options", ()):
        element = one["def_elem"]
        items = element.get("arg", {}).get("list", {}).get("items", [])
        if element["defname"] == "owned_by" and len(items) > 1:
            verdict.lock(verdict.key(listed_name(items[:-1])), LockMode.ACCESS_SHARE)


def comment(verdict: Verdict, node: Node) -> None:
    """COMMENT: locks that leave readers and writers alone."""
    kind = str(node.get("objtype", "")).removeprefix("OBJECT_")
    item = node["object"]
    if kind in ("TABLE", "VIEW", "MATVIEW", "FOREIGN_TABLE"):
        verdict.lock(verdict.key(object_name(item)), LockMode.SHARE_UPDATE_EXCLUSIVE)
    elif kind in ("COLUMN", "TABCONSTRAINT", "TRIGGER", "POLICY", "RULE"):
        name = listed_name(item["list"]["items"][:-1])
        column = kind == "COLUMN"
        mode = LockMode.SHARE_UPDATE_EXCLUSIVE if column else LockMode.ACCESS_SHARE
        verdict.lock(verdict.key(name), mode)


def grant(verdict: Verdict, node: Node) -> None:
    """GRANT adds rights, REVOKE takes them away; since PostgreSQL 18 as a reader of the table."""
    catalog = verdict.world.catalog
    if node.get("objtype") == "OBJECT_TABLE" and catalog and catalog.version >= 180_000:
        for one in node.get("objects", ()):
            if "range_var" in one:
                verdict.lock(verdict.key(relation_name(one["range_var"])), LockMode.ACCESS_SHARE)
    if not node.get("is_grant"):
        verdict.needs("contract")
        verdict.find("revoke")


def default_rights(verdict: Verdict, node: Node) -> None:
    """ALTER DEFAULT PRIVILEGES: of what is made later."""


def owned(verdict: Verdict, node: Node) -> None:
    """DROP OWNED and REASSIGN OWNED: everything of a role."""
    verdict.certain = False
    verdict.find("server-wide", what="DROP OWNED or REASSIGN OWNED, of all that a role owns")


def extension(verdict: Verdict, node: Node) -> None:
    """ALTER EXTENSION: its script may do anything."""
    verdict.certain = False
    verdict.find("replaces-code", what=f"ALTER EXTENSION {node['extname']}")


def setting(verdict: Verdict, node: Node) -> None:
    """SET, RESET and DISCARD."""
    verdict.find("session-setting")


def server_wide(verdict: Verdict, node: Node) -> None:
    """Databases, roles, replication, settings of the server."""
    verdict.certain = False
    kind = verdict.statement.kind.removesuffix("_stmt").replace("_", " ")
    verdict.find("server-wide", what=f"{kind.upper()}: not the schema of one database")
