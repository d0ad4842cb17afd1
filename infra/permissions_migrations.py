"""What the functions of migrations may do, besides what all may."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aws_cdk import ArnFormat

from infra.permissions import Permissions
from infra.roles import Allow
from infra.settings import DatabaseAccess

_PARAMETERS = "greenlane/databases"
_SNAPSHOTS = "greenlane-*"


@dataclass(frozen=True)
class MigrationPermissions(Permissions):
    """Statements about the databases that migrations may change, and about the plans."""

    databases: Sequence[DatabaseAccess]
    plans_arn: str
    migration_machine: str
    restore_machine: str

    def read_plans(self) -> Allow:
        """Read plans, which are named by what is in them."""
        return Allow(
            "ReadPlans",
            ["s3:GetObject"],
            [f"{self.plans_arn}/plans/*"],
            because="a plan's key is its checksum.",
        )

    def sign_in(self) -> list[Allow]:
        """Sign in to the databases: with IAM's tokens, or with the secrets that are named."""
        found = []
        users = [
            self._colon("rds-db", "dbuser", f"{it.resource_id}/{it.user}")
            for it in self.databases
            if it.resource_id is not None
        ]
        if users:
            found.append(Allow("SignIn", ["rds-db:connect"], users))
        secrets = [
            # Secrets Manager ends each ARN in six characters of its own.
            self._colon("secretsmanager", "secret", f"{it.secret}-??????")
            for it in self.databases
            if it.secret is not None
        ]
        if secrets:
            found.append(Allow("ReadSecrets", ["secretsmanager:GetSecretValue"], secrets))
        return found

    def back_up(self) -> list[Allow]:
        """See the databases, and take snapshots of them under our own names."""
        clusters = [it.cluster for it in self.databases if it.cluster is not None]
        instances = [it.instance for it in self.databases if it.instance is not None]
        kinds = (
            ("Cluster", "cluster", "cluster-snapshot", clusters),
            ("Instance", "db", "snapshot", instances),
        )
        found = []
        snapshots = []
        for name, resource, snapshot, identifiers in kinds:
            if not identifiers:
                continue
            databases = [self._colon("rds", resource, one) for one in identifiers]
            ours = self._colon("rds", snapshot, _SNAPSHOTS)
            snapshots.append(ours)
            described = "DBCluster" if resource == "cluster" else "DBInstance"
            kept = "DBClusterSnapshot" if resource == "cluster" else "DBSnapshot"
            found += [
                Allow(f"See{name}s", [f"rds:Describe{described}s"], databases),
                Allow(
                    f"Snapshot{name}s",
                    [f"rds:Create{kept}", f"rds:Describe{kept}s"],
                    [*databases, ours],
                    because="a snapshot has the name of its run.",
                ),
            ]
        if found:
            found += [
                Allow(
                    "TagSnapshots",
                    ["rds:AddTagsToResource"],
                    snapshots,
                    because="a snapshot has the name of its run.",
                ),
                Allow(
                    "SeeBlueGreen",
                    ["rds:DescribeBlueGreenDeployments"],
                    [self._colon("rds", "deployment", "*")],
                    because="which of them a database is part of is what is asked.",
                ),
            ]
        return found

    def publish_parameters(self) -> Allow:
        """Write the parameters in which applications find what stands."""
        parameter = self.stack.format_arn(
            service="ssm", resource="parameter", resource_name=f"{_PARAMETERS}/*"
        )
        return Allow(
            "PublishParameters",
            ["ssm:PutParameter"],
            [parameter],
            because="the prefix is how a database's description says where.",
        )

    def see_migrations(self) -> Allow:
        """See whether the execution that holds a lease lives."""
        return Allow(
            "SeeMigrations",
            ["states:DescribeExecution"],
            [self._executions_of(it) for it in (self.migration_machine, self.restore_machine)],
            because="each execution of our own machines of migrations and restores.",
        )

    def go_on(self) -> Allow:
        """Start an execution: a release's, or the one that goes on with a long run."""
        return Allow("GoOn", ["states:StartExecution"], [self.migration_machine])

    def see_fleet(self) -> list[Allow]:
        """See which versions of the services run, and which may come back."""
        return [
            self.table("GetItem", "PutItem", "Query", "UpdateItem"),
            self.read_workloads(),
            self.see_services(),
            self.list_tasks(),
            self.see_tasks(),
            self.see_task_definitions("ListTaskDefinitions"),
        ]

    def _colon(self, service: str, resource: str, name: str) -> str:
        arn: str = self.stack.format_arn(
            service=service,
            resource=resource,
            resource_name=name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return arn


@dataclass(frozen=True)
class MigrationSpec:
    """One module of `functions/` that migrations need.

    `in_network` marks those that speak to the databases: they have the layer with the parser and
    the driver, and reach nothing of AWS but S3, through a gateway endpoint. `tick` marks those run
    each minute.
    """

    module: str
    may: Callable[[MigrationPermissions], list[Allow]]
    timeout_seconds: int = 60
    memory_mb: int = 512
    in_network: bool = False
    tick: bool = False
