"""Undoing CREATE: one DROP for each object, never CASCADE, and nothing where nothing was made."""

from greenlane.migrations.catalog.model import Trigger
from greenlane.migrations.inverting.before import Before
from greenlane.migrations.inverting.model import Inverse, exact, none, nothing, until_written
from greenlane.migrations.inverting.naming import chosen_name, index_columns, joined
from greenlane.migrations.inverting.restoring import trigger_state, view_again, view_options
from greenlane.migrations.sql.names import Name, listed_name, quoted, relation_name
from greenlane.migrations.sql.parsing import Node, parse_script

_THERE = "it was there, so IF NOT EXISTS made nothing"


def table(before: Before, node: Node) -> Inverse:
    """CREATE TABLE, partitions and foreign tables included."""
    node = node.get("base_stmt", node) if "relation" not in node else node
    if node["relation"].get("relpersistence") == "t":
        return nothing("a temporary table goes with its session")
    name = before.new(relation_name(node))
    if node.get("if_not_exists") and before.has_relation(name):
        return nothing(_THERE, from_catalog=True)
    return until_written(
        [f"DROP TABLE {name}"],
        "rows that were written in the new table go with it",
        loses=(str(name),),
        proof=(f"SELECT NOT EXISTS (SELECT FROM {name})",),
        makes=(str(name),),
        from_catalog=bool(node.get("if_not_exists")),
    )


def foreign_table(before: Before, node: Node) -> Inverse:
    """CREATE FOREIGN TABLE: its rows are elsewhere, and stay."""
    name = before.new(relation_name(node["base_stmt"]))
    if node["base_stmt"].get("if_not_exists") and before.has_relation(name):
        return nothing(_THERE, from_catalog=True)
    return exact([f"DROP FOREIGN TABLE {name}"], "its rows are elsewhere", makes=(str(name),))


def table_as(before: Before, node: Node) -> Inverse:
    """CREATE TABLE AS, SELECT INTO and CREATE MATERIALIZED VIEW."""
    relation = node["into"]["rel"]
    if relation.get("relpersistence") == "t":
        return nothing("a temporary table goes with its session")
    name = before.new(relation_name(relation))
    if node.get("if_not_exists") and before.has_relation(name):
        return nothing(_THERE, from_catalog=True)
    if node.get("objtype") == "OBJECT_MATVIEW":
        why = "its rows follow from other tables"
        return exact([f"DROP MATERIALIZED VIEW {name}"], why, makes=(str(name),))
    return until_written(
        [f"DROP TABLE {name}"],
        "rows that were written in the new table go with it",
        loses=(str(name),),
        makes=(str(name),),
        from_catalog=bool(node.get("if_not_exists")),
    )


def index(before: Before, node: Node) -> Inverse:
    """CREATE INDEX; without a name, the one that PostgreSQL chooses."""
    of = before.full(relation_name(node))
    found = before.table(relation_name(node))
    name = node.get("idxname") or _index_name(before, of, node)
    if name is None:
        return none("PostgreSQL chooses its name, and nobody knows it yet; name the index")
    full = Name(of.schema, str(name))
    if node.get("if_not_exists") and before.has_relation(full):
        return nothing(_THERE, from_catalog=True)
    partitioned = found is not None and found.kind == "partitioned"
    how = "" if partitioned else "CONCURRENTLY "
    return exact(
        [f"DROP INDEX {how}{full}"],
        "an index has no data of its own",
        makes=(str(full),),
        from_catalog=not node.get("idxname") or bool(node.get("if_not_exists")),
    )


def _index_name(before: Before, of: Name, node: Node) -> str | None:
    elements = [*node["index_params"], *node.get("index_including_params", ())]
    columns = index_columns([one["index_elem"] for one in elements])
    if columns is None or before.table(of) is None:
        return None
    return chosen_name(of.name, joined(columns), "idx", before.relations(str(of.schema)))


def view(before: Before, node: Node) -> Inverse:
    """CREATE VIEW, and OR REPLACE of one that was there."""
    name = before.new(relation_name(node["view"]))
    if node["view"].get("relpersistence") == "t":
        return nothing("a temporary view goes with its session")
    found = before.view(name)
    if found is None:
        return exact(
            [f"DROP VIEW {name}"],
            "a view has no rows",
            makes=(str(name),),
            from_catalog=bool(node.get("replace")),
        )
    query = found.definition.strip().removesuffix(";")
    back = [f"CREATE OR REPLACE VIEW {name}{view_options(found.options)} AS {query}"]
    old = _width(parse_script(query, "view").statements[0].node)
    if _width(node["query"]["select_stmt"]) != old:
        # OR REPLACE cannot take columns away.
        back = [f"DROP VIEW {name}", *view_again(found, None)]
    return exact(back, "the query that it had", from_catalog=True)


