"""Objects that are no tables, of two schemas: what comes, what is replaced, what goes."""

from dataclasses import dataclass, field

from greenlane.migrations.planning.described import Schema
from greenlane.migrations.planning.model import Draft, NotPlannable
from greenlane.migrations.planning.objects import key_of
from greenlane.migrations.sql.names import literal, relation_name
from greenlane.migrations.sql.parsing import Statement, sql_of

_FIRST = ("schema", "extension", "type", "domain", "sequence")
_REPLACED = {"view": "replace", "function": "replace", "trigger": "replace"}
_DROPPED = {
    "view": "VIEW",
    "materialized": "MATERIALIZED VIEW",
    "function": "FUNCTION",
    "trigger": "TRIGGER",
    "policy": "POLICY",
    "type": "TYPE",
    "domain": "DOMAIN",
    "sequence": "SEQUENCE",
    "extension": "EXTENSION",
    "schema": "SCHEMA",
}


@dataclass
class Others:
    """What is to be done about them."""

    old: Schema
    new: Schema
    draft: Draft
    late: list[Statement] = field(default_factory=list)

    def before_tables(self) -> None:
        """What tables may need, and what replaces what was there."""
        self._enums()
        for key, statement in self.new.others.items():
            kind = key.split(" ", 1)[0]
            before = self.old.others.get(key)
            if before is not None and _same(before, statement):
                continue
            if self._is_of_part(key):
                continue  # it is compared with the table
            if before is None and self._is_of_new_table(key):
                continue  # it is among the statements that make the table
            if key.startswith("type ") and key.split(" ", 1)[1] in self.old.enums:
                continue
            if before is None:
                (self.draft.add("expand", statement.text) if kind in _FIRST else None)
                if kind not in _FIRST:
                    self.late.append(statement)
            else:
                self._replace(kind, key, statement)

    def after_tables(self) -> None:
        """What is made from tables, and then what goes."""
        for statement in self.late:
            self.draft.add("expand", statement.text)
        gone = [key for key in self.old.others if key not in self.new.others]
        for key in reversed(gone):
            if not self._is_of_part(key):
                self._drop(key)

    def _is_of_part(self, key: str) -> bool:
        """Whether it is a comment on a part of a table that both schemas have."""
        table = self.new.commented.get(key) or self.old.commented.get(key)
        return table in self.old.tables and table in self.new.tables

    def _is_of_new_table(self, key: str) -> bool:
        table = key.rpartition(" on ")[2]
        return table in self.new.made and table not in self.old.tables

    def _replace(self, kind: str, key: str, statement: Statement) -> None:
        if kind == "comment":
            self.draft.add("expand", statement.text)
        elif kind in _REPLACED:
            replaced = sql_of(statement.kind, {**statement.node, _REPLACED[kind]: True})
            self.draft.add("expand", replaced)
            self.draft.notes.append(f"{key} is replaced in expand: versions before use it too")
        else:
            raise NotPlannable(kind, key, "it changes, and nothing here changes it over phases")

    def _drop(self, key: str) -> None:
        kind, _, name = key.partition(" ")
        setting = kind == "setting" and self._names_gone_columns(self.old.others[key])
        if setting or (kind == "sequence" and self._goes_with_column(name)):
            return
        if kind == "comment":
            self._uncomment(key)
        elif kind == "setting" and key.startswith(("setting GRANT", "setting REVOKE")):
            statement = self.old.others[key]
            if not self._names_gone_columns(statement):
                node = dict(statement.node)
                node["is_grant"] = not node.get("is_grant")
                self.draft.add("contract", sql_of(statement.kind, node))
        elif kind in _DROPPED:
            owner = name.rpartition(" on ")[2]
            if " on " not in name or owner in self.new.tables:
                self.draft.add("contract", f"DROP {_DROPPED[kind]} {name.replace(' on ', ' ON ')}")
        else:
            raise NotPlannable(kind, name, "it goes, and nothing here takes it back")

    def _goes_with_column(self, sequence: str) -> bool:
        """Whether a column owns it that goes."""
        return any(
            statement.kind == "alter_seq_stmt"
            and key_of(relation_name(statement.node["sequence"])) == sequence
            and self._names_gone_columns(statement)
            for statement in self.old.others.values()
        )

    def _uncomment(self, key: str) -> None:
        statement = self.old.others[key]
        if not self._names_gone_columns(statement):
            node = {name: value for name, value in statement.node.items() if name != "comment"}
            self.draft.add("contract", sql_of(statement.kind, node))

    def _names_gone_columns(self, statement: Statement) -> bool:
        """Whether what it is about goes by itself: a table that is dropped, or a column of one."""
        gone = {
            column.name
            for key, table in self.old.tables.items()
            for column in table.columns
            if key not in self.new.tables or self.new.tables[key].column(column.name) is None
        }
        gone |= {table.name for key, table in self.old.tables.items() if key not in self.new.tables}
        return bool(gone & _strings(statement.node))

    def _enums(self) -> None:
        for key, labels in self.new.enums.items():
            before = self.old.enums.get(key)
            if before is None or before == labels:
                continue
            if [one for one in labels if one in before] != list(before):
                said = "labels of an enum can be added, not taken away or moved"
                raise NotPlannable("type", key, said)
            for at, label in enumerate(labels):
                if label not in before:
                    place = f" AFTER {literal(labels[at - 1])}" if at else ""
                    place = place or f" BEFORE {literal(before[0])}"
                    add = f"ALTER TYPE {key} ADD VALUE {literal(label)}{place}"
                    self.draft.add("expand", add)


def compare_others(old: Schema, new: Schema, draft: Draft) -> Others:
    """Compare what two schemas have beside tables."""
    return Others(old, new, draft)


def _same(one: Statement, other: Statement) -> bool:
    return sql_of(one.kind, one.node) == sql_of(other.kind, other.node)


def _strings(node: object) -> set[str]:
    """All names in a tree."""
    if isinstance(node, dict):
        own = {str(value) for key, value in node.items() if key in ("sval", "relname")}
        return own.union(*map(_strings, node.values())) if node else own
    if isinstance(node, list):
        return set().union(*map(_strings, node)) if node else set()
    return set()
