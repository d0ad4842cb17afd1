"""The edge to RDS: the old database as it is, and the new one, made or found.

No call here has a token of RDS's. A new database has the name of its restore and a tag that says
so: a repetition finds it, and nothing else is taken for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from greenlane.errors import NotFinished, Refused
from greenlane.logs import logger
from greenlane.migrations.databases.model import Database
from greenlane.migrations.guarding.backups import takes_connections
from greenlane.migrations.restoring.copying import (
    Described,
    cluster_settings,
    differences,
    instance_settings,
    member_settings,
    restored_by,
    unlike,
)
from greenlane.migrations.restoring.model import RestorePlan

_MISSING = frozenset({"DBClusterNotFoundFault", "DBInstanceNotFound"})
_NO_SNAPSHOT = frozenset({"DBClusterSnapshotNotFoundFault", "DBSnapshotNotFound"})
_MADE_BEFORE = frozenset({"DBClusterAlreadyExistsFault", "DBInstanceAlreadyExists"})
_LATER = frozenset(
    {
        *("InvalidDBClusterStateFault", "InvalidDBInstanceState", "InvalidDBSnapshotState"),
        *("InvalidDBClusterSnapshotStateFault", "InsufficientDBClusterCapacityFault"),
        *("InsufficientDBInstanceCapacity", "InsufficientStorageClusterCapacity"),
    }
)
"""What RDS answers to a call that it may take some minutes later."""

_NEVER = frozenset(
    {
        *("InvalidRestoreFault", "InvalidParameterValue", "InvalidParameterCombination"),
        *("InvalidSubnet", "DBSubnetGroupNotFoundFault", "DBSubnetGroupDoesNotCoverEnoughAZs"),
        *("DBClusterParameterGroupNotFound", "DBParameterGroupNotFound", "CertificateNotFound"),
        *("OptionGroupNotFoundFault", "KMSKeyNotAccessibleFault", "StorageTypeNotSupported"),
        *("DBClusterQuotaExceededFault", "InstanceQuotaExceeded", "StorageQuotaExceeded"),
        *("DBClusterSnapshotNotFoundFault", "DBSnapshotNotFound", "DBSecurityGroupNotFound"),
        *("PointInTimeRestoreNotEnabled", "NetworkTypeNotSupported", "InvalidVPCNetworkStateFault"),
        *("DBClusterAutomatedBackupNotFoundFault", "DBInstanceAutomatedBackupNotFound"),
    }
)
"""What it answers to a call that it will never take as it is."""

_BROKEN = frozenset(
    {
        *("failed", "restore-error", "incompatible-restore", "incompatible-network"),
        *("incompatible-parameters", "incompatible-option-group", "insufficient-capacity"),
        *("inaccessible-encryption-credentials", "storage-full", "deleting", "stopped"),
        "inaccessible-encryption-credentials-recoverable",
    }
)
"""What RDS calls a database that does not become available by itself."""


class Old(NamedTuple):
    """A database as RDS describes it, and the instances of a cluster, its writer first."""

    described: Described
    members: tuple[Described, ...] = ()


class New(NamedTuple):
    """The new database, available: where its writer is, and what is not as in the old one."""

    host: str
    port: int
    arn: str
    unlike: tuple[str, ...] = ()


def read_old(rds: Any, database: Database) -> Old:
    """The database that is there.

    Raises:
        Refused: RDS does not run it, or has no such cluster or instance.
    """
    if not database.managed:
        raise Refused("RDS does not run this database, so it cannot restore it; do it by hand")
    kind = "instance" if database.cluster is None else "cluster"
    name = str(database.cluster or database.instance)
    found = _find(rds, kind, name)
    if found is None:
        raise Refused(f"RDS has no {kind} {name} in this Region; correct its description")
    if kind == "instance":
        return Old(found)
    members = sorted(found.get("DBClusterMembers", ()), key=lambda one: not one["IsClusterWriter"])
    described = (_find(rds, "instance", one["DBInstanceIdentifier"]) for one in members)
    return Old(found, tuple(one for one in described if one is not None))


def read_snapshot(rds: Any, kind: str, arn: str) -> Described | None:
    """A snapshot by its ARN; None when it is gone.

    Args:
        rds: the client.
        kind: of what it is: `cluster` or `instance`.
        arn: of one in this account and Region.
    """
    name = arn.rsplit(":", 1)[-1]
    found: list[Described]
    try:
        if kind == "cluster":
            answer = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)
            found = answer["DBClusterSnapshots"]
        else:
            found = rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
    except ClientError as error:
        if _code(error) not in _NO_SNAPSHOT:
            raise
        return None
    return found[0] if found else None


def keep_new(rds: Any, plan: RestorePlan, restore: str, database: Database) -> New:
    """Make the new database, or go on with the one that an earlier attempt has begun.

    Args:
        rds: the client.
        plan: what is to be made.
        restore: its id, which the tag has.
        database: the old one, as it is described to Greenlane.

    Raises:
        NotFinished: RDS is at it; ask again.
        Refused: RDS cannot make it, or what has its name is something else.
    """
    old = read_old(rds, database)
    found = _find(rds, plan.kind, plan.new)
    if found is None:
        with _answers(plan.new):
            _begin(rds, plan, restore, old.described)
        raise NotFinished(f"{plan.new} was begun")
    _check(found, plan.new, restore)
    if other := differences(found, old.described):
        raise Refused(f"{plan.new} is not like {plan.old}: {'; '.join(other)}")
    for number, name in enumerate(plan.members):
        _keep_member(rds, plan, restore, old, number, name)
    return _where(found, plan.kind)._replace(unlike=unlike(found, old.described))


def read_new(rds: Any, plan: RestorePlan, restore: str) -> New:
    """The new database as it is now, for who is about to send clients there; nothing is made.

    Raises:
        Refused: it, or its writer, is gone, broken, or of something else.
        NotFinished: it is not available at this moment; ask again.
    """
    found = _find(rds, plan.kind, plan.new)
    if found is None:
        raise Refused(f"{plan.new} is gone; restore again under the same id, which makes it anew")
    _check(found, plan.new, restore)
    for name in plan.members[:1]:
        writer = _find(rds, "instance", name)
        if writer is None:
            raise Refused(f"{name}, the writer of {plan.new}, is gone; restore again")
        _check(writer, name, restore)
    return _where(found, plan.kind)


_CLUSTER_SNAPSHOT, _CLUSTER_TIME = "RestoreDBClusterFromSnapshot", "RestoreDBClusterToPointInTime"
_INSTANCE_SNAPSHOT = "RestoreDBInstanceFromDBSnapshot"
_INSTANCE_TIME = "RestoreDBInstanceToPointInTime"


def known(rds: Any, operation: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that this client knows of an operation.

    A function's client comes with Lambda and may be a year old. It refuses a call with an argument
    that RDS got since; without it the call is made, and people are told what came out otherwise.
    """
    members = rds.meta.service_model.operation_model(operation).input_shape.members
    if left_out := sorted(set(given) - set(members)):
        logger.warning("not known to this client", operation=operation, arguments=left_out)
    return {name: value for name, value in given.items() if name in members}


