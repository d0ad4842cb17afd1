"""`greenlane plan`: what a deployment will see, how long it takes and what it costs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.deploying import Service, parse_steps, request_of
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.deployments.looking.cost import Cost
    from greenlane.deployments.looking.foreseeing import Foresight
    from greenlane.deployments.model import PlannedStep
    from greenlane.health.foresight import ForeseenStep


def plan(
    context: typer.Context,
    service: Service,
    strategy: Annotated[
        str | None, typer.Option(help="blue_green, canary, linear or all_at_once.")
    ] = None,
    steps: Annotated[
        str | None, typer.Option(help="Percent of traffic, rising to 100: 1,10,100 or 1:5m,100.")
    ] = None,
    bake: Annotated[str | None, typer.Option(help="Of each step, such as 5m.")] = None,
    days: Annotated[int, typer.Option(min=1, max=63, help="Of traffic to look at.")] = 7,
    at: Annotated[
        str | None,
        typer.Option(help="When it would begin, such as 2026-11-30T09:00; now if not. UTC."),
    ] = None,
    sees: Annotated[
        float, typer.Option(help="The error rate, a ratio, that each step should see.")
    ] = 0.2,
) -> None:
    """Say what each step of a deployment would see of the usual traffic, before it begins.

    It reads the traffic of the last days and changes nothing. The smallest jumps are those that
    are caught in nine of ten cases.
    """
    session: Session = context.obj
    request = request_of(
        service=service,
        version="any",
        strategy=strategy.replace("-", "_") if strategy else None,
        steps=parse_steps(steps) if steps is not None else None,
        bake=bake,
    )
    found = session.client.foresee(
        service,
        strategy=request.strategy,
        steps=request.steps,
        bake=request.bake,
        days=days,
        at=parse_time(at) if at is not None else None,
        sees=sees,
    )
    session.emit(found)
    for line in lines_of(found):
        session.say(line)


def parse_time(text: str) -> datetime:
    """An instant as people write it, in UTC unless it says otherwise.

    Raises:
        InvalidInput: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        way_out = "write a time such as 2026-11-30T09:00 or 2026-11-30T09:00+01:00"
        raise InvalidInput("at", text, way_out) from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def lines_of(found: "Foresight") -> list[str]:
    """The whole answer, as people read it."""
    from greenlane.durations import format_seconds

    lines = [f"{found.service}: {found.strategy}, from {found.at:%A %Y-%m-%d %H:%M} UTC"]
    if found.traffic:
        lines.append(_usual(found))
    lines += ["", *_table(found.steps), ""]
    took, watch = format_seconds(found.seconds), format_seconds(found.watch_seconds)
    lines.append(f"time: {took} to promotion and {watch} of watch; tasks start before that")
    lines += _cost_lines(found.cost)
    lines += [f"note: {note}" for note in found.notes]
    if found.better:
        lines += _better(found)
    return lines


def _usual(found: "Foresight") -> str:
    errors = f"{_percent(found.usual_error_rate)} of requests fail"
    slow = f", p95 is {found.usual_p95_ms:f} ms" if found.usual_p95_ms is not None else ""
    return f"usual, by the last {found.days} days: {errors}{slow}"


def _table(steps: "Sequence[ForeseenStep]") -> list[str]:
    from greenlane.durations import format_seconds

    rows = [("step", "bake", "hold", "requests", "sees errors from", "sees slower from", "")]
    for number, step in enumerate(steps, 1):
        hold = "" if not step.hold_seconds else f"+{format_seconds(step.hold_seconds)}"
        rows.append(
            (
                f"{number}  {step.weight} %" + (" final" if step.kind == "final" else ""),
                format_seconds(step.bake_seconds),
                hold,
                "?" if step.requests is None else str(step.requests),
                *_sights(step),
                _remark(step),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _sights(step: "ForeseenStep") -> tuple[str, str]:
    if step.requests is None:
        return "?", "?"
    slower = "nothing" if step.slowdown is None else f"+{_percent(step.slowdown)}"
    return "nothing" if step.error_rate is None else _percent(step.error_rate), slower


def _remark(step: "ForeseenStep") -> str:
    said = ["blind"] if step.blind else []
    if step.no_evidence:
        said.append("too few requests within max_hold")
    if step.approval:
        said.append("waits for approval")
    return ", ".join(said)


def _cost_lines(cost: "Cost") -> Iterator[str]:
    yield f"cost: ${cost.total:.4f}, of which ${cost.orchestration:.4f} are orchestration"
    for line in cost.lines:
        yield f"  {line.what}: {line.count:f} at ${line.price:f} = ${line.cost:f}"


def _better(found: "Foresight") -> Iterator[str]:
    from greenlane.durations import format_seconds

    limit = _percent(found.sees)
    yield ""
    yield (
        f"better: each step sees {limit} of errors where that can be had, in "
        f"{format_seconds(found.better_seconds)}; under `deployment:` write"
    )
    yield ""
    yield from steps_as_yaml(found.better)


def steps_as_yaml(steps: "Sequence[PlannedStep]") -> Iterator[str]:
    """Steps as they are written under `deployment:`."""
    from greenlane.durations import format_seconds

    yield "steps:"
    for step in steps:
        approval = ", approval: true" if step.approval else ""
        yield f"  - {{weight: {step.weight}, bake: {format_seconds(step.bake_seconds)}{approval}}}"


def _percent(ratio: Decimal | None) -> str:
    return "?" if ratio is None else f"{(100 * ratio).normalize():f} %"
