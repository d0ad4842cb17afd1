"""`greenlane migrations restore`: going back to a backup, with tables copied back first."""

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.migrations.restoring.manager import RestoreManager

Restore = Annotated[str, typer.Argument(help="The restore's id.", show_default=False)]
Why = Annotated[str, typer.Option("--reason", help="For the history.")]


class Answers(Enum):
    """What can be said."""

    approve = "approve"
    salvage = "salvage"
    refuse = "refuse"
    stopped = "stopped"
    left_running = "left_running"


class Sources(Enum):
    """From what it is restored."""

    marker = "marker"
    snapshot = "snapshot"


app = typer.Typer(
    name="restore",
    help="Go back to before a run: copy tables back, or use a new database in the old one's place.",
    no_args_is_help=True,
)


def register(to: typer.Typer) -> None:
    """Add these commands."""
    app.command("list")(list_restores)
    for command in (start, get, history, salvage, answer, abort):
        app.command()(command)
    to.add_typer(app)


def manager_of(session: Session) -> "RestoreManager":
    """Restores of the session's cloud; who asked is whose credentials these are."""
    from greenlane.migrations.restoring.manager import RestoreManager

    return RestoreManager(session.client.connection, by=session.principal)


def start(
    context: typer.Context,
    run: Annotated[
        str, typer.Argument(help="The migration's run, before which it was.", show_default=False)
    ],
    reason: Annotated[str, typer.Option(help="Why; whoever approves reads it.")],
    table: Annotated[
        list[str] | None,
        typer.Option(help="schema.table to compare and copy back; those it refers to first."),
    ] = None,
    cutover: Annotated[
        bool,
        typer.Option("--cutover", help="Ask people to use it in the old one's place."),
    ] = False,
    source: Annotated[
        Sources | None, typer.Option(help="By default what the run has kept.")
    ] = None,
    verify: Annotated[
        list[str] | None, typer.Option(help="A query that must say true in the new one.")
    ] = None,
    least: Annotated[
        list[str] | None, typer.Option(help="schema.table=ROWS that the new one must have.")
    ] = None,
    expected: Annotated[
        str | None, typer.Option(help="How long restoring may take, if none was measured: 90m.")
    ] = None,
    answer_within: Annotated[str, typer.Option(help="The decision; then it ends.")] = "4h",
    writers_within: Annotated[str, typer.Option(help="Stopping writers; then it ends.")] = "1h",
    write_secret: Annotated[
        bool, typer.Option("--write-secret", help="At a cutover, write the host into the secret.")
    ] = False,
    id: Annotated[
        str | None, typer.Option(help="Its id; that of one that has ended goes on with it.")
    ] = None,
) -> None:
    """Make a new database as it was before a run, beside the old one, and look into both.

    It ends there, and tables are copied back by statements that `salvage` prints. With --cutover
    people are asked whether to use the new one in the place of the old one, which loses what was
    written since. The old one is neither changed nor deleted.
    """
    session: Session = context.obj
    asked = manager_of(session).start(
        run,
        restore=id,
        mode="cutover" if cutover else "salvage",
        reason=reason,
        tables=table or (),
        source=None if source is None else source.value,
        verify=verify or (),
        least_rows=_least(least or ()),
        expected_seconds=None if expected is None else _seconds("--expected", expected),
        approval_seconds=_seconds("--answer-within", answer_within),
        writers_seconds=_seconds("--writers-within", writers_within),
        writes_secret=write_secret,
    )
    session.emit(asked)
    session.say(f"{asked.restore}: {asked.database} is restored to before {run}, beside the old")
    session.say(f"follow it: greenlane migrations restore get {asked.restore}")


def list_restores(
    context: typer.Context,
    database: Annotated[
        str | None, typer.Argument(help="Its name; all if not given.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 20,
) -> None:
    """List the restores, newest first."""
    from greenlane.cli.migrations_restoring_views import restore_rows

    session: Session = context.obj
    found = manager_of(session).restores(database, limit)
    session.emit(found)
    for line in restore_rows(found):
        session.say(line)


def get(context: typer.Context, restore: Restore) -> None:
    """Show one restore: what is lost, how long it takes, and what it asks people."""
    from greenlane.cli.migrations_restoring_views import restore_lines

    session: Session = context.obj
    manager = manager_of(session)
    record = manager.restore(restore)
    question = manager.open_question(record)
    session.emit(
        {
            "restore": record,
            "question": None if question is None else question.question,
            "offer": None if question is None else question.asked.offer,
        }
    )
    for line in restore_lines(record, question, session.now):
        session.say(line)


def history(context: typer.Context, restore: Restore) -> None:
    """List what happened in a restore, oldest first."""
    from greenlane.cli.views import history_view

    session: Session = context.obj
    events = manager_of(session).history(restore)
    session.emit(list(events))
    if not session.as_json:
        session.console.print(history_view(events))


def salvage(context: typer.Context, restore: Restore) -> None:
    """Print the statements that copy tables back; nothing is run.

    They are in order, each with what it does, where it is run, and what it may lose.
    """
    from greenlane.cli.migrations_restoring_views import salvage_lines

    session: Session = context.obj
    steps = manager_of(session).salvage(restore)
    session.emit([step._asdict() for step in steps])
    for line in salvage_lines(steps):
        session.say(line)


def answer(
    context: typer.Context,
    restore: Restore,
    says: Annotated[Answers, typer.Argument(help="What you say.", show_default=False)],
    offer: Annotated[str, typer.Option(help="What `get` names, so that you answer what you read.")],
    reason: Annotated[
        str, typer.Option("--reason", help="For the history; an approval needs it.")
    ] = "",
) -> None:
    """Answer the question that a restore waits with; the first answer stands.

    First: `approve` (use the new database), `salvage` (only copy tables back) or `refuse`. After an
    approval: `stopped` (nothing writes to the old one any more), `left_running` (what is written
    until clients have moved is lost too) or `refuse`.
    """
    session: Session = context.obj
    standing = manager_of(session).answer(restore, says.value, offer=offer, reason=reason)
    session.emit(standing)
    session.say(f"{restore}: {standing.by} said {standing.says}")


def abort(context: typer.Context, restore: Restore, reason: Why = "") -> None:
    """End a restore before its cutover; the new database stays until you delete it."""
    session: Session = context.obj
    manager_of(session).abort(restore, reason=reason)
    session.emit({"restore": restore, "asked": "abort"})
    session.say(f"{restore}: it ends at its next step, unless its cutover has begun")


def _seconds(option: str, text: str) -> int:
    from greenlane.durations import parse_seconds

    try:
        return parse_seconds(text)
    except ValueError as error:
        raise InvalidInput(option, text, str(error)) from None


def _least(given: "list[str] | tuple[()]") -> dict[str, str]:
    found = {}
    for one in given:
        name, equals, rows = one.rpartition("=")
        if not equals:
            raise InvalidInput("--least", one, "write schema.table=ROWS, as public.people=1000")
        found[name] = rows
    return found
