"""`greenlane flags proposals`, `approve` and `reject`."""

from typing import Annotated, Literal

import typer

from greenlane.cli.flags_views import differences, table, tell_kept
from greenlane.cli.session import Session

WAITING: Literal["waiting"] = "waiting"

Id = Annotated[str, typer.Argument(help="The proposal's id.", show_default=False)]
Why = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (proposals, approve, reject):
        app.command()(command)


def proposals(
    context: typer.Context,
    id: Annotated[str | None, typer.Argument(help="One of them, whole.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    before: Annotated[str | None, typer.Option(help="Only older ones than this id.")] = None,
) -> None:
    """List the changes that wait for a second person, newest first."""
    session: Session = context.obj
    if id is not None:
        one = session.flags.proposal(id)
        session.emit(one)
        session.say(f"{one.id}: {one.status}, by {one.by}: {one.reason or 'no reason given'}")
        for line in differences(one.changes(session.flags.read())):
            session.say(line)
        return
    status = None if everything else WAITING
    found = session.flags.proposals(status, before, limit + 1)
    page = found[:limit]
    session.emit(page)
    if not page:
        session.say("nothing waits" if status else "nothing was proposed")
        return
    rows = [("id", "status", "by", "changes", "environments", "reason")]
    for one in page:
        about = ", ".join(one.based)
        rows.append((one.id, one.status, one.by, about, ", ".join(one.environments), one.reason))
    for line in table(rows):
        session.say(line)
    if len(found) > limit:
        session.say(f"there are more: --before {page[-1].id}")


def approve(context: typer.Context, id: Id, reason: Why = "") -> None:
    """Carry out a change that somebody else proposed."""
    from greenlane.flags.storing import keeping

    session: Session = context.obj
    kept = keeping.approve(session.flags, id, by=session.principal, reason=reason, at=session.now)
    tell_kept(session, kept, kept.keys, kept.proposal)


def reject(context: typer.Context, id: Id, reason: Why = "") -> None:
    """Close a proposal without its change; its author may do that too."""
    from greenlane.flags.storing import keeping

    session: Session = context.obj
    rejected = keeping.reject(
        session.flags, id, by=session.principal, reason=reason, at=session.now
    )
    session.emit(rejected)
    session.say(f"{rejected.id}: rejected; nothing was changed")
