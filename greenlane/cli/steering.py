"""`greenlane pause`, `resume`, `promote`, `abort`, `rollback` and `undo`: what people tell it."""

from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.deploying import Service
from greenlane.cli.session import Session
from greenlane.cli.watching import watch
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.deployments.connection import Started
    from greenlane.deployments.model import SignalName

Step = Annotated[
    int | None,
    typer.Option(min=1, help="The step you saw; at another one the signal does nothing."),
]


def pause(context: typer.Context, service: Service, step: Step = None) -> None:
    """Stay at the present step until `resume`; the alarms keep watching."""
    _signal(context.obj, service, "pause", step)


def resume(context: typer.Context, service: Service, step: Step = None) -> None:
    """Go on after `pause`; a step that lacks evidence gets its `max_hold` again."""
    _signal(context.obj, service, "resume", step)


def promote(
    context: typer.Context,
    service: Service,
    step: Step = None,
    all_steps: Annotated[
        bool, typer.Option("--all", help="Go to 100 percent without the remaining bakes.")
    ] = False,
) -> None:
    """Approve the present step, or end its bake early."""
    _signal(context.obj, service, "promote_all" if all_steps else "promote", step)


def abort(
    context: typer.Context,
    service: Service,
    step: Step = None,
    watch_it: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
) -> None:
    """End the deployment that runs, and go back to the version before."""
    _signal(context.obj, service, "abort", step)
    if watch_it:
        raise typer.Exit(watch(context.obj, service, wanted="rolled_back"))


def _signal(session: Session, service: str, name: "SignalName", step: int | None) -> None:
    """Send one signal; people count steps from 1, the record from 0."""
    sent = session.client.signal(
        service, name, step=None if step is None else step - 1, by=session.person
    )
    session.emit(sent)
    when = "at once" if sent.answered_bake else "at its next look"
    said = name.replace("_", " ")
    session.say(f"{sent.deployment_id}: {said} at step {sent.step + 1}; it acts {when}")


def rollback(
    context: typer.Context,
    service: Service,
    reason: Annotated[str, typer.Option(help="For the history and the notification.")],
    deployment: Annotated[
        str | None,
        typer.Option("--deployment", "-d", help="Only if this is still the latest deployment."),
    ] = None,
    watch_it: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
) -> None:
    """Take the latest deployment back.

    This works while it runs, after it has succeeded and when it is held, until the next one
    begins. What was refused or went back already is not taken back.
    """
    session: Session = context.obj
    started = session.client.rollback(
        service, reason=reason, by=session.person, deployment_id=deployment
    )
    session.emit(started)
    said = "is being taken back already" if started.already else "is being taken back"
    session.say(f"{started.deployment_id} {said}")
    if watch_it:
        _watch_rollback(session, service, started)


def undo(
    context: typer.Context,
    service: Service,
    to: Annotated[
        str | None, typer.Option(help="Back to the version of this deployment.", metavar="ID")
    ] = None,
    steps_back: Annotated[
        int | None, typer.Option(min=1, max=50, help="So many good versions; 1 when left out.")
    ] = None,
    reason: Annotated[
        str, typer.Option(help="For the history and the notification.")
    ] = "no reason given",
    watch_it: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
) -> None:
    """Go back to a version that was good before, one of the last `keep_revisions`.

    While the version before the latest still runs, this is `rollback`: one call moves the traffic.
    Further back it is a deployment of the older revision, at once, with validation and health
    checks but without waiting for evidence.
    """
    session: Session = context.obj
    if to is not None and steps_back is not None:
        raise InvalidInput("--steps-back", steps_back, "--to says which version; give one of both")
    undone = session.client.undo(
        service, to=to, steps_back=steps_back or 1, reason=reason, by=session.person
    )
    session.emit(undone)
    if undone.way == "rollback":
        said = "is being taken back already" if undone.already else "is being taken back"
        session.say(f"{undone.deployment_id} {said}: the version before it is still warm")
        if watch_it:
            _watch_rollback(session, service, undone)
        return
    session.say(f"{undone.deployment_id} started: back to the version of {undone.to}")
    if watch_it:
        raise typer.Exit(watch(session, service, undone.deployment_id))
    session.say(f"follow it: greenlane get {service} --watch")


def _watch_rollback(session: Session, service: str, started: "Started") -> None:
    """Follow a rollback to its own end."""
    client = session.client
    code = watch(
        session,
        service,
        ended=lambda: client.rollback_outcome(started),
        wanted="rolled_back",
    )
    raise typer.Exit(code)
