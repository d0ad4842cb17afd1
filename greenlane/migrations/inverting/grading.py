"""One statement to its inverse, before it runs."""

from collections.abc import Callable, Iterable, Mapping

from greenlane.migrations.catalog.model import Catalog
from greenlane.migrations.inverting import (
    going,
    making,
    renaming,
    rights,
    routines,
    rows,
)
from greenlane.migrations.inverting.altering import alter_table
from greenlane.migrations.inverting.before import Before
from greenlane.migrations.inverting.model import Inverse, covered, exact, none, nothing
from greenlane.migrations.sql.names import listed_name, literal, relation_name
from greenlane.migrations.sql.parsing import Node, Script, Statement
from greenlane.migrations.validating.expressions import nodes


def grade_inverse(
    statement: Statement, catalog_before: Catalog, *, made: Iterable[str] = ()
) -> Inverse:
    """Say how a statement can be undone, and what that would lose.

    Args:
        statement: what is about to run.
        catalog_before: of the whole database, read right before; one that was read for some
            tables only would hide names that are in use.
        made: `Inverse.makes` of the statements of the same plan that ran before.
    """
    before = Before(catalog_before, frozenset(made))
    handler = _HANDLERS.get(statement.kind)
    if handler is None:
        word = statement.kind.removesuffix("_stmt").replace("_", " ").upper()
        return none(f"nothing here undoes {word}")
    found = handler(before, statement.node)
    if found.grade == "none" and (new := _foreseen(before, statement)):
        return covered(new, "the plan itself makes what it changes")
    return found


def _foreseen(before: Before, statement: Statement) -> list[str]:
    """Tables that it is about, if all are the plan's own and not there yet: the plan is not run."""
    tables = [relation_name(one) for one in nodes(statement.node, "range_var")]
    if "relation" in statement.node:
        tables.append(relation_name(statement.node))
    full = [before.full(one) for one in tables]
    own = all(str(one) in before.made and before.table(one) is None for one in full)
    return [str(one) for one in full] if own else []


def foresee_inverses(scripts: Iterable[Script], catalog: Catalog) -> tuple[Inverse, ...]:
    """The inverse of each statement of a plan that has not begun, as far as it can be known.

    What a statement changes of what an earlier one made is taken to go with it. When the plan
    runs, each statement's inverse is made anew from the catalog of that moment.

    Args:
        scripts: in their order.
        catalog: of now.
    """
    made: list[str] = []
    found = []
    for script in scripts:
        for statement in script.statements:
            inverse = grade_inverse(statement, catalog, made=made)
            made += inverse.makes
            found.append(inverse)
    return tuple(found)


def _upkeep(before: Before, node: Node) -> Inverse:
    return nothing("it changes neither schema nor data")


def _cluster(before: Before, node: Node) -> Inverse:
    table = before.table(relation_name(node)) if "relation" in node else None
    if table is None:
        return none("nothing here undoes a CLUSTER of all tables")
    if any(one.clustered for one in table.indexes) or not node.get("indexname"):
        return nothing("the order of rows has no meaning")
    back = [f"ALTER TABLE {before.full(relation_name(node))} SET WITHOUT CLUSTER"]
    return exact(back, "the order of rows has no meaning", from_catalog=True)


def _change_enum(before: Before, node: Node) -> Inverse:
    name = listed_name(node["type_name"])
    if node.get("old_val"):
        old, new = literal(str(node["old_val"])), literal(str(node["new_val"]))
        return exact([f"ALTER TYPE {name} RENAME VALUE {new} TO {old}"], "a label has no rows")
    for schema in (name.schema,) if name.schema else before.catalog.search_path:
        found = before.catalog.types.get(f"{schema}.{name.name}")
        if found and node["new_val"] in found.labels and node.get("skip_if_new_val_exists"):
            return nothing("it had the label", from_catalog=True)
    return none("PostgreSQL takes no label away from an enum")


def _write(kind: str) -> Callable[[Before, Node], Inverse]:
    return lambda before, node: rows.write(before, kind, node)


_HANDLERS: Mapping[str, Callable[[Before, Node], Inverse]] = {
    **dict.fromkeys(
        (
            "check_point_stmt",
            "discard_stmt",
            "listen_stmt",
            "lock_stmt",
            "notify_stmt",
            "refresh_mat_view_stmt",
            "reindex_stmt",
            "transaction_stmt",
            "unlisten_stmt",
            "vacuum_stmt",
            "variable_set_stmt",
            "variable_show_stmt",
        ),
        _upkeep,
    ),
    **{kind: _write(kind) for kind in ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")},
    "alter_enum_stmt": _change_enum,
    "alter_function_stmt": routines.alter,
    "alter_object_schema_stmt": renaming.set_schema,
    "alter_table_stmt": alter_table,
    "cluster_stmt": _cluster,
    "comment_stmt": rights.comment,
    "composite_type_stmt": making.kind,
    "copy_stmt": rows.copy,
    "create_domain_stmt": making.kind,
    "create_enum_stmt": making.kind,
    "create_extension_stmt": making.extension,
    "create_foreign_table_stmt": making.foreign_table,
    "create_function_stmt": routines.create,
    "create_policy_stmt": making.policy,
    "create_range_stmt": making.kind,
    "create_schema_stmt": making.schema,
    "create_seq_stmt": making.sequence,
    "create_stats_stmt": making.statistics,
    "create_stmt": making.table,
    "create_table_as_stmt": making.table_as,
    "create_trig_stmt": making.trigger,
    "drop_stmt": going.drop,
    "grant_stmt": rights.grant,
    "index_stmt": making.index,
    "rename_stmt": renaming.rename,
    "rule_stmt": making.rule,
    "select_stmt": rows.select,
    "truncate_stmt": rows.truncate,
    "view_stmt": making.view,
}
