"""A report as one HTML page that asks nothing of the network. Pure; no I/O.

Every text in it goes through `escape`; the page has no scripts, no links to elsewhere, and says so
to the browser as its content security policy.
"""

from html import escape

from greenlane.experiments.report.charts import charts, colour_of
from greenlane.experiments.report.drawing import sample_of_line
from greenlane.experiments.report.model import Report
from greenlane.experiments.report.style import STYLE
from greenlane.experiments.report.summary import PILLS, facts, summary, title
from greenlane.experiments.report.tables import tables
from greenlane.experiments.report.words import moment

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


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
            *tables(report),
            '<p class="note">Made by Greenlane from the looks that were kept, the last one of '
            f"{moment(report.as_of)} UTC, and from nothing that came later. All times are UTC. "
            f"Definition {escape(report.definition)}.</p>",
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _first_screen(report: Report, name: str) -> list[str]:
    style, word = PILLS[report.outcome]
    about = f'<p class="soft">{escape(report.description)}</p>' if report.description else ""
    return [
        f'<p class="kicker">A/B test · {escape(report.name)} · run {report.run}</p>',
        f"<h1>{name}</h1>",
        about,
        f'<p class="summary"><span class="pill {style}">{word}</span>{escape(summary(report))}</p>',
        '<dl class="facts">',
        *(_fact(*one) for one in facts(report)),
        _next(report),
        "</dl>",
    ]


def _fact(term: str, big: str, more: str) -> str:
    return (
        f'<div><dt>{escape(term)}</dt><dd class="big">{escape(big)}</dd>'
        f'<dd class="soft">{escape(more)}</dd></div>'
    )


def _next(report: Report) -> str:
    items = []
    for text, command in report.next_steps:
        shown = f"<code>{escape(command)}</code>" if command else ""
        items.append(f"<li>{escape(text)}{shown}</li>")
    return (
        '<div class="wide"><dt>What to do next</dt><dd><ol class="next">'
        f"{''.join(items)}</ol></dd></div>"
    )


def _charts(report: Report) -> list[str]:
    drawn = charts(report)
    if not drawn:
        return []
    legend = "".join(
        f"<span>{sample_of_line(colour_of(report, name))}{escape(name)}</span>"
        for name in (report.control, *report.treatments)
    )
    asked = f"<span>{sample_of_line(0, dashed=True)}planned, or a bound</span>"
    figures = []
    for chart, caption in drawn:
        said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        figures.append(f"<figure>{chart}{said}</figure>")
    return [
        '<h2 id="numbers">How it went</h2>',
        f'<div class="legend">{legend}{asked}</div>',
        '<div class="charts">',
        *figures,
        "</div>",
    ]
