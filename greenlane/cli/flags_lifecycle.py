"""`greenlane flags stale`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from greenlane.cli.exits import ExitCode
from greenlane.cli.flags_files import text_of
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

DEFAULT_AGE = "90d"


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(stale)


def stale(
    context: typer.Context,
    path: Annotated[
        Path | None, typer.Argument(help="A folder of code to look through.", show_default=False)
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(help="Exit code 1 for a flag unused, or decided, so long: such as 90d."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="Flags of a file instead of the stored; needs no cloud."),
    ] = None,
) -> None:
    """List flags that should be gone, and those that the code asks for and nobody defined.

    Without --fail-on the age is 90d, and the exit code 0 whatever is found.
    """
    from greenlane.clock import current_clock
    from greenlane.flags.code_scan import scan
    from greenlane.flags.stale import findings

    session: Session = context.obj
    older = _age(fail_on or DEFAULT_AGE)
    if path is not None and not path.exists():
        raise InvalidInput("PATH", str(path), "there is no such file or folder")
    seen = None
    if file is not None:
        from greenlane.flags.document import read_flags
        from greenlane.flags.state import StoredFlag

        document = read_flags(*text_of(file))
        flags = {key: StoredFlag(flag=one) for key, one in document.feature_flags.items()}
        now = current_clock().now()
    else:
        stored = session.flags.read()
        flags, now = stored.flags, session.now
        seen = [one for name in stored.environments for one in session.flags.seen(name)]
        if not seen:
            session.warn("no evaluation was recorded yet, so nothing is said about unused flags")
    code = scan(path, flags) if path is not None else None
    for place in code.unclear if code else ():
        session.warn(place)
    found = findings(flags, now=now, older=older, seen=seen, code=code)
    session.emit(list(found))
    for one in found:
        session.say(f"{one.flag}: {one.kind.replace('_', ' ')}: {one.said}")
        for where in one.places:
            session.say(f"    {where}")
    if not found:
        session.say("nothing is stale")
    raise typer.Exit(ExitCode.FAILED if found and fail_on is not None else ExitCode.OK)


def _age(text: str) -> timedelta:
    from greenlane.durations import parse_seconds

    try:
        return timedelta(seconds=parse_seconds(text))
    except ValueError as error:
        raise InvalidInput("--fail-on", text, str(error)) from None
