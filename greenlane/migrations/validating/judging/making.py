"""CREATE TABLE, INDEX, VIEW, TRIGGER and what else makes something beside a table in use."""

from typing import Any

from greenlane.migrations.catalog.model import Column, Index, Table, View
from greenlane.migrations.sql.names import Name, relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.expressions import columns_in
from greenlane.migrations.validating.judging import columns as columns_module
from greenlane.migrations.validating.judging import constraints, partitions
from greenlane.migrations.validating.judging.rows import reads
from greenlane.migrations.validating.model import LockMode
from greenlane.migrations.validating.verdict import Verdict


def table(verdict: Verdict, node: Node) -> None:
    """CREATE TABLE: new, but a foreign key, INHERITS or PARTITION OF reaches others."""
    name = relation_name(node)
    key = verdict.key(name)
    if _exists(verdict, key, node, "CREATE TABLE"):
        return
    elements = node.get("table_elts", ())
    made = Table(
        schema_name=key.rpartition(".")[0],
        name=name.name,
        kind="partitioned" if "partspec" in node else "table",
        partition_key=_partition_key(node.get("partspec")),
        columns=tuple(_columns(verdict, elements)),
    )
    verdict.world.make(made, key)
    for element in elements:
        column = element.get("column_def")
        inline = column.get("constraints", ()) if column else ()
        for one in [*(item["constraint"] for item in inline), element.get("constraint")]:
            if one is not None:
                _table_constraint(verdict, key, one, column)
    for one in node.get("inh_relations", ()):
        _parent(verdict, key, verdict.key(relation_name(one["range_var"])), node.get("partbound"))


def _partition_key(node: Node | None) -> str | None:
    if node is None:
        return None
    strategy = str(node.get("strategy", "")).removeprefix("PARTITION_STRATEGY_")
    elements = [one["partition_elem"] for one in node.get("part_params", ())]
    return f"{strategy} ({', '.join(str(one.get('name', '(expression)')) for one in elements)})"


def _columns(verdict: Verdict, elements: Any) -> list[Column]:
    found = []
    for element in elements:
        if "column_def" in element:
            found.append(columns_module.described(element["column_def"]))
        elif "table_like_clause" in element:
            key = verdict.key(relation_name(element["table_like_clause"]))
            verdict.lock(key, LockMode.ACCESS_SHARE)
            found.extend(verdict.world.table(key).columns)
    return found


def _table_constraint(verdict: Verdict, key: str, node: Node, column: Node | None) -> None:
    kind = constraints.kind_of(node)
    if kind not in ("CHECK", "FOREIGN", "UNIQUE", "PRIMARY", "EXCLUSION"):
        return
    target = None
    if kind == "FOREIGN":
        target = verdict.key(relation_name(node["pktable"]))
        verdict.world.table(target)
        verdict.lock(target, LockMode.SHARE_ROW_EXCLUSIVE, family=True)
    world = verdict.world
    if column is not None:
        own = [{"string": {"sval": str(column["colname"])}}]
        node = {**node, "fk_attrs" if kind == "FOREIGN" else "keys": own}
    made = constraints.described(node, world.table(key).name, target)
    world.add_constraint(key, made)
    if kind == "CHECK":
        world.checks[key, made.name] = node.get("raw_expr", {})
    if kind in ("PRIMARY", "UNIQUE"):
        index = Index(
            name=made.name,
            definition="",
            columns=made.columns,
            unique=True,
            primary=kind == "PRIMARY",
            constraint=made.name,
        )
        world.add_index(key, index)
    if kind == "PRIMARY":
        for name in made.columns:
            world.alter_column(key, name, not_null=True)


def _parent(verdict: Verdict, key: str, parent: str, bound: Node | None) -> None:
    """A partition locks its parent for an instant; a child by INHERITS leaves writers alone."""
    world = verdict.world
    table = world.table(parent)
    if bound is None:
        verdict.lock(parent, LockMode.SHARE_UPDATE_EXCLUSIVE)
        world.change(key, columns=(*table.columns, *world.table(key).columns))
        return
    verdict.lock(parent, LockMode.ACCESS_EXCLUSIVE)
    if world.known(parent):
        verdict.find("partition-of", parent)
    else:
        what = "CREATE TABLE ... PARTITION OF, where a default partition may be searched"
        verdict.find("partition-of", parent, what=what, severity="block")
    partitions.check_default(verdict, parent, key, bound)
    for one in table.constraints:
        if one.kind == "foreign" and one.references:
            verdict.lock(one.references, LockMode.SHARE_ROW_EXCLUSIVE)
    world.change(
        key,
        columns=table.columns,
        indexes=table.indexes,
        constraints=table.constraints,
        parent=parent,
        bound="DEFAULT" if bound.get("is_default") else "given",
    )
    world.change(parent, partitions=(*table.partitions, key))


def _exists(verdict: Verdict, key: str, node: Node, what: str) -> bool:
    """Whether there is such a table already, so that nothing is made."""
    world = verdict.world
    there = key in world.tables or key in world.views
    if node.get("if_not_exists"):
        verdict.find("exists-check", what=f"{what} IF NOT EXISTS {key}")
        return there
    if there and world.known(key) and world.catalog is not None:
        verdict.find("already-there", key, what=f"{what} {key}, which is there")
        return True
    return False


def table_as(verdict: Verdict, node: Node) -> None:
    """CREATE TABLE AS and CREATE MATERIALIZED VIEW: a long read that blocks nobody."""
    name = relation_name(node["into"]["rel"])
    key = verdict.key(name)
    materialized = node.get("objtype") == "OBJECT_MATVIEW"
    what = "CREATE MATERIALIZED VIEW" if materialized else "CREATE TABLE AS"
    reads(verdict, node["query"])
    if _exists(verdict, key, node, what):
        return
    if not node["into"].get("skip_data") and verdict.locks:
        verdict.find("insert-many-rows", what=what, severity="info")
    kind = "materialized" if materialized else "table"
    schema = key.rpartition(".")[0]
    made = Table.model_validate({"schema_name": schema, "name": name.name, "kind": kind})
    verdict.world.make(made, key)


