"""`greenlane flags`: what people do with feature flags."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from greenlane.cli import flags_approving, flags_files, flags_lifecycle
from greenlane.cli.exits import ExitCode
from greenlane.cli.flags_tracing import traced
from greenlane.cli.flags_views import (
    as_json,
    detailed,
    entries,
    listed,
    tell_kept,
)
from greenlane.cli.session import Session
from greenlane.errors import InvalidInput, UnknownFlag

app = typer.Typer(help="Feature flags: look at them, change them.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The flag's key.", show_default=False)]
Environment = Annotated[
    str | None, typer.Option("--environment", "-e", help="One environment; all if left out.")
]
Why = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]


@app.command("list")
def list_all(context: typer.Context, environment: Environment = None) -> None:
    """List the flags, with what share of the eligible has each of them where."""
    from greenlane.flags.storing.submitting import known

    session: Session = context.obj
    flags = session.flags.read()
    names = flags.environments if environment is None else [known(flags, environment)]
    session.emit(flags)
    for line in listed(flags, names, session.now):
        session.say(line)


@app.command()
def get(context: typer.Context, key: Key) -> None:
    """Show one flag: what was written, and what became of it in each environment."""
    from greenlane.flags.storing.submitting import flag_in

    session: Session = context.obj
    flags = session.flags.read()
    found = flag_in(flags, key)
    session.emit(found)
    for line in detailed(key, found, flags.environments, session.now):
        session.say(line)


@app.command("set")
def set_keys(
    context: typer.Context,
    key: Key,
    assignments: Annotated[
        list[str],
        typer.Argument(
            help="Keys as in a file, such as percentage=25 or 'user_groups=[beta]'; key=null "
            "takes the key out.",
            show_default=False,
        ),
    ],
    environment: Environment = None,
    reason: Why = "",
) -> None:
    """Change some keys of a flag, everywhere or in one environment."""
    from greenlane.flags.storing import keeping

    session: Session = context.obj
    changes = dict(_assignment(one) for one in assignments)
    kept = keeping.set_keys(
        session.flags,
        key,
        changes,
        environment=environment,
        by=session.principal,
        reason=reason,
        at=session.now,
    )
    tell_kept(session, kept, kept.keys, kept.proposal, named=[key])


@app.command()
def enable(
    context: typer.Context, key: Key, environment: Environment = None, reason: Why = ""
) -> None:
    """Switch a flag on, in one environment or wherever it is."""
    from greenlane.flags.storing import keeping

    session: Session = context.obj
    kept = keeping.enable(
        session.flags, key, environment, by=session.principal, reason=reason, at=session.now
    )
    means = f"switched on in {environment or 'all environments'}"
    tell_kept(session, kept, kept.keys, kept.proposal, means=means, named=[key])


@app.command()
def disable(
    context: typer.Context, key: Key, environment: Environment = None, reason: Why = ""
) -> None:
    """Switch a flag off for everybody at once; it waits for nobody.

    It stays off until somebody enables it, whatever file is applied.
    """
    from greenlane.flags.storing import keeping

    session: Session = context.obj
    kept = keeping.disable(
        session.flags, key, environment, by=session.principal, reason=reason, at=session.now
    )
    means = f"off for everybody in {environment or 'all environments'}"
    tell_kept(session, kept, kept.keys, kept.proposal, means=means, named=[key])


@app.command()
def delete(
    context: typer.Context,
    keys: Annotated[list[str], typer.Argument(help="The flags' keys.", show_default=False)],
    reason: Why = "",
) -> None:
    """Take flags out; code that still asks for them gets its own default."""
    from greenlane.flags.storing import keeping

    session: Session = context.obj
    kept = keeping.delete(session.flags, keys, by=session.principal, reason=reason, at=session.now)
    tell_kept(session, kept, kept.keys, kept.proposal, named=keys)


@app.command()
def explain(
    context: typer.Context,
    key: Key,
    user: Annotated[
        str, typer.Option("--context", "-c", help="The user, as JSON; targetingKey and the like.")
    ] = "{}",
    environment: Annotated[str, typer.Option("--environment", "-e", help="Where.")] = "production",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Of a file instead of what is stored.")
    ] = None,
) -> None:
    """Show why a user gets what they get: each rule, condition, bucket and threshold."""
    from greenlane.flags.evaluating.engine import Engine
    from greenlane.flags.evaluating.explain import explain as explained

    session: Session = context.obj
    try:
        attributes = json.loads(user)
    except ValueError:
        attributes = None
    if not isinstance(attributes, dict):
        way_out = """write a JSON object, such as '{"targetingKey": "user-1"}'"""
        raise InvalidInput("--context", user, way_out)
    snapshot = flags_files.snapshot_of(session, file, environment)
    if key not in snapshot["flags"]:
        raise UnknownFlag(key, sorted(snapshot["flags"]))
    now = session.now if file is None else None
    at = now.timestamp() if now is not None else flags_files.local_now()
    trace = explained(Engine(snapshot), key, attributes, at)
    session.emit(trace)
    served = f" by {trace['rule']}" if trace.get("rule") else ""
    session.say(f"{key} in {environment}: {as_json(trace['value'])} ({trace['reason']}{served})")
    for line in traced(trace):
        session.say(f"  {line}")


@app.command()
def audit(
    context: typer.Context,
    key: Annotated[str | None, typer.Argument(help="Of one flag.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    before: Annotated[int | None, typer.Option(help="Only below this version.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the whole chain; exit code 1 if it is broken.")
    ] = False,
) -> None:
    """Show who changed what, when and why, newest first."""
    session: Session = context.obj
    if verify:
        found = session.flags.verify()
        session.emit(found)
        for problem in found.problems:
            session.say(problem)
        count = f"{found.entries} entr{'y' if found.entries == 1 else 'ies'}"
        session.say(f"{count}, newest hash {found.newest}: {'broken' if found.problems else 'ok'}")
        raise typer.Exit(ExitCode.FAILED if found.problems else ExitCode.OK)
    listed_entries = session.flags.audit(key, before=before, limit=limit)
    session.emit(listed_entries)
    about = f"nothing that the audit has{f' of {key}' if key else ''}"
    for line in entries(listed_entries) or [about]:
        session.say(line)


@app.command()
def ramp(
    context: typer.Context,
    key: Key,
    environment: Annotated[str, typer.Option("--environment", "-e", help="Where.")],
    to: Annotated[str | None, typer.Option(help="Percent to reach.")] = None,
    increment: Annotated[str, typer.Option(help="Percent more with each step.")] = "5",
    interval: Annotated[str, typer.Option(help="Between two steps, such as 5m.")] = "5m",
    stop: Annotated[bool, typer.Option("--stop", help="Stop the ramp where it is.")] = False,
    back: Annotated[bool, typer.Option("--back", help="With --stop: at 0 percent.")] = False,
    reason: Why = "",
) -> None:
    """Raise a flag in steps from the level it has, or stop that."""
    from datetime import timedelta

    from greenlane.flags.storing import keeping

    session: Session = context.obj
    if stop == (to is not None):
        raise InvalidInput("--to", to, "write how far, such as --to 50, or --stop")
    if back and not stop:
        raise InvalidInput("--back", back, "it goes with --stop")
    by, at = session.principal, session.now
    if stop:
        means = "its ramp is stopped, at 0 percent" if back else "its ramp is stopped where it was"
        kept = keeping.stop_ramp(
            session.flags, key, environment, by, at=at, reason=reason, back=back
        )
    else:
        means = f"a ramp of {increment}% each {interval} to {to}% begins within a minute"
        kept = keeping.start_ramp(
            session.flags,
            key,
            environment,
            _percent("--to", to),
            _percent("--increment", increment),
            timedelta(seconds=_seconds(interval)),
            by,
            at=at,
            reason=reason,
        )
    tell_kept(session, kept, kept.keys, kept.proposal, means=means, named=[key])


def _percent(option: str, text: str | None) -> Any:
    from decimal import Decimal, InvalidOperation

    try:
        found = Decimal(text or "")
        if found.is_finite():
            return found
    except InvalidOperation:
        found = None
    raise InvalidInput(option, text, "write percent, such as 25 or 0.5")


def _seconds(text: str) -> int:
    from greenlane.durations import parse_seconds

    try:
        return parse_seconds(text)
    except ValueError as error:
        raise InvalidInput("--interval", text, str(error)) from None


def _assignment(text: str) -> tuple[str, Any]:
    from greenlane.documents import load

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidInput("set", text, "write key=value, such as percentage=25")
    if not value.strip():
        # A shell's empty variable must not take a percentage out: without one, all have the flag.
        raise InvalidInput("set", text, f"write a value; {name}=null takes the key out")
    found = load(f"value: {value}", text).data
    if found.keys() != {"value"}:
        raise InvalidInput("set", text, "write one key=value for each key")
    return name, found["value"]


flags_files.register(app)
flags_approving.register(app)
flags_lifecycle.register(app)
