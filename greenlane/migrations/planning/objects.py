"""Objects of a schema that are no tables: under which name each is compared."""

from greenlane.migrations.sql.names import Name, listed_name, relation_name
from greenlane.migrations.sql.parsing import Statement, sql_of
from greenlane.migrations.validating.types import type_of


def key_of(name: Name) -> str:
    """`schema.name`; without a schema it is in `public`."""
    return f"{name.schema or 'public'}.{name.name}"


def other_key(statement: Statement) -> str | None:
    """What a statement makes, so that two schemas can be compared by it."""
    node = statement.node
    match statement.kind:
        case "create_schema_stmt":
            return f"schema {node.get('schemaname', '')}"
        case "create_extension_stmt":
            return f"extension {node['extname']}"
        case "view_stmt":
            return f"view {key_of(relation_name(node['view']))}"
        case "create_table_as_stmt" if node.get("objtype") == "OBJECT_MATVIEW":
            return f"materialized {key_of(relation_name(node['into']['rel']))}"
        case "create_function_stmt":
            taken = [
                str(type_of(one["function_parameter"]["arg_type"]))
                for one in node.get("parameters", ())
                if one["function_parameter"]["mode"] not in ("FUNC_PARAM_OUT", "FUNC_PARAM_TABLE")
            ]
            return f"function {key_of(listed_name(node['funcname']))}({', '.join(taken)})"
        case "create_trig_stmt":
            return f"trigger {node['trigname']} on {key_of(relation_name(node))}"
        case "create_policy_stmt":
            return f"policy {node['policy_name']} on {key_of(relation_name(node['table']))}"
        case "create_domain_stmt":
            return f"domain {key_of(listed_name(node['domainname']))}"
        case "composite_type_stmt":
            return f"type {key_of(relation_name(node['typevar']))}"
        case "create_seq_stmt":
            return f"sequence {key_of(relation_name(node['sequence']))}"
        case "alter_seq_stmt" | "grant_stmt" | "comment_stmt" | "create_stats_stmt" | "rule_stmt":
            return _setting_key(statement)
        case _:
            return None


def _setting_key(statement: Statement) -> str:
    """Of what has no name of its own: for a comment its object, else all that it says."""
    if statement.kind == "comment_stmt":
        node = {**statement.node, "comment": "x"}
        return f"comment {sql_of(statement.kind, node)}"
    return f"setting {sql_of(statement.kind, statement.node)}"