def _begin(rds: Any, plan: RestorePlan, restore: str, old: Described) -> None:
    point = plan.point
    # One of this account and Region is known by its name.
    name = str(point.snapshot).rsplit(":", 1)[-1]
    if plan.kind == "cluster":
        given = cluster_settings(old, restore) | {"DBClusterIdentifier": plan.new}
        if point.source == "snapshot":
            # Without a version RDS takes the newest default of the Region, not the snapshot's.
            version = {} if point.version is None else {"EngineVersion": point.version}
            given |= {"SnapshotIdentifier": name, "Engine": old["Engine"]} | version
            rds.restore_db_cluster_from_snapshot(**known(rds, _CLUSTER_SNAPSHOT, given))
        else:
            given |= {"SourceDBClusterIdentifier": plan.old, "RestoreToTime": point.at}
            rds.restore_db_cluster_to_point_in_time(**known(rds, _CLUSTER_TIME, given))
        return
    given = instance_settings(old, restore)
    if point.source == "snapshot":
        given |= {"DBInstanceIdentifier": plan.new, "DBSnapshotIdentifier": name}
        rds.restore_db_instance_from_db_snapshot(**known(rds, _INSTANCE_SNAPSHOT, given))
    else:
        source = {"SourceDBInstanceIdentifier": plan.old, "TargetDBInstanceIdentifier": plan.new}
        given |= source | {"RestoreTime": point.at}
        rds.restore_db_instance_to_point_in_time(**known(rds, _INSTANCE_TIME, given))


def _keep_member(
    rds: Any, plan: RestorePlan, restore: str, old: Old, number: int, name: str
) -> None:
    """One instance of an Aurora cluster, which a restore makes without any.

    The first is awaited before the others are begun: the first instance of a cluster is its writer.
    """
    found = _find(rds, "instance", name)
    if found is None:
        # The old cluster may have fewer instances by now than when this was planned.
        like = old.members[min(number, len(old.members) - 1)]
        given = member_settings(like, restore, like.get("PromotionTier")) | {
            "DBInstanceIdentifier": name,
            "DBClusterIdentifier": plan.new,
        }
        with _answers(name):
            rds.create_db_instance(**known(rds, "CreateDBInstance", given))
        raise NotFinished(f"{name}, an instance of {plan.new}, was begun")
    _check(found, name, restore)
    if found.get("DBClusterIdentifier") != plan.new:
        raise Refused(f"{name} is no instance of {plan.new}; rename or delete that one")


def _check(found: Described, name: str, restore: str) -> None:
    """Whether it is available, and of this restore."""
    status = str(found.get("DBInstanceStatus") or found.get("Status"))
    if status in _BROKEN:
        raise Refused(f"RDS says that {name} is {status}; delete it, and restore under another id")
    if not takes_connections(status):
        done = found.get("PercentProgress")
        raise NotFinished(f"{name} is {status}" + ("" if done is None else f", {done} percent"))
    by = restored_by(found)
    if by != restore:
        whose = "of no restore" if by is None else f"of the restore {by}"
        raise Refused(f"{name} is there already, and is {whose}; restore under another id")


def _where(found: Described, kind: str) -> New:
    if kind == "cluster":
        return New(found["Endpoint"], found["Port"], found["DBClusterArn"])
    endpoint = found["Endpoint"]
    return New(endpoint["Address"], endpoint["Port"], found["DBInstanceArn"])


def _find(rds: Any, kind: str, name: str) -> Described | None:
    found: list[Described]
    try:
        if kind == "cluster":
            found = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        else:
            found = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    except ClientError as error:
        if _code(error) not in _MISSING:
            raise
        return None
    return found[0] if found else None


@contextmanager
def _answers(name: str) -> Iterator[None]:
    """Turn what RDS answers to the call that makes `name` into what comes of it."""
    try:
        yield
    except ClientError as error:
        code = _code(error)
        if code in _MADE_BEFORE or code in _LATER:
            raise NotFinished(f"{name}: {code}") from error
        if code in _NEVER:
            said = error.response["Error"].get("Message", code)
            raise Refused(f"RDS does not make {name}: {code}: {said}") from error
        raise


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
