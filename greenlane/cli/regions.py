"""`greenlane regions`: deployments through several Regions."""

from pathlib import Path
from typing import Annotated

import typer

from greenlane.cli import regions_applied, regions_running
from greenlane.cli.flags_files import text_of
from greenlane.cli.planning import parse_time
from greenlane.cli.regions_options import overrides_of, policy_of
from greenlane.cli.session import Session, plain
from greenlane.errors import InvalidInput

app = typer.Typer(help="Several regions: in which waves, and when.", no_args_is_help=True)


@app.callback()
def _regions() -> None:
    """Several regions: in which waves, and when."""


@app.command()
def plan(
    context: typer.Context,
    service: Annotated[
        str | None,
        typer.Argument(help="Whose applied regions, without --file.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="With `regions:`; - is stdin.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="When it would begin, such as 2026-11-30T14:00; now if not. UTC."),
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
    strict_timezones: Annotated[
        bool,
        typer.Option("--strict-timezones", help="Refuse abbreviations such as EST."),
    ] = False,
) -> None:
    """Say in which waves a version would go through the regions, when, why, and what that costs.

    With --file it reads that alone and asks no cloud. It changes nothing.
    """
    from greenlane.cli.regions_views import plan_lines
    from greenlane.clock import current_clock
    from greenlane.regions.coordinating.beginning import plan_rollout
    from greenlane.regions.declaring.document import read_regions
    from greenlane.regions.planning.comparing import compare

    session: Session = context.obj
    source, name = _source_of(session, service, file)
    document = read_regions(source, name, strict_zones=strict_timezones)
    found, carried_out = plan_rollout(
        document,
        now=current_clock().now() if at is None else parse_time(at),
        policy=policy_of(policy),
        overrides=overrides_of(session, despite_windows, despite_freezes),
    )
    others = compare(carried_out, found)
    session.emit({"plan": plain(found), "comparison": plain(others)})
    for line in plan_lines(found, others):
        session.say(line)


def _source_of(session: Session, service: str | None, file: Path | None) -> tuple[str, str]:
    """The text of a file, or of what was applied for a service; and what to call it.

    Raises:
        InvalidInput: none of the two is given, or both.
        Refused: nothing was applied for the service.
    """
    from greenlane.problems import ABSENT

    if file is not None and service is None:
        return text_of(file)
    if file is None and service is not None:
        applied = regions_applied.store_of(session).regions(service)
        return applied.source, applied.named
    way_out = "give one of the two: a file, or a service whose regions were applied"
    raise InvalidInput("--file", ABSENT if file is None else str(file), way_out)


regions_running.register(app)
regions_applied.register(app)
