"""`greenlane experiments results`, `looks`, `audit` and `plan`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.experiments_views import audit_lines, look_lines, numbers, plan_lines
from greenlane.cli.flags_files import text_of
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.experiments.model import Experiment
    from greenlane.experiments.planning import Baseline
    from greenlane.experiments.results import Results

Name = Annotated[str, typer.Argument(help="The test's name.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (results, looks, audit, plan):
        app.command()(command)


def results_of(session: Session, name: str, segment: str | None = None) -> "Results":
    """What a test says now."""
    from greenlane.experiments.names import TABLE
    from greenlane.experiments.results import results as found

    client = session.client.connection.client("dynamodb")
    return found(session.experiments, client, TABLE, name, at=session.now, segment=segment)


def results(
    context: typer.Context,
    name: Name,
    segment: Annotated[
        str | None, typer.Option(help="Of one segment that the test declares.")
    ] = None,
) -> None:
    """Show what a test says now: users, effects, guardrails, and what a look would decide.

    It is no look that counts and spends nothing; of a test that ended by a look it is that one.
    """
    session: Session = context.obj
    found = results_of(session, name, segment)
    session.emit(found)
    for line in numbers(found):
        session.say(line)


def looks(
    context: typer.Context,
    name: Name,
    run: Annotated[int | None, typer.Option(min=1, help="Which run; the latest if not.")] = None,
) -> None:
    """List the looks of a test, oldest first, with what each of them said."""
    session: Session = context.obj
    store = session.experiments
    number = store.test(name).run if run is None else run
    found = store.looks(name, number)
    session.emit(found)
    for line in look_lines(found) if found else [f"run {number} of {name} has no look yet"]:
        session.say(line)


def audit(
    context: typer.Context,
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
) -> None:
    """Show who changed a test, when and why, newest first."""
    session: Session = context.obj
    session.experiments.test(name)
    entries = session.experiments.audit(name, limit)
    session.emit(entries)
    for line in audit_lines(entries):
        session.say(line)


def plan(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(help="The test; may be left out for a file of one.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="Of a file instead of what is stored; - is stdin."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Of the control: how many do it, 0 to 1, or a count.")
    ] = None,
    mean: Annotated[float | None, typer.Option(help="Of the control's users.")] = None,
    deviation: Annotated[float | None, typer.Option(help="Standard deviation of one user.")] = None,
    correlation: Annotated[
        float, typer.Option(min=-0.999, max=0.999, help="With the covariate, where there is one.")
    ] = 0.0,
    lift: Annotated[
        float | None, typer.Option(help="Worth finding, a ratio; minimum_lift if left out.")
    ] = None,
    power: Annotated[float, typer.Option(help="The chance to find it.")] = 0.8,
    per_day: Annotated[
        float | None, typer.Option(help="New eligible users in a day, before traffic and ramp.")
    ] = None,
) -> None:
    """Say how many users a test needs, and how long it takes, by its own criteria.

    Without --rate, and without --mean and --deviation, the control of the stored test is measured.
    """
    from greenlane.experiments.planning import plan as planned

    session: Session = context.obj
    name, test = _definition(session, name, file)
    given = _given(test, rate, mean, deviation, correlation)
    baseline = given or _measured(session, name, file)
    found = planned(test, baseline, lift=lift, power=power, per_day=per_day)
    session.emit(found)
    for line in plan_lines(name, found):
        session.say(line)


def _definition(session: Session, name: str | None, file: Path | None) -> "tuple[str, Experiment]":
    if file is None:
        if name is None:
            raise InvalidInput("name", name, "name a test that is stored, or give --file")
        return name, session.experiments.test(name).as_it_is()
    from greenlane.errors import UnknownTest
    from greenlane.experiments.document import read_experiments

    tests = read_experiments(*text_of(file)).ab_tests
    if name is None and len(tests) != 1:
        raise InvalidInput("name", name, f"the file has {len(tests)} tests: {', '.join(tests)}")
    chosen = next(iter(tests)) if name is None else name
    if chosen not in tests:
        raise UnknownTest(chosen, sorted(tests))
    return chosen, tests[chosen]


def _given(
    test: "Experiment",
    rate: float | None,
    mean: float | None,
    deviation: float | None,
    correlation: float,
) -> "Baseline | None":
    """What somebody said of the control; None when nothing was said."""
    from greenlane.experiments.planning import Baseline

    metric = test.primary_metric
    by_rate = metric.kind in ("proportion", "count")
    wrong = {"--mean": mean, "--deviation": deviation} if by_rate else {"--rate": rate}
    for option, value in wrong.items():
        if value is not None:
            instead = "--rate" if by_rate else "--mean and --deviation"
            said = f"{metric.name} is a {metric.kind}: give {instead}"
            raise InvalidInput(option, value, said)
    known = rate if by_rate else mean
    if known is None and deviation is not None:
        raise InvalidInput("--deviation", deviation, "it goes with --mean")
    return None if known is None else Baseline(known, deviation, correlation)


def _measured(session: Session, name: str, file: Path | None) -> "Baseline":
    """What the control of the stored test is like."""
    from greenlane.experiments.counting.reading import read_snapshot
    from greenlane.experiments.names import TABLE
    from greenlane.experiments.planning import measured

    if file is not None:
        way_out = "say what the control is like: --rate, or --mean and --deviation"
        raise InvalidInput("--rate", None, way_out)
    client = session.client.connection.client("dynamodb")
    test = session.experiments.test(name)
    return measured(test.definition, read_snapshot(client, TABLE, test, session.now))
