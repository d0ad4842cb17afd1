"""The catalog of a live database, in a handful of queries whatever its size."""

from collections.abc import Callable
from typing import Any, Protocol, get_args

from greenlane.migrations.catalog.model import (
    Catalog,
    Column,
    Constraint,
    Function,
    Index,
    Table,
    Trigger,
    UserType,
    View,
)
from greenlane.migrations.catalog.queries import (
    COLUMNS,
    DEPENDENTS,
    FUNCTIONS,
    INDEXES,
    KEYS,
    NAMES,
    TABLES,
    TRIGGERS,
    TYPES,
    VIEWS,
)

KINDS = {"r": "table", "p": "partitioned", "m": "materialized", "f": "foreign"}
CONSTRAINTS = {
    "p": "primary",
    "u": "unique",
    "f": "foreign",
    "c": "check",
    "x": "exclusion",
    "n": "not null",
}
VOLATILITY = ("immutable", "stable", "volatile")
IDENTITIES = {"d": "default", "n": "nothing", "f": "full", "i": "index"}
STORAGE = {"p": "plain", "e": "external", "m": "main", "x": "extended"}

Row = dict[str, Any]


class Asking(Protocol):
    """Whatever can answer a query, by any driver."""

    def rows(self, query: str) -> list[Row]:
        """All rows of a query without parameters, by the names of its columns."""


def read_catalog(asking: Asking) -> Catalog:
    """Read the catalog of the whole database, as this session sees it.

    Raises:
        Exception: the driver's own, where the database does not answer.
    """
    triggers = _grouped(asking, TRIGGERS, _trigger)
    views = {}
    for row in asking.rows(VIEWS):
        view = View(triggers=tuple(triggers.get(row.pop("of"), ())), **row)
        views[f"{view.schema_name}.{view.name}"] = view
    (names,) = asking.rows(NAMES)
    return Catalog(
        **names,
        tables=_joined(_tables(asking, triggers)),
        views=views,
        functions=_functions(asking),
        types=_types(asking),
    )


def _tables(asking: Asking, triggers: dict[int, list[Trigger]]) -> dict[str, Table]:
    columns = _grouped(asking, COLUMNS, _column)
    indexes = _grouped(asking, INDEXES, lambda row: Index(**row))
    keys = _grouped(asking, KEYS, _constraint)
    users = _grouped(asking, DEPENDENTS, lambda row: (row["who"], row["column"]))
    tables: dict[str, Table] = {}
    for row in asking.rows(TABLES):
        of = row.pop("oid")
        uses: dict[str, tuple[str, ...]] = {}
        for who, column in users.get(of, ()):
            uses[who] = (*uses.get(who, ()), column)
        told = {
            "kind": KINDS[row["kind"]],
            "rows": None if row["rows"] < 0 else row["rows"],
            "replica_identity": IDENTITIES[row.pop("identity")],
            "columns": columns.get(of, ()),
            "indexes": indexes.get(of, ()),
            "constraints": keys.get(of, ()),
            "triggers": triggers.get(of, ()),
            "dependents": uses,
        }
        made = Table(**row | told)
        tables[made.full_name] = made
    return tables


def _constraint(row: Row) -> Constraint:
    return Constraint(**row | {"kind": CONSTRAINTS[row["kind"]]})


def _grouped(asking: Asking, query: str, make: Callable[[Row], Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in asking.rows(query):
        found.setdefault(row.pop("of"), []).append(make(row))
    return found


def _column(row: Row) -> Column:
    generated = {"s": "stored", "v": "virtual"}.get(row["generated"])
    return Column(
        **row
        | {
            "generated": generated,
            "default": None if generated else row["expression"],
            "expression": row["expression"] if generated else None,
            "identity": {"a": "always", "d": "by default"}.get(row["identity"]),
            "storage": STORAGE.get(row["storage"]),
        }
    )


def _trigger(row: Row) -> Trigger:
    fires = {"O": "origin", "R": "replica", "A": "always", "D": "origin"}[row["fires"]]
    return Trigger(**row | {"fires": fires}, enabled=row["fires"] != "D")


def _joined(tables: dict[str, Table]) -> dict[str, Table]:
    """With what other tables say of each: its partitions, and who references it."""
    found = dict(tables)
    for key, table in tables.items():
        if table.parent:
            parent = found[table.parent]
            found[table.parent] = parent.model_copy(
                update={"partitions": (*parent.partitions, key)}
            )
        for one in table.constraints:
            if one.references:
                other = found[one.references]
                by = tuple(dict.fromkeys((*other.referenced_by, key)))
                found[one.references] = other.model_copy(update={"referenced_by": by})
    return found


def _functions(asking: Asking) -> dict[str, tuple[Function, ...]]:
    found: dict[str, tuple[Function, ...]] = {}
    for row in asking.rows(FUNCTIONS):
        how = next(one for one in VOLATILITY if one[0] == row["volatility"])
        made = Function(**row | {"volatility": how})
        key = f"{made.schema_name}.{made.name}"
        found[key] = (*found.get(key, ()), made)
    return found


def _types(asking: Asking) -> dict[str, UserType]:
    found = {}
    for row in asking.rows(TYPES):
        kinds = get_args(UserType.model_fields["kind"].annotation)
        kind = next(one for one in kinds if one[0] == row["kind"])
        base = row["base"] if kind == "domain" else None
        made = UserType(**row | {"kind": kind, "base": base})
        found[f"{made.schema_name}.{made.name}"] = made
    return found
