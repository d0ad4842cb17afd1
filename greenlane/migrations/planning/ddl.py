"""A schema as SQL, hand-written or from `pg_dump -s`, as a catalog and the rest of its objects.

Only tables are taken apart. What else there is (views, functions, triggers, types, rights,
comments) is kept as the statement that makes it, under a name that tells whether it is the same.
"""

from collections.abc import Mapping
from typing import Any

from greenlane.migrations.catalog.model import Column, Constraint, Index, Table
from greenlane.migrations.inverting.naming import chosen_name, index_columns, joined
from greenlane.migrations.planning.annotations import comment, grant
from greenlane.migrations.planning.described import Schema
from greenlane.migrations.planning.model import NotPlannable
from greenlane.migrations.planning.objects import key_of, other_key
from greenlane.migrations.sql.names import Name, listed_name, quoted, relation_name
from greenlane.migrations.sql.parsing import (
    Node,
    Statement,
    parse_script,
    sql_of,
    written_expression,
)
from greenlane.migrations.validating.expressions import columns_in
from greenlane.migrations.validating.types import serial_of, type_of

_SKIPPED = ("variable_set_stmt", "select_stmt", "transaction_stmt", "alter_owner_stmt")
_KINDS = {
    "CONSTR_PRIMARY": "primary",
    "CONSTR_UNIQUE": "unique",
    "CONSTR_FOREIGN": "foreign",
    "CONSTR_CHECK": "check",
    "CONSTR_EXCLUSION": "exclusion",
}
_LABELS = {
    "primary": "pkey",
    "unique": "key",
    "foreign": "fkey",
    "check": "check",
    "exclusion": "excl",
}
_OF_COLUMN = (
    "AT_ColumnDefault",
    "AT_SetNotNull",
    "AT_AddIdentity",
    "AT_SetStatistics",
    "AT_SetStorage",
)


def read_schema(text: str, name: str) -> Schema:
    """Take a schema apart.

    Args:
        text: its DDL.
        name: what to call it in errors.

    Raises:
        InvalidSql: it is not SQL.
        NotPlannable: it has a statement that makes nothing, or that is not understood.
    """
    schema = Schema()
    for statement in parse_script(text, name).statements:
        if statement.kind in _SKIPPED:
            continue
        handler = _HANDLERS.get(statement.kind)
        if handler is not None:
            handler(schema, statement)
        else:
            key = other_key(statement)
            if key is None:
                raise NotPlannable(
                    name, statement.text.split("\n")[0], "a schema says what there is, as DDL"
                )
            schema.keep(key, statement)
    return schema


def _create(schema: Schema, statement: Statement) -> None:
    node = statement.node
    key = key_of(relation_name(node))
    if any(one in node for one in ("partspec", "partbound", "inh_relations", "of_typename")):
        schema.keep(f"special table {key}", statement)
        return
    place, _, name = key.rpartition(".")
    schema.tables[key] = Table(schema_name=place, name=name)
    schema.made[key] = [statement]
    for element in node.get("table_elts", ()):
        if "column_def" in element:
            _add_column(schema, key, element["column_def"])
        elif "constraint" in element:
            _add_constraint(schema, key, element["constraint"])
        else:
            raise NotPlannable("table", key, "write its columns out instead of LIKE")


