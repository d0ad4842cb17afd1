"""`greenlane adopt` and `greenlane unadopt`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.deploying import Service
from greenlane.cli.session import Session

if TYPE_CHECKING:
    from greenlane.adopting.model import AdoptionPlan, AdoptionRequest, Step

_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]


def adopt(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="The service's name in ECS.", show_default=False)],
    cluster: Annotated[str, typer.Option(help="The name of its ECS cluster.")],
    name: Annotated[
        str | None, typer.Option(help="What Greenlane is to call it; its name in ECS if not given.")
    ] = None,
    twin: Annotated[
        str | None, typer.Option(help="Of the second service; SERVICE-green if not given.")
    ] = None,
    target_group: Annotated[
        str | None, typer.Option(help="Of the second target group; the first's with -green.")
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(help="The ECR repository of its versions; that of its image if not given."),
    ] = None,
    validation_group: Annotated[
        str | None,
        typer.Option(
            help="The security group from which Greenlane validates, if there is one already."
        ),
    ] = None,
    blue_alarm: Annotated[
        list[str] | None,
        typer.Option(help="An alarm of the service that exists, in place of new ones; repeat it."),
    ] = None,
    green_alarm: Annotated[
        list[str] | None, typer.Option(help="The same for the second service.")
    ] = None,
    dry_run: _DryRun = False,
) -> None:
    """Make a service that exists one that Greenlane deploys, without touching its traffic.

    The service becomes the first slot under its own name; a second service, a target group, alarms
    and parameters are added, and its listener rule names both target groups. After an
    interruption the same command goes on. `greenlane unadopt` puts everything back.
    """
    from greenlane.adopting.finding import find
    from greenlane.adopting.planning import plan_adoption
    from greenlane.adopting.steps import take_steps

    session: Session = context.obj
    request = _request(
        {
            "name": name or service,
            "ecs_service": service,
            "cluster": cluster.rpartition("/")[2],
            "twin": twin,
            "target_group": target_group,
            "repository": repository,
            "validation_group": validation_group,
            "alarms": {
                slot: tuple(names)
                for slot, names in (("blue", blue_alarm), ("green", green_alarm))
                if names
            },
        }
    )
    connection = session.client.connection
    plan = plan_adoption(find(connection, request))
    for warning in plan.warnings:
        session.warn(warning)
    if dry_run:
        _say_plan(session, plan)
        return
    changed: list[str] = []

    def tell(step: "Step", did: bool) -> None:
        session.say(f"{'done' if did else 'is so':<6} {step.because}")
        if did:
            changed.append(step.because)

    take_steps(connection, plan, tell)
    session.emit({"service": request.name, "changed": changed, "settings": plan.settings})
    session.say(f"{request.name} is adopted; in cdk.json, `services` needs this entry:")
    session.say(json.dumps(plan.settings, indent=2))
    session.say(
        "then deploy the stack Greenlane, apply a file of the service, and ask "
        f"`greenlane doctor {request.name}`"
    )


def unadopt(context: typer.Context, service: Service, dry_run: _DryRun = False) -> None:
    """Put a service that was adopted back as it was found, without touching its traffic.

    All traffic has to be on the first slot. What an adoption created is deleted, what it changed
    is put back; the version that runs stays. After an interruption the same command goes on.
    """
    from greenlane.adopting.undoing import look_back, undo_adoption

    session: Session = context.obj
    connection = session.client.connection
    if dry_run:
        steps = look_back(connection, service)
        session.emit({"service": service, "steps": steps})
        for step in steps:
            session.say(f"would  {step}")
        return
    changed = []
    for what, did in undo_adoption(connection, service):
        session.say(f"{'done' if did else 'is so':<6} {what}")
        if did:
            changed.append(what)
    session.emit({"service": service, "changed": changed})
    session.say(f"{service} is as it was found; take it out of `services` in cdk.json as well")


def _request(values: dict[str, object]) -> "AdoptionRequest":
    from pydantic import ValidationError

    from greenlane.adopting.model import AdoptionRequest
    from greenlane.errors import InvalidInput

    try:
        return AdoptionRequest.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        way_out = "use up to 32 lower-case letters, digits and dashes, and begin with a letter"
        raise InvalidInput(f"--{found['loc'][0]}", found["input"], way_out) from None


def _say_plan(session: Session, plan: "AdoptionPlan") -> None:
    session.emit(plan)
    for step in plan.steps:
        session.say(f"would  {step.because}")
    session.say("in cdk.json, `services` would need this entry:")
    session.say(json.dumps(plan.settings, indent=2))
