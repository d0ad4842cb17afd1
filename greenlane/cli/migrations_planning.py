"""`greenlane migrations plan`: from a wanted change to files of three phases, in their folder."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenlane.cli.flags_files import text_of
from greenlane.cli.migrations_views import added_lines
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.migrations.catalog.model import Catalog
    from greenlane.migrations.managing.folders import Added
    from greenlane.migrations.planning.model import PlannedChange

plan = typer.Typer(
    help="Turn a change into files for expand, migrate and contract.", no_args_is_help=True
)

Table = Annotated[str, typer.Argument(help="Of the database; without a schema, found by its path.")]
Column = Annotated[str, typer.Argument(help="Of the table.")]
Folder = Annotated[
    Path, typer.Option("--folder", "-f", help="Of the migrations; made if it is not there.")
]
Database = Annotated[
    str | None, typer.Option(help="A connection string; its catalog is read, nothing is written.")
]
Schema = Annotated[
    Path | None, typer.Option(help="In place of a database: its DDL, such as of pg_dump -s.")
]
Fill = Annotated[list[str] | None, typer.Option(help="Of rows without one: people.age=0.")]

_FROM = (
    ("database", Database, None),
    ("schema", Schema, None),
)
_TO = (
    ("folder", Folder, Path("migrations")),
    ("release", Annotated[str | None, typer.Option(help="That the change belongs to.")], None),
    (
        "min_app",
        Annotated[
            str | None, typer.Option(help="The first version that no longer needs the old shape.")
        ],
        None,
    ),
    (
        "approved_by",
        Annotated[str | None, typer.Option(help="Who accepts what a file has to break.")],
        None,
    ),
    ("reason", Annotated[str | None, typer.Option(help="Why that is accepted.")], None),
    (
        "name",
        Annotated[str | None, typer.Option(help="Of the database, for a manifest that is new.")],
        None,
    ),
    ("owner", Annotated[str | None, typer.Option(help="Whom to ask, likewise.")], None),
    (
        "queries",
        Annotated[
            Path | None, typer.Option(help="Write what the live version asks into this new file.")
        ],
        None,
    ),
    (
        "check_only",
        Annotated[bool, typer.Option("--dry-run", help="Say it, and write nothing.")],
        False,
    ),
)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(plan, name="plan")


def _command(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command that plans by a function of a catalog, with the options that all of them have."""
    own = list(inspect.signature(function).parameters.values())[1:]

    def command(context: typer.Context, **given: Any) -> None:
        session: Session = context.obj
        catalog = _catalog(given.pop("database"), given.pop("schema"))
        to = {name: given.pop(name) for name, _, _ in _TO}
        _add(session, function(catalog, **given), **to)

    _shape(command, own, (*_FROM, *_TO))
    command.__doc__ = function.__doc__
    plan.command(function.__name__.replace("_", "-"))(command)
    return function


def _shape(
    command: Any, own: list[inspect.Parameter], shared: tuple[tuple[str, Any, Any], ...]
) -> None:
    """Give a function the signature that its command line is made from."""
    kind = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, annotation, default in shared
    ]
    first = inspect.Parameter("context", kind, annotation=typer.Context)
    parameters = [first, *(one.replace(kind=kind) for one in own), *options]
    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = {one.name: one.annotation for one in parameters}


@_command
def rename_column(catalog: "Catalog", table: Table, old: Column, new: Column) -> "PlannedChange":
    """Another name for a column, over three phases."""
    from greenlane.migrations.planning import changes

    return changes.rename_column(table, old, new, catalog)


@_command
def rename_table(
    catalog: "Catalog", table: Table, new: Annotated[str, typer.Argument(help="Its new name.")]
) -> "PlannedChange":
    """Another name for a table: a view of that name first, then the table has it."""
    from greenlane.migrations.planning import changes

    return changes.rename_table(table, new, catalog)


@_command
def split_column(
    catalog: "Catalog",
    table: Table,
    column: Column,
    into: Annotated[
        list[str],
        typer.Option(help="A new column: its name, type and value: first text = left(name, 1)."),
    ],
    joined: Annotated[str, typer.Option(help="The old column's value, from the new ones.")],
) -> "PlannedChange":
    """Several columns in place of one, by an expression each way."""
    from greenlane.migrations.planning import changes

    parts = [_part(one) for one in into]
    return changes.split_column(table, column, parts, joined, catalog)


@_command
def change_type(
    catalog: "Catalog",
    table: Table,
    column: Column,
    type: Annotated[str, typer.Argument(help="As SQL writes it.")],
    using: Annotated[
        str | None, typer.Option(help="The new value from the column; a cast if not given.")
    ] = None,
) -> "PlannedChange":
    """Another type for a column, in place where PostgreSQL leaves the rows alone."""
    from greenlane.migrations.planning import changes

    return changes.change_type(table, column, type, using, catalog)