def _add_column(schema: Schema, key: str, node: Node) -> None:
    parts: dict[str, Any] = {"name": str(node["colname"]), "type": str(type_of(node["type_name"]))}
    if serial := serial_of(node["type_name"]):
        sequence = f"{schema.tables[key].name}_{parts['name']}_seq"
        default = f"nextval('{quoted(sequence)}'::regclass)"
        parts |= {"type": serial, "not_null": True, "default": default}
    if "coll_clause" in node:
        parts["collation"] = str(listed_name(node["coll_clause"]["collname"]))
    later = []
    for item in node.get("constraints", ()):
        one = item["constraint"]
        match one["contype"]:
            case "CONSTR_NOTNULL":
                parts["not_null"] = True
            case "CONSTR_NULL" | "CONSTR_ATTR_NOT_DEFERRABLE":
                continue
            case "CONSTR_DEFAULT":
                parts["default"] = written_expression(one["raw_expr"])
            case "CONSTR_IDENTITY":
                how = "always" if one.get("generated_when") == "a" else "by default"
                parts |= {"identity": how, "not_null": True}
            case "CONSTR_GENERATED":
                kind = "virtual" if one.get("generated_kind") == "v" else "stored"
                parts |= {"generated": kind, "expression": written_expression(one["raw_expr"])}
            case _:
                later.append(_on_column(one, parts["name"]))
    table = schema.tables[key]
    schema.tables[key] = table.model_copy(update={"columns": (*table.columns, Column(**parts))})
    for one in later:
        _add_constraint(schema, key, one)


def _on_column(node: Node, column: str) -> Node:
    """A constraint of a column as one of the table."""
    named = [{"string": {"sval": column}}]
    if node["contype"] == "CONSTR_FOREIGN":
        return {**node, "fk_attrs": named}
    return node if node["contype"] == "CONSTR_CHECK" else {**node, "keys": named}


def _add_constraint(schema: Schema, key: str, node: Node) -> None:
    kind = _KINDS.get(str(node["contype"]))
    if kind is None or node.get("indexname"):
        raise NotPlannable("table", key, f"a constraint of kind {node['contype']} is not read")
    table = schema.tables[key]
    columns = _columns(kind, node)
    name = str(node.get("conname") or _chosen(schema, table, kind, columns))
    plain = {field: value for field, value in node.items() if field != "conname"}
    references = None
    if kind == "foreign":
        target = key_of(relation_name(node["pktable"]))
        plain["pktable"] = {**node["pktable"], "schemaname": target.rpartition(".")[0]}
        references = target
    of = Name(table.schema_name, table.name)
    text = _added(of, {**plain, "conname": "x"})
    made = Constraint(
        name=name,
        kind=kind,
        definition=text.partition(" ADD CONSTRAINT x ")[2],
        columns=columns,
        references=references,
        referenced_columns=tuple(str(one["string"]["sval"]) for one in node.get("pk_attrs", ())),
    )
    parts: dict[str, Any] = {"constraints": (*table.constraints, made)}
    if kind in ("primary", "unique"):
        listed = ", ".join(map(quoted, columns))
        definition = f"CREATE UNIQUE INDEX {quoted(name)} ON {of} USING btree ({listed})"
        index = Index(
            name=name,
            definition=definition,
            columns=columns,
            unique=True,
            primary=kind == "primary",
            constraint=name,
        )
        parts["indexes"] = (*table.indexes, index)
    if kind == "primary":
        parts["columns"] = tuple(
            one.model_copy(update={"not_null": True}) if one.name in columns else one
            for one in table.columns
        )
    schema.tables[key] = table.model_copy(update=parts)


def _added(of: Name, constraint: Mapping[str, Any]) -> str:
    command = {
        "subtype": "AT_AddConstraint",
        "def": {"constraint": dict(constraint)},
        "behavior": "DROP_RESTRICT",
    }
    relation = {"schemaname": of.schema, "relname": of.name, "inh": True, "relpersistence": "p"}
    node = {
        "relation": relation,
        "cmds": [{"alter_table_cmd": command}],
        "objtype": "OBJECT_TABLE",
    }
    return sql_of("alter_table_stmt", node)


def _columns(kind: str, node: Node) -> tuple[str, ...]:
    if kind == "check":
        return tuple(sorted(columns_in(node["raw_expr"])))
    if kind == "exclusion":
        items = (one["list"]["items"][0]["index_elem"] for one in node["exclusions"])
        return tuple(str(one["name"]) for one in items if "name" in one)
    listed = node["fk_attrs"] if kind == "foreign" else node["keys"]
    return tuple(str(one["string"]["sval"]) for one in listed)


