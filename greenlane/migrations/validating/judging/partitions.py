"""Partitions that come and go, and inheritance."""

from typing import Any

from greenlane.migrations.sql.names import Name, relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.expressions import columns_in, is_constant
from greenlane.migrations.validating.judging.change import Change
from greenlane.migrations.validating.model import LockMode
from greenlane.migrations.validating.verdict import Verdict
from greenlane.migrations.validating.world import World


def attach(change: Change) -> None:
    """ATTACH PARTITION: rows are checked unless the table is empty or a CHECK proves them."""
    verdict, parent = change.verdict, change.key
    command = change.detail("partition_cmd")
    key = verdict.key(relation_name(command["name"]))
    table = verdict.world.table(key)
    verdict.lock(key, LockMode.ACCESS_EXCLUSIVE, family=True)
    if not _bounds_proven(change, key, command.get("bound", {})):
        verdict.guess(key)
        verdict.scan(key, family=True)
        verdict.find("attach-partition-scan", key, cost=verdict.reading(key))
    check_default(verdict, parent, key, command.get("bound", {}))
    for reference in table.constraints:
        if reference.kind == "foreign" and reference.references:
            verdict.lock(reference.references, LockMode.SHARE_ROW_EXCLUSIVE)
    _adopt(verdict, parent, key, default=bool(command.get("bound", {}).get("is_default")))


def _adopt(verdict: Verdict, parent: str, key: str, *, default: bool) -> None:
    world = verdict.world
    bound = "DEFAULT" if default else "given"
    world.change(key, parent=parent, bound=bound)
    if key not in world.table(parent).partitions:
        world.change(parent, partitions=(*world.table(parent).partitions, key))


def _bounds_proven(change: Change, key: str, bound: Node) -> bool:
    """Whether validated CHECKs and NOT NULL say what the bounds say, so that nothing is read.

    Of a key of one column only; a proof for others is not looked for.
    """
    partitioning = plain_key(change.table.partition_key)
    if partitioning is None:
        return False
    strategy, column = partitioning
    known = change.world.column(key, column)
    if not (known is not None and known.not_null) and not change.world.proves(key, column):
        return False
    facts: dict[str, list[set[str]]] = {}
    for one in change.world.table(key).constraints:
        if one.kind == "check" and one.validated:
            _collect(change.world.check(key, one), column, facts)
    if strategy == "LIST":
        allowed = _constants(bound.get("listdatums", ()))
        return any(one <= allowed for one in facts.get("=", ()))
    lower, upper = (_constants(bound.get(f"{end}datums", ())) for end in ("lower", "upper"))
    return (not lower or lower in facts.get(">=", ())) and (
        not upper or upper in facts.get("<", ())
    )


def plain_key(printed: str | None) -> tuple[str, str] | None:
    """Strategy and column of a partition key of one plain column, such as `RANGE (at)`."""
    if printed is None:
        return None
    strategy, _, rest = printed.partition(" (")
    column = rest.removesuffix(")").strip('"')
    plain = strategy in ("RANGE", "LIST") and not set(column) & set("(), ")
    return (strategy, column) if plain else None


def _collect(tree: Any, column: str, facts: dict[str, list[set[str]]]) -> None:
    """Comparisons of the column with constants that hold for every row, by operator."""
    if not isinstance(tree, dict):
        return
    joined = tree.get("bool_expr", {})
    if joined.get("boolop") == "AND_EXPR":
        for one in joined["args"]:
            _collect(one, column, facts)
    test = tree.get("a_expr", {})
    if columns_in(test.get("lexpr", {})) == {column} and is_constant(test.get("rexpr", {})):
        operator = str(test["name"][0].get("string", {}).get("sval", ""))
        facts.setdefault(operator, []).append(_constants(test["rexpr"]))


def _constants(tree: Any) -> set[str]:
    """The constants in a tree, as text, without the times of day that printing adds."""
    found = set()
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "a_const" in one:
                found.add(_text(one["a_const"]))
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return found


def _text(constant: Node) -> str:
    if "ival" in constant:
        return str(constant["ival"].get("ival", 0))
    for kind, part in (("sval", "sval"), ("fval", "fval")):
        if kind in constant:
            text = str(constant[kind].get(part, ""))
            for tail in ("+00", " 00:00:00"):
                text = text.removesuffix(tail)
            return text
    return ""


def check_default(verdict: Verdict, parent: str, key: str, bound: Node) -> None:
    """A default partition is searched for rows that belong to the new one."""
    other = default_of(verdict.world, parent)
    verdict.guess(parent)
    if other is None or other == key:
        return
    verdict.lock(other, LockMode.ACCESS_EXCLUSIVE)
    if not _default_excludes(verdict.world, parent, other, bound):
        verdict.scan(other)
        verdict.find("default-partition-scan", other, cost=verdict.reading(other))