def _width(select: Node) -> int | None:
    """How many columns a query has; None where a star hides it."""
    while "larg" in select:
        select = select["larg"]
    targets = [one["res_target"]["val"] for one in select.get("target_list", ())]
    if any("a_star" in one.get("column_ref", {"fields": [{}]})["fields"][-1] for one in targets):
        return None
    return len(targets)


def trigger(before: Before, node: Node) -> Inverse:
    """CREATE TRIGGER, and OR REPLACE of one that was there."""
    of = before.full(relation_name(node))
    named = quoted(str(node["trigname"]))
    relation = before.table(of) or before.view(of)
    found: Trigger | None = next(
        (one for one in (relation.triggers if relation else ()) if one.name == node["trigname"]),
        None,
    )
    if found is not None:
        old = found.definition.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1)
        return exact([old, *trigger_state(of, found)], "what it did before", from_catalog=True)
    if relation is None and node.get("replace"):
        return none("the catalog of before the statement does not have the table")
    return exact(
        [f"DROP TRIGGER {named} ON {of}"],
        "a trigger has no rows",
        makes=(f"{of}.{named}",),
        from_catalog=bool(node.get("replace")),
    )


def kind(before: Before, node: Node) -> Inverse:
    """CREATE TYPE: enum, range and composite types, and domains."""
    if "typevar" in node:
        name = before.new(relation_name(node["typevar"]))
    else:
        name = before.new(listed_name(node.get("domainname") or node["type_name"]))
    word = "DOMAIN" if "domainname" in node else "TYPE"
    return exact([f"DROP {word} {name}"], "a type has no rows", makes=(str(name),))


def sequence(before: Before, node: Node) -> Inverse:
    """CREATE SEQUENCE."""
    if node["sequence"].get("relpersistence") == "t":
        return nothing("a temporary sequence goes with its session")
    name = before.new(relation_name(node["sequence"]))
    if node.get("if_not_exists") and before.has_relation(name):
        return nothing(_THERE, from_catalog=True)
    return exact(
        [f"DROP SEQUENCE {name}"],
        "what counted with it is elsewhere",
        makes=(str(name),),
        from_catalog=bool(node.get("if_not_exists")),
    )


def schema(before: Before, node: Node) -> Inverse:
    """CREATE SCHEMA, empty."""
    name = node.get("schemaname") or node.get("authrole", {}).get("rolename")
    if not name or node.get("schema_elts"):
        return none("nothing here undoes a CREATE SCHEMA with all that is in it")
    if node.get("if_not_exists"):
        if not before.catalog.schemas:
            return none("the catalog does not say which schemas there were")
        if name in before.catalog.schemas:
            return nothing(_THERE, from_catalog=True)
    named = quoted(str(name))
    return exact([f"DROP SCHEMA {named}"], "an empty schema has no rows", makes=(named,))


def extension(before: Before, node: Node) -> Inverse:
    """CREATE EXTENSION."""
    name = str(node["extname"])
    if node.get("if_not_exists") and name in before.catalog.extensions:
        return nothing(_THERE, from_catalog=True)
    return exact([f"DROP EXTENSION {quoted(name)}"], "nothing uses it yet", makes=(quoted(name),))


def policy(before: Before, node: Node) -> Inverse:
    """CREATE POLICY."""
    of = before.full(relation_name(node["table"]))
    return exact(
        [f"DROP POLICY {quoted(str(node['policy_name']))} ON {of}"], "a policy has no rows"
    )


def rule(before: Before, node: Node) -> Inverse:
    """CREATE RULE."""
    if node.get("replace"):
        return none("the catalog does not say which rule was there")
    of = before.full(relation_name(node))
    return exact([f"DROP RULE {quoted(str(node['rulename']))} ON {of}"], "a rule has no rows")


def statistics(before: Before, node: Node) -> Inverse:
    """CREATE STATISTICS."""
    if node.get("if_not_exists") or not node.get("defnames"):
        return none(
            "the catalog does not say which statistics there were; name them, and "
            "without IF NOT EXISTS"
        )
    name = before.new(listed_name(node["defnames"]))
    return exact([f"DROP STATISTICS {name}"], "they are counted from rows")
