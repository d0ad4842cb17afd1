"""What people read: a service's status, its history and its deployments, as lines of text."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from greenlane.deployments.looking.status import (
    SlotStatus,
    Status,
    judgement_of,
    version_of,
    waits_for_approval,
)
from greenlane.deployments.model import CheckResult, DeploymentSummary, HistoryEvent, Judgement
from greenlane.deployments.phases import Phase
from greenlane.durations import format_seconds

BAR_WIDTH = 25

_COLOURS = {
    "pass": "green",
    "succeeded": "green",
    "fail": "red",
    "rolled_back": "red",
    "failed": "red",
    "held": "red",
    "hold": "yellow",
    "refused": "yellow",
}
_SIGNALS = {"promote_all": "promote --all"}


def status_view(status: Status) -> Text:
    """Everything about one service, a few lines."""
    lines = [_headline(status)]
    lines += [_slot_line(slot) for slot in status.slots]
    judgement = status.judgement
    # Once it has ended, the last look says something only if it is why.
    if judgement is not None and (status.outcome is None or judgement.verdict.verdict == "fail"):
        lines += _judgement_lines(judgement, steps=status.steps)
    if status.expanding is not None:
        said = f"  the database is expanded first: greenlane migrations get {status.expanding}"
        lines.append(Text(said, style="yellow"))
    if _is_paused(status):
        lines.append(Text("  paused", style="yellow"))
    if _waits_for_approval(status):
        said = f"  waiting for approval: greenlane promote {status.service}"
        lines.append(Text(said, style="yellow"))
    if status.record is not None:
        changed = [found.what for found in status.record.drift or () if found.told]
        lines += [Text(f"  changed by somebody else: {what}", style="yellow") for what in changed]
    if status.signals:
        names = ", ".join(_SIGNALS.get(name, name) for name in status.signals)
        lines.append(Text(f"  you can: {names}", style="dim"))
    return Text("\n").join(lines)


def _headline(status: Status) -> Text:
    line = Text(status.service, style="bold")
    record, plan = status.record, status.plan
    if record is None:
        return line.append(f"  configuration {status.config_version}, never deployed", "not bold")
    what = f"  {record.deployment_id}"
    if plan is not None:
        what += f"  {plan.strategy}"
        if plan.config.deployment.shadow:
            what += ", judged in shadow"
    line.append(what, style="not bold")
    phase = _said(record.phase)
    outcome = status.outcome.name if status.outcome else ""
    line.append(f"  {phase}", style=_COLOURS.get(outcome, "cyan"))
    if status.step is not None and status.outcome is None:
        line.append(f"  step {status.step} of {status.steps}", style="not bold")
    if status.bake_left_seconds is not None and status.outcome is None:
        line.append(f"  bake left {format_seconds(status.bake_left_seconds)}", style="not bold")
    if status.outcome is not None and status.outcome.reason:
        line.append(f"\n  because: {status.outcome.reason}", style="not bold")
    return line


def _slot_line(slot: SlotStatus) -> Text:
    if slot.weight is None:
        weight, bar = "  ? %", "rule changed by hand".ljust(BAR_WIDTH)
    else:
        filled = -(-slot.weight * BAR_WIDTH // 100)
        weight, bar = f"{slot.weight:3} %", "█" * filled + "·" * (BAR_WIDTH - filled)
    colour = "blue" if slot.slot == "blue" else "green"
    line = Text(f"  {slot.slot:5}  {slot.role:9}  {weight}  ")
    line.append(bar, style=colour)
    line.append(f"  {slot.healthy}/{slot.total} healthy  {slot.version}")
    return line


def _judgement_lines(judgement: Judgement, steps: int | None = None) -> list[Text]:
    """A verdict and its checks; beyond the last of so many steps comes the watch."""
    verdict, step = judgement.verdict, judgement.step
    about = "" if step is None else f" of step {step + 1}"
    if step is not None and steps is not None and step >= steps:
        about = " of the watch"
    first = Text(f"  verdict{about}: ")
    first.append(verdict.verdict, style=_COLOURS[verdict.verdict])
    first.append(f", {verdict.requests} requests")
    if verdict.would is not None:
        first.append(", in shadow the numbers would ")
        first.append(verdict.would, style=_COLOURS[verdict.would])
        first.append(f", {verdict.would_because}" if verdict.would_because else "")
    if verdict.reason:
        first.append(f", {verdict.reason}")
    return [first, *(_check_line(check) for check in verdict.checks)]


def _check_line(check: CheckResult) -> Text:
    line = Text(f"    {check.name}  ")
    line.append(check.verdict, style=_COLOURS[check.verdict])
    if check.value is not None:
        line.append(f"  {check.value.normalize():f}")
        if check.limit is not None:
            line.append(f" (limit {check.limit.normalize():f})")
    if check.reason:
        line.append(f"  {check.reason}")
    return line


def change_line(status: Status) -> str:
    """One plain line that says where the deployment stands, for a log."""
    record = status.record
    if record is None:
        return f"{status.at:%H:%M:%S}  {status.service} was never deployed"
    parts = [f"{status.at:%H:%M:%S}", _said(record.phase)]
    if status.step is not None:
        parts.append(f"step {status.step}/{status.steps}")
    parts += [
        f"{slot.slot} {_percent(slot.weight)} ({slot.healthy}/{slot.total} healthy)"
        for slot in status.slots
    ]
    if status.bake_left_seconds:
        parts.append(f"bake left {format_seconds(status.bake_left_seconds)}")
    if status.expanding is not None:
        parts.append(f"the database is expanded by {status.expanding}")
    if _is_paused(status):
        parts.append("paused")
    if _waits_for_approval(status):
        parts.append("waiting for approval")
    return "  ".join(parts)


def change_key(status: Status) -> tuple[Any, ...]:
    """Differs between two looks when a log should have a new line."""
    record = status.record
    weights = tuple((slot.slot, slot.weight) for slot in status.slots)
    if record is None:
        return (weights,)
    waits = (status.expanding, _is_paused(status), _waits_for_approval(status))
    return (record.deployment_id, record.phase, status.step, waits, weights)


def _is_paused(status: Status) -> bool:
    return status.record is not None and status.record.paused and status.step is not None


def _waits_for_approval(status: Status) -> bool:
    record = status.record
    return record is not None and waits_for_approval(record, status.plan, status.at)


def verdict_text(judgement: Judgement, steps: int | None = None) -> str:
    """A verdict with its numbers, in one plain line."""
    lines = [line.plain.strip() for line in _judgement_lines(judgement, steps)]
    return "; ".join(lines)


def _said(phase: Phase) -> str:
    return phase.value.replace("_", " ")


def _percent(weight: int | None) -> str:
    return "?" if weight is None else f"{weight}%"


def history_view(events: Sequence[HistoryEvent]) -> Text:
    """A deployment's history, one line an event."""
    lines = []
    steps = None
    for event in events:
        if event.kind == "promoted":
            steps = 0  # all of them are over
        line = Text(f"{event.at:%Y-%m-%d %H:%M:%S}  ", style="dim")
        line.append(event.kind, style="bold not dim")
        line.append(f"  by {event.actor}", style="dim")
        for text in _details(event, steps):
            line.append(f"  {text}", style="not dim")
        lines.append(line)
    return Text("\n").join(lines)


