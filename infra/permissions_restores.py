"""What the functions of restores may do, besides what those of migrations may.

They make databases under Greenlane's own names, and change or delete none: the old one is only
read. Keys of KMS that a customer manages are not in here: RDS uses those as the caller may, so a
key's own policy has to let the role of `restore_database` describe it and create grants.
"""

from collections.abc import Callable
from dataclasses import dataclass

from greenlane.migrations.restoring.planning import NEW_PREFIX
from infra.permissions_migrations import MigrationPermissions
from infra.roles import Allow

_OURS = f"{NEW_PREFIX}*"
_NEW = "the new database has the name of its restore."
_GROUPS = "its groups are those of the old one, which RDS tells when it is restored."


@dataclass(frozen=True)
class RestorePermissions(MigrationPermissions):
    """Statements about the databases that may be restored, and those that are made so."""

    def see_databases(self) -> list[Allow]:
        """See the databases, what Greenlane has made of them, and their snapshots."""
        found = []
        if self._clusters:
            found += [
                Allow(
                    "SeeClusters",
                    ["rds:DescribeDBClusters"],
                    [*self._clusters, self._colon("rds", "cluster", _OURS)],
                    because=_NEW,
                ),
                Allow(
                    "SeeClusterSnapshots",
                    ["rds:DescribeDBClusterSnapshots"],
                    [*self._clusters, self._colon("rds", "cluster-snapshot", _OURS)],
                    because="a snapshot has the name of its run.",
                ),
            ]
        if self._clusters or self._instances:
            found.append(self._see_instances())
        if self._instances:
            found.append(
                Allow(
                    "SeeSnapshots",
                    ["rds:DescribeDBSnapshots"],
                    [*self._instances, self._colon("rds", "snapshot", _OURS)],
                    because="a snapshot has the name of its run.",
                )
            )
        return found

    def see_new(self) -> list[Allow]:
        """See what Greenlane has made, before clients are sent there."""
        ours = [self._colon("rds", "cluster", _OURS)] if self._clusters else []
        found = [Allow("SeeNewClusters", ["rds:DescribeDBClusters"], ours, because=_NEW)]
        made = [self._colon("rds", "db", _OURS)]
        found.append(Allow("SeeNewInstances", ["rds:DescribeDBInstances"], made, because=_NEW))
        managed = bool(self._clusters or self._instances)
        return [one for one in found if managed and one.resources]

    def restore(self) -> list[Allow]:
        """Make databases under our own names, like the old ones; change and delete none."""
        found = []
        groups = [self._colon("rds", kind, "*") for kind in ("og", "pg", "cluster-pg", "subgrp")]
        clusters, made = self._colon("rds", "cluster", _OURS), self._colon("rds", "db", _OURS)
        if self._clusters:
            found += [
                Allow(
                    "SeeClusters",
                    ["rds:DescribeDBClusters"],
                    [*self._clusters, clusters],
                    because=_NEW,
                ),
                Allow(
                    "RestoreClusters",
                    ["rds:RestoreDBClusterFromSnapshot", "rds:RestoreDBClusterToPointInTime"],
                    [
                        *self._clusters,
                        clusters,
                        self._colon("rds", "cluster-snapshot", _OURS),
                        *groups,
                    ],
                    because=f"{_NEW} {_GROUPS}",
                ),
            ]
        if self._instances:
            found.append(
                Allow(
                    "RestoreInstances",
                    ["rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime"],
                    [*self._instances, made, self._colon("rds", "snapshot", _OURS), *groups],
                    because=f"{_NEW} {_GROUPS}",
                )
            )
        if found:
            found += [
                self._see_instances(),
                # A Multi-AZ cluster's restore asks for it too.
                Allow(
                    "MakeInstances",
                    ["rds:CreateDBInstance"],
                    [made, clusters, *groups],
                    because=f"{_NEW} {_GROUPS}",
                ),
                Allow("TagNew", ["rds:AddTagsToResource"], [made, clusters], because=_NEW),
            ]
        return found

    def look_into_both(self) -> list[Allow]:
        """Sign in to the old databases and to the new ones, as the same users."""
        found = self.sign_in()
        users = sorted({it.user for it in self.databases if it.user is not None})
        if users:
            found.append(
                Allow(
                    "SignInToNew",
                    ["rds-db:connect"],
                    [self._colon("rds-db", "dbuser", f"*/{user}") for user in users],
                    because="a database's resource id is not known before it is made.",
                )
            )
        return found

    def read_hosts(self) -> list[Allow]:
        """Read the secrets of the databases, in which a host may be named."""
        return self._of_secrets("ReadHosts", "GetSecretValue")

    def write_hosts(self) -> list[Allow]:
        """Write new versions of them."""
        actions = ("GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
        return self._of_secrets("WriteHosts", *actions)

    def answer_itself(self) -> Allow:
        """Wake the workflow that waits, when the answer came before it began to."""
        return Allow("AnswerTokens", ["states:SendTaskSuccess"], [self.restore_machine])

    def _of_secrets(self, sid: str, *actions: str) -> list[Allow]:
        # Secrets Manager ends each ARN in six characters of its own.
        secrets = [
            self._colon("secretsmanager", "secret", f"{it.secret}-??????")
            for it in self.databases
            if it.secret is not None
        ]
        named = [f"secretsmanager:{action}" for action in actions]
        return [Allow(sid, named, secrets)] if secrets else []

    def _see_instances(self) -> Allow:
        return Allow(
            "SeeInstances",
            ["rds:DescribeDBInstances"],
            [self._colon("rds", "db", "*")],
            because="the instances of a cluster have names of their own.",
        )

    @property
    def _clusters(self) -> list[str]:
        named = (it.cluster for it in self.databases)
        return [self._colon("rds", "cluster", one) for one in named if one is not None]

    @property
    def _instances(self) -> list[str]:
        named = (it.instance for it in self.databases)
        return [self._colon("rds", "db", one) for one in named if one is not None]


@dataclass(frozen=True)
class RestoreSpec:
    """One module of `functions/` that restores need.

    `in_network` marks the one that speaks to the databases.
    """

    module: str
    may: Callable[[RestorePermissions], list[Allow]]
    timeout_seconds: int = 60
    memory_mb: int = 512
    in_network: bool = False
