"""What a restore will do, from what RDS and the history say. Pure; no I/O."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from greenlane.errors import InvalidInput, NotFinished, Refused
from greenlane.migrations.guarding.backups import Backup
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.guarding.naming import plain_name
from greenlane.migrations.restoring.copying import AURORA, Described, not_copied
from greenlane.migrations.restoring.estimating import estimate_rto, losses
from greenlane.migrations.restoring.model import (
    LostRun,
    Point,
    RestorePlan,
    RestoreRequest,
    RestoreRun,
    Source,
    Step,
)

NEW_PREFIX = "greenlane-"
"""Of the names of all databases that Greenlane makes; it may make no others."""

_LONGEST_NEW = 58
"""RDS takes 63 characters; the instances of a cluster have a number more."""


def identifier(database: str, restore: str) -> str:
    """The name of the new database: the same for the same restore, however often it is repeated."""
    return plain_name(f"{NEW_PREFIX}{database}-{restore}", _LONGEST_NEW)


def plan_restore(
    request: RestoreRequest,
    old: Described,
    members: Sequence[Described],
    point: Point,
    later: Sequence[RunRecord],
    measured: Sequence[float],
) -> RestorePlan:
    """The plan of a restore.

    Args:
        request: what was asked for.
        old: the cluster or instance as RDS describes it.
        members: the instances of a cluster, its writer first.
        point: where it goes back to; see `point_of`.
        later: runs that began at that point or after it, that one included.
        measured: seconds of earlier restores, the newest first.

    Raises:
        Refused: RDS could not restore it so that it is like the old one.
    """
    cluster = "DBClusterIdentifier" in old and "DBClusterArn" in old
    if old.get("EngineMode") == "serverless":
        raise Refused("it is Aurora Serverless v1, which Greenlane does not restore; do it by hand")
    aurora = cluster and old["Engine"] == AURORA
    if aurora and not members:
        raise Refused("the cluster has no instance, so nobody can say which the new one needs")
    new = identifier(request.database, request.restore)
    name = str(old["DBClusterIdentifier" if cluster else "DBInstanceIdentifier"])
    if name == new:
        raise Refused(f"the description names {new}, which this restore makes; name the old one")
    return RestorePlan(
        point=point,
        kind="cluster" if cluster else "instance",
        old=name,
        new=new,
        members=tuple(f"{new}-{number + 1}" for number in range(len(members) if aurora else 0)),
        lost_runs=lost_runs(later),
        rto=estimate_rto(measured, request.expected_seconds),
        not_copied=not_copied(old, members),
        deletion_protection=bool(old.get("DeletionProtection")),
        steps=steps(request, new),
    )


def lost_runs(later: Sequence[RunRecord]) -> tuple[LostRun, ...]:
    """What a new database does not have of the runs that did something, in their order."""
    return tuple(
        LostRun(run=one.run, phase=one.phase, standing=one.standing, started_at=one.started_at)
        for one in sorted(later, key=lambda one: one.started_at)
        if one.standing != "refused"
    )


def point_of(
    request: RestoreRequest,
    run: RunRecord,
    old: Described,
    snapshot: Described | None,
    now: datetime,
) -> Point:
    """The moment that a restore goes back to.

    Point-in-time recovery is by whole seconds, and the marker is the time before the run's first
    statement; so the second that it is in is left out.

    Args:
        request: what was asked for.
        run: whose backup it is.
        old: the cluster or instance as RDS describes it.
        snapshot: the run's snapshot as RDS describes it; None where there is none.
        now: the present instant.

    Raises:
        InvalidInput: the run is of another database, or has kept nothing of that kind.
        Refused: RDS can no longer go back as far.
        NotFinished: RDS cannot go back to that moment yet; some minutes later it can.
    """
    if run.database != request.database:
        raise InvalidInput("request.run", request.run, f"it ran on {run.database}")
    backup = run.backup
    if backup is None or backup.kind == "none":
        way_out = "it has kept no backup; name another run, or restore by hand"
        raise InvalidInput("request.run", request.run, way_out)
    source: Source = request.source or ("snapshot" if backup.kind == "snapshot" else "marker")
    if source == "snapshot":
        return _of_snapshot(request, backup, snapshot)
    at = backup.at.astimezone(UTC).replace(microsecond=0)
    _refuse_unless_recoverable(old, at, now)
    return Point(source="marker", at=at, lsn=backup.lsn, run=request.run)


def _of_snapshot(request: RestoreRequest, backup: Backup, snapshot: Described | None) -> Point:
    if backup.snapshot is None:
        said = "the run has taken no snapshot; leave the source out, or write marker"
        raise InvalidInput("request.source", "snapshot", said)
    if snapshot is None:
        raise Refused(f"{backup.snapshot} is not there any more; try source: marker")
    if snapshot["Status"] != "available":
        raise Refused(f"{backup.snapshot} is {snapshot['Status']}; try source: marker")
    return Point(
        source="snapshot",
        at=snapshot.get("SnapshotCreateTime") or backup.at,
        lsn=backup.lsn,
        snapshot=backup.snapshot,
        version=snapshot.get("EngineVersion"),
        run=request.run,
    )


def _refuse_unless_recoverable(old: Described, at: datetime, now: datetime) -> None:
    days: int = old.get("BackupRetentionPeriod", 0)
    if days == 0:
        raise Refused("point-in-time recovery is off; try source: snapshot")
    earliest = old.get("EarliestRestorableTime") or max(
        now - timedelta(days=days), old.get("InstanceCreateTime", now - timedelta(days=days))
    )
    if at < earliest:
        raise Refused(
            f"RDS can go back to {earliest:%Y-%m-%d %H:%M:%S} UTC at most, and the run began "
            "before; try source: snapshot"
        )
    latest = old.get("LatestRestorableTime")
    if latest is None or latest <= at:
        raise NotFinished(f"RDS cannot go back to {at:%H:%M:%S} UTC yet; in some minutes it can")


def steps(request: RestoreRequest, new: str) -> tuple[Step, ...]:
    """What happens, in order, and who does it."""
    made: list[tuple[str, Any]] = [
        (f"restore to {new}, beside the old one, which stays as it is", "greenlane"),
        ("look whether it is available, answers, and holds what it should", "greenlane"),
    ]
    salvage: list[tuple[str, Any]] = [
        ("copy rows back from it, by the statements of the salvage", "people"),
        (f"delete {new}", "people"),
    ]
    cutover: list[tuple[str, Any]] = [
        ("decide: use it in the place of the old one, only copy tables back, or neither", "people"),
        ("stop what writes to the old one, and say so", "people"),
        ("publish the new endpoint", "greenlane"),
        ("move what does not read it, and tidy up", "people"),
    ]
    made += salvage if request.mode == "salvage" else cutover
    return tuple(Step(title=title, who=who) for title, who in made)


def offer_of(run: RestoreRun) -> str:
    """What tells one offer from another: the same point, new database and losses have the same.

    How many seconds are at stake is not in it, for that grows while people read. The epoch is: what
    was said to an execution that died is asked again.
    """
    plan = run.plan
    parts = (run.restore, str(run.epoch), plan.new, plan.point.model_dump_json())
    said = "\n".join((*parts, *losses(plan, run.looked, None)))
    return hashlib.sha256(said.encode()).hexdigest()[:12]
