"""`greenlane get` and `greenlane history`."""

from typing import Annotated

import typer

from greenlane.cli.session import Session
from greenlane.cli.watching import watch


def get(
    context: typer.Context,
    service: Annotated[
        str | None, typer.Argument(help="All services when left out.", show_default=False)
    ] = None,
    watch_it: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow its deployment to its end.")
    ] = False,
) -> None:
    """Show where services stand: slots, weights, step, bake, verdicts, what you can do now."""
    from greenlane.cli.views import status_view
    from greenlane.errors import InvalidInput
    from greenlane.problems import ABSENT

    session: Session = context.obj
    names = [service] if service is not None else session.client.services()
    if watch_it:
        if len(names) != 1:
            known = ", ".join(names) or "none is known yet"
            raise InvalidInput("service", ABSENT, f"name one service to watch: {known}")
        raise typer.Exit(watch(session, names[0]))
    found = [session.client.status(name) for name in names]
    session.emit(found[0] if service is not None else found)
    if session.as_json:
        return
    for status in found:
        session.console.print(status_view(status))
    if not found:
        session.say("no service is known yet; register one with `greenlane apply -f FILE`")


def history(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="The service's name.", show_default=False)],
    deployment: Annotated[
        str | None, typer.Option("--deployment", "-d", help="What happened in this deployment.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
) -> None:
    """List a service's deployments, or what happened in one of them (`-d ID`, `-d latest`)."""
    from greenlane.cli.views import deployments_view, history_view

    session: Session = context.obj
    if deployment is None:
        summaries = session.client.deployments(service, limit)
        session.emit(summaries)
        if not session.as_json:
            session.console.print(deployments_view(summaries))
        return
    if deployment == "latest":
        newest = session.client.deployments(service, 1)
        if not newest:
            session.emit([])
            session.say(f"{service} was never deployed")
            return
        deployment = newest[0].deployment_id
    events = session.client.history(deployment)
    session.emit(events)
    if not session.as_json:
        session.console.print(history_view(events))
