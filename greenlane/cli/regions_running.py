"""`greenlane regions deploy`, `get`, `history`, `hold`, `resume`, `rollback` and `close`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.exits import ExitCode
from greenlane.cli.flags_files import text_of
from greenlane.cli.regions_options import overrides_of, policy_of
from greenlane.cli.session import Session

if TYPE_CHECKING:
    from greenlane.deployments.model import DeploymentRequest
    from greenlane.regions.coordinating.model import Phase, Rollout
    from greenlane.regions.coordinating.requesting import RegionalRollouts
    from greenlane.regions.coordinating.store import Kept
    from greenlane.regions.declaring.model import Type

PATIENCE = 5
"""Looks in a row that may fail before watching gives up; the rollout does not depend on it."""

Service = Annotated[str, typer.Argument(help="The service's name.", show_default=False)]
Watch = Annotated[
    bool, typer.Option("--watch", "-w", help="Follow it to its end; the exit code says how.")
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (deploy, get, history, hold, resume, rollback, close):
        app.command()(command)


def deploy(
    context: typer.Context,
    service: Service,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="With `regions:`; - is stdin. What was applied for the service if not.",
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="A tag in the service's image repository.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="A full reference with a tag or a digest.")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="rolling, blue_green or canary; what the file says if not."),
    ] = None,
    policy: Annotated[
        str, typer.Option(help="safe, balanced (what the file says) or fast.")
    ] = "balanced",
    despite_windows: Annotated[
        str | None, typer.Option(help="Set all windows aside, and why.", metavar="REASON")
    ] = None,
    despite_freezes: Annotated[
        str | None, typer.Option(help="Set all freezes aside, and why.", metavar="REASON")
    ] = None,
    despite_hold: Annotated[
        str | None,
        typer.Option(help="Deploy a version that went back before, and why.", metavar="REASON"),
    ] = None,
    id: Annotated[
        str | None, typer.Option(help="The rollout's id; the same id begins it once.")
    ] = None,
    watch_it: Watch = False,
) -> None:
    """Take a version through all regions, wave by wave.

    The regions are those that were applied for the service, or those of a file. It runs in the
    region that this command speaks to, its home. Each region deploys by itself and takes itself
    back by itself; if one fails, all that were touched go back to what they had.
    """
    from greenlane.regions.coordinating.model import OVER

    session: Session = context.obj
    source, name = (None, "") if file is None else text_of(file)
    request = _request(
        service=service,
        version=version,
        image=image,
        requested_by=session.person,
        deployment_id=id,
    )
    begun = _rollouts(session).deploy(
        source,
        request,
        kind=_kind_of(strategy),
        policy=policy_of(policy),
        overrides=overrides_of(session, despite_windows, despite_freezes),
        despite_hold=despite_hold,
        name=name,
    )
    session.emit(begun)
    waves = len(begun.plan.waves)
    until = f"until {begun.plan.ends_at:%A %Y-%m-%d %H:%M} UTC"
    if not begun.already:
        session.say(f"{begun.rollout_id} begins: {waves} waves, {until}")
    elif begun.phase in OVER:
        from greenlane.cli.regions_table import DOING

        session.say(f"{begun.rollout_id} was begun before: it {DOING[begun.phase]}")
    else:
        session.say(f"{begun.rollout_id} runs already, {until}")
    if watch_it:
        raise typer.Exit(_watch(session, service, "watching", begun.rollout_id))


def get(context: typer.Context, service: Service, watch_it: Watch = False) -> None:
    """Show where a service's latest rollout stands, region by region."""
    session: Session = context.obj
    if watch_it:
        raise typer.Exit(_watch(session, service, "watching"))
    from greenlane.cli.regions_table import trouble_lines

    kept = _rollouts(session).get(service)
    _show(session, kept.record)
    for line in trouble_lines(kept, session.now):
        session.say(line)


def history(context: typer.Context, service: Service) -> None:
    """Print what happened in a service's latest rollout, oldest first."""
    session: Session = context.obj
    rollouts = _rollouts(session)
    events = rollouts.history(rollouts.get(service).record.rollout_id)
    session.emit(list(events))
    for event in events:
        said = ", ".join(f"{name}: {value}" for name, value in event.detail.items())
        session.say(f"{event.at:%Y-%m-%d %H:%M:%S}  {event.kind.replace('_', ' '):<20}  {said}")


def hold(
    context: typer.Context,
    service: Service,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "by hand",
) -> None:
    """Start no further region; those under way go on, and go back if they fail."""
    session: Session = context.obj
    record = _rollouts(session).hold(service, by=session.person, reason=reason)
    _told(session, record, "hold")


