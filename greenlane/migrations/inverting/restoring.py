"""Parts of a catalog as the statements that make them again, with what belongs to them."""

import re

from greenlane.migrations.catalog.model import (
    Column,
    Constraint,
    Function,
    Index,
    Table,
    Trigger,
    UserType,
    View,
)
from greenlane.migrations.inverting.before import name_of
from greenlane.migrations.inverting.grants import column_grants_again, grants_again
from greenlane.migrations.sql.names import Name, literal, quoted

_CREATE_INDEX = re.compile(r"\ACREATE (UNIQUE )?INDEX (?:\"(?:[^\"]|\"\")*\"|[^ ]+) ")
_USING_INDEX = re.compile(r"\A(?:PRIMARY KEY|UNIQUE(?: NULLS NOT DISTINCT)?) \(.*?\)(?P<tail>.*)\Z")
NOT_VALID = " NOT VALID"


def comment(kind: str, target: str, text: str | None) -> list[str]:
    """The statement that says a comment again; none where there was none."""
    return [] if text is None else [set_comment(kind, target, text)]


def set_comment(kind: str, target: str, text: str | None) -> str:
    """The statement that sets a comment, or takes it away."""
    return f"COMMENT ON {kind} {target} IS {'NULL' if text is None else literal(text)}"


def index_again(table: Table, index: Index, name: str | None = None) -> list[str]:
    """An index, without keeping anybody from writing where that is possible.

    Args:
        table: its table.
        index: as it was.
        name: another one to give it.
    """
    named = quoted(name or index.name)
    how = "" if table.kind == "partitioned" else " CONCURRENTLY"
    head = rf"CREATE \1INDEX{how} "
    target = str(Name(table.schema_name, name or index.name))
    definition = _CREATE_INDEX.sub(lambda found: found.expand(head) + named + " ", index.definition)
    return [definition, *comment("INDEX", target, index.comment), *marks_again(table, index)]


def marks_again(table: Table, index: Index) -> list[str]:
    """That it is the one to cluster by, or the replica identity."""
    of, named = name_of(table), quoted(index.name)
    made = []
    if index.clustered:
        made.append(f"ALTER TABLE {of} CLUSTER ON {named}")
    if index.replica_identity:
        made.append(f"ALTER TABLE {of} REPLICA IDENTITY USING INDEX {named}")
    return made


def constraint_again(table: Table, constraint: Constraint, index: Index | None) -> list[str]:
    """A constraint, in the steps that hold a strong lock only for a moment.

    Args:
        table: its table.
        constraint: as it was.
        index: that of a primary key or unique constraint.
    """
    of, named = name_of(table), quoted(constraint.name)
    add = f"ALTER TABLE {of} ADD CONSTRAINT {named}"
    definition = constraint.definition.removesuffix(NOT_VALID)
    told = comment("CONSTRAINT", f"{named} ON {of}", constraint.comment)
    splits = constraint.kind in ("check", "foreign", "not null") and " NOT ENFORCED" not in (
        definition
    )
    if splits and not (table.kind == "partitioned" and constraint.kind == "foreign"):
        validate = [f"ALTER TABLE {of} VALIDATE CONSTRAINT {named}"] if constraint.validated else []
        return [f"{add} {definition}{NOT_VALID}", *validate, *told]
    by_index = _USING_INDEX.match(definition)
    if by_index and index and table.kind == "table" and "WITHOUT OVERLAPS" not in definition:
        word = "PRIMARY KEY" if constraint.kind == "primary" else "UNIQUE"
        tail = re.sub(r" INCLUDE \(.*?\)", "", by_index["tail"])
        built, *rest = index_again(table, index)
        return [built, f"{add} {word} USING INDEX {named}{tail}", *told, *rest]
    return [f"{add} {definition}", *told, *(marks_again(table, index) if index else ())]


