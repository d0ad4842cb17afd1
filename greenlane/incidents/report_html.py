"""A report as one HTML page that asks nothing of the network. Pure; no I/O.

Every text in it goes through `escape`; the page has no scripts, no links to elsewhere, and says
so to the browser as its content security policy.
"""

from datetime import datetime
from html import escape

from greenlane.incidents.report_charts import charts, sample_of_line
from greenlane.incidents.report_html_sections import sections
from greenlane.incidents.report_model import Report, Version
from greenlane.incidents.report_style import STYLE
from greenlane.incidents.report_summary import title
from greenlane.incidents.wording import (
    count_of,
    day_and_time,
    number,
    ratio_as_percent,
    sentence,
    span,
    time_of,
)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_NOTE = (
    '<p class="note">Minute by minute, as the load balancer measured it. An answer that comes in '
    "the minute after its request makes a failure of one minute; the table below counts over "
    "whole phases, without that.</p>"
)

_PILLS = {
    "rolled_back": ("bad", "rolled back"),
    "held": ("bad", "held"),
    "succeeded": ("good", "succeeded"),
    "refused": ("wait", "refused"),
    "under_way": ("wait", "under way"),
}


def render_html(report: Report) -> str:
    """The page. The same report gives the same bytes."""
    name = escape(title(report))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            '<meta name="robots" content="noindex">',
            f"<title>{name}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_first_screen(report, name),
            *_charts(report),
            *sections(report),
            f'<p class="note">Made by Greenlane from its records, from CloudWatch and from ECS, as '
            f"they were at {day_and_time(report.as_of)} UTC. All times are UTC.</p>",
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _first_screen(report: Report, name: str) -> list[str]:
    """What happened, the outcome now, who is affected, when, why, and what next."""
    kind = "Deployment report" if report.outcome in ("succeeded", "refused") else "Incident report"
    style, word = _PILLS[report.outcome]
    if report.outcome == "rolled_back" and report.traffic_from is None:
        style, word = "wait", "abandoned"
    return [
        f'<p class="kicker">{kind} · {escape(report.deployment_id)} · {escape(report.region)}</p>',
        f"<h1>{name}</h1>",
        f'<p class="summary"><span class="pill {style}">{word}</span>'
        f"{escape(' '.join(report.summary))}</p>",
        '<dl class="facts">',
        _fact("Where the traffic is now", _now(report), _now_more(report)),
        _fact("Affected", _affected(report), _affected_more(report)),
        _fact("When (UTC)", _when(report), _when_more(report)),
        _fact("Why", *_why(report)) if report.cause else "",
        _next(report),
        "</dl>",
    ]


def _fact(term: str, big: str, more: str, *, wide: bool = False) -> str:
    css = ' class="wide"' if wide or term == "Why" else ""
    return (
        f'<div{css}><dt>{term}</dt><dd class="big">{escape(big)}</dd>'
        f'<dd class="soft">{escape(more)}</dd></div>'
    )


def _now(report: Report) -> str:
    percent = report.percent
    if percent is None:
        return {
            "rolled_back": f"{report.old.label}, all of it",
            "succeeded": f"{report.new.label}, all of it",
        }.get(report.outcome, "not known")
    old, new = (percent.get(version.slot, 0) for version in (report.old, report.new))
    if not new or not old:
        return f"{(report.old if old else report.new).label}, all of it"
    return f"{old} % {report.old.label}, {new} % {report.new.label}"


def _now_more(report: Report) -> str:
    percent = report.percent
    if percent is not None:
        parts = [
            f"{version.slot} {percent.get(version.slot, 0)} %"
            for version in (report.old, report.new)
        ]
        return f"{' and '.join(parts)} at {time_of(report.as_of)}"
    if report.outcome in ("rolled_back", "succeeded"):
        return "as the deployment ended; the live weights belong to a later one, or were not read"
    return "the live weights could not be read"


def _affected(report: Report) -> str:
    if report.affected is None:
        return "not known"
    requests = report.affected.requests
    if not requests:
        return "nobody" if report.traffic_from is None else "no additional failures"
    return f"about {count_of(requests)} request{'' if requests == 1 else 's'}"


