"""`greenlane local` and `greenlane demo`: the local cloud, on this machine."""

import importlib
from collections import deque
from pathlib import Path
from typing import Annotated, Any

import typer

from greenlane.cli.session import Session
from greenlane.errors import InvalidInput

app = typer.Typer(help="The local cloud: the same templates and functions on this machine.")


def _module(name: str) -> Any:
    """A part of the local cloud; it needs more packages than the rest.

    Raises:
        InvalidInput: they are not installed.
    """
    try:
        return importlib.import_module(f"greenlane.local.{name}")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("greenlane"):
            raise
        raise InvalidInput(
            "local",
            error.name,
            "this package is missing; install greenlane with `pip install 'greenlane[local]'`",
        ) from error


@app.command()
def up(
    context: typer.Context,
    time_scale: Annotated[
        float, typer.Option(min=1, max=600, help="Virtual seconds in each real one.")
    ] = 60.0,
) -> None:
    """Start the local cloud with the sample service, and leave it running."""
    session: Session = context.obj
    state = _module("daemon").start_daemon(session.directory, time_scale=time_scale)
    session.emit(state)
    for line in describe(state):
        session.say(line)


@app.command()
def down(context: typer.Context) -> None:
    """End the local cloud and every process of it."""
    session: Session = context.obj
    stopped = _module("daemon").stop_daemon(session.directory)
    session.emit({"stopped": bool(stopped)})
    session.say("the local cloud is down" if stopped else "no local cloud was running")


@app.command()
def logs(
    context: typer.Context,
    function: Annotated[
        str | None,
        typer.Argument(help="Of this function only, such as greenlane-shift-traffic."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Only the last ones.")] = 100,
) -> None:
    """Print what the local cloud, or one function in it, wrote."""
    session: Session = context.obj
    path = _log_file(session.directory, function)
    with path.open(encoding="utf-8", errors="replace") as log:
        for line in deque(log, maxlen=lines):
            session.console.out(line, end="")
        while follow:
            if line := log.readline():
                session.console.out(line, end="")
            else:
                session.sleep(0.3)


def _log_file(directory: Path, function: str | None) -> Path:
    """The log of the cloud itself, or of one function.

    Raises:
        InvalidInput: there is no such log.
    """
    path = directory / "daemon.log"
    if not path.is_file():
        raise InvalidInput("--local-dir", str(directory), "no local cloud has run there")
    if function is None:
        return path
    found = {path.stem: path for path in sorted((directory / "cloud" / "logs").glob("*.log"))}
    if function not in found:
        names = ", ".join(found) or "none has run yet"
        raise InvalidInput("function", function, f"the functions that ran: {names}")
    return found[function]


def describe(state: Any) -> list[str]:
    """What a person needs to use a local cloud that runs."""
    return [
        f"AWS endpoint   {state.endpoint_url}  (region {state.region})",
        *(
            f"load balancer  {url}  ({name}, port {port})"
            for name, ports in state.balancers.items()
            for port, url in ports.items()
        ),
        *(
            f"HTTP API       {url}  ({name}, stage {stage})"
            for name, stages in state.apis.items()
            for stage, url in stages.items()
        ),
        f"one real second is {state.time_scale:g} virtual seconds",
        "look around    greenlane --local get",
        "take it down   greenlane local down",
    ]


def demo(
    context: typer.Context,
    scene: Annotated[
        list[str] | None, typer.Option(help="Which scene, by name; may be given again.")
    ] = None,
    all_scenes: Annotated[
        bool, typer.Option("--all", help="Every scene; without it, the three core ones.")
    ] = False,
) -> None:
    """Watch good and bad versions being deployed on this machine, under load."""
    session: Session = context.obj
    run = _module("demo").run
    raise typer.Exit(run(scene or [], all_scenes=all_scenes, as_json=session.as_json))
