"""ALTER TABLE: constraints that are added, validated, altered and dropped."""

from greenlane.migrations.catalog.model import Constraint, Index
from greenlane.migrations.sql.names import relation_name
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.expressions import columns_in
from greenlane.migrations.validating.judging.change import Change
from greenlane.migrations.validating.model import LockMode

_KINDS = {
    "CHECK": "check",
    "FOREIGN": "foreign",
    "UNIQUE": "unique",
    "PRIMARY": "primary",
    "EXCLUSION": "exclusion",
    "NOTNULL": "not null",
}


def kind_of(node: Node) -> str:
    """Of a `constraint` node: `CHECK`, `FOREIGN`, `UNIQUE`, `PRIMARY`, `EXCLUSION`, `NOTNULL`."""
    return str(node["contype"]).removeprefix("CONSTR_")


def named(node: Node, field: str) -> tuple[str, ...]:
    """The columns that a `constraint` node lists there."""
    return tuple(str(one["string"]["sval"]) for one in node.get(field, ()))


def mode_of(change: Change) -> LockMode:
    """The lock of ADD CONSTRAINT: foreign keys leave readers alone."""
    foreign = kind_of(change.detail("constraint")) == "FOREIGN"
    return LockMode.SHARE_ROW_EXCLUSIVE if foreign else LockMode.ACCESS_EXCLUSIVE


def name_of(node: Node, table: str) -> str:
    """As it is given, or as the server would choose it (ChooseConstraintName)."""
    if node.get("conname"):
        return str(node["conname"])
    kind = kind_of(node)
    if kind == "PRIMARY":
        return f"{table}_pkey"
    columns = named(node, "fk_attrs") or named(node, "keys")
    if kind == "CHECK" and not columns:
        columns = tuple(sorted(columns_in(node.get("raw_expr", {}))))
        columns = columns if len(columns) == 1 else ()
    ending = {"CHECK": "check", "FOREIGN": "fkey", "UNIQUE": "key", "NOTNULL": "not_null"}
    return "_".join((table, *columns, ending.get(kind, "excl")))


def described(node: Node, table: str, references: str | None) -> Constraint:
    """A `constraint` node as the catalog has it, its definition aside."""
    kind = kind_of(node)
    columns = named(node, "fk_attrs") if kind == "FOREIGN" else named(node, "keys")
    if kind == "CHECK":
        columns = tuple(sorted(columns_in(node.get("raw_expr", {}))))
    return Constraint.model_validate(
        {
            "name": name_of(node, table),
            "kind": _KINDS[kind],
            "definition": "",
            "columns": columns,
            "validated": not node.get("skip_validation"),
            "references": references,
            "referenced_columns": named(node, "pk_attrs"),
        }
    )


def add(change: Change) -> None:
    """ADD CONSTRAINT, of each kind, validated at once or not."""
    node = change.detail("constraint")
    kind = kind_of(node)
    target = None
    if kind == "FOREIGN":
        target = change.verdict.key(relation_name(node["pktable"]))
        change.world.table(target)
        change.verdict.lock(target, LockMode.SHARE_ROW_EXCLUSIVE, family=True)
    if node.get("skip_validation"):
        _unvalidated(change, node)
    elif target is not None and _all_partitions_have(change, node, target):
        # Each partition's own foreign key becomes a part of it, and its triggers are dropped.
        change.verdict.lock(target, LockMode.ACCESS_EXCLUSIVE)
    elif "indexname" in node:
        _using_index(change, node, primary=kind == "PRIMARY")
    else:
        _validated(change, kind)
    constraint = described(node, change.table.name, target)
    for one in change.world.family(change.key) if kind != "FOREIGN" else (change.key,):
        change.world.add_constraint(one, constraint)
        if kind == "CHECK":
            change.world.checks[one, constraint.name] = node.get("raw_expr", {})
    _effects(change, kind, node, constraint)


def _all_partitions_have(change: Change, node: Node, target: str) -> bool:
    """Whether every partition has the same foreign key, validated."""
    columns = named(node, "fk_attrs")
    tables = [change.world.table(one) for one in change.world.family(change.key)]
    leaves = [one for one in tables if one.kind != "partitioned"]
    return change.table.kind == "partitioned" and all(
        any(
            found.kind == "foreign"
            and found.validated
            and found.columns == columns
            and found.references == target
            for found in one.constraints
        )
        for one in leaves
    )


def _unvalidated(change: Change, node: Node) -> None:
    what = f"a constraint {name_of(node, change.table.name)}"
    change.verdict.find("constraint-on-writes", change.key, what=what)
    transaction = change.world.transaction
    if transaction is not None:
        transaction.not_valid.add(name_of(node, change.table.name))


def _using_index(change: Change, node: Node, *, primary: bool) -> None:
    """USING INDEX: instant, but a primary key also sets NOT NULL on its columns."""
    if not primary:
        return
    found = next((one for one in change.table.indexes if one.name == node["indexname"]), None)
    if found is None:
        # The index was most likely made for it; whether its columns are NOT NULL is not known.
        change.verdict.certain = False
        columns: tuple[str, ...] = ()
    else:
        columns = found.columns
    for name in columns:
        column = change.table.column(name)
        if column is None:
            change.verdict.guess(change.key)
        if (column is None or not column.not_null) and not change.world.proves(change.key, name):
            _nullable_key(change, name)
    if found is None:
        _nullable_key(change, "a column")