def default_of(world: World, parent: str) -> str | None:
    """The default partition of a table, if it is known to have one."""
    for other in world.table(parent).partitions:
        known = world.tables.get(other)
        if known is not None and known.bound == "DEFAULT":
            return other
    return None


def _default_excludes(world: World, parent: str, default: str, bound: Node) -> bool:
    """Whether a validated CHECK of the default partition shuts the new one's rows out."""
    partitioning = plain_key(world.table(parent).partition_key)
    return partitioning is not None and any(
        _excludes(world.check(default, one), *partitioning, bound)
        for one in world.table(default).constraints
        if one.kind == "check" and one.validated
    )


def _excludes(tree: Any, strategy: str, column: str, bound: Node) -> bool:
    if not isinstance(tree, dict):
        return False
    joined = tree.get("bool_expr", {})
    if joined.get("boolop") == "AND_EXPR":
        return any(_excludes(one, strategy, column, bound) for one in joined["args"])
    if joined.get("boolop") == "OR_EXPR":
        return all(
            _is_null(one, column) or _excludes(one, strategy, column, bound)
            for one in joined["args"]
        )
    facts: dict[str, list[set[str]]] = {}
    _collect(tree, column, facts)
    if strategy == "LIST":
        unwanted = _constants(bound.get("listdatums", ()))
        return any(unwanted <= one for one in facts.get("<>", ()))
    lower, upper = (_constants(bound.get(f"{end}datums", ())) for end in ("lower", "upper"))
    return lower in facts.get("<", ()) or upper in facts.get(">=", ())


def _is_null(tree: Any, column: str) -> bool:
    test = tree.get("null_test", {})
    return test.get("nulltesttype") == "IS_NULL" and columns_in(test.get("arg", {})) == {column}


def detach(change: Change) -> None:
    """DETACH PARTITION: its rows are gone from the partitioned table."""
    verdict, parent = change.verdict, change.key
    command = change.detail("partition_cmd")
    key = verdict.key(relation_name(command["name"]))
    verdict.world.table(key)
    if verdict.world.in_use(parent):
        verdict.needs("contract")
    if command.get("concurrent"):
        verdict.alone()
        if default_of(verdict.world, parent) is not None:
            what = "DETACH PARTITION CONCURRENTLY beside a default partition, which fails"
            way = "detach the default partition first, each without CONCURRENTLY"
            verdict.find("detach-not-concurrent", parent, what=what, safe_form=way)
        # In its second transaction, when nobody reads the partition by way of its parent.
        verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    else:
        verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
        for other in verdict.world.table(parent).partitions:
            if verdict.world.table(other).bound == "DEFAULT":
                verdict.lock(other, LockMode.ACCESS_EXCLUSIVE)
        verdict.find("detach-not-concurrent", parent)
    finalized(verdict, parent, key)


def finalize(change: Change) -> None:
    """DETACH PARTITION ... FINALIZE: ends a DETACH CONCURRENTLY that was broken off."""
    key = change.verdict.key(relation_name(change.detail("partition_cmd")["name"]))
    change.verdict.lock(key, LockMode.ACCESS_EXCLUSIVE)
    finalized(change.verdict, change.key, key)


def finalized(verdict: Verdict, parent: str, key: str) -> None:
    """The table is no partition any more."""
    rest = tuple(one for one in verdict.world.table(parent).partitions if one != key)
    verdict.world.change(parent, partitions=rest)
    verdict.world.change(key, parent=None, bound=None)


def attach_index(verdict: Verdict, name: Name, command: Node) -> None:
    """ALTER INDEX ... ATTACH PARTITION: the tables are read-locked, both indexes strongly."""
    partition = command["def"]["partition_cmd"]["name"]
    for one in (name, relation_name(partition)):
        found = verdict.world.index_of(one)
        if found is None:
            verdict.certain = False
        else:
            verdict.lock(found[0], LockMode.ACCESS_SHARE)


def inherit(change: Change) -> None:
    """INHERIT: readers of the parent see the child's rows from then on."""
    parent = change.verdict.key(relation_name(change.detail("range_var")))
    change.world.table(parent)
    change.verdict.lock(parent, LockMode.SHARE_UPDATE_EXCLUSIVE)


def disinherit(change: Change) -> None:
    """NO INHERIT: readers of the parent miss the child's rows from then on."""
    parent = change.verdict.key(relation_name(change.detail("range_var")))
    change.world.table(parent)
    change.verdict.lock(parent, LockMode.ACCESS_SHARE)
    if change.world.in_use(parent):
        change.verdict.needs("contract")
    change.verdict.find("drop-object", parent, what=f"NO INHERIT of {change.key}")