def _affected_more(report: Report) -> str:
    found = report.affected
    if found is None:
        return "the metrics could not be read"
    if report.traffic_from is None:
        return "the new version never had traffic"
    return (
        f"{ratio_as_percent(found.candidate_error_rate)} of {count_of(found.candidate_requests)} "
        f"failed; {ratio_as_percent(found.reference_error_rate)} on the old version"
    )


def _when(report: Report) -> str:
    if report.traffic_from is None:
        begun = time_of(report.started_at)
        return f"{begun} to {time_of(report.ended_at)}" if report.ended_at else f"since {begun}"
    until, begun = _traffic_until(report), time_of(report.traffic_from)
    return f"{begun} to {time_of(until)}" if until else f"since {begun}"


def _traffic_until(report: Report) -> datetime | None:
    """When what the report is about was over; None while the new version still has traffic."""
    if report.traffic_until is not None or report.outcome in ("held", "under_way"):
        return report.traffic_until
    return report.ended_at


def _when_more(report: Report) -> str:
    day = f"{report.started_at:%Y-%m-%d}"
    if report.traffic_from is None:
        return f"{day}; no traffic on the new version"
    until = _traffic_until(report)
    most = max((shift.weight for shift in report.shifts), default=0)
    lasted = f"{span((until - report.traffic_from).total_seconds())} " if until else ""
    return f"{day}; {lasted}with traffic on {report.new.label}, at most {most} %"


def _why(report: Report) -> tuple[str, str]:
    cause = report.cause
    assert cause is not None, "asked before"
    if cause.observed is None or cause.threshold is None:
        return sentence(cause.words[:1].upper() + cause.words[1:]), _when_seen(report)
    metric = (cause.metric or cause.name).replace("_", " ")
    big = (
        f"{metric}: {number(round(cause.observed, 3))}, {cause.comparison or 'against'} the limit "
        f"of {number(cause.threshold)}"
    )
    return (
        big,
        f"{sentence(cause.words[:1].upper() + cause.words[1:])} {_when_seen(report)}".strip(),
    )


def _when_seen(report: Report) -> str:
    at = report.cause.at if report.cause else None
    return f"Seen at {time_of(at)} UTC." if at else ""


def _next(report: Report) -> str:
    items = []
    for step in report.next_steps:
        command = f"<code>{escape(step.command)}</code>" if step.command else ""
        items.append(f"<li>{escape(step.text)}{command}</li>")
    listed = "".join(items)
    return (
        f'<div class="wide"><dt>What to do next</dt><dd><ol class="next">{listed}</ol></dd></div>'
    )


def _charts(report: Report) -> list[str]:
    drawn = charts(report)
    if not drawn:
        return []
    measured = {minute.slot for minute in report.minutes}
    legend = "".join(
        _named(version, report)
        for version in (report.old, report.new)
        if version.slot in measured or not measured
    )
    shift = '<span><svg class="key" viewBox="0 0 3 14" aria-hidden="true">' + (
        '<line class="shift" x1="1.5" y1="0" x2="1.5" y2="14"/></svg>weights changed</span>'
    )
    back = '<span><svg class="key" viewBox="0 0 3 14" aria-hidden="true">' + (
        '<line class="back" x1="1.5" y1="0" x2="1.5" y2="14"/></svg>traffic back</span>'
    )
    events = (shift if report.shifts else "") + (back if report.traffic_until else "")
    return [
        '<h2 id="numbers">How both versions did</h2>',
        f'<div class="legend">{legend}{events}</div>',
        *(f'<div class="scroll">{chart}</div>' for chart in drawn),
        _NOTE if report.minutes else "",
    ]


def _named(version: Version, report: Report) -> str:
    is_new = version.slot == report.new.slot
    role = "new" if is_new else "old"
    sample = sample_of_line(version.slot, is_new)
    return f"<span>{sample}{escape(version.label)} ({role}, in {version.slot})</span>"