def resume(
    context: typer.Context,
    service: Service,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "by hand",
) -> None:
    """Let a rollout go on that is held."""
    session: Session = context.obj
    record = _rollouts(session).resume(service, by=session.person, reason=reason)
    _told(session, record, "resume")


def rollback(
    context: typer.Context,
    service: Service,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "by hand",
    watch_it: Watch = False,
) -> None:
    """Take every touched region back to the version it had, while it runs or after it.

    Windows and freezes hold up nothing. Other versions are not touched.
    """
    session: Session = context.obj
    record = _rollouts(session).rollback(service, by=session.person, reason=reason)
    _told(session, record, "rollback")
    if watch_it:
        raise typer.Exit(_watch(session, service, "rolled_back", record.rollout_id))


def close(
    context: typer.Context,
    service: Service,
    reason: Annotated[str, typer.Option(help="What was done by hand, for the history.")],
) -> None:
    """End the attempts to take back the regions that did not go back."""
    session: Session = context.obj
    record = _rollouts(session).close(service, by=session.person, reason=reason)
    _told(session, record, "close")


def _rollouts(session: Session) -> "RegionalRollouts":
    from greenlane.regions.coordinating.requesting import RegionalRollouts

    return RegionalRollouts(session.client.connection)


def _request(**asked: object) -> "DeploymentRequest":
    """The request of each Region.

    Raises:
        InvalidInput: it is wrong, such as with both a version and an image.
    """
    from greenlane.pipelines.asking import deployment_request

    return deployment_request(**asked)


def _kind_of(text: str | None) -> "Type | None":
    """A strategy by its name.

    Raises:
        InvalidInput: there is none of that name.
    """
    from greenlane.errors import InvalidInput
    from greenlane.problems import suggest
    from greenlane.regions.coordinating.api import STRATEGIES

    if text is None:
        return None
    for kind in STRATEGIES:
        if kind == text:
            return kind
    known = f"use {', '.join(STRATEGIES)}{suggest(text, STRATEGIES)}"
    raise InvalidInput("--strategy", text, known)


def _told(session: Session, record: "Rollout", what: str) -> None:
    session.emit({"rollout_id": record.rollout_id, "asked": what})
    session.say(f"{record.rollout_id}: {what} is asked")


def _watch(session: Session, service: str, wanted: "Phase", rollout: str | None = None) -> ExitCode:
    """Show a rollout until it is over and nobody wants anything of it; the latest if none is named.

    Another one may begin meanwhile: then its history says how it ended.
    """
    from greenlane.regions.coordinating.model import FREE

    rollouts = _rollouts(session)
    ended: str = ""
    try:
        with _screen(session) as show:
            while True:
                kept = _look(session, lambda: rollouts.get(service))
                rollout = rollout or kept.record.rollout_id
                if kept.record.rollout_id != rollout:
                    session.warn(f"{kept.record.rollout_id} began since {rollout} ended")
                    ended = rollouts.ended_as(rollout)
                    break
                show(kept.record)
                if kept.record.phase in FREE and not kept.unheeded:
                    ended = kept.record.phase
                    break
                session.sleep(session.poll_seconds)
    except KeyboardInterrupt:
        print(
            f"not watching any more; it goes on: greenlane regions get {service} --watch",
            file=sys.stderr,
        )
        return ExitCode.INTERRUPTED
    good = ended == wanted or (wanted == "watching" and ended == "succeeded")
    return ExitCode.OK if good else ExitCode.FAILED


@contextmanager
def _screen(session: Session) -> "Iterator[Callable[[Rollout], None]]":
    """A function that shows a rollout: one live table on a terminal, each change elsewhere."""
    if session.as_json or not session.console.is_terminal:
        yield _Changes(session)
        return
    from rich.live import Live
    from rich.text import Text

    from greenlane.cli.regions_table import rollout_lines

    with Live(console=session.console, auto_refresh=False) as live:
        yield lambda record: live.update(
            Text("\n".join(rollout_lines(record, session.now))), refresh=True
        )


class _Changes:
    """Shows a rollout whenever its record was written."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._version = -1

    def __call__(self, record: "Rollout") -> None:
        if record.version != self._version:
            _show(self._session, record)
        self._version = record.version


def _look(session: Session, read: "Callable[[], Kept]") -> "Kept":
    """A record; failing looks are repeated for a while."""
    from botocore.exceptions import BotoCoreError, ClientError

    for left in reversed(range(PATIENCE)):
        try:
            return read()
        except (BotoCoreError, ClientError) as error:
            if not left:
                raise
            session.warn(f"no answer, trying again: {error}")
            session.sleep(session.poll_seconds)
    raise AssertionError("the last failing look raises its own error")


def _show(session: Session, record: "Rollout") -> None:
    from greenlane.cli.regions_table import rollout_lines

    session.emit(record)
    for line in rollout_lines(record, session.now):
        session.say(line)