def column_again(table: Table, column: Column) -> list[str]:
    """A column at the end of its table, without the values that it had.

    It may be NULL, unless a default or an expression gives it values.
    """
    of, named = name_of(table), quoted(column.name)
    made = [f"ALTER TABLE {of} ADD COLUMN {column_definition(column)}"]
    if column.storage:
        made.append(f"ALTER TABLE {of} ALTER COLUMN {named} SET STORAGE {column.storage.upper()}")
    if column.statistics is not None:
        made.append(f"ALTER TABLE {of} ALTER COLUMN {named} SET STATISTICS {column.statistics}")
    made += comment("COLUMN", f"{of}.{named}", column.comment)
    return [*made, *column_grants_again(str(of), column.name, column.grants)]


def column_definition(column: Column) -> str:
    """As in CREATE TABLE; NOT NULL only where the column has values from the start."""
    text = f"{quoted(column.name)} {column.type}"
    if column.collation:
        text += f" COLLATE {column.collation}"
    if column.generated:
        text += f" GENERATED ALWAYS AS ({column.expression}) {column.generated.upper()}"
    elif column.identity:
        text += f" GENERATED {column.identity.upper()} AS IDENTITY"
    elif column.default is not None:
        text += f" DEFAULT {column.default}"
    given = column.generated or column.identity or column.default is not None
    return f"{text} NOT NULL" if column.not_null and given else text


def view_again(view: View, table: Table | None) -> list[str]:
    """A view; or a materialised one, filled, with the indexes of `table`."""
    of = Name(view.schema_name, view.name)
    kind = "VIEW" if table is None else "MATERIALIZED VIEW"
    query = view.definition.strip().removesuffix(";")
    return [
        f"CREATE {kind} {of}{view_options(view.options)} AS {query}",
        *([f"ALTER {kind} {of} OWNER TO {quoted(view.owner)}"] if view.owner else ()),
        *grants_again("TABLE", str(of), view.grants, view.owner),
        *comment(kind, str(of), view.comment),
        *(sql for one in view.triggers for sql in trigger_again(of, one)),
        *(sql for one in (table.indexes if table else ()) for sql in _plain_index(table, one)),
    ]


def _plain_index(table: Table | None, index: Index) -> list[str]:
    """Of a relation that nobody uses yet."""
    made = index_again(table, index) if table is not None else []
    return [sql.replace("INDEX CONCURRENTLY ", "INDEX ", 1) for sql in made]


def view_options(options: tuple[str, ...]) -> str:
    """`WITH (...)` before the query."""
    if not options:
        return ""
    given = (one.split("=", 1) for one in options)
    return f" WITH ({', '.join(f'{name} = {literal(value)}' for name, value in given)})"


def trigger_again(of: Name, trigger: Trigger) -> list[str]:
    """A trigger, and whether it fires."""
    named = quoted(trigger.name)
    return [
        trigger.definition,
        *trigger_state(of, trigger, new=True),
        *comment("TRIGGER", f"{named} ON {of}", trigger.comment),
    ]


def trigger_state(of: Name, trigger: Trigger, *, new: bool = False) -> list[str]:
    """What makes it fire as it did. Args: new: whether it was just made, and so fires."""
    word = {"origin": "ENABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}[
        trigger.fires
    ]
    word = word if trigger.enabled else "DISABLE"
    if new and word == "ENABLE":
        return []
    return [f"ALTER TABLE {of} {word} TRIGGER {quoted(trigger.name)}"]


def function_again(function: Function) -> list[str]:
    """A function or procedure that was dropped."""
    target = routine(function)
    return [
        function.definition.strip(),
        *([f"ALTER ROUTINE {target} OWNER TO {quoted(function.owner)}"] if function.owner else ()),
        *grants_again("ROUTINE", target, function.grants, function.owner),
        *comment("ROUTINE", target, function.comment),
    ]


def routine(function: Function) -> str:
    """As SQL names it, with its arguments."""
    return f"{Name(function.schema_name, function.name)}({function.arguments})"


def enum_again(kind: UserType) -> list[str]:
    """An enum that was dropped."""
    of = str(Name(kind.schema_name, kind.name))
    labels = ", ".join(literal(one) for one in kind.labels)
    return [
        f"CREATE TYPE {of} AS ENUM ({labels})",
        *([f"ALTER TYPE {of} OWNER TO {quoted(kind.owner)}"] if kind.owner else ()),
        *grants_again("TYPE", of, kind.grants, kind.owner),
        *comment("TYPE", of, kind.comment),
    ]
