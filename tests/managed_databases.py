"""RDS in memory: clusters and instances, their snapshots, and blue/green deployments."""

from typing import Any

from botocore.exceptions import ClientError

from tests.fakes import REGION, error

ARN = f"arn:aws:rds:{REGION}:123456789012"


class FakeRds:
    """See the module. A snapshot is taken when a test says so.

    Args (attributes):
        unseen: so many next descriptions do not find a snapshot that was just begun.
        refusal: what creating a snapshot is answered with.
    """

    def __init__(self) -> None:
        self.clusters: dict[str, dict[str, Any]] = {}
        self.instances: dict[str, dict[str, Any]] = {}
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.blue_green: list[dict[str, Any]] = []
        self.made: list[str] = []
        self.tags: list[dict[str, str]] = []
        self.unseen = 0
        self.refusal: ClientError | None = None

    def cluster(self, name: str, **more: Any) -> None:
        known = {
            "DBClusterArn": f"{ARN}:cluster:{name}",
            "Engine": "aurora-postgresql",
            "Status": "available",
            "MultiAZ": False,
            "BackupRetentionPeriod": 7,
        }
        self.clusters[name] = known | more

    def instance(self, name: str, **more: Any) -> None:
        known = {
            "DBInstanceArn": f"{ARN}:db:{name}",
            "Engine": "postgres",
            "DBInstanceStatus": "available",
            "MultiAZ": False,
            "BackupRetentionPeriod": 7,
        }
        self.instances[name] = known | more

    def finish(self, status: str = "available") -> None:
        """Let all snapshots end so."""
        for one in self.snapshots.values():
            one |= {"Status": status, "PercentProgress": 100}

    def describe_db_clusters(self, DBClusterIdentifier: str) -> dict[str, Any]:  # noqa: N803
        if DBClusterIdentifier not in self.clusters:
            raise error("DBClusterNotFoundFault")
        return {"DBClusters": [self.clusters[DBClusterIdentifier]]}

    def describe_db_instances(self, DBInstanceIdentifier: str) -> dict[str, Any]:  # noqa: N803
        if DBInstanceIdentifier not in self.instances:
            raise error("DBInstanceNotFound")
        return {"DBInstances": [self.instances[DBInstanceIdentifier]]}

    def describe_blue_green_deployments(self, Filters: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        (asked,) = Filters
        key = {"source": "Source", "target": "Target"}[asked["Name"]]
        found = [
            {"BlueGreenDeploymentIdentifier": f"bgd-{number}"} | one
            for number, one in enumerate(self.blue_green)
            if one[key] in asked["Values"]
        ]
        return {"BlueGreenDeployments": found}

    def create_db_snapshot(
        self,
        DBSnapshotIdentifier: str,  # noqa: N803
        DBInstanceIdentifier: str,  # noqa: N803
        Tags: list[dict[str, str]],  # noqa: N803
    ) -> None:
        assert DBInstanceIdentifier in self.instances
        self._make(
            DBSnapshotIdentifier, Tags, "DBSnapshotArn", "snapshot", "DBSnapshotAlreadyExists"
        )

    def create_db_cluster_snapshot(
        self,
        DBClusterSnapshotIdentifier: str,  # noqa: N803
        DBClusterIdentifier: str,  # noqa: N803
        Tags: list[dict[str, str]],  # noqa: N803
    ) -> None:
        assert DBClusterIdentifier in self.clusters
        exists = "DBClusterSnapshotAlreadyExistsFault"
        name, kind = DBClusterSnapshotIdentifier, "cluster-snapshot"
        self._make(name, Tags, "DBClusterSnapshotArn", kind, exists)

    def describe_db_snapshots(self, DBSnapshotIdentifier: str) -> dict[str, Any]:  # noqa: N803
        return {"DBSnapshots": [self._found(DBSnapshotIdentifier, "DBSnapshotNotFound")]}

    def describe_db_cluster_snapshots(self, DBClusterSnapshotIdentifier: str) -> dict[str, Any]:  # noqa: N803
        found = self._found(DBClusterSnapshotIdentifier, "DBClusterSnapshotNotFoundFault")
        return {"DBClusterSnapshots": [found]}

    def _make(
        self, name: str, tags: list[dict[str, str]], arn: str, kind: str, exists: str
    ) -> None:
        if self.refusal is not None:
            raise self.refusal
        if name in self.snapshots:
            raise error(exists)
        self.made.append(name)
        self.tags += tags
        self.snapshots[name] = {
            arn: f"{ARN}:{kind}:{name}",
            "Status": "creating",
            "PercentProgress": 40,
        }

    def _found(self, name: str, missing: str) -> dict[str, Any]:
        if name in self.snapshots and self.unseen > 0:
            self.unseen -= 1
            raise error(missing)
        if name not in self.snapshots:
            raise error(missing)
        return self.snapshots[name]
