"""The edge to RDS: how a database stands, and its snapshots.

`CreateDBSnapshot` has no token: a snapshot has the name of the run, so a repetition finds it.
"""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from greenlane.errors import NotFinished, Refused
from greenlane.migrations.databases.model import Database
from greenlane.migrations.guarding.backups import BlueGreen, Managed
from greenlane.migrations.guarding.naming import plain_name

RUN_TAG = "greenlane:migration"
SNAPSHOT_PREFIX = "greenlane-"
"""Of the names of all snapshots; Greenlane may make no others."""

_NO_DATABASE = ("DBClusterNotFoundFault", "DBInstanceNotFound")
_NO_SNAPSHOT = ("DBClusterSnapshotNotFoundFault", "DBSnapshotNotFound")
_MADE_BEFORE = ("DBClusterSnapshotAlreadyExistsFault", "DBSnapshotAlreadyExists")
_BUSY = (
    "InvalidDBClusterStateFault",
    "InvalidDBInstanceState",
    "InvalidDBClusterSnapshotStateFault",
)


def read_managed(rds: Any, database: Database) -> Managed | None:
    """A database as RDS describes it now; None where RDS does not run it.

    Raises:
        Refused: RDS has no such cluster or instance.
    """
    if not database.managed:
        return None
    try:
        found = (
            _cluster(rds, database) if database.cluster is not None else _instance(rds, database)
        )
    except ClientError as error:
        if _code(error) not in _NO_DATABASE:
            raise
        named = (
            f"cluster {database.cluster}" if database.cluster else f"instance {database.instance}"
        )
        raise Refused(f"RDS has no {named} in this Region; correct its description") from error
    return found.model_copy(update={"blue_green": tuple(_blue_green(rds, found.arn))})


def snapshot_name(database: str, run: str) -> str:
    """The identifier of a run's snapshot: at most 63 letters, digits and single hyphens."""
    return plain_name(f"{SNAPSHOT_PREFIX}{database}-{run}")


def keep_snapshot(rds: Any, database: Database, name: str, run: str) -> str:
    """Take a run's snapshot, or find it; its ARN once it is available.

    Raises:
        NotFinished: it is being taken; ask again.
        Refused: RDS could not take it.
    """
    found = _snapshot(rds, database, name)
    if found is None:
        _take(rds, database, name, run)
        raise NotFinished(f"the snapshot {name} was begun")
    if found["Status"] == "failed":
        raise Refused(f"RDS could not take the snapshot {name}; delete it and run again")
    if found["Status"] != "available":
        done = found.get("PercentProgress", 0)
        raise NotFinished(f"the snapshot {name} is {found['Status']}, {done} percent")
    return str(found.get("DBClusterSnapshotArn") or found["DBSnapshotArn"])


def _cluster(rds: Any, database: Database) -> Managed:
    one = rds.describe_db_clusters(DBClusterIdentifier=database.cluster)["DBClusters"][0]
    return Managed(
        arn=one["DBClusterArn"],
        kind="cluster",
        engine=one["Engine"],
        status=one["Status"],
        zones=bool(one.get("MultiAZ")),
        retention_days=one.get("BackupRetentionPeriod", 0),
        restorable_until=one.get("LatestRestorableTime"),
        copies=one.get("ReplicationSourceIdentifier") or None,
    )


def _instance(rds: Any, database: Database) -> Managed:
    answer = rds.describe_db_instances(DBInstanceIdentifier=database.instance)
    one = answer["DBInstances"][0]
    if one.get("DBClusterIdentifier"):
        raise Refused(
            f"{database.instance} is a part of the cluster {one['DBClusterIdentifier']}; name that"
        )
    return Managed(
        arn=one["DBInstanceArn"],
        kind="instance",
        engine=one["Engine"],
        status=one["DBInstanceStatus"],
        zones=bool(one.get("MultiAZ")),
        retention_days=one.get("BackupRetentionPeriod", 0),
        restorable_until=one.get("LatestRestorableTime"),
        copies=one.get("ReadReplicaSourceDBInstanceIdentifier")
        or one.get("ReadReplicaSourceDBClusterIdentifier")
        or None,
    )


def _blue_green(rds: Any, arn: str) -> Iterator[BlueGreen]:
    pages = rds.get_paginator("describe_blue_green_deployments")
    for side, filtered in (("blue", "source"), ("green", "target")):
        for page in pages.paginate(Filters=[{"Name": filtered, "Values": [arn]}]):
            for one in page["BlueGreenDeployments"]:
                yield BlueGreen.model_validate(
                    {
                        "name": one.get("BlueGreenDeploymentName")
                        or one["BlueGreenDeploymentIdentifier"],
                        "status": one["Status"],
                        "side": side,
                    }
                )


def _snapshot(rds: Any, database: Database, name: str) -> dict[str, Any] | None:
    try:
        if database.cluster is not None:
            answer = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)
            found: list[dict[str, Any]] = answer["DBClusterSnapshots"]
        else:
            found = rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
    except ClientError as error:
        if _code(error) not in _NO_SNAPSHOT:
            raise
        return None
    return found[0] if found else None


def _take(rds: Any, database: Database, name: str, run: str) -> None:
    tags = [{"Key": RUN_TAG, "Value": run}]
    try:
        if database.cluster is not None:
            rds.create_db_cluster_snapshot(
                DBClusterSnapshotIdentifier=name, DBClusterIdentifier=database.cluster, Tags=tags
            )
        else:
            rds.create_db_snapshot(
                DBSnapshotIdentifier=name, DBInstanceIdentifier=database.instance, Tags=tags
            )
    except ClientError as error:
        if _code(error) in _BUSY:
            raise NotFinished(
                f"RDS does not take the snapshot {name} yet: {_code(error)}"
            ) from error
        if _code(error) == "SnapshotQuotaExceeded":
            raise Refused("the account has as many snapshots as it may; delete some") from error
        if _code(error) not in _MADE_BEFORE:
            raise


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
