"""ALTER TABLE: columns that come, go and change."""

from typing import Any

from greenlane.migrations.catalog.model import Column, Constraint, Index
from greenlane.migrations.sql.names import listed_name, relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.expressions import (
    columns_in,
    is_null_constant,
    volatility,
)
from greenlane.migrations.validating.judging.change import Change
from greenlane.migrations.validating.model import LockMode
from greenlane.migrations.validating.types import (
    is_builtin,
    keeps_index,
    keeps_rows,
    printed_type,
    serial_of,
    type_of,
    user_type,
)


def constraints_of(column: Node) -> dict[str, Node]:
    """Of a `column_def`: its constraints by kind, such as `NOTNULL`."""
    found: dict[str, Node] = {}
    for one in column.get("constraints", ()):
        node = one["constraint"]
        found.setdefault(str(node["contype"]).removeprefix("CONSTR_"), node)
    return found


def described(column: Node) -> Column:
    """A `column_def` as the catalog has it."""
    inline = constraints_of(column)
    type_node = column.get("type_name")
    kind = "" if type_node is None else serial_of(type_node) or str(type_of(type_node))
    generated = inline.get("GENERATED", {}).get("generated_kind", "s")
    return Column(
        name=str(column["colname"]),
        type=kind,
        not_null=bool({"NOTNULL", "PRIMARY", "IDENTITY"} & set(inline))
        or (type_node is not None and serial_of(type_node) is not None),
        default="given" if has_default(column) else None,
        generated=("virtual" if generated == "v" else "stored") if "GENERATED" in inline else None,
        identity="by default" if "IDENTITY" in inline else None,
    )


def has_default(column: Node) -> bool:
    """Whether a row that leaves the column out gets something else than NULL."""
    default = constraints_of(column).get("DEFAULT")
    if default is not None:
        return not is_null_constant(default.get("raw_expr", {}))
    type_node = column.get("type_name")
    inline = constraints_of(column)
    serial = type_node is not None and serial_of(type_node) is not None
    return serial or "IDENTITY" in inline or "GENERATED" in inline


def add(change: Change) -> None:
    """ADD COLUMN: instant unless each row needs its own value, or something is checked."""
    verdict, key = change.verdict, change.key
    column = change.detail("column_def")
    name = str(column["colname"])
    if change.node.get("missing_ok"):
        verdict.find("exists-check", key, what=f"ADD COLUMN IF NOT EXISTS {name}")
        verdict.guess(key)
        if change.table.column(name) is not None:
            return
    elif change.known and change.table.column(name) is not None:
        verdict.find("already-there", key, what=f"ADD COLUMN {name}, which {key} has")
        return
    if rule := _rewrites_on_add(change, column):
        verdict.rewrite(key, family=True)
        verdict.find(rule, key, cost=verdict.writing(key))
    _inline(change, column)
    if change.world.in_use(key):
        change.world.added.add((key, name))
    for one in change.world.family(key) if change.recurses else (key,):
        change.world.put_column(one, described(column))


def _rewrites_on_add(change: Change, column: Node) -> str:
    """The rule by which every row is written anew; empty if none is."""
    inline = constraints_of(column)
    type_node = column["type_name"]
    if serial_of(type_node):
        return "add-column-serial"
    if "IDENTITY" in inline:
        return "add-column-identity"
    if "GENERATED" in inline:
        stored = inline["GENERATED"].get("generated_kind", "s") != "v"
        return "add-column-generated" if stored else ""
    kind = type_of(type_node)
    found = user_type(kind, change.world.types)
    if found is not None and found.kind == "domain" and found.constrained:
        return "add-column-constrained-domain"
    if found is None and not is_builtin(kind):
        # An enum or composite type is far more frequent than a domain with a constraint.
        change.verdict.guess()
    default = inline.get("DEFAULT", {}).get("raw_expr")
    if default is None:
        return ""
    how = volatility(default, change.world.functions)
    if how is None:
        change.verdict.certain = False
    return "add-column-volatile-default" if how in (None, "volatile") else ""


