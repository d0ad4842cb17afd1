"""`greenlane apply` and `greenlane deploy`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenlane.cli.flags_views import tell_kept
from greenlane.cli.session import Session
from greenlane.cli.watching import watch
from greenlane.errors import InvalidInput

if TYPE_CHECKING:
    from greenlane.deployments.shipped_with import ReleaseMigrations

Service = Annotated[str, typer.Argument(help="The service's name.", show_default=False)]


def apply(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Option(
            "--file",
            "-f",
            help="YAML with `service:`, `canary:`, `success_criteria:`, `feature_flags:` or "
            "`ab_tests:`; - is stdin.",
        ),
    ],
    service: Annotated[
        str | None, typer.Option(help="Which service a file that names none is for.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the file; needs no cloud.")
    ] = False,
    why: Annotated[
        str, typer.Option(help="Of feature flags and A/B tests: why, for the audit.")
    ] = "",
    prune: Annotated[
        bool, typer.Option("--prune", help="Of feature flags: take out those not in the file.")
    ] = False,
    start: Annotated[
        bool, typer.Option("--start", help="Of A/B tests: begin those that are drafts.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Of A/B tests: begin those again that ended and are otherwise now."
        ),
    ] = False,
) -> None:
    """Make a file the configuration of its service, or put its flags, A/B tests or databases.

    The next deployment uses it; one that runs keeps what it began with. Flags count at once, and
    new A/B tests are drafts until they are started. The same content again changes nothing.
    """
    from greenlane import apply as applying
    from greenlane.cli.experiments_views import tell_applied
    from greenlane.deployments.applying import text_of
    from greenlane.experiments.storing.apply import AppliedTests, is_experiments
    from greenlane.flags.storing.apply import AppliedFlags, is_flags
    from greenlane.migrations.databases.applying import AppliedDatabases, is_databases

    session: Session = context.obj
    document: Path | str = file
    if str(file) == "-":
        document = typer.get_text_stream("stdin").read()
    if check:
        _check(session, document)
        return
    content = text_of(document)
    audited = is_flags(*content) or is_experiments(*content) or is_databases(*content)
    applied = applying.apply(
        session.client,
        document,
        service=service,
        by=session.principal if audited else session.person,
        why=why,
        prune=prune,
        start=start,
        again=again,
        warn=session.warn,
    )
    if isinstance(applied, AppliedTests):
        tell_applied(session, applied)
        return
    if isinstance(applied, AppliedFlags):
        tell_kept(session, applied, applied.keys, applied.proposal)
        return
    for warning in applied.warnings:
        session.warn(warning)
    session.emit(applied)
    if isinstance(applied, AppliedDatabases):
        for name, version in applied.databases.items():
            said = "applied" if name in applied.changed else "unchanged"
            session.say(f"{name}: {said}, version {version}")
        return
    said = "applied" if applied.changed else "unchanged"
    session.say(f"{applied.service}: {said}, configuration version {applied.version}")


def _check(session: Session, document: Path | str) -> None:
    from greenlane.apply import check
    from greenlane.experiments.storing.apply import CheckedTests
    from greenlane.flags.storing.apply import CheckedFlags
    from greenlane.migrations.databases.applying import CheckedDatabases
    from greenlane.migrations.declaring.checking import CheckedMigrations
    from greenlane.regions.declaring.document import CheckedRegions

    checked = check(document)
    if isinstance(checked, CheckedFlags | CheckedTests):
        session.emit(checked)
        if isinstance(checked, CheckedFlags):
            number, what = len(checked.flags), "flag"
        else:
            number, what = len(checked.tests), "A/B test"
        count = f"{number} {what}{'' if number == 1 else 's'}"
        session.say(f"{checked.file}: a correct file of {count}; nothing was applied")
        return
    for warning in checked.warnings:
        session.warn(warning)
    if isinstance(checked, CheckedMigrations):
        session.emit(checked)
        number = len(checked.migrations)
        count = f"{number} migration{'' if number == 1 else 's'}"
        session.say(f"{checked.file}: a correct manifest of {count}; nothing was run")
        return
    if isinstance(checked, CheckedDatabases | CheckedRegions):
        session.emit(checked)
        databases = isinstance(checked, CheckedDatabases)
        found = len(checked.databases if isinstance(checked, CheckedDatabases) else checked.regions)
        named = f"{found} {'database' if databases else 'region'}{'' if found == 1 else 's'}"
        session.say(f"{checked.file}: a correct file of {named}; nothing was applied")
        return
    name = checked.source.name
    session.emit({"file": name, "kind": checked.kind, "warnings": list(checked.warnings)})
    about = f" about {checked.service}" if checked.service else ""
    kind = checked.kind.replace("_", " ")
    session.say(f"{name}: a correct {kind} file{about}; nothing was applied")


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
        bool, typer.Option("--watch", help="Follow it to its end; the exit code says how.")
    ] = False,
) -> None:
    """Start a deployment of one image, version or task definition.

    It runs in AWS: closing this terminal does not stop it.
    """
    session: Session = context.obj
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
    from greenlane.migrations.shipping.requesting import run_id

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
