"""Where items of a table lie, and what a query asks of keys."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.expressions import (
    Attributes,
    Binary,
    Call,
    Condition,
    Joined,
    Literal,
    Parsed,
    Path,
    Refusal,
    Value,
)
from tests.table_values import check_value

Place = tuple[str, str]
Names = Mapping[str, str]
Values = Mapping[str, Value]


def place_in(item: Attributes) -> Place:
    """Where an item lies: its key, which must be whole."""
    match item:
        case {"pk": {"S": str(pk), **more}, "sk": {"S": str(sk), **also}} if pk and sk:
            if not more and not also:
                return pk, sk
    for name in ("pk", "sk"):
        if name not in item:
            raise Refusal(f"Missing the key {name} in the item")
        check_value(item[name])
        if "S" not in item[name]:
            raise Refusal(f"Type mismatch for key {name} expected: S")
        if not item[name]["S"]:
            raise Refusal(f"A key attribute cannot contain an empty string value. Key: {name}")
    return item["pk"]["S"], item["sk"]["S"]


def place_of(key: Attributes) -> Place:
    if key.keys() != {"pk", "sk"}:
        raise Refusal("The provided key element does not match the schema")
    return place_in(key)


def check_placeholders(
    expressions: Sequence[Parsed], names: Names | None, values: Values | None
) -> None:
    used = {token for expression in expressions for token in expression.used}
    for given, parameter, sign in (
        (names, "ExpressionAttributeNames", "#"),
        (values, "ExpressionAttributeValues", ":"),
    ):
        if given is not None and not given:
            raise Refusal(f"{parameter} must not be empty")
        defined = set(given or ())
        wanted = {token for token in used if token.startswith(sign)}
        if wanted - defined:
            raise Refusal(f"{parameter}: used but not defined: {sorted(wanted - defined)}")
        if defined - wanted:
            unused = ", ".join(sorted(defined - wanted))
            raise Refusal(
                f"Value provided in {parameter} unused in expressions: keys: {{{unused}}}"
            )
    for value in (values or {}).values():
        check_value(value)


def partition_asked(tree: Condition, names: Names, values: Values) -> Any:
    """The `pk` that a query names; it may narrow down `sk`, and nothing else can be asked."""
    parts = tree.parts if isinstance(tree, Joined) and tree.word == "AND" else (tree,)
    asked: dict[str, str] = {}
    partition: Value = {}
    for part in parts:
        match part:
            case Binary(sign, Path(token), Literal(value)) if sign != "<>":
                asked[names.get(token, token)] = sign
                if names.get(token, token) == "pk":
                    partition = values[value]
            case Call(function, (Path(token), Literal())):
                asked[names.get(token, token)] = function
            case _:
                raise Refusal("Query key condition not supported")
    if asked.get("pk") != "=" or len(asked) != len(parts) or asked.keys() - {"pk", "sk"}:
        raise Refusal(f"Query key condition not supported: {asked}")
    return partition.get("S")
