"""`greenlane migrations rollback`: what a run did is taken back, and what began after it."""

from typing import Annotated

import typer

from greenlane.cli.migrations_running import Database, Run, Watch, connect_of, manager_of
from greenlane.cli.migrations_views import rollback_lines, started_lines
from greenlane.cli.migrations_watching import follow
from greenlane.cli.session import Session


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(rollback)


def rollback(
    context: typer.Context,
    run: Run,
    database: Database = None,
    file: Annotated[
        list[str] | None, typer.Option(help="The ids of the files that are meant.")
    ] = None,
    accept_data_loss: Annotated[
        list[str] | None,
        typer.Option(help="What may be lost: public.people.name, or a statement, 0007_expand:3."),
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would do, and start nothing.")
    ] = False,
    reason: Annotated[str, typer.Option(help="For the history.")] = "",
    id: Annotated[
        str | None, typer.Option(help="Of the run that undoes; the same id starts it once.")
    ] = None,
    watch_it: Watch = False,
) -> None:
    """Take back what a run did, and what began after it, the last statement first.

    What each statement is undone by, how exactly, and which locks that takes is printed first. What
    would lose data is refused until each object is named; there is no way to say yes to all.
    """
    session: Session = context.obj
    manager = manager_of(session)
    plan = manager.foresee_rollback(
        run,
        connect=connect_of(database),
        files=[one.removesuffix(".sql") for one in file or ()],
        accept_data_loss=accept_data_loss or (),
    )
    session.emit(plan)
    for line in rollback_lines(plan):
        session.say(line)
    plan.refuse_loss()
    if check_only:
        return
    started = manager.start_rollback(plan, run=id, reason=reason)
    session.emit(started)
    for line in started_lines(started):
        session.say(line)
    if watch_it:
        raise typer.Exit(follow(session, manager, started.run))
    session.say(f"follow it: greenlane migrations get {started.run} --watch")