def _chosen(schema: Schema, table: Table, kind: str, columns: tuple[str, ...]) -> str:
    middle = joined(columns)
    if kind == "primary" or (kind == "check" and len(columns) != 1):
        middle = ""
    taken = {one.name for other in schema.tables.values() for one in other.constraints}
    return chosen_name(table.name, middle, _LABELS[kind], taken)


def _index(schema: Schema, statement: Statement) -> None:
    node = dict(statement.node)
    key = key_of(relation_name(node))
    table = schema.tables.get(key)
    elements = [one["index_elem"] for one in node["index_params"]]
    if table is None:
        schema.keep(f"special index {node.get('idxname', '')} on {key}", statement)
        return
    name = node.get("idxname")
    if name is None:
        columns = index_columns(elements)
        if columns is None:
            raise NotPlannable("index", statement.text, "name the index")
        taken = {one.name for other in schema.tables.values() for one in other.indexes}
        name = chosen_name(table.name, joined(columns), "idx", taken)
    relation = {**node["relation"], "schemaname": table.schema_name}
    node = {
        field: value
        for field, value in (node | {"idxname": name, "relation": relation}).items()
        if field not in ("concurrent", "if_not_exists")
    }
    made = Index(
        name=str(name),
        definition=sql_of("index_stmt", node),
        columns=tuple(str(one["name"]) for one in elements if "name" in one),
        has_expressions=any("expr" in one for one in elements),
        unique=bool(node.get("unique")),
    )
    schema.tables[key] = table.model_copy(update={"indexes": (*table.indexes, made)})
    schema.made[key].append(statement)


def _alter(schema: Schema, statement: Statement) -> None:
    node = statement.node
    key = key_of(relation_name(node))
    for item in node["cmds"]:
        command = item["alter_table_cmd"]
        kind = str(command["subtype"])
        if kind == "AT_ChangeOwner":
            continue
        if key not in schema.tables:
            schema.keep(f"special {statement.text}", statement)
        elif kind == "AT_AddConstraint":
            _add_constraint(schema, key, command["def"]["constraint"])
        elif kind == "AT_AddColumn":
            _add_column(schema, key, command["def"]["column_def"])
        elif kind in _OF_COLUMN:
            _alter_column(schema, key, command)
        else:
            words = sql_of(statement.kind, {**node, "cmds": [item]})
            schema.keep(f"setting {words} on {key}", statement)
            continue
        schema.made.get(key, []).append(statement)


def _alter_column(schema: Schema, key: str, command: Node) -> None:
    """As `pg_dump` gives defaults of sequences and identities, after the table."""
    match command["subtype"]:
        case "AT_ColumnDefault" if "def" in command:
            change: dict[str, Any] = {"default": written_expression(command["def"])}
        case "AT_AddIdentity":
            when = command["def"]["constraint"].get("generated_when")
            change = {"identity": "always" if when == "a" else "by default", "not_null": True}
        case "AT_SetStatistics":
            change = {"statistics": int(command["def"]["integer"].get("ival", 0))}
        case "AT_SetStorage":
            change = {"storage": str(command["def"]["string"]["sval"]).lower()}
        case "AT_SetNotNull":
            change = {"not_null": True}
        case _:
            change = {"default": None}
    schema.update(key, "columns", str(command["name"]), change)


def _enum(schema: Schema, statement: Statement) -> None:
    key = key_of(listed_name(statement.node["type_name"]))
    labels = statement.node.get("vals", ())
    schema.enums[key] = tuple(str(one["string"].get("sval", "")) for one in labels)
    schema.others[f"type {key}"] = statement


_HANDLERS = {
    "create_stmt": _create,
    "index_stmt": _index,
    "alter_table_stmt": _alter,
    "comment_stmt": comment,
    "create_enum_stmt": _enum,
    "grant_stmt": grant,
}
