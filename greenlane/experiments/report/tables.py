"""The tables of the page: everything that the charts show, as numbers. Pure; no I/O."""

from collections.abc import Iterable, Sequence
from html import escape

from greenlane.experiments.report.model import Measure, Report
from greenlane.experiments.report.summary import OUTCOMES, STANDINGS
from greenlane.experiments.report.words import (
    chance,
    measured,
    moment,
    name_of_metric,
    plain,
    ratio,
)
from greenlane.experiments.statistics.effects import Effect

Cell = tuple[str, str]
"""A text and its class: `n` for a number, `t` for a time, empty for words."""

_EFFECT_HEADS = (
    ("treatment", ""),
    ("control", "n"),
    ("value", "n"),
    ("lift", "n"),
    ("from", "n"),
    ("to", "n"),
    ("p", "n"),
    ("shown if p ≤", "n"),
    ("", ""),
)


def tables(report: Report) -> list[str]:
    """All sections after the charts."""
    return [
        *_metrics(report),
        *_guardrails(report),
        *_segments(report),
        *_looks(report),
        *_allocation(report),
        *_notes(report),
    ]


def _metrics(report: Report) -> list[str]:
    if not report.looks:
        return []
    rows = [
        [
            (f"{name_of_metric(metric.name)}{_role(metric, report)}", "v"),
            *_effect(metric, name, effect),
        ]
        for metric in (report.primary, *report.others)
        for name, effect in metric.effects.items()
    ]
    return [
        '<h2 id="metrics">Metrics, at the last look</h2>',
        '<p class="note">The first one decides, at the level that this look has. The others are '
        "corrected for each other (Holm). An interval leaves out 0 when, and only when, the effect "
        "is shown.</p>",
        _table((("metric", ""), *_EFFECT_HEADS), rows),
    ]


def _role(metric: Measure, report: Report) -> str:
    return " (decides)" if metric.name == report.primary.name else ""


def _effect(metric: Measure, treatment: str, effect: Effect) -> list[Cell]:
    if effect.outcome != "compared":
        return [(treatment, ""), *[("", "n")] * 7, (OUTCOMES[effect.outcome], "")]
    low, high = effect.lift_interval or (None, None)
    lift = (
        [ratio(effect.lift), ratio(low), ratio(high)] if effect.lift is not None else ["", "", ""]
    )
    return [
        (treatment, ""),
        (measured(effect.control, metric.kind), "n"),
        (measured(effect.treatment, metric.kind), "n"),
        *((text, "n") for text in lift),
        (chance(effect.p_value), "n"),
        (chance(effect.level), "n"),
        (_said(metric, effect), ""),
    ]


def _said(metric: Measure, effect: Effect) -> str:
    if not effect.significant:
        return "not shown"
    up = (effect.difference or effect.lift or 0) > 0
    if metric.direction == "either":
        return "higher" if up else "lower"
    return "better" if up == (metric.direction == "higher") else "worse"


def _guardrails(report: Report) -> list[str]:
    if not report.limits:
        return []
    rows = [
        [
            (one.condition, "v"),
            (one.treatment, ""),
            (_guarded(report, one.metric, one.value), "n"),
            (plain(one.evidence) if one.evidence is not None else "", "n"),
            (plain(one.needed) if one.needed is not None else "", "n"),
            (STANDINGS[one.standing] + (", by the control too" if one.everywhere else ""), ""),
        ]
        for one in report.guardrails
    ]
    when = (
        f"As a watch at {moment(report.watched_at)} saw them."
        if report.watched_at is not None
        else "As the last look saw them."
    )
    heads = (("healthy is", ""), ("treatment", ""), ("value", "n"), ("evidence", "n"))
    return [
        '<h2 id="guardrails">Guardrails</h2>',
        f'<p class="note">{when} Evidence of harm is a logarithm of odds, or z of a mean; it is '
        "held against what is needed, at any moment.</p>",
        _table((*heads, ("needed", "n"), ("", "")), rows),
    ]


