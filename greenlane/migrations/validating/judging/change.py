"""One subcommand of an ALTER TABLE."""

from dataclasses import dataclass

from greenlane.migrations.catalog.model import Column, Table
from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.verdict import Verdict
from greenlane.migrations.validating.world import World


@dataclass(frozen=True)
class Change:
    """Args: key of the table; recurses: whether partitions take part; several: it is not alone."""

    verdict: Verdict
    key: str
    node: Node
    recurses: bool = True
    several: bool = False

    @property
    def kind(self) -> str:
        """Such as `AT_AddColumn`."""
        return str(self.node["subtype"])

    @property
    def name(self) -> str:
        """Of the column, constraint or trigger that it is about."""
        return str(self.node.get("name", ""))

    @property
    def world(self) -> World:
        """As it is before this subcommand."""
        return self.verdict.world

    @property
    def table(self) -> Table:
        """As it is before this subcommand."""
        return self.world.table(self.key)

    @property
    def known(self) -> bool:
        """Whether all of the table's columns and constraints are known."""
        return self.world.known(self.key)

    def column(self) -> Column | None:
        """The column that it names, if that is known."""
        return self.table.column(self.name)

    def detail(self, kind: str) -> Node:
        """What it defines, such as a `column_def`; empty if it is no such."""
        found: Node = self.node.get("def", {}).get(kind, {})
        return found
