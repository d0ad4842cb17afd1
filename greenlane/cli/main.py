"""The command line itself: its commands, its global options, and how every error ends."""

import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from greenlane import __version__
from greenlane.cli import (
    adopting,
    applying,
    dashboards,
    deploying,
    doctor,
    evidence,
    experiments,
    flags,
    judging,
    local,
    looking,
    migrations,
    overview,
    planning,
    regions,
    reporting,
    steering,
)
from greenlane.cli.exits import MEANINGS, report
from greenlane.cli.session import LOCAL_DIRECTORY, Session

_WITH_VALUE = ("--profile", "--region", "--endpoint-url", "--output", "-o", "--by", "--local-dir")
_FLAGS = ("--local", "--debug")


class Output(StrEnum):
    """What is printed on stdout."""

    TEXT = "text"
    JSON = "json"


class Command(TyperGroup):
    """Takes the global options anywhere on the line, and ends errors without a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the global options to the front, where the group's own parser looks for them."""
        return super().parse_args(ctx, _global_options_first(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error becomes one or two lines and an exit code."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if hasattr(error, "format_message"):  # of the command line itself: usage, exit code 2
                raise
            session = ctx.obj if isinstance(ctx.obj, Session) else Session()
            if session.debug:
                traceback.print_exc()
            raise typer.Exit(report(error, as_json=session.as_json)) from error


def _global_options_first(args: list[str]) -> list[str]:
    """The same line with its global options, and their values, before everything else."""
    front: list[str] = []
    rest: list[str] = []
    left = iter(args)
    for arg in left:
        if arg == "--":
            rest += [arg, *left]
        elif arg in _FLAGS or (
            arg.startswith("--") and arg.split("=")[0] in _WITH_VALUE and "=" in arg
        ):
            front.append(arg)
        elif arg in _WITH_VALUE:
            front += [arg, *([value] if (value := next(left, None)) is not None else [])]
        else:
            rest.append(arg)
    return front + rest


_EXIT_CODES = "\n\n".join(
    ["Exit codes:", *(f"{code:>3}  {meaning}" for code, meaning in MEANINGS.items())]
)

app = typer.Typer(
    name="greenlane",
    cls=Command,
    help="Move a new version into production without downtime, watch it, take it back.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"greenlane {__version__}")
        raise typer.Exit


@app.callback()
def global_options(
    context: typer.Context,
    profile: Annotated[str | None, typer.Option(help="Of your AWS configuration.")] = None,
    region: Annotated[str | None, typer.Option(help="The AWS Region.")] = None,
    endpoint_url: Annotated[
        str | None, typer.Option(help="Of something that speaks AWS's API.")
    ] = None,
    local_cloud: Annotated[
        bool,
        typer.Option(
            "--local", help="Use the local cloud that runs here; GREENLANE_LOCAL=1 says the same."
        ),
    ] = False,
    local_dir: Annotated[
        Path, typer.Option(help="Where the local cloud keeps its state.")
    ] = LOCAL_DIRECTORY,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="JSON goes to stdout, JSON errors to stderr.")
    ] = Output.TEXT,
    by: Annotated[
        str | None, typer.Option(help="Who is recorded as having asked; your login name if not.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Move a new version into production without downtime, watch it, take it back.

    These options may stand anywhere on the line. Without --local, AWS is meant, with your usual
    credentials and Region.
    """
    session = context.obj if isinstance(context.obj, Session) else Session()
    context.obj = session
    session.profile = profile
    session.region = region
    session.endpoint_url = endpoint_url
    session.local = local_cloud
    session.directory = local_dir
    session.as_json = output is Output.JSON
    session.by = by
    session.debug = debug
    session.check()


for _command in (
    adopting.adopt,
    adopting.unadopt,
    applying.apply,
    doctor.doctor,
    planning.plan,
    deploying.deploy,
    judging.judge,
    overview.status,
    looking.get,
    looking.history,
    dashboards.dashboard,
    reporting.report,
    steering.pause,
    steering.resume,
    steering.promote,
    steering.abort,
    steering.rollback,
    steering.undo,
):
    app.command()(_command)
app.add_typer(evidence.app, name="evidence")
app.add_typer(experiments.app, name="experiments")
app.add_typer(flags.app, name="flags")
app.add_typer(local.app, name="local")
app.add_typer(migrations.app, name="migrations")
app.add_typer(regions.app, name="regions")
app.command()(local.demo)


if __name__ == "__main__":
    app(prog_name="greenlane")
