"""The tables of a report as texts, the same for the page and for Markdown. Pure; no I/O."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from greenlane.health.metrics import MINUTE
from greenlane.incidents.report_model import (
    FieldChange,
    Logs,
    PhaseName,
    Report,
    Ruling,
    Version,
)
from greenlane.incidents.report_traffic import AFTER
from greenlane.incidents.wording import (
    count_of,
    day_and_time,
    milliseconds,
    number,
    one_line,
    plural,
    ratio_as_percent,
    span,
    time_of,
)

_PHASES: dict[PhaseName, str] = {
    "before": "before the new version had traffic",
    "during": "while it had traffic",
    "after": "afterwards",
}
_NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Table:
    """Heads and rows of texts; `styles` are the columns' CSS classes on the page."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    styles: tuple[str, ...] = ()


def versions(report: Report) -> tuple[Version, Version]:
    """The old version and the new one."""
    return report.old, report.new


def phases(report: Report) -> Table:
    """Both versions' numbers before, while and after the new one had traffic."""
    names = {version.slot: f"{version.label} ({version.slot})" for version in versions(report)}
    rows = tuple(
        (
            _PHASES[phase.name],
            f"{time_of(phase.start)} to {time_of(phase.end)}",
            names[numbers.slot],
            count_of(numbers.requests),
            count_of(numbers.errors),
            ratio_as_percent(numbers.error_rate),
            milliseconds(numbers.p95_ms),
        )
        for phase in report.phases
        for numbers in phase.slots
    )
    heads = ("When", "UTC", "Version", "Requests", "Failed", "Share", "p95")
    return Table(heads, rows, ("v", "t", "v", "n", "n", "n", "n"))


def what_is_missing_after(report: Report) -> tuple[str, str] | None:
    """A sentence and a command, while the time after the end is not over in these numbers."""
    ended, end = report.ended_at, report.window_end
    if ended is None or end is None or end >= ended + AFTER - MINUTE:
        return None
    text = f"Metrics up to {time_of(end)} UTC. To read all of the quarter of an hour afterwards:"
    service, deployment = shlex.quote(report.service), shlex.quote(report.deployment_id)
    return text, f"greenlane report {service} -d {deployment} --refresh"


def minutes(report: Report, at_most: int) -> Table:
    """Each minute of each slot, the last `at_most` of them."""
    rows = tuple(
        (
            day_and_time(minute.at)[:16],
            minute.slot,
            count_of(minute.requests),
            count_of(minute.errors),
            milliseconds(minute.p95_ms),
        )
        for minute in report.minutes[-at_most:]
    )
    heads = ("Minute, UTC", "Slot", "Requests", "Failed", "p95")
    return Table(heads, rows, ("t", "", "n", "n", "n"))


def done(report: Report) -> Table:
    """What was done to go back, and how long each part took."""
    rows = tuple((part.name, part.what, span(part.seconds)) for part in report.done)
    return Table(("Part", "What", "Took"), rows, ("t", "", "n"))


def timeline(report: Report) -> Table:
    """What happened when."""
    rows = tuple(
        (
            time_of(moment.at),
            f"+{span(moment.since_previous_seconds)}",
            moment.text,
            span(moment.took_seconds) if moment.took_seconds is not None else "",
            moment.actor,
        )
        for moment in report.timeline
    )
    return Table(("UTC", "After the last", "What", "Took", "By"), rows, ("t", "n", "v", "n", "t"))


def both_versions(report: Report) -> Table:
    """What ran before, and what was deployed."""
    rows = tuple(
        (role, version.label, version.image or "not known", version.task_definition or "not known")
        for role, version in zip(("old", "new"), versions(report), strict=True)
    )
    return Table(("", "Version", "Image", "Task definition"), rows, ("t", "v", "mono v", "mono v"))


def fields(changes: Sequence[FieldChange]) -> Table:
    """Fields that differ; of a value that could be a secret, that it is not shown."""
    rows = tuple((change.path, change.change, *_sides(change)) for change in changes)
    return Table(("Field", "How", "Before", "After"), rows, ("mono p", "t", "mono v", "mono v"))


def _sides(change: FieldChange) -> tuple[str, str]:
    if not change.hidden:
        return change.before or "", change.after or ""
    before = "" if change.change == "added" else _NOT_SHOWN
    return before, "" if change.change == "removed" else _NOT_SHOWN


def config_versions(report: Report) -> str:
    """`version 3 against 2 of d-7`."""
    changes = report.changes
    if changes.previous_config_version is None:
        return f"version {changes.config_version}"
    return (
        f"version {changes.config_version} against {changes.previous_config_version} of "
        f"{changes.previous_deployment}"
    )


def messages(logs: Logs) -> Table:
    """The new error messages, the most frequent first."""
    rows = tuple((count_of(item.count), count_of(item.tasks), item.text) for item in logs.new)
    return Table(("Lines", "Tasks", "Message"), rows, ("n", "n", "mono"))


def stopped(report: Report) -> Table:
    """Why tasks of the new version stopped by themselves."""
    rows = tuple((count_of(found.count), found.reason) for found in report.stopped)
    return Table(("Tasks", "Why they stopped"), rows, ("n", "mono"))


def about_messages(logs: Logs) -> list[str]:
    """What else there is to say about the logs, sentence by sentence, without full stops."""
    said = [] if logs.new else ["None that the other side did not write too"]
    if logs.more:
        said.append(f"{plural(logs.more, 'more kind')} not listed")
    if logs.known_messages:
        said.append(f"{plural(logs.known_messages, 'kind')} written by both, left out")
    return [*said, *logs.notes]


def where_messages_are_from(logs: Logs) -> str:
    """What was read and what it was compared with."""
    return (
        f"Of {', '.join(logs.groups)}: {plural(logs.lines_read, 'line')} of the new version that "
        f"look like errors, compared with {logs.compared_with}. Numbers, ids, addresses and "
        "secrets are replaced by their kind."
    )


def verdicts(report: Report) -> Table:
    """What the judge said, with its numbers."""
    rows = tuple(
        (
            time_of(ruling.at),
            "" if ruling.step is None else str(ruling.step),
            "" if ruling.weight is None else f"{ruling.weight} %",
            ruling.verdict,
            count_of(ruling.requests),
            _checks(ruling),
        )
        for ruling in report.verdicts
    )
    heads = ("UTC", "Step", "Weight", "Verdict", "Requests", "Checks")
    return Table(heads, rows, ("t", "n", "n", "", "n", "v"))


def _checks(ruling: Ruling) -> str:
    """Each check with its value and limit; the reason of those that did not pass."""
    said = []
    for check in ruling.checks:
        text = check.name
        if check.value is not None:
            text += f" {number(check.value)}"
            text += f" (limit {number(check.limit)})" if check.limit is not None else ""
        if check.verdict != "pass":
            text += f" {check.verdict.upper()}" + (f": {check.reason}" if check.reason else "")
        said.append(one_line(text))
    return "; ".join(said) or ruling.reason


def unreadable(report: Report) -> list[str]:
    """What could not be read, line by line."""
    return [f"{gap.what}: not available: {gap.why}" for gap in report.gaps]
