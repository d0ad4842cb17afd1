"""`greenlane experiments create`, `diff` and `export`."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenlane.cli.exits import ExitCode
from greenlane.cli.experiments_views import differences, tell_test
from greenlane.cli.flags_files import text_of
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.experiments.model import Experiment

File = Annotated[Path, typer.Option("--file", "-f", help="With `ab_tests:`; - is stdin.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(create)
    app.command()(diff)
    app.command("export")(export_tests)


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The test's name.", show_default=False)],
    weights: Annotated[
        list[str],
        typer.Argument(help="Percent of the users: control=50 treatment=50.", show_default=False),
    ],
    metric: Annotated[
        list[str], typer.Option(help="What is measured; the first decides. Several times.")
    ],
    guardrail: Annotated[
        list[str] | None,
        typer.Option(help="What is healthy, such as 'error_rate < 0.01'. Several times."),
    ] = None,
    lift: Annotated[
        str | None, typer.Option(help="The minimum lift, a ratio such as 0.05.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option(help="The maximum duration, such as 14d; no end without it.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="The minimum sample size of each variant.")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is about.")] = "",
    start: Annotated[bool, typer.Option("--start", help="Begin it at once.")] = False,
    reason: Why = "",
) -> None:
    """Put a new test; a file (`greenlane apply -f`) can say more."""
    from greenlane.apply import check_test_names
    from greenlane.experiments.storing import keeping

    session: Session = context.obj
    definition = _definition(weights, metric, guardrail, lift, duration, sample, description)
    known = session.experiments.snapshot()["tests"]
    if name in known:
        way_out = "there is such a test; change it by `greenlane experiments change`, or by a file"
        raise InvalidInput("name", name, way_out)
    check_test_names(session.client, [name])
    made = keeping.create(
        session.experiments,
        name,
        definition,
        by=session.principal,
        reason=reason,
        at=session.now,
        start=start,
    )
    tell_test(session, made)


def _definition(
    weights: list[str],
    metrics: list[str],
    guardrails: list[str] | None,
    lift: str | None,
    duration: str | None,
    sample: int | None,
    description: str,
) -> "Experiment":
    from pydantic import ValidationError

    from greenlane.experiments.model import Experiment
    from greenlane.problems import as_error, explain

    data: dict[str, Any] = {
        "variants": weights_of(weights),
        "metrics": [_metric(one) for one in metrics],
    }
    given = {
        "description": description or None,
        "guardrail_metrics": guardrails or None,
        "maximum_duration": duration,
        "minimum_sample_size": sample,
    }
    data |= {key: value for key, value in given.items() if value is not None}
    if lift is not None:
        first = data["metrics"][0]
        named = first["name"] if isinstance(first, dict) else first
        data["success_criteria"] = {named: {"minimum_lift": number("--lift", lift)}}
    try:
        return Experiment.model_validate(data)
    except ValidationError as error:
        raise as_error(explain(error, Experiment, data), "the test") from None


def _metric(text: str) -> Any:
    """A name, or a mapping as a file has it: `{name: basket, kind: mean, direction: higher}`."""
    if not text.lstrip().startswith("{"):
        return text
    from greenlane.documents import load

    return load(f"metric: {text}", "--metric").data["metric"]


def weights_of(texts: list[str]) -> dict[str, Decimal]:
    """Weights by variant, of texts such as `control=50`.

    Raises:
        InvalidInput: naming the one that is wrong.
    """
    found: dict[str, Decimal] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            raise InvalidInput("weights", text, "write each variant once, such as control=50")
        found[name] = percent(name, value)
    return found


def percent(field: str, text: str) -> Decimal:
    """Percent as somebody wrote it; raises `InvalidInput`."""
    return number(field, text, "write percent, such as 25 or 0.5")


def number(field: str, text: str, way_out: str = "write a number, such as 0.05") -> Decimal:
    """A number as somebody wrote it; raises `InvalidInput`."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise InvalidInput(field, text, way_out) from None
    if not found.is_finite():
        raise InvalidInput(field, text, way_out)
    return found


def diff(
    context: typer.Context,
    file: File,
    start: Annotated[bool, typer.Option("--start", help="As if with --start.")] = False,
    again: Annotated[bool, typer.Option("--again", help="As if with --again.")] = False,
) -> None:
    """Show what applying a file would change; exit code 1 when that is anything."""
    from greenlane.experiments.previewing import preview

    session: Session = context.obj
    text, name = text_of(file)
    changes = preview(session.experiments, text, name, at=session.now, start=start, again=again)
    session.emit([change._asdict() for change in changes])
    for key, old, new in changes:
        session.say(f"{'+' if old is None else '~'} {key}")
        for line in differences(old, new) if old is not None else ():
            session.say(f"    {line}")
    if not changes:
        session.say("nothing would change")
    raise typer.Exit(ExitCode.FAILED if changes else ExitCode.OK)


def export_tests(context: typer.Context) -> None:
    """Print the drafts and the running tests as a file, for `greenlane apply`."""
    from greenlane.flags.storing.export import to_yaml

    session: Session = context.obj
    print(to_yaml(session.experiments.read().document(), "ab_tests"), end="")
