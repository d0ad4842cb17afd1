"""Everything under way, as people read it: who is needed first, then a table for each kind."""

from collections.abc import Iterator
from datetime import datetime
from typing import get_args

from rich.text import Text

from greenlane.cli.flags_views import table
from greenlane.durations import format_seconds
from greenlane.status.model import (
    DeploymentUnderWay,
    Everything,
    MigrationUnderWay,
    Part,
    RampUnderWay,
    RolloutUnderWay,
)

Rows = list[tuple[str, ...]]

_NAMES = {"experiments": "A/B tests"}
_DOING = {
    "advancing": "advances",
    "held": "is held",
    "watching": "is watched",
    "rolling_back": "goes back",
}
LONGEST = 100
"""Characters of a reason; the command beside it shows all of it."""


def everything_view(found: Everything) -> Text:
    """All of it; the first line has the time, and changes with it."""
    lines = [Text(f"{found.at:%Y-%m-%d %H:%M:%S} UTC", style="dim"), *_needs(found)]
    for title, rows in _tables(found):
        head, *rest = table(rows)
        lines += [Text(""), Text(title, style="bold"), Text(f"  {head}", style="dim")]
        lines += [Text(f"  {line}") for line in rest]
    if found.not_deployed == get_args(Part):
        lines.append(Text("Greenlane is not deployed here: none of its tables is there"))
        return Text("\n").join(lines)
    if found.quiet and found.untold:
        lines.append(Text("nothing is under way in what could be read", style="yellow"))
    elif found.quiet:
        lines.append(Text("nothing is under way, and nobody is needed", style="green"))
    if found.not_deployed or found.untold:
        lines.append(Text(""))
    if found.not_deployed:
        names = ", ".join(_NAMES.get(part, part) for part in found.not_deployed)
        lines.append(Text(f"not deployed here: {names}", style="dim"))
    lines += [Text(f"not told: {one.part}: {one.why}", style="yellow") for one in found.untold]
    return Text("\n").join(lines)


def _needs(found: Everything) -> Iterator[Text]:
    if not found.needs:
        return
    count = len(found.needs)
    said = "one thing needs a person" if count == 1 else f"{count} things need a person"
    yield Text(said, style="bold red")
    for need in found.needs:
        line = Text(f"  {need.kind} ")
        line.append(need.name, style="bold")
        line.append(f" {need.id}" if need.id else "")
        line.append(f"  {_brief(need.what)}", style="red")
        line.append(f"  for {_ago(need.since, found.at)}" if need.since else "", style="dim")
        yield line
        yield Text(f"    {need.do}", style="cyan")


def _tables(found: Everything) -> Iterator[tuple[str, Rows]]:
    """Titles and rows, of the kinds of which there are any."""
    at = found.at
    if found.rollbacks:
        head = ("service", "deployment", "moved", "because")
        yield (
            "going back",
            [
                head,
                *(
                    (one.service, one.deployment_id, _moved(one.since, at), _brief(one.because))
                    for one in found.rollbacks
                ),
            ],
        )
    if found.deployments:
        yield (
            "deployments",
            [
                ("service", "deployment", "phase", "step", "weight", "for", ""),
                *(_deployment(one, at) for one in found.deployments),
            ],
        )
    if found.rollouts:
        yield (
            "rollouts through Regions",
            [
                ("service", "rollout", "version", "", "Regions", "for", ""),
                *(_rollout(one, at) for one in found.rollouts),
            ],
        )
    if found.migrations:
        yield (
            "migrations",
            [
                ("database", "run", "phase", "for", ""),
                *(_migration(one, at) for one in found.migrations),
            ],
        )
    if found.restores:
        yield (
            "restores",
            [
                ("database", "restore", "mode", "stage", "for"),
                *(
                    (
                        one.database,
                        one.restore,
                        one.mode,
                        (one.stage or "begins").replace("_", " "),
                        _ago(one.since, at),
                    )
                    for one in found.restores
                ),
            ],
        )
    if found.ramps:
        yield (
            "ramps of flags",
            [
                ("flag", "environment", "level", "target", "for", ""),
                *(_ramp(one, at) for one in found.ramps),
            ],
        )
    if found.tests:
        yield (
            "A/B tests",
            [
                ("test", "variants", "traffic", "for", "ends"),
                *(
                    (
                        one.name,
                        ", ".join(one.variants),
                        f"{one.traffic.normalize():f} %",
                        _ago(one.since, at),
                        f"in {_ago(at, one.ends_by)} at the latest" if one.ends_by else "",
                    )
                    for one in found.tests
                ),
            ],
        )


def _deployment(one: DeploymentUnderWay, at: datetime) -> tuple[str, ...]:
    notes = []
    if one.bake_left_seconds:
        notes.append(f"bake left {format_seconds(one.bake_left_seconds)}")
    if one.watched_until is not None:
        notes.append(f"watched for {_ago(at, one.watched_until)} more")
    for given, said in (
        (one.paused, "paused"),
        (one.holds, "waits for evidence"),
        (one.awaits_approval, "waits for approval"),
    ):
        if given:
            notes.append(said)
    return (
        one.service,
        one.deployment_id,
        one.phase.value.replace("_", " "),
        f"{one.step} of {one.steps}" if one.step is not None else "-",
        f"{one.weight} %",
        _ago(one.since, at),
        ", ".join(notes),
    )


def _rollout(one: RolloutUnderWay, at: datetime) -> tuple[str, ...]:
    return (
        one.service,
        one.rollout_id,
        one.version,
        _DOING.get(one.phase, one.phase),
        f"{one.begun} of {one.regions}",
        _ago(one.since, at),
        _brief(one.because),
    )


def _migration(one: MigrationUnderWay, at: datetime) -> tuple[str, ...]:
    notes = [
        f"paused by {one.paused_by}" if one.paused_by else "",
        f"waits: {one.waits_for}" if one.waits_for else "",
        one.progress,
    ]
    phase = f"{one.phase}, is taken back" if one.undo else one.phase
    said = _brief("; ".join(note for note in notes if note))
    return one.database, one.run, phase, _ago(one.since, at), said


def _ramp(one: RampUnderWay, at: datetime) -> tuple[str, ...]:
    notes = []
    if one.status == "held":
        notes.append(f"held: {one.because}" if one.because else "held")
    elif one.next_at is not None:
        notes.append(f"more in {_ago(at, one.next_at)}, if it is good")
    return (
        one.flag,
        one.environment,
        f"{one.level.normalize():f} %",
        f"{one.target.normalize():f} %",
        _ago(one.since, at),
        _brief(", ".join(notes)),
    )


def _moved(since: datetime, at: datetime) -> str:
    return f"{_ago(since, at)} ago"


def _ago(since: datetime | None, at: datetime | None) -> str:
    """The span between two instants, as exact as one wants it; never negative."""
    if since is None or at is None:
        return "-"
    seconds = max(0, int((at - since).total_seconds()))
    unit = 3600 if seconds >= 86400 else 60 if seconds >= 3600 else 1
    return format_seconds(seconds // unit * unit)


def _brief(text: str) -> str:
    """In one line, and no longer than a line may be."""
    said = " ".join(text.split())
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
