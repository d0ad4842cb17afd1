"""A report as Markdown: the same facts as the page, without charts. Pure; no I/O."""

import re
from collections.abc import Sequence

from greenlane.incidents import report_tables as tables
from greenlane.incidents.report_model import FieldChange, Report
from greenlane.incidents.report_summary import title
from greenlane.incidents.report_tables import Table
from greenlane.incidents.wording import (
    count_of,
    day_and_time,
    number,
    one_line,
    ratio_as_percent,
)

_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


def render_markdown(report: Report) -> str:
    """The report. The same report gives the same bytes."""
    lines = [
        f"# {plain(title(report))}",
        "",
        plain(" ".join(report.summary)),
        "",
        *_facts(report),
        "## What to do next",
        "",
        *_next(report),
        "",
        *_numbers(report),
        *_done(report),
        *_timeline(report),
        *_changes(report),
        *_stopped(report),
        *_logs(report),
        *_verdicts(report),
        *_gaps(report),
        f"Made by Greenlane as of {day_and_time(report.as_of)} UTC. All times are UTC.",
        "",
    ]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no link of its own making."""
    safe = one_line(text, 2000).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Without the colon nobody makes a link of somebody else's address.
    return _SPECIAL.sub(r"\\\1", safe).replace("://", "&#58;//")


def _code(text: str) -> str:
    """Text in a code span, which nothing inside of it may end."""
    return f"`{one_line(text, 500).replace('`', chr(39))}`"


def _table(table: Table) -> list[str]:
    lines = [f"| {' | '.join(table.heads)} |", f"|{'---|' * len(table.heads)}"]
    lines += [f"| {' | '.join(plain(cell) for cell in row)} |" for row in table.rows]
    return [*lines, ""]


def _facts(report: Report) -> list[str]:
    rows = [
        ("Outcome", report.outcome.replace("_", " ")),
        ("Service", report.service),
        ("Deployment", f"{report.deployment_id}, {report.strategy}, by {report.requested_by}"),
        ("Began", f"{day_and_time(report.started_at)} UTC"),
    ]
    if report.traffic_from is not None:
        until = report.traffic_until or report.ended_at
        end = f" to {day_and_time(until)}" if until else ""
        rows.append(("Traffic on the new version", f"{day_and_time(report.traffic_from)}{end} UTC"))
    if report.ended_at is not None:
        rows.append(("Ended", f"{day_and_time(report.ended_at)} UTC"))
    if report.percent is not None:
        parts = [f"{slot} {percent} percent" for slot, percent in sorted(report.percent.items())]
        rows.append(("Traffic now", ", ".join(parts)))
    rows += _affected_and_cause(report)
    return _table(Table(("What", "How it stands"), tuple(rows)))


def _affected_and_cause(report: Report) -> list[tuple[str, str]]:
    rows = []
    found, cause = report.affected, report.cause
    if found is None:
        rows.append(("Affected requests", "not known"))
    elif report.traffic_from is None:
        rows.append(("Affected requests", "none, the new version never had traffic"))
    else:
        rows.append(
            (
                "Affected requests",
                f"{count_of(found.requests)}; "
                f"{ratio_as_percent(found.candidate_error_rate)} of the new version's failed",
            )
        )
    if cause is not None:
        rows.append(("Why", cause.words))
        if cause.observed is not None and cause.threshold is not None:
            rows.append(
                (
                    "Trigger",
                    f"{cause.metric or cause.name}: {number(round(cause.observed, 3))}, "
                    f"{cause.comparison or 'against'} {number(cause.threshold)}",
                )
            )
    return rows


def _next(report: Report) -> list[str]:
    lines = []
    for position, step in enumerate(report.next_steps, 1):
        command = f" {_code(step.command)}" if step.command else ""
        lines.append(f"{position}. {plain(step.text)}{command}")
    return lines


def _numbers(report: Report) -> list[str]:
    if not report.phases:
        return []
    lines = ["## How both versions did", "", *_table(tables.phases(report))]
    if report.affected is not None:
        lines += [f"Affected: {plain(report.affected.formula)}.", ""]
    if missing := tables.what_is_missing_after(report):
        lines += [f"{plain(missing[0])} {_code(missing[1])}", ""]
    return lines


def _done(report: Report) -> list[str]:
    return ["## What was done", "", *_table(tables.done(report))] if report.done else []


def _timeline(report: Report) -> list[str]:
    return ["## Timeline", "", *_table(tables.timeline(report))]


def _changes(report: Report) -> list[str]:
    return [
        "## What changed",
        "",
        *_table(tables.both_versions(report)),
        "### Task definition",
        "",
        *_fields(report.changes.task_definition, "One of the two could not be read."),
        f"### Configuration, {plain(tables.config_versions(report))}",
        "",
        *_fields(report.changes.config, "There is no deployment before to compare with."),
    ]


def _fields(changes: Sequence[FieldChange] | None, unknown: str) -> list[str]:
    if not changes:
        return [unknown if changes is None else "No difference.", ""]
    return _table(tables.fields(changes))


def _stopped(report: Report) -> list[str]:
    if not report.stopped:
        return []
    head = "## Tasks of the new version that stopped by themselves"
    return [head, "", *_table(tables.stopped(report))]


def _logs(report: Report) -> list[str]:
    logs = report.logs
    if logs is None:
        return []
    lines = ["## New error messages", "", plain(tables.where_messages_are_from(logs)), ""]
    lines += _table(tables.messages(logs)) if logs.new else []
    for text in tables.about_messages(logs):
        lines += [f"{plain(text)}.", ""]
    return lines


def _verdicts(report: Report) -> list[str]:
    return ["## Verdicts", "", *_table(tables.verdicts(report))] if report.verdicts else []


def _gaps(report: Report) -> list[str]:
    if not report.gaps:
        return []
    lines = [f"- {plain(line)}" for line in tables.unreadable(report)]
    return ["## What could not be read", "", *lines, ""]
