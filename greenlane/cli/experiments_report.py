"""`greenlane experiments report` and `aa`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenlane.cli.exits import ExitCode
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.experiments.aa.verdict import SelfTest
    from greenlane.experiments.model import Experiment

Name = Annotated[str, typer.Argument(help="The test's name.", show_default=False)]


class ReportFormat(StrEnum):
    """How the report is printed."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(report)
    app.command()(aa)


def report(
    context: typer.Context,
    name: Name,
    run: Annotated[
        int | None, typer.Option(min=1, help="An earlier run; the present one if left out.")
    ] = None,
    format: Annotated[
        ReportFormat, typer.Option("--format", help="How it is printed.")
    ] = ReportFormat.TEXT,
) -> None:
    """Print the report of a test: what came of it, how sure that is, and what to do next.

    It is made of the looks that were kept, so it is the same whoever asks, and whenever. A test
    that has ended has written it: where that is goes to stderr.
    """
    from greenlane.experiments.names import TABLE
    from greenlane.experiments.report.keeping import RENDERERS, report_key
    from greenlane.experiments.report.reading import report_of
    from greenlane.experiments.report.text import render_text
    from greenlane.experiments.storing.state import owed
    from greenlane.incidents.report_place import bucket_name

    session: Session = context.obj
    connection = session.client.connection
    bucket = bucket_name(connection.account, connection.region)
    written = (connection.client("s3"), bucket, connection.account)
    client = connection.client("dynamodb")
    found = report_of(session.experiments, client, TABLE, name, run=run, written=written)
    session.emit(found)
    if session.as_json:
        return
    if format is ReportFormat.TEXT:
        sys.stdout.write(render_text(found))
    else:
        sys.stdout.write(RENDERERS["html" if format is ReportFormat.HTML else "json"](found))
    if found.ended_at is not None:
        left = found.run == (test := session.experiments.test(name)).run and "report" in owed(test)
        where = f"s3://{bucket}/{report_key(name, found.run, 'html')}"
        said = f"not written yet; soon in {where}" if left else f"written to {where}"
        print(said, file=sys.stderr)


def aa(
    context: typer.Context,
    name: Name,
    events: Annotated[
        Path | None,
        typer.Option(help="Users out of a file: user, metric, value, at; CSV, or lines of JSON."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="The test out of a file of A/B tests; needs --events, and no cloud.",
        ),
    ] = None,
    salts: Annotated[
        int, typer.Option(min=100, max=5000, help="How often all users are dealt anew.")
    ] = 400,
    users: Annotated[
        int, typer.Option(min=200, max=1_000_000, help="At most so many are taken.")
    ] = 20_000,
) -> None:
    """Deal a test's own users anew as A/A, many times, and say how often it finds something.

    Nobody got anything else, so all that is found is chance. It takes some 20 seconds on two idle
    cores, in proportion to --salts and --users. Exit code 1: something is found too often.
    """
    session: Session = context.obj
    for option, path in (("--events", events), ("--file", file)):
        if path is not None and not path.is_file():
            raise InvalidInput(option, str(path), "there is no such file")
    if file is not None and events is None:
        raise InvalidInput("--file", str(file), "it has no users; give them with --events")
    if events is not None:
        from greenlane.experiments.aa.running import of_events

        definition = _definition(session, name, file)
        found = of_events(name, definition, events, salts=salts, users=users)
    else:
        from greenlane.experiments.aa.running import of_stored
        from greenlane.experiments.names import TABLE

        client: Any = session.client.connection.client("dynamodb")
        test = session.experiments.test(name)
        found = of_stored(client, TABLE, test, salts=salts, users=users)
    session.emit(found)
    for line in lines(found):
        session.say(line)
    if not found.ok:
        raise typer.Exit(ExitCode.FAILED)


def _definition(session: Session, name: str, file: Path | None) -> "Experiment":
    if file is None:
        return session.experiments.test(name).definition
    from greenlane.experiments.document import read_experiments
    from greenlane.problems import suggest

    tests = read_experiments(file.read_text(encoding="utf-8"), str(file)).ab_tests
    if name not in tests:
        known = ", ".join(tests)
        raise InvalidInput("NAME", name, f"{file} has {known}{suggest(name, list(tests))}")
    return tests[name]


def lines(found: "SelfTest") -> list[str]:
    """What there is to read."""
    width = max(len(rate.name) for rate in found.rates)
    said = [
        f"{found.test}: {found.users:,} users of {found.source}, dealt {found.salts} times, "
        f"{found.looks} looks each",
        "",
        f"{'':{width}}  {'found':>13}  {'rate':>6}  {'allowed':>7}  95 % of the rate",
    ]
    for rate in found.rates:
        count = f"{rate.count} of {rate.of}"
        verdict = "" if rate.ok else "  TOO OFTEN"
        said.append(
            f"{rate.name:{width}}  {count:>13}  {rate.rate:6.2%}  {rate.allowed:7.2%}  "
            f"{rate.low:.2%} to {rate.high:.2%}{verdict}"
        )
    if found.recorded_split is not None:
        verdict = "as planned" if found.recorded_split > 0.01 else "NOT AS PLANNED"
        said += ["", f"the split as it really was: {verdict}, p {found.recorded_split:.2g}"]
    said += ["", *(f"note: {note}" for note in found.notes), found.shows, found.shows_not]
    return said