def _guarded(report: Report, metric: str, value: float | None) -> str:
    limit = next((one for one in report.limits if one.metric == metric), None)
    if value is None or limit is None:
        return ""
    return ratio(value) if limit.relative else measured(value, limit.kind)


def _segments(report: Report) -> list[str]:
    if not report.segments:
        return []
    rows = [
        [
            (line.segment, "v"),
            (f"{line.effect.users[0]:,}", "n"),
            (f"{line.effect.users[1]:,}", "n"),
            *_effect(report.primary, line.treatment, line.effect),
        ]
        for line in report.segments
    ]
    heads = (("segment", ""), ("users, control", "n"), ("users", "n"), *_EFFECT_HEADS)
    when = f"Read at {moment(report.segments_at)}." if report.segments_at else ""
    return [
        f'<h2 id="segments">Segments: {escape(name_of_metric(report.primary.name))}</h2>',
        f'<p class="note">Exploratory: it says where to look next, and decided nothing. All rows '
        f"together are corrected (Holm), as if each segment were looked at once. {when}</p>",
        _table(heads, rows),
    ]


def _looks(report: Report) -> list[str]:
    if not report.looks:
        return []
    rows = []
    for look in report.looks:
        for treatment, told in look.treatments.items():
            low, high = told.effect.lift_interval or (None, None)
            rows.append(
                [
                    (str(look.number), "n"),
                    (moment(look.at), "t"),
                    (treatment, ""),
                    (f"{sum(look.users.values()):,}", "n"),
                    (ratio(told.effect.lift) if told.effect.lift is not None else "", "n"),
                    (ratio(low) if low is not None else "", "n"),
                    (ratio(high) if high is not None else "", "n"),
                    (_z(told.effect.statistic), "n"),
                    (_z(told.bound) if told.bound is not None else "none", "n"),
                    (look.verdict.replace("_", " "), ""),
                ]
            )
    heads = (
        *(("look", "n"), ("at", ""), ("treatment", ""), ("users", "n"), ("lift", "n")),
        *(("from", "n"), ("to", "n"), ("z", "n"), ("bound", "n"), ("verdict", "")),
    )
    return [
        '<h2 id="looks">Looks</h2>',
        '<p class="note">A look without a bound spent nothing of the level, and decided about harm '
        "and a wrong split alone.</p>",
        _table(heads, rows),
    ]


def _z(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _allocation(report: Report) -> list[str]:
    if not report.looks:
        return []
    last = report.looks[-1]
    everyone = sum(last.users.values()) or 1
    rows: list[list[Cell]] = [
        [
            (name, "v"),
            (f"{count:,}", "n"),
            (f"{100 * count / everyone:.3f} %", "n"),
            (f"{100 * last.expected.get(name, 0) / everyone:.3f} %", "n"),
        ]
        for name, count in last.users.items()
    ]
    weights = "; ".join(
        f"from {moment(epoch.since)}: "
        + ", ".join(f"{name} {value:f} %" for name, value in epoch.weights.items())
        for epoch in report.epochs
    )
    heads = (("variant", ""), ("users", "n"), ("share", "n"), ("planned", "n"))
    return [
        '<h2 id="allocation">Who came</h2>',
        f'<p class="note">Weights {escape(weights)}.</p>',
        _table(heads, rows),
    ]


def _notes(report: Report) -> list[str]:
    if not report.notes:
        return []
    items = "".join(f"<li>{escape(note)}</li>" for note in dict.fromkeys(report.notes))
    return ['<h2 id="notes">Notes</h2>', f"<ul>{items}</ul>"]


def _table(heads: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> str:
    head = "".join(f'<th scope="col"{_css(css)}>{escape(text)}</th>' for text, css in heads)
    body = "".join(
        "<tr>" + "".join(f"<td{_css(css)}>{escape(text)}</td>" for text, css in row) + "</tr>"
        for row in rows
    )
    return (
        '<div class="scroll"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _css(name: str) -> str:
    return f' class="{name}"' if name else ""
