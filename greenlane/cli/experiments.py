"""`greenlane experiments`: what people do with A/B tests.

Commands of other parts stand in modules of their own, which add them by `register(app)`, at the end
of this one.
"""

from typing import Annotated, Any

import typer

from greenlane.cli import experiments_files, experiments_numbers, experiments_report
from greenlane.cli.experiments_views import detailed, listed, status_of, tell_test
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

app = typer.Typer(help="A/B tests: begin them, look at them, end them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The test's name.", show_default=False)]
Why = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]


@app.command("list")
def list_all(context: typer.Context) -> None:
    """List the tests: where each stands, and what it serves."""
    session: Session = context.obj
    tests = session.experiments.tests()
    session.emit(tests)
    for line in listed(tests):
        session.say(line)


@app.command()
def get(context: typer.Context, name: Name) -> None:
    """Show one test as it was written, with what became of it."""
    session: Session = context.obj
    test = session.experiments.test(name)
    session.emit(test)
    for line in detailed(test):
        session.say(line)


@app.command()
def status(context: typer.Context, name: Name) -> None:
    """Show where one test stands: time, traffic, users, the last look, and what one would say."""
    session: Session = context.obj
    store = session.experiments
    test = store.test(name)
    drafted = test.started_at is None
    found = None if drafted else experiments_numbers.results_of(session, name)
    looks, watch = store.looks(name, test.run), store.watch(name, test.run)
    last = looks[-1] if looks else None
    session.emit({"test": test, "results": found, "last_look": last, "watch": watch})
    for line in status_of(test, found, looks, watch, session.now):
        session.say(line)


@app.command()
def start(
    context: typer.Context,
    name: Name,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="Of its counters; more than 8 for hundreds of events a second."
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Begin a test anew that ended, under another salt.")
    ] = False,
    reason: Why = "",
) -> None:
    """Begin a test. Its workflow begins within a minute."""
    from greenlane.experiments.storing import keeping
    from greenlane.experiments.storing.state import SHARDS

    session: Session = context.obj
    started = keeping.start(
        session.experiments,
        name,
        by=session.principal,
        reason=reason,
        at=session.now,
        shards=SHARDS if shards is None else shards,
        again=again,
    )
    tell_test(session, started)


@app.command()
def stop(
    context: typer.Context,
    name: Name,
    reason: Annotated[
        str, typer.Option("--reason", help="Why, for the record; needed.", show_default=False)
    ],
    serve: Annotated[
        str | None, typer.Option(help="The variant for all who are eligible; the control if not.")
    ] = None,
    run: Annotated[
        int | None,
        typer.Option(help="The run that you mean; refused if another is there.", min=1),
    ] = None,
) -> None:
    """End a test by your will, whatever its numbers say.

    No decision of its own comes of it: no flag is ramped, and the record says who stopped it.
    """
    from greenlane.experiments.storing import keeping

    session: Session = context.obj
    by, at = session.principal, session.now
    stopped = keeping.stop(
        session.experiments, name, by=by, reason=reason, at=at, serve=serve, run=run
    )
    tell_test(session, stopped)


@app.command()
def change(
    context: typer.Context,
    name: Name,
    weights: Annotated[
        list[str] | None,
        typer.Argument(
            help="Percent of all variants: control=30 treatment=70.", show_default=False
        ),
    ] = None,
    traffic: Annotated[str | None, typer.Option(help="Percent of the eligible; upward.")] = None,
    steps: Annotated[
        str | None, typer.Option(help="The ramp's percentages, rising: 1,10,100.")
    ] = None,
    interval: Annotated[str | None, typer.Option(help="Of the ramp, such as 12h.")] = None,
    reason: Why = "",
) -> None:
    """Change a running test: its weights, or how many take part.

    Whoever was exposed keeps his variant. Other weights begin another epoch of the counting.
    """
    from greenlane.experiments.storing import keeping

    session: Session = context.obj
    if not weights and traffic is None and steps is None:
        raise InvalidInput("change", None, "say what: weights, --traffic, or --steps")
    changed = keeping.change(
        session.experiments,
        name,
        weights=experiments_files.weights_of(weights) if weights else None,
        traffic=None if traffic is None else experiments_files.percent("--traffic", traffic),
        ramp=_ramp(steps, interval),
        by=session.principal,
        reason=reason,
        at=session.now,
    )
    tell_test(session, changed)


def _ramp(steps: str | None, interval: str | None) -> Any:
    from pydantic import ValidationError

    from greenlane.experiments.model import Ramp
    from greenlane.problems import as_error, explain

    if steps is None:
        if interval is not None:
            raise InvalidInput("--interval", interval, "it goes with --steps")
        return None
    percents = [experiments_files.percent("--steps", one) for one in steps.split(",")]
    data: dict[str, Any] = {"steps": percents}
    if interval is not None:
        data["interval"] = interval
    try:
        return Ramp.model_validate(data)
    except ValidationError as error:
        raise as_error(explain(error, Ramp, data), "the ramp") from None


experiments_files.register(app)
experiments_numbers.register(app)
experiments_report.register(app)
