"""`greenlane report`."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from greenlane.cli.session import Session


class ReportFormat(StrEnum):
    """How the report is printed."""

    MD = "md"
    JSON = "json"
    HTML = "html"


def report(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="The service's name.", show_default=False)],
    deployment: Annotated[
        str | None, typer.Option("--deployment", "-d", help="Its id; the latest when left out.")
    ] = None,
    format: Annotated[
        ReportFormat, typer.Option("--format", help="How it is printed.")
    ] = ReportFormat.MD,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Make it anew and store it, although there is one.")
    ] = False,
) -> None:
    """Print the report of a deployment: what happened, who was affected, what to do next.

    A rollback writes its own. Of any other deployment it is made now, and stored for the next who
    asks. Where it is stored goes to stderr; with --output json all of it is one document.
    """
    session: Session = context.obj
    found = session.reports.get(
        service,
        None if deployment == "latest" else deployment,
        refresh=refresh,
        by=session.person,
    )
    for problem in found.problems:
        session.warn(problem)
    session.emit(found)
    if session.as_json:
        return
    sys.stdout.write(found.text(format.value))
    if found.stored:
        made = "written to" if found.made else "read from"
        for key in found.keys.values():
            print(f"{made} s3://{found.bucket}/{key}", file=sys.stderr)