def _inline(change: Change, column: Node) -> None:
    """Constraints within ADD COLUMN."""
    verdict, key = change.verdict, change.key
    inline = constraints_of(column)
    if "CHECK" in inline:
        verdict.scan(key, family=True)
        verdict.find("add-column-check", key, cost=verdict.reading(key))
    if "UNIQUE" in inline or "PRIMARY" in inline:
        verdict.scan(key, family=True)
        verdict.find("add-column-unique", key, cost=verdict.reading(key))
    if "FOREIGN" in inline:
        target = verdict.key(relation_name(inline["FOREIGN"]["pktable"]))
        verdict.world.table(target)
        verdict.lock(target, LockMode.SHARE_ROW_EXCLUSIVE)
        if has_default(column):
            # Without a default every value is NULL, and PostgreSQL looks nothing up
            # (transformAlterTableStmt, parse_utilcmd.c).
            verdict.scan(key)
            verdict.find("add-column-references", key, cost=verdict.reading(key))
        else:
            verdict.find("constraint-on-writes", key, what="REFERENCES")
        name = f"{change.table.name}_{column['colname']}_fkey"
        verdict.world.add_constraint(
            key,
            Constraint(
                name=str(inline["FOREIGN"].get("conname", name)),
                kind="foreign",
                definition="",
                columns=(str(column["colname"]),),
                references=target,
            ),
        )
    if {"NOTNULL", "PRIMARY"} & set(inline) and not has_default(column):
        if change.world.in_use(key):
            verdict.needs("contract")
        verdict.find("add-column-not-null", key)


def drop(change: Change) -> None:
    """DROP COLUMN: instant, and its data and those who name it are lost."""
    verdict, key, name = change.verdict, change.key, change.name
    if change.node.get("missing_ok"):
        verdict.find("exists-check", key, what=f"DROP COLUMN IF EXISTS {name}")
    elif change.known and change.column() is None:
        verdict.find("already-there", key, what=f"DROP COLUMN {name}, which {key} has not")
        return
    if change.world.in_use(key):
        verdict.needs("contract")
    verdict.find("drop-column", key, what=f"DROP COLUMN {name}")
    _lock_referenced(change, name)
    cascade = change.node.get("behavior") == "DROP_CASCADE"
    if cascade:
        verdict.find("drop-cascade", key, what="DROP COLUMN with CASCADE")
        verdict.guess(key)
    for dependent, used in change.table.dependents.items():
        view = dependent.partition(" ")[2]
        if name in used and cascade and dependent.startswith(("view", "materialized")):
            verdict.lock(view, LockMode.ACCESS_EXCLUSIVE)
    _forget_column(change, name)


def _lock_referenced(change: Change, column: str) -> None:
    """A foreign key that goes with a column locks the table that it points to."""
    for one in change.table.constraints:
        if one.kind == "foreign" and column in one.columns and one.references:
            change.verdict.lock(one.references, LockMode.ACCESS_EXCLUSIVE)


def _forget_column(change: Change, name: str) -> None:
    table = change.table
    change.world.change(
        change.key,
        columns=tuple(one for one in table.columns if one.name != name),
        indexes=tuple(one for one in table.indexes if name not in one.columns),
        constraints=tuple(one for one in table.constraints if name not in one.columns),
    )


def change_type(change: Change) -> None:
    """ALTER COLUMN TYPE: instant, or a scan for what depends on it, or all rows anew."""
    verdict, key, name = change.verdict, change.key, change.name
    column = change.detail("column_def")
    new = type_of(column["type_name"])
    before = change.column()
    if _dependents(change, name):
        return
    keeps = _keeps(change, before, column)
    if keeps is None:
        verdict.guess()
    if keeps:
        _checked_again(change, name, before)
    else:
        verdict.rewrite(key, family=True)
        old = f"{before.type} to " if before else ""
        what = (
            f"the type of {name} changes from {old}{new}"
            if before
            else (f"the type of {name} changes to {new}")
        )
        verdict.find("type-change-rewrites", key, what=what, cost=verdict.writing(key))
    for one in change.world.family(key):
        change.world.alter_column(one, name, type=str(new), collation=_collation(change))


def _keeps(change: Change, before: Column | None, column: Node) -> bool | None:
    """Whether the rows stay; None if the old type is not known."""
    using = column.get("raw_default")
    if using is not None and not _plain_cast(using, change.name):
        return False
    if before is None or not before.type:
        return None
    zone = change.world.catalog.time_zone if change.world.catalog else ""
    utc = zone.upper() in ("UTC", "GMT", "ETC/UTC", "UCT", "ZULU")
    old, new = printed_type(before.type), type_of(column["type_name"])
    return keeps_rows(old, new, utc=utc, types=change.world.types)


def _plain_cast(using: Any, column: str) -> bool:
    """Whether USING says no more than the change itself: the column, cast or not."""
    while "type_cast" in using:
        using = using["type_cast"]["arg"]
    fields = using.get("column_ref", {}).get("fields", [])
    return len(fields) == 1 and fields[0].get("string", {}).get("sval") == column


def _dependents(change: Change, name: str) -> bool:
    """Whether PostgreSQL refuses the change for what uses the column."""
    users = sorted(
        one
        for one, used in change.table.dependents.items()
        if name in used and one.split(" ")[0] in ("view", "materialized", "rule", "policy")
    )
    if users:
        what = f"the type of {name} changes, which {', '.join(users)} uses"
        change.verdict.find("type-change-dependents", change.key, what=what)
    return bool(users)