@_command
def set_not_null(
    catalog: "Catalog",
    table: Table,
    column: Column,
    fill: Annotated[str | None, typer.Option(help="The value of rows that have none.")] = None,
) -> "PlannedChange":
    """NOT NULL for a column that is there, without a strong lock during a scan."""
    from greenlane.migrations.planning import changes

    return changes.set_not_null(table, column, catalog, fill=fill)


@_command
def add_not_null_column(
    catalog: "Catalog",
    table: Table,
    column: Column,
    type: Annotated[str, typer.Argument(help="As SQL writes it.")],
    default: Annotated[str, typer.Option(help="Of rows that are there, and that leave it out.")],
) -> "PlannedChange":
    """A new column that is NOT NULL."""
    from greenlane.migrations.planning import changes

    return changes.add_not_null_column(table, column, type, default, catalog)


@_command
def drop_column(catalog: "Catalog", table: Table, column: Column) -> "PlannedChange":
    """A column that versions stop using, and then is gone."""
    from greenlane.migrations.planning import changes

    return changes.drop_column(table, column, catalog)


@_command
def drop_table(catalog: "Catalog", table: Table) -> "PlannedChange":
    """A table that is set aside, so that it can be brought back, and dropped later."""
    from greenlane.migrations.planning import changes

    return changes.drop_table(table, catalog)


def schema(context: typer.Context, **given: Any) -> None:
    """From one schema to another; what cannot be told from the two is asked."""
    from greenlane.migrations.planning.schemas import backward_compatible_migration

    session: Session = context.obj
    renames: dict[str, str | None] = dict(_pair("--rename", one) for one in given["rename"] or ())
    renames |= dict.fromkeys(given["drop"] or ())
    fills = dict(_pair("--fill", one) for one in given["fill"] or ())
    old, new = (text_of(given[name])[0] for name in ("old", "new"))
    with _asking():
        change = backward_compatible_migration(old, new, renames=renames, fills=fills)
    _add(session, change, **{name: given[name] for name, _, _ in _TO})


_shape(
    schema,
    [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
        for name, annotation in (
            ("old", Annotated[Path, typer.Argument(help="The DDL of what there is.")]),
            ("new", Annotated[Path, typer.Argument(help="The DDL of what there is to be.")]),
        )
    ],
    (
        (
            "rename",
            Annotated[list[str] | None, typer.Option(help="Of a column: people.name=full_name.")],
            None,
        ),
        (
            "drop",
            Annotated[
                list[str] | None,
                typer.Option(help="A column that is not renamed, and loses its values."),
            ],
            None,
        ),
        ("fill", Fill, None),
        *_TO,
    ),
)
plan.command()(schema)


class _asking:  # noqa: N801 - it is used as a function
    """The planner's question about a rename, with the options that answer it."""

    def __enter__(self) -> None:
        """Nothing is asked yet."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Word the question anew."""
        from greenlane.migrations.planning.schemas import AmbiguousRename

        if isinstance(error, AmbiguousRename):
            said = error.way_out.partition(" Answer ")[0]
            way_out = f"{said} Answer --rename {error.value}=ITS_NEW_NAME, or --drop {error.value}"
            raise AmbiguousRename("--rename", error.value, way_out) from error


def _add(session: Session, change: "PlannedChange", **to: Any) -> None:
    """Write a planned change into its folder, and say so."""
    from greenlane.migrations.managing.folders import Declared, add_change

    check_only, queries, folder = to.pop("check_only"), to.pop("queries"), to.pop("folder")
    declared = Declared(database=to.pop("name"), **to)
    if queries is not None and queries.exists():
        raise InvalidInput("--queries", str(queries), "it is there already; name a new file")
    added: Added = add_change(folder, change, declared, write=not check_only)
    if queries is not None and not check_only:
        text = "".join(f"{one};\n" for one in added.old_app_queries)
        queries.write_text(f"-- What the version that is live asks.\n{text}")
    session.emit(added)
    for line in added_lines(added, written=not check_only, queries=queries):
        session.say(line)


def _catalog(database: str | None, schema: Path | None) -> "Catalog":
    if (database is None) == (schema is None):
        from greenlane.problems import ABSENT

        given = "--database and --schema" if database else ABSENT
        raise InvalidInput(
            "--database", given, "give --database DSN, or --schema FILE in its place"
        )
    if database is not None:
        from greenlane.cli.migrations_checking import catalog_of

        return catalog_of(database)
    from greenlane.migrations.planning.ddl import read_schema

    return read_schema(*text_of(schema or Path())).catalog()


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise InvalidInput(option, text, "write the column, =, and the rest: people.name=full_name")
    return name.strip(), value.strip()


def _part(text: str) -> tuple[str, str, str]:
    head, equals, value = text.partition("=")
    name, _, kind = head.strip().partition(" ")
    if not equals or not kind.strip() or not value.strip():
        raise InvalidInput("--into", text, "write name, type, = and value: first text = left(x, 1)")
    return name, kind.strip(), value.strip()
