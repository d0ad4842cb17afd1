"""`greenlane deploy`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenlane.cli.session import Session
from greenlane.cli.watching import watch
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.deployments.shipped_with import ReleaseMigrations

Service = Annotated[str, typer.Argument(help="The service's name.", show_default=False)]


def deploy(
    context: typer.Context,
    service: Service,
    image: Annotated[str | None, typer.Option(help="Full reference with a tag or digest.")] = None,
    version: Annotated[
        str | None, typer.Option(help="A tag in the service's image repository.")
    ] = None,
    task_definition: Annotated[str | None, typer.Option(help="family:revision or ARN.")] = None,
    container: Annotated[
        str | None, typer.Option(help="Whose image is replaced; sidecars are kept.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="blue_green, canary, linear or all_at_once.")
    ] = None,
    steps: Annotated[
        str | None, typer.Option(help="Percent of traffic, rising to 100: 1,10,100 or 1:5m,100.")
    ] = None,
    bake: Annotated[str | None, typer.Option(help="Of each step, such as 5m.")] = None,
    despite_alarms: Annotated[
        str | None,
        typer.Option(help="Deploy although the live alarms are red, and why.", metavar="REASON"),
    ] = None,
    migrations: Annotated[
        Path | None,
        typer.Option(
            help="A folder of migrations: expand is done before the first task of the new version, "
            "migrate begins with its first traffic.",
            metavar="FOLDER",
        ),
    ] = None,
    id: Annotated[
        str | None, typer.Option(help="The deployment's id; the same id starts it once.")
    ] = None,
    watch_it: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow it to its end; the exit code says how.")
    ] = False,
) -> None:
    """Start a deployment of one image, version or task definition.

    It runs in AWS: closing this terminal does not stop it.
    """
    session: Session = context.obj
    named = {"--version": version, "--image": image, "--task-definition": task_definition}
    given = [option for option, value in named.items() if value is not None]
    if len(given) != 1:
        from greenlane.problems import ABSENT

        way_out = "name exactly one of --version, --image and --task-definition"
        raise InvalidInput("--version", " and ".join(given) or ABSENT, way_out)
    brings = _brings(session, migrations)
    request = request_of(
        service=service,
        image=image,
        version=version,
        task_definition=task_definition,
        container=container,
        strategy=strategy.replace("-", "_") if strategy else None,
        steps=parse_steps(steps) if steps is not None else None,
        bake=bake,
        despite_alarms=despite_alarms,
        migrations=brings,
        requested_by=session.person,
        deployment_id=id,
    )
    started = session.client.deploy(request)
    session.emit(started)
    said = "was started before" if started.already else "started"
    session.say(f"{started.deployment_id} {said}")
    if brings is not None:
        _say_what_it_brings(session, brings, started.deployment_id)
    if watch_it:
        raise typer.Exit(watch(session, service, started.deployment_id))
    session.say(f"follow it: greenlane get {service} --watch")


def _brings(session: Session, folder: Path | None) -> "ReleaseMigrations | None":
    """What goes with the release; its plan is kept before the deployment is started."""
    if folder is None:
        return None
    # The parser is a part that is installed for migrations only.
    from greenlane.migrations.shipping.folders import release_migrations

    return release_migrations(session.client.connection, folder)


def _say_what_it_brings(session: Session, brings: "ReleaseMigrations", deployment_id: str) -> None:
    from greenlane.deployments.shipped_with import run_id

    session.say(f"it brings along: {' and '.join(brings.phases)} of {brings.database}")
    for phase in brings.phases:
        session.say(f"{phase}: greenlane migrations get {run_id(deployment_id, phase)}")


def request_of(**options: Any) -> Any:
    """A `DeploymentRequest` from options; those that are None were not given.

    Raises:
        InvalidInput: naming the option.
    """
    from greenlane.pipelines.asking import deployment_request

    return deployment_request(**options)


def parse_steps(text: str) -> list[dict[str, Any]]:
    """`1:5m,10,100` as the steps that a configuration would say.

    Raises:
        InvalidInput: a step is not a whole number with an optional duration.
    """
    found: list[dict[str, Any]] = []
    for number, part in enumerate(text.split(",")):
        weight, colon, bake = part.strip().partition(":")
        if not weight.lstrip("-").isdecimal() or len(weight) > 6:
            raise InvalidInput(
                f"steps.{number}", part, "write percentages such as 1,10,100 or 1:5m,10:5m,100"
            )
        step: dict[str, Any] = {"weight": int(weight)}
        if colon:
            step["bake"] = bake
        found.append(step)
    return found
