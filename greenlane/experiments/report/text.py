"""A report in a few lines, for a terminal. Pure; no I/O."""

from greenlane.experiments.report.model import Report
from greenlane.experiments.report.summary import facts, summary, title


def render_text(report: Report) -> str:
    """The first screen of the page as text."""
    width = max(len(name) for name, _, _ in facts(report))
    lines = [title(report), summary(report), ""]
    lines += [f"{name:{width}}  {big} ({more})" for name, big, more in facts(report)]
    lines += [""]
    for text, command in report.next_steps:
        lines.append(f"next: {text}{f' {command}' if command else ''}")
    lines += [f"note: {note}" for note in dict.fromkeys(report.notes)]
    return "\n".join(lines) + "\n"
