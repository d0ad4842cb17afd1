"""The cutover: where the database is, written where clients look. Nothing is renamed or stopped.

Each write is the same when it is repeated. The first one may be refused for good, by a secret that
holds no host or that nobody may write; after it nothing is expected to be.
"""

import json

from greenlane.errors import NotFinished, Refused
from greenlane.migrations.databases.model import Database
from greenlane.migrations.guarding.model import Published
from greenlane.migrations.guarding.publishing import for_applications
from greenlane.migrations.restoring.deciding import refusal, unapproved
from greenlane.migrations.restoring.journal import hold, keep, note, record_of, refuse_if_aborted
from greenlane.migrations.restoring.model import Looked, Restored, RestoreRun
from greenlane.migrations.restoring.rds import read_new
from greenlane.migrations.restoring.runtime import RestoreRuntime
from greenlane.migrations.restoring.secret import check_secret, write_host
from greenlane.migrations.restoring.wording import endpoint_parameter


def prepare_cutover(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """The last moment in which it can be ended: from here on clients may be on their way.

    Raises:
        FenceLost: another execution has the lease.
        Aborted: a person ended it.
        Refused: not everything is answered, for this very offer; the new database is gone
            meanwhile; or RDS keeps the secret.
        InvalidInput: the secret holds no host.
        NotFinished: the new database is not available at this moment.
    """
    refuse_if_aborted(run, runtime)
    _refuse_unless_approved(run, runtime)
    new = read_new(runtime.rds, run.plan, run.restore)
    if run.restored is None or (new.host, new.port) != (run.restored.host, run.restored.port):
        raise Refused(f"{run.plan.new} is at {new.host}:{new.port}, and not what was looked at")
    if run.request.writes_secret and run.described.secret is not None:
        check_secret(runtime.secretsmanager, run.described.secret)
    after = run.model_copy(update={"cutting": True})
    # Whoever goes on after a death must know the old one, which the description then may not name.
    runtime.restores.put(record_of(after, runtime.clock.now(), "running"))
    note(runtime, run.restore, "cutting over", new=run.plan.new)
    return after


def cut_over_restore(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """Publish the new endpoint: in the secret if that was asked for, and in the parameter.

    The database's description and what stands in it follow, so that the next migration runs on the
    new one.

    Raises:
        FenceLost: another execution has the lease.
        Refused: not everything is answered, for this very offer; or RDS keeps the secret.
        InvalidInput: the secret holds no host.
        NotFinished: the secret or the description was changed in the same moment; ask again.
    """
    hold(run, runtime)
    _refuse_unless_approved(run, runtime)
    restored, described = run.restored, run.described
    if restored is None or run.looked is None:
        raise Refused(f"{run.plan.new} was never looked at")
    cut = []
    if run.request.writes_secret and described.secret is not None:
        write_host(
            runtime.secretsmanager, described.secret, restored.host, restored.port, run.restore
        )
        cut.append(f"secret {described.secret}")
    parameter = endpoint_parameter(run)
    runtime.ssm.put_parameter(
        Name=parameter, Value=_endpoint(run, restored), Type="String", Overwrite=True
    )
    cut.append(f"parameter {parameter}")
    _describe(run, restored, runtime)
    cut.append(f"description of {run.database}")
    cut += _publish(run, run.looked, runtime)
    note(runtime, run.restore, "cut over", wrote=cut)
    after = run.model_copy(
        update={"cut": tuple(cut), "stage": "finish", "outcome": "cut_over", "failure": None}
    )
    keep(after, runtime)
    return after


def described_anew(database: Database, run: RestoreRun, restored: Restored) -> Database:
    """The description of the database with the new one in the place of the old."""
    endpoint = database.endpoint.model_copy(update={"host": restored.host, "port": restored.port})
    changes: dict[str, object] = {"endpoint": endpoint, run.plan.kind: run.plan.new}
    return database.model_copy(update=changes)


def _refuse_unless_approved(run: RestoreRun, runtime: RestoreRuntime) -> None:
    approval = runtime.restores.asked(run.restore, "approve")
    writers = runtime.restores.asked(run.restore, "writers")
    why = unapproved(
        run,
        None if approval is None else approval.answer,
        None if writers is None else writers.answer,
    )
    if why:
        raise refusal(why)


def _endpoint(run: RestoreRun, restored: Restored) -> str:
    """What applications find: no time and no secret, so the same state is the same text."""
    found = {
        "host": restored.host,
        "port": restored.port,
        "dbname": run.described.endpoint.dbname,
        run.plan.kind: run.plan.new,
        "restore": run.restore,
    }
    return json.dumps(found, sort_keys=True)


def _describe(run: RestoreRun, restored: Restored, runtime: RestoreRuntime) -> None:
    stored = runtime.databases.database(run.database)
    by = "nobody" if run.approval is None else run.approval.by
    try:
        runtime.databases.put(
            run.database,
            described_anew(stored.database, run, restored),
            by=f"{by}, by the restore {run.restore}",
            at=runtime.clock.now(),
        )
    except Refused as error:
        raise NotFinished(str(error)) from error


def _publish(run: RestoreRun, looked: Looked, runtime: RestoreRuntime) -> list[str]:
    """What stands in the database now, by its own ledger; nothing if it has none.

    `min_app` is left as it was: that older versions may be used again is for people to say.
    """
    before = runtime.runs.published(run.database)
    if looked.migration is None or looked.phase is None or before is None:
        return []
    published = Published(
        database=run.database,
        phase=looked.phase,
        migration=looked.migration,
        min_app=before.min_app,
        plan_sha=looked.plan_sha or before.plan_sha,
        run=run.restore,
        epoch=run.epoch,
        at=runtime.clock.now(),
    )
    runtime.runs.keep_published(published)
    parameter = run.described.parameter_of(run.database)
    runtime.ssm.put_parameter(
        Name=parameter,
        Value=json.dumps(for_applications(published), sort_keys=True),
        Type="String",
        Overwrite=True,
    )
    return [f"parameter {parameter}"]