def _nullable_key(change: Change, name: str) -> None:
    verdict, key = change.verdict, change.key
    verdict.scan(key)
    what = f"PRIMARY KEY USING INDEX on {name}, which may be NULL"
    verdict.find("primary-key-on-nullable", key, what=what, cost=verdict.reading(key))


def _validated(change: Change, kind: str) -> None:
    verdict, key = change.verdict, change.key
    rules = {
        "CHECK": "check-validated-at-once",
        "FOREIGN": "foreign-key-validated-at-once",
        "UNIQUE": "unique-builds-index",
        "PRIMARY": "unique-builds-index",
        "EXCLUSION": "exclusion-builds-index",
        "NOTNULL": "not-null-scan",
    }
    if kind == "NOTNULL":
        columns = named(change.detail("constraint"), "keys")
        if all(change.world.proves(key, one) for one in columns):
            return
    if kind == "FOREIGN":
        verdict.guess(key)  # partitions may have it already
    verdict.scan(key, family=True)
    verdict.find(rules[kind], key, cost=verdict.reading(key))


def _effects(change: Change, kind: str, node: Node, constraint: Constraint) -> None:
    """What later statements find: NOT NULL columns and an index."""
    key = change.key
    columns = constraint.columns
    if "indexname" in node:
        found = next((one for one in change.table.indexes if one.name == node["indexname"]), None)
        columns = found.columns if found else ()
        if found is not None:
            change.world.drop_index(key, found.name)
    if kind in ("PRIMARY", "UNIQUE"):
        index = Index(
            name=constraint.name,
            definition="",
            columns=columns,
            unique=True,
            primary=kind == "PRIMARY",
            constraint=constraint.name,
        )
        change.world.add_index(key, index)
        change.world.add_constraint(key, constraint)
    if kind in ("PRIMARY", "NOTNULL"):
        for name in columns:
            change.world.alter_column(key, name, not_null=True)


def validate(change: Change) -> None:
    """VALIDATE CONSTRAINT: a scan that leaves readers and writers alone."""
    verdict, key = change.verdict, change.key
    found = change.world.constraint(key, change.name)
    if not change.several:
        verdict.runs_as = "alone"
    if found is None:
        verdict.guess(key)
    if found is not None and found.validated:
        return
    verdict.scan(key, family=True)
    if found is not None and found.references:
        # The rows are looked up by a query, which locks as SELECT ... FOR KEY SHARE does.
        verdict.lock(found.references, LockMode.ROW_SHARE)
    transaction = change.world.transaction
    if transaction is not None and change.name in transaction.not_valid:
        verdict.find("validate-in-same-transaction", key, cost=verdict.reading(key))
    elif transaction is not None and key in transaction.strong:
        what = f"VALIDATE CONSTRAINT under the lock of line {transaction.strong[key]}"
        verdict.find("locks-add-up", key, what=what, cost=verdict.reading(key))
    for one in change.world.family(key):
        of_it = change.world.constraint(one, change.name)
        if of_it is not None:
            validated = of_it.model_copy(update={"validated": True})
            change.world.add_constraint(one, validated)


def alter(change: Change) -> None:
    """ALTER CONSTRAINT: of a foreign key, when it is checked."""
    name = str(change.detail("atalter_constraint").get("conname", ""))
    found = change.world.constraint(change.key, name)
    if found is None and change.known:
        what = f"ALTER CONSTRAINT {name}, which {change.key} has not"
        change.verdict.find("already-there", change.key, what=what)


def drop(change: Change) -> None:
    """DROP CONSTRAINT: a foreign key locks the other table too."""
    verdict, key, name = change.verdict, change.key, change.name
    if change.node.get("missing_ok"):
        verdict.find("exists-check", key, what=f"DROP CONSTRAINT IF EXISTS {name}")
    found = change.world.constraint(key, name)
    if found is None:
        if change.known and not change.node.get("missing_ok"):
            what = f"DROP CONSTRAINT {name}, which {key} has not"
            verdict.find("already-there", key, what=what)
            return
        verdict.guess(key)
    if found.kind in ("primary", "unique") if found else not name.endswith(_HARMLESS):
        if change.world.in_use(key):
            verdict.needs("contract")
        verdict.find("drop-constraint", key)
    if found is not None and found.references:
        verdict.lock(found.references, LockMode.ACCESS_EXCLUSIVE)
    if change.node.get("behavior") == "DROP_CASCADE":
        verdict.find("drop-cascade", key, what="DROP CONSTRAINT with CASCADE")
        verdict.guess(key)
        if found is not None and found.kind in ("primary", "unique"):
            for other in change.table.referenced_by:
                verdict.lock(other, LockMode.ACCESS_EXCLUSIVE)
    for one in change.world.family(key):
        change.world.drop_index(one, name)


_HARMLESS = ("_fkey", "_fk", "_check", "_not_null", "_nn", "_excl", "_chk")
"""How constraints that are neither unique nor primary are named, by PostgreSQL and by custom."""
