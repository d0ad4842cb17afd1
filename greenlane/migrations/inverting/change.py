"""One subcommand of an ALTER TABLE."""

from dataclasses import dataclass

from greenlane.migrations.catalog.model import Column, Table
from greenlane.migrations.inverting.before import Before, column_name
from greenlane.migrations.sql.names import Name, quoted
from greenlane.migrations.sql.parsing import Node


@dataclass(frozen=True)
class Change:
    """A subcommand and its table.

    Args:
        before: the database before the statement.
        of: the table, with its schema.
        table: as the catalog has it; None if it does not.
        node: the `alter_table_cmd`.
    """

    before: Before
    of: Name
    table: Table | None
    node: Node

    @property
    def kind(self) -> str:
        """Such as `AT_AddColumn`."""
        return str(self.node["subtype"])

    @property
    def name(self) -> str:
        """Of the column, constraint or trigger that it is about."""
        if "name" in self.node:
            return str(self.node["name"])
        return str(self.detail("column_def").get("colname", ""))

    @property
    def full(self) -> str:
        """That column, as `loses` has it."""
        return column_name(self.of, self.name)

    @property
    def column(self) -> Column | None:
        """That column, as the catalog has it."""
        return self.table.column(self.name) if self.table else None

    def detail(self, kind: str) -> Node:
        """What it defines, such as a `column_def`; empty if it is no such."""
        found: Node = self.node.get("def", {}).get(kind, {})
        return found

    def alter(self, rest: str) -> str:
        """`ALTER TABLE` of its table."""
        return f"ALTER TABLE {self.of} {rest}"

    def alter_column(self, rest: str) -> str:
        """`ALTER TABLE` of its column."""
        return self.alter(f"ALTER COLUMN {quoted(self.name)} {rest}")
