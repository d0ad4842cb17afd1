"""Writing down how a restore stands, and telling people."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.storing.journal import publish
from greenlane.errors import Aborted
from greenlane.logs import logger
from greenlane.migrations.guarding.lease import Asked as AskedOfRun
from greenlane.migrations.guarding.lease import Lease
from greenlane.migrations.restoring.model import RestoreRecord, RestoreRun, Standing
from greenlane.migrations.restoring.runtime import RestoreRuntime
from greenlane.people.announcement import Severity, announce

_SEVERITIES: dict[str, Severity] = {
    "restore_begun": "warning",
    "restore_approval": "critical",
    "restore_writers": "critical",
    "restore_cut_over": "critical",
    "restore_salvage": "warning",
    "restore_refused": "warning",
    "restore_expired": "error",
    "restore_aborted": "warning",
    "restore_failed": "error",
    "restore_dead": "critical",
}
"""How bad each kind of news is. What somebody has to answer within hours pages."""


def hold(run: RestoreRun, runtime: RestoreRuntime) -> AskedOfRun | None:
    """Keep the lease of the database, and read whether people want the restore to end.

    Raises:
        FenceLost: another execution has the lease.
    """
    asked = runtime.leases.renew(lease_of(run), runtime.clock.now()).asked
    return asked if asked is not None and asked.name == "abort" else None


def refuse_if_aborted(run: RestoreRun, runtime: RestoreRuntime) -> None:
    """Keep the lease for longer, and end the restore if a person said so.

    Raises:
        FenceLost: another execution has the lease.
        Aborted: a person ended it.
    """
    asked = hold(run, runtime)
    if asked is not None:
        raise Aborted(f"{asked.by} ended it: {asked.reason or 'no reason given'}")


def lease_of(run: RestoreRun) -> Lease:
    """The lease that a restore says it has."""
    return Lease(database=run.database, epoch=run.epoch, held_by=run.execution)


def record_of(run: RestoreRun, now: datetime, standing: Standing) -> RestoreRecord:
    """The line of a restore that is under way or has ended."""
    request = run.request
    return RestoreRecord(
        restore=run.restore,
        database=run.database,
        service=run.described.service,
        standing=standing,
        execution=run.execution,
        epoch=run.epoch,
        requested_by=request.requested_by,
        reason=request.reason,
        started_at=run.started_at,
        updated_at=now,
        ended_at=None if standing == "running" else now,
        seconds=None if run.restored is None else run.restored.seconds,
        failure="" if run.failure is None else f"{run.failure.Error}: {run.failure.Cause}",
        state=run,
    )


def keep(run: RestoreRun, runtime: RestoreRuntime) -> None:
    """Bring a restore's line up to date, as well as possible: it decides nothing."""
    try:
        runtime.restores.put(record_of(run, runtime.clock.now(), "running"))
    except (ClientError, BotoCoreError) as error:
        logger.error("the restore's line was not written", restore=run.restore, error=str(error))


def note(runtime: RestoreRuntime, restore: str, kind: str, **detail: Any) -> None:
    """Append to a restore's history, as well as possible."""
    said = {name: value for name, value in detail.items() if value is not None}
    event = HistoryEvent(at=runtime.clock.now(), kind=kind, actor=runtime.actor, detail=said)
    try:
        runtime.restores.append(restore, event)
    except (ClientError, BotoCoreError) as error:
        logger.error("history not written", restore=restore, kind=kind, error=str(error))


def tell(
    runtime: RestoreRuntime,
    record: RestoreRecord,
    kind: str,
    subject: str,
    *,
    way_out: str,
    severity: Severity | None = None,
    facts: Mapping[str, Any] | None = None,
) -> bool:
    """Tell people of a restore by the way that deployments are told; whether the topic took it.

    Args:
        runtime: the topic and the clock.
        record: the restore.
        kind: what happened, such as `restore_approval`.
        subject: one line.
        way_out: what a person can do.
        severity: by default that of the kind.
        facts: what there is to know besides, most important first; empty ones are left out.
    """
    known = {
        "database": record.database,
        "restore": record.restore,
        **(facts or {}),
        "asked by": f"{record.requested_by}: {record.reason}",
    }
    news = announce(
        kind=kind,
        severity=severity or _SEVERITIES.get(kind),
        service=record.service,
        region=runtime.settings.topic_arn.split(":")[3],
        subject=subject,
        occasion=f"{record.restore}/{record.epoch}",
        facts={name: value for name, value in known.items() if value},
        way_out=way_out,
        at=runtime.clock.now(),
    )
    return publish(runtime, news)
