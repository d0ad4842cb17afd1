"""What planning asks of migrations: whether a request's can run, and whether its version may."""

from collections.abc import Collection

from greenlane.deployments.model import Plan
from greenlane.deployments.shipped_with import run_id
from greenlane.errors import InvalidInput, Refused, UnknownDatabase
from greenlane.migrations.shipping.kept import Kept, kept_by
from greenlane.migrations.shipping.outdated import refuse_outdated
from greenlane.problems import suggest
from greenlane.runtime import Runtime


def refuse_migrations(runtime: Runtime, plan: Plan) -> None:
    """Refuse a request whose migrations could not run.

    Raises:
        Refused: migrations are not set up here, or the database is taken.
        InvalidInput: the database or the plan does not fit.
        ClientError: the table or the plans did not answer.
    """
    asked = plan.request.migrations
    if asked is None:
        return
    if not runtime.settings.migration_machine_arn:
        raise Refused(
            "migrations: no database is set up in this account and Region; name it under "
            "`migrations` in the context of the CDK and deploy Greenlane again, or leave "
            "request.migrations out"
        )
    kept = kept_by(runtime)
    described = kept.of_service(plan.service)
    if asked.database not in described:
        raise _not_ours(kept, plan, described)
    try:
        outline = kept.outline(asked.plan)
    except InvalidInput as error:
        raise InvalidInput("request.migrations.plan", asked.plan, error.way_out) from error
    if outline.database != asked.database:
        way_out = f"the plan is for the database {outline.database}"
        raise InvalidInput("request.migrations.database", asked.database, way_out)
    for phase in asked.phases:
        if not outline.of(phase):
            found = ", ".join(outline.phases)
            raise InvalidInput("request.migrations.phases", phase, f"the plan has {found} only")
    _refuse_taken(runtime, kept, plan)


def refuse_outdated_version(runtime: Runtime, plan: Plan) -> None:
    """Refuse a version that a database of the service does not take any more.

    It is asked once the service's record is this deployment's, see `outdated`.

    Raises:
        Refused: naming both.
        ClientError: the table or the plans did not answer.
    """
    if runtime.settings.migration_machine_arn:
        refuse_outdated(kept_by(runtime), plan)


def _not_ours(kept: Kept, plan: Plan, names: Collection[str]) -> InvalidInput:
    asked = plan.request.migrations
    name = asked.database if asked is not None else ""
    try:
        other = kept.databases.database(name).database.service
    except UnknownDatabase:
        near = suggest(name, sorted(names))
        said = f"{plan.service} has no database of that name{near}; apply a file of databases"
    else:
        said = f"it is a database of {other}; its migrations go with releases of that"
    return InvalidInput("request.migrations.database", name, said)


def _refuse_taken(runtime: Runtime, kept: Kept, plan: Plan) -> None:
    """Another run would have the deployment go back after it has begun; better not to begin."""
    asked = plan.request.migrations
    assert asked is not None, "the caller has looked"
    lease = kept.leases.read(asked.database)
    if lease is None or lease.held_by is None or lease.held_until is None:
        return
    ours = [run_id(plan.deployment_id, phase) for phase in asked.phases]
    if lease.run not in ours and runtime.clock.now() < lease.held_until:
        raise Refused(
            f"migrations: {asked.database} is taken by {lease.run}; wait for its end, or end it "
            f"with `greenlane migrations abort {lease.run}`"
        )
