"""What a database contains, as data: what is needed to say what a statement would do to it.

A snapshot is read once for a run and stored with it, so that a verdict can be read again later.
Names are as PostgreSQL's catalog has them: unquoted, in their true case. Grants are as an access
list prints its items (`shop=arw/admin`); none where the list is NULL, which means the owner's own.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Volatility = Literal["immutable", "stable", "volatile"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Part):
    """A column of a table.

    Args:
        type: as `format_type` prints it (`character varying(40)`).
        default: as SQL; a generated column has none.
        expression: of a generated column, as SQL.
        collation: quoted, with its schema; None where it is the type's own.
        storage: None where it is the type's own.
        statistics: `attstattarget`; None where it is the server's default.
    """

    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    generated: Literal["stored", "virtual"] | None = None
    identity: Literal["always", "by default"] | None = None
    collation: str | None = None
    expression: str | None = None
    storage: Literal["plain", "external", "main", "extended"] | None = None
    statistics: int | None = None
    comment: str | None = None
    grants: tuple[str, ...] = ()


class Index(_Part):
    """An index, that of a constraint included.

    Args:
        definition: as `pg_get_indexdef` prints it.
        columns: plain key columns only.
        clustered: whether it is the one that a CLUSTER without an index would take.
        replica_identity: whether it is the table's replica identity.
    """

    name: str
    definition: str
    columns: tuple[str, ...] = ()
    has_expressions: bool = False
    unique: bool = False
    primary: bool = False
    valid: bool = True
    predicate: str | None = None
    constraint: str | None = None
    bytes: int = 0
    clustered: bool = False
    replica_identity: bool = False
    comment: str | None = None


class Constraint(_Part):
    """Args: definition as `pg_get_constraintdef` prints it; references is `schema.table`."""

    name: str
    kind: Literal["primary", "unique", "foreign", "check", "exclusion", "not null"]
    definition: str
    columns: tuple[str, ...] = ()
    validated: bool = True
    references: str | None = None
    referenced_columns: tuple[str, ...] = ()
    comment: str | None = None


class Trigger(_Part):
    """Args: definition as `pg_get_triggerdef` prints it; only those that users made.

    fires: with which `session_replication_role` it does, where it is enabled.
    """

    name: str
    definition: str
    enabled: bool = True
    fires: Literal["origin", "replica", "always"] = "origin"
    comment: str | None = None


class Table(_Part):
    """A table, partitioned table, partition or materialised view, with what belongs to it.

    Args:
        rows: the planner's estimate (`reltuples`); None where it was never analysed.
        bytes: of the heap and its TOAST, without indexes.
        referenced_by: `schema.table` of each table with a foreign key to this one.
        dependents: views, rules, functions and policies that use it, as `kind schema.name`,
            with the columns they use: `{"view public.v": ("a", "b")}`.
        parent: `schema.table` of the partitioned table that it is a partition of.
        options: `reloptions`, such as `fillfactor=70`.
        forced_row_security: whether it holds for the owner too.
        partition_key: of a partitioned table, as `pg_get_partkeydef` prints it: `RANGE (at)`.
        bound: of a partition, as `pg_get_expr(relpartbound, oid)` prints it, such as `DEFAULT`.
    """

    schema_name: str
    name: str
    kind: Literal["table", "partitioned", "materialized", "foreign"] = "table"
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rows: int | None = None
    bytes: int = 0
    owner: str = ""
    referenced_by: tuple[str, ...] = ()
    dependents: dict[str, tuple[str, ...]] = {}
    parent: str | None = None
    partition_key: str | None = None
    bound: str | None = None
    partitions: tuple[str, ...] = ()
    row_security: bool = False
    replica_identity: Literal["default", "nothing", "full", "index"] = "default"
    forced_row_security: bool = False
    options: tuple[str, ...] = ()
    comment: str | None = None
    grants: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """`schema.name`, unquoted: its key in the catalog."""
        return f"{self.schema_name}.{self.name}"

    def column(self, name: str) -> Column | None:
        """The column of that name, if it has one."""
        return next((one for one in self.columns if one.name == name), None)

    def primary_key(self) -> tuple[str, ...]:
        """The columns of its primary key, in the key's order; empty without one."""
        return next((one.columns for one in self.indexes if one.primary and one.valid), ())


class Function(_Part):
    """Args: definition as `pg_get_functiondef` prints it; arguments as identity arguments.

    An aggregate has no definition.
    """

    schema_name: str
    name: str
    arguments: str
    volatility: Volatility
    strict: bool = False
    definition: str = ""
    owner: str = ""
    comment: str | None = None
    grants: tuple[str, ...] = ()


class View(_Part):
    """A view or, again, a materialised view.

    Args:
        definition: as `pg_get_viewdef` prints it.
        options: `reloptions`, such as `security_barrier=true`.
        triggers: INSTEAD OF triggers.
    """

    schema_name: str
    name: str
    definition: str
    grants: tuple[str, ...] = ()
    owner: str = ""
    options: tuple[str, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    comment: str | None = None


class UserType(_Part):
    """Args: labels of an enum; constrained says that a domain has NOT NULL or a CHECK."""

    schema_name: str
    name: str
    kind: Literal["enum", "domain", "composite", "range"]
    labels: tuple[str, ...] = ()
    base: str | None = None
    constrained: bool = False
    owner: str = ""
    comment: str | None = None
    grants: tuple[str, ...] = ()


class Catalog(_Part):
    """One database at one moment.

    Args:
        version: `server_version_num`, such as 150018.
        tables: by `schema.name`.
        functions: users' functions by `schema.name`, one entry for each overload.
        sequences: `schema.name` of each, those of serial and identity columns included.
        schemas: of users; none where they were not read.
        search_path: the schemas in which a name without one is looked up, in order.
        time_zone: the session's, which decides what a change of a timestamp's type costs.
    """

    version: int
    tables: dict[str, Table] = {}
    views: dict[str, View] = {}
    functions: dict[str, tuple[Function, ...]] = {}
    types: dict[str, UserType] = {}
    sequences: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    search_path: tuple[str, ...] = ("public",)
    time_zone: str = "UTC"

    def table(self, schema: str | None, name: str) -> Table | None:
        """The table of that name, looked up along the search path without a schema."""
        for place in (schema,) if schema else self.search_path:
            if found := self.tables.get(f"{place}.{name}"):
                return found
        return None
