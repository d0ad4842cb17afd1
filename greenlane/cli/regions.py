"""`greenlane regions`: deployments through several Regions."""

from pathlib import Path
from typing import Annotated

import typer

from greenlane.cli import regions_running
from greenlane.cli.flags_files import text_of
from greenlane.cli.planning import parse_time
from greenlane.cli.regions_options import overrides_of, policy_of
from greenlane.cli.session import Session, plain

app = typer.Typer(help="Several regions: in which waves, and when.", no_args_is_help=True)


@app.callback()
def _regions() -> None:
    """Several regions: in which waves, and when."""


@app.command()
def plan(
    context: typer.Context,
    file: Annotated[Path, typer.Option("--file", "-f", help="With `regions:`; - is stdin.")],
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

    It reads the file alone, asks no cloud and changes nothing.
    """
    from greenlane.cli.regions_views import plan_lines
    from greenlane.clock import current_clock
    from greenlane.regions.coordinating.beginning import plan_rollout
    from greenlane.regions.declaring.document import read_regions
    from greenlane.regions.planning.comparing import compare

    session: Session = context.obj
    document = read_regions(*text_of(file), strict_zones=strict_timezones)
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


regions_running.register(app)