def view(verdict: Verdict, node: Node) -> None:
    """CREATE VIEW; with OR REPLACE its readers get the new query at once."""
    name = relation_name(node["view"])
    key = verdict.key(name)
    reads(verdict, node["query"])
    world = verdict.world
    there = key in world.views
    if node.get("replace"):
        if world.catalog is None and key not in world.fresh:
            verdict.guess()
        if (there or world.catalog is None) and world.in_use(key):
            verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
            verdict.find("replaces-code", key, what=f"CREATE OR REPLACE VIEW {key}")
    elif there and world.catalog is not None:
        verdict.find("already-there", key, what=f"CREATE VIEW {key}, which is there")
    if not there:
        schema = key.rpartition(".")[0]
        world.views[key] = View(schema_name=schema, name=name.name, definition="")
        world.fresh.add(key)
        world.unused.add(key)


def index(verdict: Verdict, node: Node) -> None:
    """CREATE INDEX: writers wait, unless it is built CONCURRENTLY."""
    key = verdict.key(relation_name(node))
    table = verdict.world.table(key)
    concurrent = bool(node.get("concurrent"))
    made = _described(node, table.name)
    there = [one for one in table.indexes if one.name == made.name]
    if concurrent:
        verdict.alone()
        # The runner takes one away that an earlier attempt left.
        there = [one for one in there if one.valid]
    if node.get("if_not_exists"):
        if concurrent:
            verdict.find("concurrent-index-if-not-exists", key)
        else:
            verdict.find("exists-check", key, what="CREATE INDEX IF NOT EXISTS")
        if there:
            verdict.lock(key, LockMode.SHARE_UPDATE_EXCLUSIVE if concurrent else LockMode.SHARE)
            return
        verdict.guess(key)
    elif there:
        verdict.find("already-there", key, what=f"CREATE INDEX {made.name}, which is there")
        return
    recurses = bool(node["relation"].get("inh"))
    if concurrent:
        verdict.lock(key, LockMode.SHARE_UPDATE_EXCLUSIVE)
        verdict.scan(key)
    elif table.kind == "partitioned" and not recurses:
        verdict.lock(key, LockMode.SHARE)  # the index of the parent alone has no rows
    else:
        if not recurses:
            verdict.guess(key)
        verdict.lock(key, LockMode.SHARE, family=recurses)
        verdict.scan(key, family=recurses)
        verdict.find("index-not-concurrent", key, cost=verdict.reading(key))
    if made.unique:
        verdict.find("constraint-on-writes", key, what=f"a unique index {made.name}")
    verdict.world.add_index(key, made)


def _described(node: Node, table: str) -> Index:
    elements = [one["index_elem"] for one in node.get("index_params", ())]
    plain = tuple(str(one["name"]) for one in elements if "name" in one)
    name = str(node.get("idxname") or "_".join((table, *(plain or ("expr",)), "idx")))
    where = node.get("where_clause")
    used = columns_in(where) if where is not None else set()
    used |= {column for one in elements for column in columns_in(one.get("expr", {}))}
    return Index(
        name=name,
        definition=f"CREATE INDEX USING ({' '.join(sorted(used))})",
        columns=plain,
        has_expressions=any("expr" in one for one in elements),
        unique=bool(node.get("unique")),
        predicate="given" if where is not None else None,
    )


def trigger(verdict: Verdict, node: Node) -> None:
    """CREATE TRIGGER: an instant, and then part of every write."""
    key = verdict.key(relation_name(node))
    verdict.world.table(key)
    verdict.lock(key, LockMode.SHARE_ROW_EXCLUSIVE, family=bool(node.get("row")))
    if "constrrel" in node:
        verdict.lock(verdict.key(relation_name(node["constrrel"])), LockMode.ACCESS_SHARE)
    verdict.find("trigger-on-writes", key)


def rule(verdict: Verdict, node: Node) -> None:
    """CREATE RULE: statements of every version are rewritten from then on."""
    key = verdict.key(relation_name(node))
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    if verdict.world.in_use(key):
        verdict.needs("contract")
    verdict.find("replaces-code", key, what=f"CREATE RULE on {key}")


def statistics(verdict: Verdict, node: Node) -> None:
    """CREATE STATISTICS: ANALYZE fills it later."""
    for one in node.get("relations", ()):
        verdict.lock(verdict.key(relation_name(one["range_var"])), LockMode.SHARE_UPDATE_EXCLUSIVE)


def policy(verdict: Verdict, node: Node) -> None:
    """CREATE POLICY: one that permits adds rows, one that restricts takes them away."""
    key = verdict.key(Name(node["table"].get("schemaname"), str(node["table"]["relname"])))
    verdict.world.table(key)
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    if not node.get("permissive"):
        if verdict.world.in_use(key):
            verdict.needs("contract")
        verdict.find("row-security", key, what="a restrictive policy")


def change_policy(verdict: Verdict, node: Node) -> None:
    """ALTER POLICY: which rows it takes away is not told."""
    key = verdict.key(Name(node["table"].get("schemaname"), str(node["table"]["relname"])))
    verdict.world.table(key)
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    if verdict.world.in_use(key):
        verdict.needs("contract")
    verdict.find("row-security", key, what="ALTER POLICY")


def foreign_table(verdict: Verdict, node: Node) -> None:
    """CREATE FOREIGN TABLE."""
    table(verdict, node["base_stmt"])
