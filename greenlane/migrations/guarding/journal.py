"""Writing down how a run stands, and telling people."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.storing.journal import publish
from greenlane.logs import logger
from greenlane.migrations.guarding.model import MigrationRun, RunRecord, Standing
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.people.announcement import Severity, announce

_SEVERITIES: dict[str, Severity] = {
    "migration_succeeded": "info",
    "migration_waits": "warning",
    "migration_stopped": "warning",
    "migration_refused": "warning",
    "migration_undone": "error",
    "migration_failed": "error",
    "migration_dead": "critical",
}
"""How bad each kind of news is. One that died may have left a slice running: that pages."""


def record_of(run: MigrationRun, runtime: MigrationRuntime, standing: Standing) -> RunRecord:
    """The line of a run that is under way or has ended."""
    now, request = runtime.clock.now(), run.request
    return RunRecord(
        run=run.run,
        database=run.database,
        service=run.described.service,
        phase=run.phase,
        plan_sha=request.plan_sha,
        standing=standing,
        stage=run.stage,
        waits_for=run.held_for or run.waits_for,
        progress=run.progress,
        execution=run.execution,
        epoch=run.epoch,
        deployment=request.deployment,
        requested_by=request.requested_by,
        reason=request.reason,
        overrides=request.overrides,
        backup=run.backup,
        started_at=run.started_at,
        updated_at=now,
        ended_at=None if standing == "running" else now,
        failure="" if run.failure is None else f"{run.failure.Error}: {run.failure.Cause}",
    )


def keep(run: MigrationRun, runtime: MigrationRuntime, standing: Standing = "running") -> None:
    """Bring a run's line up to date, as well as possible: it decides nothing."""
    try:
        runtime.runs.put(record_of(run, runtime, standing))
    except (ClientError, BotoCoreError) as error:
        logger.error("the run's line was not written", run=run.run, error=str(error))


def note(runtime: MigrationRuntime, run: str, kind: str, **detail: Any) -> None:
    """Append to a run's history, as well as possible."""
    said = {name: value for name, value in detail.items() if value is not None}
    event = HistoryEvent(at=runtime.clock.now(), kind=kind, actor=runtime.actor, detail=said)
    try:
        runtime.runs.append(run, event)
    except (ClientError, BotoCoreError) as error:
        logger.error("history not written", run=run, kind=kind, error=str(error))


def tell(
    runtime: MigrationRuntime,
    record: RunRecord,
    kind: str,
    subject: str,
    *,
    way_out: str | None = None,
    severity: Severity | None = None,
    facts: Mapping[str, Any] | None = None,
) -> bool:
    """Tell people of a run by the way that deployments are told; whether the topic took it.

    Args:
        runtime: the topic and the clock.
        record: the run.
        kind: what happened, such as `migration_failed`.
        subject: one line.
        way_out: what a person can do.
        severity: by default that of the kind.
        facts: what there is to know besides, most important first.
    """
    known = {
        "database": record.database,
        "run": f"{record.run}, {record.phase}",
        **(facts or {}),
        "asked by": record.requested_by,
        "deployment": record.deployment or "",
    }
    news = announce(
        kind=kind,
        severity=severity or _SEVERITIES.get(kind),
        service=record.service,
        region=runtime.settings.topic_arn.split(":")[3],
        subject=subject,
        occasion=f"{record.run}/{record.epoch}",
        facts={name: value for name, value in known.items() if value},
        way_out=way_out,
        at=runtime.clock.now(),
    )
    return publish(runtime, news)
