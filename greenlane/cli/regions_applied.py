"""`greenlane regions show` and `versions`: what was applied, by whom and when."""

from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.session import Session
from greenlane.cli.visible import visible

if TYPE_CHECKING:
    from greenlane.regions.keeping.store import RegionsStore

Service = Annotated[str, typer.Argument(help="The service's name.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (show, versions):
        app.command()(command)


def show(
    context: typer.Context,
    service: Service,
    version: Annotated[
        int | None, typer.Option(min=1, help="An earlier one; the one in force if not.")
    ] = None,
) -> None:
    """Print the file of regions that was applied for a service, as it was written.

    To take a change back, apply again what an earlier version prints.
    """
    session: Session = context.obj
    store = store_of(session)
    found = store.regions(service) if version is None else store.version(service, version)
    session.emit(found)
    if session.as_json:
        return
    because = f": {' '.join(found.reason.split())}" if found.reason else ""
    head = (
        f"# version {found.version} of the regions of {service}, applied by {found.applied_by} "
        f"at {found.applied_at:%Y-%m-%d %H:%M:%S} UTC{because}"
    )
    print(visible(f"{head}\n{found.source.rstrip()}"))


def versions(context: typer.Context, service: Service) -> None:
    """List every file of regions that was applied for a service, newest first."""
    session: Session = context.obj
    found = store_of(session).versions(service)
    session.emit([one.model_dump(mode="json", exclude={"source"}) for one in found])
    for one in found:
        because = f": {one.reason}" if one.reason else ""
        session.say(
            f"{one.version:>4}  {one.applied_at:%Y-%m-%d %H:%M:%S}  {one.applied_by}  "
            f"{one.file}{because}"
        )


def store_of(session: Session) -> "RegionsStore":
    """Where the Region that is spoken to keeps files of Regions."""
    from greenlane.regions.coordinating.requesting import RegionalRollouts

    return RegionalRollouts(session.client.connection).applied
