"""`greenlane migrations run`, `list`, `get`, `history`, `pause`, `resume`, `abort`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.migrations_checking import DeclaredPhase
from greenlane.cli.migrations_views import run_lines, run_rows, started_lines
from greenlane.cli.migrations_watching import follow
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.migrations.managing.manager import MigrationManager
    from greenlane.migrations.running.session import Connect

Run = Annotated[str, typer.Argument(help="The run's id.", show_default=False)]
Why = Annotated[str, typer.Option("--reason", help="For the history.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")]
Database = Annotated[
    str | None,
    typer.Option(help="A connection string; the database is looked at, nothing is written."),
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(run)
    app.command("list")(list_runs)
    for command in (get, history, pause, resume, abort):
        app.command()(command)


def manager_of(session: Session) -> "MigrationManager":
    """Migrations of the session's cloud; who asked is whose credentials these are."""
    from greenlane.migrations.managing.manager import MigrationManager

    return MigrationManager(session.client.connection, by=session.principal)


def connect_of(database: str | None) -> "Connect | None":
    """What opens sessions that write nothing; None without a connection string."""
    if database is None:
        return None
    from greenlane.migrations.running.psycopg_session import connector

    return connector(database, read_only=True)


def run(
    context: typer.Context,
    phase: Annotated[DeclaredPhase, typer.Option(help="Which phase of the folder's files.")],
    folder: Annotated[
        Path, typer.Option("--folder", "-f", help="With migrations.yaml and its SQL files.")
    ] = Path("migrations"),
    release: Annotated[
        str | None, typer.Option(help="Leave files of this phase out that come after it.")
    ] = None,
    database: Database = None,
    deployment: Annotated[
        str | None,
        typer.Option("--deployment", "-d", help="Wait while it is not well, and end with it."),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(help="A rule whose findings you accept, or one of them: drop-column:2."),
    ] = None,
    leave: Annotated[
        bool, typer.Option("--leave", help="If it fails, leave in place what it did.")
    ] = False,
    reason: Annotated[str, typer.Option(help="For the history; needed with --override.")] = "",
    id: Annotated[
        str | None, typer.Option(help="The run's id; the same id starts it once.")
    ] = None,
    watch_it: Watch = False,
) -> None:
    """Start one phase of a folder of migrations.

    It runs in AWS, in slices: closing this terminal does not stop it. Files that ran before do not
    run again. With --database, what would stop it is found before anything is started.
    """
    from greenlane.migrations.managing.starting import override_of
    from greenlane.problems import ABSENT

    session: Session = context.obj
    if override and len(reason) < 3:
        raise InvalidInput("--reason", reason or ABSENT, "say why the findings are accepted")
    manager = manager_of(session)
    started = manager.start(
        folder.parent if folder.is_file() else folder,
        phase.value,
        run=id,
        release=release,
        connect=connect_of(database),
        deployment=deployment,
        overrides=[override_of(one, person=manager.by, reason=reason) for one in override or ()],
        on_failure="leave" if leave else "undo",
        reason=reason,
    )
    session.emit(started)
    for line in started_lines(started):
        session.say(line)
    if watch_it:
        raise typer.Exit(follow(session, manager, started.run))
    session.say(f"follow it: greenlane migrations get {started.run} --watch")


def list_runs(
    context: typer.Context,
    database: Annotated[
        str | None, typer.Argument(help="Its name; all if not given.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
) -> None:
    """List the runs, newest first, and what stands in each database."""
    session: Session = context.obj
    manager = manager_of(session)
    runs = manager.runs(database, limit)
    published = [one for one in manager.published() if database in (None, one.database)]
    session.emit({"published": published, "runs": runs})
    for line in run_rows(runs, published, manager.databases()):
        session.say(line)


def get(context: typer.Context, run: Run, watch_it: Watch = False) -> None:
    """Show one run: where it stands, what it waits for, what there is to go back to."""
    session: Session = context.obj
    manager = manager_of(session)
    if watch_it:
        raise typer.Exit(follow(session, manager, run))
    record, ended = manager.look(run)
    session.emit(record if record is not None else {"run": run, "ended": ended})
    if record is None:
        session.say(f"{run}: {'it ended: ' + ended.why if ended else 'it is about to begin'}")
        return
    for line in run_lines(record, manager.asked(record)):
        session.say(line)


def history(context: typer.Context, run: Run) -> None:
    """List what happened in a run, oldest first."""
    from greenlane.cli.views import history_view

    session: Session = context.obj
    events = manager_of(session).history(run)
    session.emit(events)
    if not session.as_json:
        session.console.print(history_view(events))


def pause(context: typer.Context, run: Run, reason: Why = "") -> None:
    """Let a run wait before its next slice; a statement that runs is not cancelled."""
    session: Session = context.obj
    manager_of(session).pause(run, reason=reason)
    session.emit({"run": run, "asked": "pause"})
    session.say(f"{run}: it pauses at its next look, within minutes; resume lets it go on")


def resume(context: typer.Context, run: Run) -> None:
    """Let a paused run go on."""
    session: Session = context.obj
    manager_of(session).resume(run)
    session.emit({"run": run, "asked": "resume"})
    session.say(f"{run}: it goes on at its next look, within half a minute")


def abort(
    context: typer.Context,
    run: Run,
    reason: Why = "",
    undo: Annotated[
        bool, typer.Option("--undo", help="Undo what it did, as far as that is exact.")
    ] = False,
    watch_it: Watch = False,
) -> None:
    """End a run before its next slice, and leave what it did; both versions can live with that."""
    session: Session = context.obj
    manager = manager_of(session)
    manager.abort(run, reason=reason, undo=undo)
    session.emit({"run": run, "asked": "abort", "undo": undo})
    then = "and undoes what is exact to undo" if undo else "and leaves what it did"
    session.say(f"{run}: it ends at its next look, within minutes, {then}")
    if watch_it:
        raise typer.Exit(follow(session, manager, run, wanted=("undone", "stopped")))
