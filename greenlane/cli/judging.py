"""`greenlane judge`: judge what was observed before; nothing acts."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.deploying import Service
from greenlane.cli.exits import ExitCode
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.deployments.looking.replaying import Past
    from greenlane.health.replay import Replay, StretchReplay


def judge(
    context: typer.Context,
    service: Service,
    deployment: Annotated[
        str | None,
        typer.Option("--deployment", "-d", help="Read its minutes again; latest is the newest."),
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="A file that --save wrote, instead.", show_default=False)
    ] = None,
    criteria: Annotated[
        Path | None, typer.Option(help="A file whose criteria are asked instead of its own.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write what was observed, as JSON.")] = None,
) -> None:
    """Judge a past deployment, or stored data, minute by minute as it would have been.

    It changes nothing. It ends with 1 unless each step would have passed. With --replay and
    --criteria it needs no cloud.
    """
    from greenlane.deployments.looking import replaying
    from greenlane.health.replay import replay as judge_again

    session: Session = context.obj
    if (deployment is None) == (replay is None):
        way_out = "name a deployment with --deployment, or a file with --replay"
        raise InvalidInput("deployment", deployment or "", way_out)
    if replay is not None:
        past = _stored(session, service, replay, criteria)
    else:
        past = session.client.observed(service, deployment or "latest", criteria=criteria)
    if save is not None:
        replaying.save(past.observed, save)
    found = judge_again(past.observed, past.config)
    session.emit({**found.model_dump(mode="json"), "passed": found.passed})
    for line in lines_of(found):
        session.say(line)
    if not found.passed:
        raise typer.Exit(ExitCode.FAILED)


def _stored(session: Session, service: str, file: Path, criteria: Path | None) -> "Past":
    from greenlane.deployments.declaring.config import ServiceConfig
    from greenlane.deployments.looking import replaying

    observed = replaying.load(file)
    if criteria is None:
        config = session.client.store.get_config(service).config
    else:
        config = replaying.with_criteria(ServiceConfig(name=service), criteria)
    return replaying.Past(observed, config)


def lines_of(found: "Replay") -> Iterator[str]:
    """The answer, as people read it."""
    yield from (f"note: {note}" for note in found.notes)
    for number, stretch in enumerate(found.stretches, 1):
        yield _stretch(number, stretch)
        if stretch.last is not None and stretch.last.verdict.verdict != "pass":
            for check in stretch.last.verdict.checks:
                if check.verdict != "pass":
                    yield f"     {check.name}  {check.verdict}  {check.reason}".rstrip()
    if found.failed is not None:
        yield f"it would have gone back at {found.failed.at:%H:%M}: {found.failed.verdict.reason}"
    elif found.passed:
        yield f"it would have passed, by {found.looks} looks"
    else:
        yield "it would have waited for evidence, and ended by on_no_evidence"


def _stretch(number: int, stretch: "StretchReplay") -> str:
    named = {"during": f"step {number}", "post": "watch", "extended": "extended watch"}
    what = f"{named[stretch.phase]}  {stretch.weight} %  {stretch.start:%Y-%m-%d %H:%M}"
    if stretch.last is None:
        return f"{what}  no whole minute"
    first = f", passes from {stretch.passed_at:%H:%M} on" if stretch.passed_at else ""
    verdict = stretch.last.verdict
    return (
        f"{what} to {stretch.last.at:%H:%M}  {verdict.verdict}, {verdict.requests} requests{first}"
    )