def _checked_again(change: Change, name: str, before: Column | None) -> None:
    """The rows stay: what of indexes and constraints is built or checked again."""
    verdict, key = change.verdict, change.key
    new = type_of(change.detail("column_def")["type_name"])
    old = printed_type(before.type) if before else new
    same = keeps_index(old, new) and (before is None or before.collation == _collation(change))
    rebuilt = [one.name for one in change.table.indexes if _rebuilt(one, name, same)]
    rebuilt += [one.name for one in change.table.constraints if _rechecked(change, one)]
    if rebuilt:
        verdict.scan(key)
        what = f"the type of {name} changes, and {', '.join(rebuilt)} is made again"
        verdict.find("type-change-checks", key, what=what, cost=verdict.reading(key))
    else:
        verdict.find("type-change", key)


def _collation(change: Change) -> str | None:
    """That the new type is given; without one it is the type's own."""
    given = change.detail("column_def").get("coll_clause", {}).get("collname")
    return listed_name(given).name if given else None


def _rebuilt(index: Index, column: str, same_class: bool) -> bool:
    """CheckIndexCompatible (indexcmds.c) gives up on expressions and predicates."""
    clauses = index.definition.partition(" USING ")[2]
    mentioned = column in index.columns or column in _words(clauses)
    return mentioned and (index.has_expressions or index.predicate is not None or not same_class)


def _words(text: str) -> set[str]:
    for sign in "()\",:'=<>":
        text = text.replace(sign, " ")
    return set(text.split())


def _rechecked(change: Change, constraint: Constraint) -> bool:
    if constraint.kind != "check":
        return False
    tree = change.world.check(change.key, constraint)
    return change.name in (columns_in(tree) if tree is not None else set(constraint.columns))


def set_not_null(change: Change) -> None:
    """SET NOT NULL: a scan, unless a validated CHECK or the column itself proves it."""
    verdict, key, name = change.verdict, change.key, change.name
    before = change.column()
    unwritten = (key, name) in change.world.added
    if unwritten and (before is None or before.default is None):
        verdict.needs("contract")
        verdict.find("column-must-be-given", key, what=f"SET NOT NULL on {name}, which is new")
    if not (before is not None and before.not_null):
        if not change.world.proves(key, name):
            if not change.known:
                verdict.certain = False
            verdict.scan(key, family=True)
            verdict.find("not-null-scan", key, cost=verdict.reading(key))
        elif not unwritten:
            verdict.find("constraint-on-writes", key, what=f"SET NOT NULL on {name}")
    for one in change.world.family(key):
        change.world.alter_column(one, name, not_null=True)


def drop_not_null(change: Change) -> None:
    """DROP NOT NULL: nothing that a version in use writes fails by it."""
    for one in change.world.family(change.key):
        change.world.alter_column(one, change.name, not_null=False)


def change_default(change: Change) -> None:
    """SET and DROP DEFAULT: of rows to come only."""
    verdict, key = change.verdict, change.key
    given = change.node.get("def")
    if given is None:
        before = change.column()
        if before is None or (before.not_null and not before.identity):
            if before is None:
                verdict.guess(key)
            if change.world.in_use(key):
                verdict.needs("contract")
            verdict.find("drop-default", key, what=f"DROP DEFAULT of {change.name}")
    nothing = given is None or is_null_constant(given)
    for one in change.world.family(key):
        change.world.alter_column(one, change.name, default=None if nothing else "given")


def add_identity(change: Change) -> None:
    """ADD GENERATED AS IDENTITY: of rows to come only, on a column that is NOT NULL."""
    change.world.alter_column(change.key, change.name, identity="by default")


def drop_identity(change: Change) -> None:
    """DROP IDENTITY: versions that leave the column out fail."""
    if change.world.in_use(change.key):
        change.verdict.needs("contract")
    what = f"DROP IDENTITY of {change.name}"
    change.verdict.find("drop-default", change.key, what=what)
    change.world.alter_column(change.key, change.name, identity=None)


def set_expression(change: Change) -> None:
    """SET EXPRESSION of a generated column: every row anew, unless it is virtual."""
    verdict, key = change.verdict, change.key
    before = change.column()
    if before is None or before.generated != "virtual":
        verdict.rewrite(key, family=True)
        verdict.find("add-column-generated", key, what="SET EXPRESSION", cost=verdict.writing(key))


def drop_expression(change: Change) -> None:
    """DROP EXPRESSION: versions that leave the column out write NULL from then on."""
    if change.world.in_use(change.key):
        change.verdict.needs("contract")
    what = f"DROP EXPRESSION of {change.name}"
    change.verdict.find("drop-default", change.key, what=what)
    change.world.alter_column(change.key, change.name, generated=None)
