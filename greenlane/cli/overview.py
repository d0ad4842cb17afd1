"""`greenlane status`: everything under way, and whatever needs a person."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.exits import ExitCode
from greenlane.cli.session import Session
from greenlane.cli.watching import PATIENCE

if TYPE_CHECKING:
    from greenlane.status.model import Everything


def status(
    context: typer.Context,
    watch_it: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")
    ] = False,
) -> None:
    """Show everything under way, and whatever needs a person, on one screen.

    It reads tables only, and says which parts are not deployed here. Whatever it shows, the exit
    code is 0.
    """
    session: Session = context.obj
    if watch_it:
        raise typer.Exit(_watch(session))
    found = _read(session)
    session.emit(found)
    if not session.as_json:
        from greenlane.cli.overview_views import everything_view

        session.console.print(everything_view(found))


def _read(session: Session) -> "Everything":
    from greenlane.status.reading import Stores, read_everything

    stores = Stores.of(session.client.connection.client("dynamodb"))
    return read_everything(stores, session.now)


def _look(session: Session) -> "Everything":
    """The same; failing looks are repeated for a while."""
    from botocore.exceptions import BotoCoreError, ClientError

    for left in reversed(range(PATIENCE)):
        try:
            return _read(session)
        except (BotoCoreError, ClientError) as error:
            if not left:
                raise
            session.warn(f"no answer, trying again: {error}")
            session.sleep(session.poll_seconds)
    raise AssertionError("the last failing look raises its own error")


def _watch(session: Session) -> ExitCode:
    """On a terminal the screen is drawn anew; elsewhere a text, or a line of JSON, per change."""
    from rich.live import Live

    from greenlane.cli.overview_views import everything_view

    before = None
    try:
        if session.console.is_terminal and not session.as_json:
            with Live(console=session.console, auto_refresh=False, screen=True) as live:
                while True:
                    live.update(everything_view(_look(session)), refresh=True)
                    session.sleep(session.poll_seconds)
        while True:
            found = _look(session)
            said = everything_view(found).plain.partition("\n")[2]
            if said != before:
                session.emit(found)
                session.say(everything_view(found).plain)
            before = said
            session.sleep(session.poll_seconds)
    except KeyboardInterrupt:
        print("not watching any more; all of it goes on", file=sys.stderr)
        return ExitCode.INTERRUPTED
