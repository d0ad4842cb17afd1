"""What stands below the first screen of the HTML page. Pure; no I/O."""

from collections.abc import Sequence
from html import escape

from greenlane.incidents import report_tables as tables
from greenlane.incidents.report_model import FieldChange, Report
from greenlane.incidents.report_tables import Table
from greenlane.incidents.wording import time_of

_ROWS_OF_MINUTES = 480


def sections(report: Report) -> list[str]:
    """Everything below the charts."""
    return [
        *_numbers(report),
        *_done(report),
        *_timeline(report),
        *_changes(report),
        *_stopped(report),
        *_logs(report),
        *_verdicts(report),
        *_gaps(report),
    ]


def html_table(table: Table) -> str:
    """A table; its texts are escaped here."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        found = []
        for index, text in enumerate(texts):
            style = table.styles[index] if index < len(table.styles) else ""
            css = f' class="{style}"' if style and (tag == "td" or style == "n") else ""
            scope = ' scope="col"' if tag == "th" else ""
            found.append(f"<{tag}{scope}{css}>{escape(text)}</{tag}>")
        return f"<tr>{''.join(found)}</tr>"

    body = "\n".join(cells("td", row) for row in table.rows)
    return (
        f'<div class="scroll"><table><thead>{cells("th", table.heads)}</thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _numbers(report: Report) -> list[str]:
    if not report.phases:
        return []
    found = ["<h3>The same in numbers</h3>", html_table(tables.phases(report))]
    if report.affected is not None:
        found.append(f'<p class="note">Affected: {escape(report.affected.formula)}.</p>')
    if missing := tables.what_is_missing_after(report):
        text, command = (escape(part) for part in missing)
        found.append(f'<p class="note">{text} <code>{command}</code></p>')
    return [*found, *_minutes(report)]


def _minutes(report: Report) -> list[str]:
    if not report.minutes:
        return []
    left_out = len(report.minutes) > _ROWS_OF_MINUTES
    note = f" (the last {_ROWS_OF_MINUTES} rows; all are in report.json)" if left_out else ""
    return [
        f"<details><summary>Each minute{note}</summary>",
        html_table(tables.minutes(report, _ROWS_OF_MINUTES)),
        "</details>",
    ]


def _done(report: Report) -> list[str]:
    if not report.done:
        return []
    return ['<h2 id="done">What was done</h2>', html_table(tables.done(report))]


def _timeline(report: Report) -> list[str]:
    return [
        '<h2 id="timeline">Timeline</h2>',
        f"<p>It began on {report.started_at:%Y-%m-%d} at {time_of(report.started_at)} UTC; "
        f"{escape(report.requested_by)} had asked for it.</p>",
        html_table(tables.timeline(report)),
    ]


def _changes(report: Report) -> list[str]:
    changes = report.changes
    return [
        '<h2 id="changes">What changed</h2>',
        html_table(tables.both_versions(report)),
        "<h3>Task definition</h3>",
        _fields(changes.task_definition, "One of the two could not be read."),
        f"<h3>Configuration, {escape(tables.config_versions(report))}</h3>",
        _fields(changes.config, "There is no deployment before to compare with."),
    ]


def _fields(changes: Sequence[FieldChange] | None, unknown: str) -> str:
    if not changes:
        return f'<p class="soft">{unknown if changes is None else "No difference."}</p>'
    return html_table(tables.fields(changes))


def _stopped(report: Report) -> list[str]:
    if not report.stopped:
        return []
    head = '<h2 id="stopped">Tasks of the new version that stopped by themselves</h2>'
    return [head, html_table(tables.stopped(report))]


def _logs(report: Report) -> list[str]:
    logs = report.logs
    if logs is None:
        return []
    return [
        '<h2 id="logs">New error messages</h2>',
        f"<p>{escape(tables.where_messages_are_from(logs))}</p>",
        html_table(tables.messages(logs)) if logs.new else "",
        *(f'<p class="note">{escape(text)}.</p>' for text in tables.about_messages(logs)),
    ]


def _verdicts(report: Report) -> list[str]:
    if not report.verdicts:
        return []
    return ['<h2 id="verdicts">Verdicts</h2>', html_table(tables.verdicts(report))]


def _gaps(report: Report) -> list[str]:
    if not report.gaps:
        return []
    listed = "".join(f"<li>{escape(line)}</li>" for line in tables.unreadable(report))
    return ['<h2 id="gaps">What could not be read</h2>', f"<ul>{listed}</ul>"]
