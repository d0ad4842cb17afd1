"""A schema that was taken apart, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from greenlane.migrations.catalog.model import Catalog, Table
from greenlane.migrations.sql.names import relation_name
from greenlane.migrations.sql.parsing import Node, Statement
from greenlane.migrations.validating.expressions import columns_in, nodes

VERSION = 150000
"""What a schema without a server is read as."""


@dataclass
class Schema:
    """One schema, taken apart.

    Args:
        tables: by `schema.name`.
        others: other objects by what they are, such as `view public.v`, and how each is made.
        made: for each table, the statements that make it and what belongs to it.
        enums: the labels of each.
        commented: for comments on parts of tables, among `others`, the table.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    others: dict[str, Statement] = field(default_factory=dict)
    made: dict[str, list[Statement]] = field(default_factory=dict)
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    commented: dict[str, str] = field(default_factory=dict)

    def catalog(self) -> Catalog:
        """As far as the rules and the planner need it."""
        sequences = [key.split(" ", 1)[1] for key in self.others if key.startswith("sequence ")]
        schemas = [key.split(" ", 1)[1] for key in self.others if key.startswith("schema ")]
        return Catalog(
            version=VERSION,
            tables={key: self._with_users(one) for key, one in self.tables.items()},
            sequences=tuple(sequences),
            schemas=("public", *schemas),
        )

    def _with_users(self, table: Table) -> Table:
        """With the views and policies that seem to use its columns."""
        users = {}
        for key, statement in self.others.items():
            kind = key.split(" ", 1)[0]
            if kind not in ("view", "policy", "materialized") or not _names(statement.node, table):
                continue
            used = columns_in(statement.node)
            star = next(nodes(statement.node, "a_star"), None) is not None
            names = tuple(one.name for one in table.columns if star or one.name in used)
            if names:
                users[key] = names
        by = [
            other
            for other, one in self.tables.items()
            for constraint in one.constraints
            if constraint.references == table.full_name
        ]
        return table.model_copy(
            update={"dependents": users, "referenced_by": tuple(dict.fromkeys(by))}
        )

    def keep(self, key: str, statement: Statement) -> None:
        """An object that is no table, or something said of one."""
        self.others[key] = statement
        table = key.rpartition(" on ")[2]
        if table in self.made:
            self.made[table].append(statement)

    def update(self, key: str, parts: str, name: str, change: Mapping[str, Any]) -> None:
        """Change one part of a table. Args: parts: `columns`, `indexes` or `constraints`."""
        if key in self.tables:
            table = self.tables[key]
            changed = tuple(
                one.model_copy(update=dict(change)) if one.name == name else one
                for one in getattr(table, parts)
            )
            self.tables[key] = table.model_copy(update={parts: changed})


def _names(node: Node, table: Table) -> bool:
    found = [relation_name(one) for one in nodes(node, "range_var")]
    found += [relation_name(node[key]) for key in ("table", "relation") if key in node]
    return any(one.name == table.name and one.schema in (None, table.schema_name) for one in found)
