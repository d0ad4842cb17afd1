"""The database right before a statement: what it had, and what the plan has made in it so far."""

from collections.abc import Iterable
from dataclasses import dataclass

from greenlane.migrations.catalog.model import Catalog, Column, Constraint, Index, Table, View
from greenlane.migrations.sql.names import Name, quoted


@dataclass(frozen=True)
class Before:
    """What inverses are made from.

    Args:
        catalog: of the whole database, read right before the statement.
        made: objects that earlier statements of the same plan made, as SQL names them.
    """

    catalog: Catalog
    made: frozenset[str] = frozenset()

    def full(self, name: Name) -> Name:
        """With the schema in which it is, or else would be made."""
        if name.schema:
            return name
        for schema in self.catalog.search_path:
            if self._relation(f"{schema}.{name.name}"):
                return Name(schema, name.name)
        return self.new(name)

    def new(self, name: Name) -> Name:
        """With the schema in which a CREATE makes it."""
        path = self.catalog.search_path
        return name.within(path[0] if path else "public")

    def has_relation(self, name: Name) -> bool:
        """Whether a CREATE of it would find a table, view, sequence or index there."""
        made = self.new(name)
        return self._relation(f"{made.schema}.{made.name}") or made.name in self.indexes(
            str(made.schema)
        )

    def _relation(self, key: str) -> bool:
        catalog = self.catalog
        return key in catalog.tables or key in catalog.views or key in catalog.sequences

    def table(self, name: Name) -> Table | None:
        """A table, partition or materialised view."""
        return self.catalog.table(name.schema, name.name)

    def view(self, name: Name) -> View | None:
        """A view or materialised view."""
        full = self.full(name)
        return self.catalog.views.get(f"{full.schema}.{full.name}")

    def has_made(self, name: Name, column: str | None = None) -> bool:
        """Whether an earlier statement of the plan made the table, or its column."""
        full = self.full(name)
        return str(full) in self.made or (
            column is not None and column_name(full, column) in self.made
        )

    def indexes(self, schema: str) -> dict[str, tuple[Table, Index]]:
        """All indexes of a schema, by name."""
        return {
            index.name: (table, index)
            for table in self.catalog.tables.values()
            if table.schema_name == schema
            for index in table.indexes
        }

    def index(self, name: Name) -> tuple[Table, Index] | None:
        """An index and its table."""
        for schema in (name.schema,) if name.schema else self.catalog.search_path:
            if found := self.indexes(schema).get(name.name):
                return found
        return None

    def relations(self, schema: str) -> set[str]:
        """Names in use there by tables, views, sequences, indexes and composite types."""
        catalog = self.catalog
        composite = (key for key, one in catalog.types.items() if one.kind == "composite")
        keys = (*catalog.tables, *catalog.views, *catalog.sequences, *composite)
        names = {key.split(".", 1)[1] for key in keys if key.split(".", 1)[0] == schema}
        return names | set(self.indexes(schema))

    def constraints(self, schema: str) -> set[str]:
        """Names in use there by constraints."""
        return {
            one.name
            for table in self.catalog.tables.values()
            if table.schema_name == schema
            for one in table.constraints
        }


def column_name(table: Name, column: str) -> str:
    """As in `loses` and `makes`: `public.orders.note`."""
    return f"{table}.{quoted(column)}"


def name_of(part: Table | View) -> Name:
    """Of a table or view of the catalog."""
    return Name(part.schema_name, part.name)


def constraint_of(table: Table, name: str) -> Constraint | None:
    """The constraint of that name, if it has one."""
    return next((one for one in table.constraints if one.name == name), None)


def index_of(table: Table, name: str) -> Index | None:
    """The index of that name, if it has one."""
    return next((one for one in table.indexes if one.name == name), None)


def columns_of(table: Table, names: Iterable[str]) -> list[Column]:
    """Those of its columns that are named, in that order."""
    return [one for name in names if (one := table.column(name)) is not None]
