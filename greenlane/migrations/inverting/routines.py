"""Functions and procedures: which one a statement means, and how it comes back."""

from collections.abc import Iterable

from greenlane.migrations.catalog.model import Function
from greenlane.migrations.inverting.before import Before
from greenlane.migrations.inverting.model import Inverse, exact, none, nothing
from greenlane.migrations.inverting.restoring import function_again, routine
from greenlane.migrations.sql.names import Name, listed_name
from greenlane.migrations.sql.parsing import Node, parse_script
from greenlane.migrations.validating.types import TypeName, is_builtin, type_of

_INPUT = ("FUNC_PARAM_DEFAULT", "FUNC_PARAM_IN", "FUNC_PARAM_INOUT", "FUNC_PARAM_VARIADIC")


def create(before: Before, node: Node) -> Inverse:
    """CREATE FUNCTION and CREATE PROCEDURE."""
    name = before.new(listed_name(node["funcname"]))
    parameters = [one["function_parameter"] for one in node.get("parameters", ())]
    types = [type_of(one["arg_type"]) for one in parameters if one["mode"] in _INPUT]
    found = find(before, name, types)
    if found is None:
        target = f"{name}({', '.join(written_type(one) for one in types)})"
        return exact(
            [f"DROP ROUTINE {target}"],
            "a function has no rows",
            makes=(target,),
            from_catalog=bool(node.get("replace")),
        )
    if not found.definition:
        return none("the catalog of before the statement does not have its old body")
    if _defaults(parameters) <= _defaults(_parameters(found.definition)):
        return exact([found.definition.strip()], "the body that it had", from_catalog=True)
    # CREATE OR REPLACE cannot take a default away.
    back = [f"DROP ROUTINE {routine(found)}", *function_again(found)]
    return exact(back, "the function that it was", from_catalog=True)


def _defaults(parameters: Iterable[Node]) -> int:
    return sum("defexpr" in one for one in parameters)


def alter(before: Before, node: Node) -> Inverse:
    """ALTER FUNCTION of its own options."""
    found = named(before, node["func"])
    if found is None or not found.definition:
        return none("the catalog of before the statement does not have the function")
    return exact([found.definition.strip()], "the options that it had", from_catalog=True)


def drop(before: Before, item: Node, missing_ok: bool) -> Inverse:
    """DROP FUNCTION, PROCEDURE and ROUTINE of one object."""
    found = named(before, item["object_with_args"])
    if found is None and missing_ok:
        return nothing("there was no such function", from_catalog=True)
    if found is None or not found.definition:
        return none("the catalog of before the statement does not have its body")
    return exact(function_again(found), "its body, rights and comment are known", from_catalog=True)


def set_comment(before: Before, item: Node) -> tuple[str, str | None] | None:
    """How a statement names it, and the comment that it had; None if it is not known."""
    found = named(before, item["object_with_args"])
    return None if found is None else (routine(found), found.comment)


def named(before: Before, item: Node) -> Function | None:
    """The one that an `object_with_args` names, if it is known and only one."""
    name = listed_name(item["objname"])
    if item.get("args_unspecified"):
        several = overloads(before, name)
        return several[0] if len(several) == 1 else None
    return find(before, name, [type_of(one["type_name"]) for one in item.get("objargs", ())])


def overloads(before: Before, name: Name) -> tuple[Function, ...]:
    """All functions of that name in the first schema that has one."""
    for schema in (name.schema,) if name.schema else before.catalog.search_path:
        if found := before.catalog.functions.get(f"{schema}.{name.name}"):
            return found
    return ()


def find(before: Before, name: Name, types: list[TypeName]) -> Function | None:
    """The overload that takes these types."""
    for one in overloads(before, name):
        header = f"CREATE FUNCTION f({one.arguments}) RETURNS integer LANGUAGE sql AS ''"
        takes = [
            type_of(parameter["arg_type"])
            for parameter in _parameters(header)
            if parameter["mode"] in _INPUT
        ]
        if len(takes) == len(types) and all(map(_same, takes, types)):
            return one
    return None


def _parameters(definition: str) -> list[Node]:
    node = parse_script(definition, "function").statements[0].node
    return [one["function_parameter"] for one in node.get("parameters", ())]


def _same(one: TypeName, other: TypeName) -> bool:
    schemas = {one.schema, other.schema} - {None}
    return (one.base, one.array) == (other.base, other.array) and len(schemas) < 2


def written_type(one: TypeName) -> str:
    """The type as SQL names it."""
    if is_builtin(one):
        return str(one._replace(modifiers=()))
    return f"{Name(one.schema, one.base)}{'[]' if one.array else ''}"
