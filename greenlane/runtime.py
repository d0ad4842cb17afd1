"""What a function works with: the store, the clock, the clients and its environment."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from greenlane import aws
from greenlane.clock import Clock, current_clock
from greenlane.deployments.storing.store import DynamoStore


@dataclass(frozen=True)
class Settings:
    """The environment that the template gives to every function."""

    table: str
    topic_arn: str
    deployment_machine_arn: str
    rollback_machine_arn: str
    incidents_bucket: str = ""
    flags_table: str = ""
    flag_machine_arn: str = ""
    experiments_table: str = ""
    experiment_machine_arn: str = ""
    migrations_bucket: str = ""
    migration_machine_arn: str = ""
    regions_machine_arn: str = ""
    standby_region: str = ""
    regions: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read once per process.

        Raises:
            KeyError: the template did not set one of them.
        """
        return cls(
            table=os.environ["DEPLOYMENTS_TABLE"],
            topic_arn=os.environ["TOPIC_ARN"],
            deployment_machine_arn=os.environ["DEPLOYMENT_MACHINE_ARN"],
            rollback_machine_arn=os.environ["ROLLBACK_MACHINE_ARN"],
            incidents_bucket=os.environ.get("INCIDENTS_BUCKET", ""),
            flags_table=os.environ.get("FLAGS_TABLE", ""),
            flag_machine_arn=os.environ.get("FLAG_MACHINE_ARN", ""),
            experiments_table=os.environ.get("EXPERIMENTS_TABLE", ""),
            experiment_machine_arn=os.environ.get("EXPERIMENT_MACHINE_ARN", ""),
            migrations_bucket=os.environ.get("MIGRATIONS_BUCKET", ""),
            migration_machine_arn=os.environ.get("MIGRATION_MACHINE_ARN", ""),
            regions_machine_arn=os.environ.get("REGIONS_MACHINE_ARN", ""),
            standby_region=os.environ.get("STANDBY_REGION", ""),
            regions=tuple(filter(None, os.environ.get("REGIONS", "").split(","))),
        )


@dataclass
class Runtime:
    """The AWS edges of one process; a client is made when it is first used.

    Tests pass a clock and settings of their own, and may set any client.
    """

    settings: Settings
    actor: str
    clock: Clock = field(default_factory=current_clock)

    @cached_property
    def store(self) -> DynamoStore:
        """Where deployments are kept."""
        return DynamoStore(aws.client("dynamodb", read_timeout_seconds=3.0), self.settings.table)

    @cached_property
    def hasty_store(self) -> DynamoStore:
        """The same table for a write that must not hold up a rollback: 300 ms, one attempt."""
        client = aws.client(
            "dynamodb", connect_timeout_seconds=0.3, read_timeout_seconds=0.3, attempts=1
        )
        return DynamoStore(client, self.settings.table)

    @cached_property
    def elbv2(self) -> Any:
        """The load balancer."""
        return aws.client("elbv2")

    @cached_property
    def elbv2_once(self) -> Any:
        """The load balancer for a forward write: one attempt, so that none lands late."""
        return aws.client("elbv2", read_timeout_seconds=5.0, attempts=1)

    @cached_property
    def elbv2_back(self) -> Any:
        """The load balancer on the way back: a look that hangs must leave time for the write."""
        return aws.client("elbv2", read_timeout_seconds=4.0, attempts=2)

    @cached_property
    def ecs_back(self) -> Any:
        """The services while a rollback watches over the weights: one that hangs must not end it.

        With these limits a look fits into its function's time whatever hangs.
        """
        return aws.client("ecs", read_timeout_seconds=4.0, attempts=2)

    @cached_property
    def autoscaling_back(self) -> Any:
        """Application Auto Scaling while a rollback watches over the weights."""
        return aws.client("application-autoscaling", read_timeout_seconds=4.0, attempts=2)

    @cached_property
    def stepfunctions_back(self) -> Any:
        """The state machines on the way back."""
        return aws.client("stepfunctions", read_timeout_seconds=4.0, attempts=2)

    @cached_property
    def ecs(self) -> Any:
        """The services and tasks."""
        return aws.client("ecs")

    @cached_property
    def ecr(self) -> Any:
        """The image repositories."""
        return aws.client("ecr")

    @cached_property
    def ecr_quick(self) -> Any:
        """The scans of images: planning asks several that may hang, and must end in time."""
        return aws.client("ecr", read_timeout_seconds=5.0, attempts=2)

    @cached_property
    def inspector2(self) -> Any:
        """The findings about images; most accounts have none."""
        return aws.client("inspector2", read_timeout_seconds=5.0, attempts=2)

    @cached_property
    def ssm(self) -> Any:
        """The parameters in which workloads describe themselves."""
        return aws.client("ssm")

    @cached_property
    def ssm_soon(self) -> Any:
        """The parameter that says how to page without the table: there is not much time."""
        return aws.client("ssm", read_timeout_seconds=3.0, attempts=2)

    @cached_property
    def cloudwatch(self) -> Any:
        """Metrics and alarms."""
        return aws.client("cloudwatch")

    @cached_property
    def cloudwatch_quick(self) -> Any:
        """For who looks again soon, or may do without: planning's baseline, the reconciler."""
        return aws.client("cloudwatch", read_timeout_seconds=5.0, attempts=2)

    @cached_property
    def logs(self) -> Any:
        """What the tasks of services have logged."""
        return aws.client("logs", attempts=2)

    @cached_property
    def s3(self) -> Any:
        """Where reports are kept."""
        return aws.client("s3")

    @cached_property
    def autoscaling(self) -> Any:
        """Application Auto Scaling."""
        return aws.client("application-autoscaling")

    @cached_property
    def stepfunctions(self) -> Any:
        """The state machines."""
        return aws.client("stepfunctions")

    @cached_property
    def functions(self) -> Any:
        """The user's hooks; a hook may take minutes, and is not called twice by a retry."""
        return aws.client("lambda", read_timeout_seconds=55.0, attempts=1)

    @cached_property
    def sns(self) -> Any:
        """The topic that tells people; it must never hold up a traffic decision."""
        return aws.client("sns", read_timeout_seconds=3.0, attempts=2)

    @cached_property
    def relay(self) -> Any:
        """Our function inside the VPC that reaches an Alertmanager; not called twice by a retry."""
        return aws.client("lambda", read_timeout_seconds=20.0, attempts=1)

    @cached_property
    def secretsmanager(self) -> Any:
        """The secrets of the channels that tell people."""
        return aws.client("secretsmanager", read_timeout_seconds=4.0, attempts=2)
