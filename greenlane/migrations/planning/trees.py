"""Expressions, indexes and constraints of one column, said of another one."""

from collections.abc import Mapping
from typing import Any

from greenlane.migrations.catalog.model import Constraint, Index, Table
from greenlane.migrations.inverting.before import name_of
from greenlane.migrations.inverting.restoring import NOT_VALID
from greenlane.migrations.sql.names import quoted
from greenlane.migrations.sql.parsing import (
    parse_expression,
    parse_script,
    sql_of,
    written_expression,
)
from greenlane.migrations.validating.expressions import columns_in

_NO_EQUALITY = ("json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle")


def renamed(tree: Any, names: Mapping[str, str]) -> Any:
    """A tree in which columns have other names; those of other tables too, if they have these."""
    if isinstance(tree, list):
        return [renamed(one, names) for one in tree]
    if not isinstance(tree, Mapping):
        return tree
    made = {key: renamed(value, names) for key, value in tree.items()}
    if "column_ref" in made:
        *place, last = made["column_ref"]["fields"]
        name = last.get("string", {}).get("sval")
        if name in names:
            last = {"string": {"sval": names[name]}}
            made["column_ref"] = {**made["column_ref"], "fields": [*place, last]}
    return made


def of_row(expression: str, row: str, columns: Mapping[str, str]) -> str:
    """An expression on columns as one on a trigger's row: `name` becomes `new.name`.

    Args:
        expression: as SQL.
        row: `new` or `old`.
        columns: which of its columns, and what each is called there.
    """
    return written_expression(_in_row(parse_expression(expression), row, columns))


def _in_row(tree: Any, row: str, columns: Mapping[str, str]) -> Any:
    if isinstance(tree, list):
        return [_in_row(one, row, columns) for one in tree]
    if not isinstance(tree, Mapping):
        return tree
    made = {key: _in_row(value, row, columns) for key, value in tree.items()}
    if "column_ref" in made:
        name = made["column_ref"]["fields"][-1].get("string", {}).get("sval")
        if name in columns:
            fields = [{"string": {"sval": row}}, {"string": {"sval": columns[name]}}]
            made["column_ref"] = {**made["column_ref"], "fields": fields}
    return made


def index_on(table: Table, index: Index, names: Mapping[str, str], name: str) -> str:
    """The statement that makes the same index on columns of other names, without stopping writes.

    Args:
        table: its table.
        index: what is to be the same.
        names: by what each column is called now.
        name: of the new index.
    """
    node = dict(parse_script(index.definition, index.name).statements[0].node)
    for part in ("index_params", "index_including_params"):
        if part in node:
            node[part] = [_element(one, names) for one in node[part]]
    if "where_clause" in node:
        node["where_clause"] = renamed(node["where_clause"], names)
    concurrent = {"concurrent": True} if table.kind != "partitioned" else {}
    return sql_of("index_stmt", {**node, "idxname": name, **concurrent})


def _element(item: Any, names: Mapping[str, str]) -> Any:
    element = renamed(item["index_elem"], names)
    if element.get("name") in names:
        element = {**element, "name": names[element["name"]]}
    return {"index_elem": element}


def uses(index: Index, column: str) -> bool:
    """Whether an index has anything to do with a column."""
    node = parse_script(index.definition, index.name).statements[0].node
    included = [one["index_elem"].get("name") for one in node.get("index_including_params", ())]
    return column in index.columns or column in included or column in columns_in(node)


def constraint_on(table: Table, constraint: Constraint, names: Mapping[str, str], name: str) -> str:
    """The statement that adds the same CHECK or foreign key, not validated, on other columns."""
    definition = constraint.definition.removesuffix(NOT_VALID)
    text = f"ALTER TABLE {name_of(table)} ADD CONSTRAINT {quoted(name)} {definition}{NOT_VALID}"
    node = parse_script(text, constraint.name).statements[0].node
    command = node["cmds"][0]["alter_table_cmd"]
    made = dict(command["def"]["constraint"])
    if "raw_expr" in made:
        made["raw_expr"] = renamed(made["raw_expr"], names)
    if "fk_attrs" in made:
        made["fk_attrs"] = [
            {"string": {"sval": names.get(one["string"]["sval"], one["string"]["sval"])}}
            for one in made["fk_attrs"]
        ]
    altered = {**command, "def": {"constraint": made}}
    return sql_of("alter_table_stmt", {**node, "cmds": [{"alter_table_cmd": altered}]})


def differs(one: str, other: str, kind: str) -> str:
    """`IS DISTINCT FROM`, for types without equality too."""
    if kind.split("(")[0] in _NO_EQUALITY:
        return f"({one})::text IS DISTINCT FROM ({other})::text"
    return f"{one} IS DISTINCT FROM {other}"
