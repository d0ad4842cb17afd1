"""Moto's RDS, and what it lacks for restores.

Real here are the calls that make databases, all arguments (botocore checks them), identifiers that
are taken, tags, groups, members of clusters and snapshots. Added is time, for in moto everything is
there at once: the window of point-in-time recovery, and databases that take a while. And moto gives
a restored instance the mark of a read replica, which RDS does not.
"""

from datetime import datetime, timedelta
from typing import Any

from tests.builders import NOW, SERVICE
from tests.faults.kernel import Kernel

NAMES = {"cluster": "orders-prod", "instance": "orders-1"}
OLD = "old.example"
SECRET = "greenlane/orders"
RECOVERY_LAG_SECONDS = 300.0
_GROUP = "sg-0123456789abcdef0"


def described_file(kind: str) -> str:
    """The file of databases."""
    engine = "aurora-postgresql" if kind == "cluster" else "postgres"
    return f"""
databases:
  orders:
    service: {SERVICE}
    engine: {engine}
    {kind}: {NAMES[kind]}
    endpoint: {{host: {OLD}, dbname: orders, user: greenlane}}
    auth: secret
    secret: {SECRET}
"""


class RestorableRds:
    """See the module.

    Args:
        kernel: the time.
        rds: moto's.
        kind: of the database that is there: `cluster` or `instance`.
        members: of a cluster.

    `made` are the databases that were made, in order; `broken` what RDS says of new ones.
    """

    def __init__(self, kernel: Kernel, rds: Any, kind: str, members: int = 2) -> None:
        self._kernel, self._rds = kernel, rds
        self.born: dict[str, float] = {}
        self.makes_seconds = 600.0
        """How long a database takes until it is available."""
        self.broken: dict[str, str] = {}
        self.old = NAMES[kind]
        self.recovers_until: float | None = None
        """The end of the window, in seconds of the kernel; None moves with the time."""
        who = {"MasterUsername": "greenlane", "MasterUserPassword": "of-no-matter"}
        tags = [{"Key": "team", "Value": "orders"}]
        more: dict[str, Any] = {
            "BackupRetentionPeriod": 7,
            "DeletionProtection": True,
            "Tags": tags,
        }
        if kind == "cluster":
            self._rds.create_db_cluster(
                DBClusterIdentifier=self.old,
                Engine="aurora-postgresql",
                VpcSecurityGroupIds=[_GROUP],
                **who,
                **more,
            )
            for number in range(members):
                self._rds.create_db_instance(
                    DBInstanceIdentifier=f"orders-{number}",
                    DBClusterIdentifier=self.old,
                    Engine="aurora-postgresql",
                    DBInstanceClass="db.r6g.large",
                    PromotionTier=number,
                )
        else:
            self._rds.create_db_instance(
                DBInstanceIdentifier=self.old,
                Engine="postgres",
                DBInstanceClass="db.t4g.medium",
                AllocatedStorage=100,
                MultiAZ=True,
                VpcSecurityGroupIds=[_GROUP],
                **who,
                **more,
            )

    @property
    def made(self) -> list[str]:
        """What was made, in order."""
        return list(self.born)

    def host(self, kind: str, name: str) -> str:
        """Where a database is."""
        if kind == "cluster":
            return str(self.described(kind, name)["Endpoint"])
        return str(self.described(kind, name)["Endpoint"]["Address"])

    def described(self, kind: str, name: str) -> dict[str, Any]:
        """As moto has it."""
        if kind == "cluster":
            found = self._rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        else:
            found = self._rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        (one,) = found
        return dict(one)

    # The calls of Greenlane.

    def describe_db_clusters(self, **given: Any) -> Any:
        answer = self._rds.describe_db_clusters(**given)
        for one in answer["DBClusters"]:
            self._timed(one, one["DBClusterIdentifier"], "Status")
        return answer

    def describe_db_instances(self, **given: Any) -> Any:
        answer = self._rds.describe_db_instances(**given)
        for one in answer["DBInstances"]:
            self._timed(one, one["DBInstanceIdentifier"], "DBInstanceStatus")
            one.pop("ReadReplicaSourceDBInstanceIdentifier", None)
        return answer

    def restore_db_cluster_to_point_in_time(self, **given: Any) -> Any:
        return self._make("restore_db_cluster_to_point_in_time", "DBClusterIdentifier", given)

    def restore_db_cluster_from_snapshot(self, **given: Any) -> Any:
        return self._make("restore_db_cluster_from_snapshot", "DBClusterIdentifier", given)

    def restore_db_instance_to_point_in_time(self, **given: Any) -> Any:
        return self._make(
            "restore_db_instance_to_point_in_time", "TargetDBInstanceIdentifier", given
        )

    def restore_db_instance_from_db_snapshot(self, **given: Any) -> Any:
        return self._make("restore_db_instance_from_db_snapshot", "DBInstanceIdentifier", given)

    def create_db_instance(self, **given: Any) -> Any:
        return self._make("create_db_instance", "DBInstanceIdentifier", given)

    def __getattr__(self, operation: str) -> Any:
        assert operation.startswith("describe_"), f"{operation} changes what is there"
        return getattr(self._rds, operation)

    def _make(self, operation: str, name: str, given: dict[str, Any]) -> Any:
        assert given[name].startswith("greenlane-"), "only these may be made"
        answer = getattr(self._rds, operation)(**given)
        self.born[given[name]] = self._kernel.seconds
        return answer

    def _timed(self, one: dict[str, Any], name: str, status: str) -> None:
        now = self._kernel.seconds
        if name in self.broken:
            one[status] = self.broken[name]
        elif name in self.born and now < self.born[name] + self.makes_seconds:
            one[status] = "creating"
        until = now - RECOVERY_LAG_SECONDS if self.recovers_until is None else self.recovers_until
        one["LatestRestorableTime"] = self._at(until)
        one["InstanceCreateTime"] = self._at(-30 * 86400.0)
        if "EarliestRestorableTime" in one:
            one["EarliestRestorableTime"] = self._at(now - 7 * 86400)

    def _at(self, seconds: float) -> datetime:
        return NOW + timedelta(seconds=seconds)
