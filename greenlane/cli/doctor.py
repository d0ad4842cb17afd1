"""`greenlane doctor`."""

from typing import TYPE_CHECKING

import typer

from greenlane.cli.deploying import Service
from greenlane.cli.exits import ExitCode
from greenlane.cli.session import Session

if TYPE_CHECKING:
    from rich.text import Text

    from greenlane.doctor.facts import Finding

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def doctor(context: typer.Context, service: Service) -> None:
    """Find what would make a deployment fail, or keep it from going back. It changes nothing.

    It ends with 1 if there is an error.
    """
    from greenlane.doctor.checks import CHECKS, examine
    from greenlane.doctor.reading import Reader
    from greenlane.incidents.wording import plural

    session: Session = context.obj
    facts = Reader(session.client.connection, service).read()
    found = examine(facts)
    session.emit(found)
    if not session.as_json:
        for finding in found:
            session.console.print(_view(finding))
        errors = sum(finding.severity == "error" for finding in found)
        warnings = sum(finding.severity == "warning" for finding in found)
        said = f"{plural(errors, 'error')}, {plural(warnings, 'warning')}"
        session.say(f"{service}: {len(CHECKS)} checks, {said}")
    if any(finding.severity == "error" for finding in found):
        raise typer.Exit(ExitCode.FAILED)


def _view(finding: "Finding") -> "Text":
    from rich.text import Text

    line = Text(f"{finding.severity:<8}", style=_COLOURS[finding.severity])
    line.append(f"{finding.check}: {finding.subject}: {finding.what}", style="default")
    if finding.way_out:
        line.append(f"\n        {finding.way_out}", style="dim")
    return line
