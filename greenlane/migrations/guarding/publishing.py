"""The step after the last slice: what stands in the database, for applications and for people.

Applications read one SSM parameter, as JSON: the phase that was run last, its last migration, and
the oldest version that may use the database (`min_app`), which only a contract raises and nothing
lowers: that undoing a contract brings old versions back is for people to say.
"""

import json

from greenlane.migrations.guarding.backing_up import lease_of
from greenlane.migrations.guarding.journal import note
from greenlane.migrations.guarding.model import MigrationRun, Published
from greenlane.migrations.guarding.outlines import PlanOutline, read_outline
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.guarding.versions import is_older


def publish_migration(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """Keep what stands in the database, and write its parameter.

    Repeating it writes the same again.

    Raises:
        FenceLost: another execution has the lease, or a later run has published.
        ClientError: the table or SSM did not answer.
    """
    runtime.leases.renew(lease_of(run), runtime.clock.now())
    outline = read_outline(runtime, run.request.plan_sha)
    before = runtime.runs.published(run.database)
    published = what_stands(run, outline, before, min_app=run.described.min_app, runtime=runtime)
    runtime.runs.keep_published(published)
    runtime.ssm.put_parameter(
        Name=run.described.parameter_of(run.database),
        Value=json.dumps(for_applications(published), sort_keys=True),
        Type="String",
        Overwrite=True,
    )
    note(runtime, run.run, "published", **for_applications(published))
    return run.model_copy(update={"next": "release"})


def what_stands(
    run: MigrationRun,
    outline: PlanOutline,
    before: Published | None,
    *,
    min_app: str | None,
    runtime: MigrationRuntime,
) -> Published:
    """What stands after a run.

    Args:
        run: it is done.
        outline: of its plan.
        before: what stood.
        min_app: what the database's description says, where nothing stood.
        runtime: the clock.
    """
    files = outline.before(run.request.undo) if run.request.undo else outline.of(run.phase)
    least = min_app if before is None or before.min_app is None else before.min_app
    if run.phase == "contract" and not run.request.undo:
        for one in files:
            if one.min_app is not None and (least is None or is_older(least, one.min_app, ())):
                least = one.min_app
    return Published(
        database=run.database,
        phase=files[-1].phase if files else run.phase,
        migration=files[-1].id if files else "",
        min_app=least,
        plan_sha=run.request.plan_sha,
        run=run.run,
        epoch=run.epoch,
        at=runtime.clock.now(),
    )


def for_applications(published: Published) -> dict[str, str | None]:
    """The parameter's content: no time and no epoch, so the same state is the same text."""
    return {
        "database": published.database,
        "phase": published.phase,
        "migration": published.migration,
        "min_app": published.min_app,
        "plan": published.plan_sha,
    }