def _details(event: HistoryEvent, steps: int | None) -> list[str]:
    """What an event says, as `name=value`; of a verdict the lines that people read."""
    detail = dict(event.detail)
    judgement = judgement_of(event)
    if judgement is None:
        if isinstance(detail.get("step"), int):
            detail["step"] += 1  # people count from 1, the record from 0
        return [f"{name}={_brief(value)}" for name, value in detail.items() if value is not None]
    return [line.plain.strip() for line in _judgement_lines(judgement, steps)]


def _brief(value: object) -> str:
    """A value in one line; the end of an ARN is what tells it from others."""
    if isinstance(value, dict):
        return ",".join(f"{_brief(key)}:{_brief(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ",".join(_brief(item) for item in value)
    text = str(value)
    return text.rsplit(":", 1)[-1] if text.startswith("arn:") else text


def _what(summary: DeploymentSummary) -> str:
    """What people call it: the version asked for, else the image's tag or digest."""
    if summary.version is not None:
        return summary.version
    return version_of(summary.image) if summary.image else summary.task_definition or ""


def deployments_view(summaries: Sequence[DeploymentSummary]) -> Text:
    """A service's deployments, newest first, in columns as wide as they need to be."""
    rows = [("deployment", "phase", "strategy", "what", "by", "started", "reason")]
    rows += [
        (
            summary.deployment_id,
            _said(summary.phase),
            summary.strategy,
            _what(summary),
            summary.requested_by,
            f"{summary.started_at:%Y-%m-%d %H:%M}",
            " ".join((summary.reason or "").split()),
        )
        for summary in summaries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return Text("\n").join(
        Text(line, style="" if number else "bold") for number, line in enumerate(lines)
    )
