"""`greenlane flags stale`, `forget` and `recompile`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from greenlane.cli.exits import ExitCode
from greenlane.cli.flags_files import text_of
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

DEFAULT_AGE = "90d"

Why = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (stale, forget, recompile):
        app.command()(command)


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
    from greenlane.flags.lifecycle.code_scan import scan
    from greenlane.flags.lifecycle.stale import findings

    session: Session = context.obj
    older = _age(fail_on or DEFAULT_AGE)
    if path is not None and not path.exists():
        raise InvalidInput("PATH", str(path), "there is no such file or folder")
    seen = None
    if file is not None:
        from greenlane.flags.definitions.document import read_flags
        from greenlane.flags.storing.state import StoredFlag

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


def forget(
    context: typer.Context,
    environment: Annotated[str, typer.Argument(help="Its name.", show_default=False)],
    reason: Why = "",
) -> None:
    """Take out an environment that no flag names any more; nothing changes for anybody."""
    from greenlane.flags.storing import upkeep

    session: Session = context.obj
    kept = upkeep.forget(
        session.flags, environment, by=session.principal, reason=reason, at=session.now
    )
    session.emit(kept)
    session.say(f"{environment}: forgotten, version {kept.version}")


def recompile(context: typer.Context, reason: Why = "") -> None:
    """Write the snapshots anew that are not what the flags compile to.

    After an upgrade the next change does that by itself; this does it now, or repairs a snapshot.
    """
    from greenlane.flags.storing.submitting import kept

    session: Session = context.obj
    done = session.flags.recompile(
        by=session.principal, reason=reason or "recompiled", at=session.now
    )
    session.emit(kept(done))
    names = ", ".join(done.environments)
    said = f"{names}: written anew" if names else "snapshots: unchanged"
    session.say(f"{said}, version {done.version}")


def _age(text: str) -> timedelta:
    from greenlane.durations import parse_seconds

    try:
        return timedelta(seconds=parse_seconds(text))
    except ValueError as error:
        raise InvalidInput("--fail-on", text, str(error)) from None
