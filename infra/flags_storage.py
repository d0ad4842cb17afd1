"""Where feature flags are kept: definitions, snapshots, audit and proposals, in one table."""

from collections.abc import Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from greenlane.flags.names import TABLE


class FlagsStorage(Construct):
    """The table of flags.

    Args:
        scope: the parent construct.
        id: the construct's id.
        replicas: further Regions that have it. With any it is another type of resource
            (`AWS::DynamoDB::GlobalTable`), which CloudFormation does not make out of the first by
            itself; docs/flags-operating.md says how.
        is_replica: another Region's stack makes the table here.
    """

    def __init__(
        self, scope: Construct, id: str, *, replicas: Sequence[str] = (), is_replica: bool = False
    ) -> None:
        super().__init__(scope, id)
        partition_key = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
        sort_key = dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING)
        recovery = dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True)
        self.table: dynamodb.ITable
        if is_replica:
            self.table = dynamodb.Table.from_table_name(self, "Replica", TABLE)
            return
        if not replicas:
            self.table = dynamodb.Table(
                self,
                "Flags",
                table_name=TABLE,
                partition_key=partition_key,
                sort_key=sort_key,
                billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
                point_in_time_recovery_specification=recovery,
                deletion_protection=True,
                removal_policy=RemovalPolicy.RETAIN,
            )
            return
        self.table = dynamodb.TableV2(
            self,
            "GlobalFlags",
            table_name=TABLE,
            partition_key=partition_key,
            sort_key=sort_key,
            billing=dynamodb.Billing.on_demand(),
            point_in_time_recovery_specification=recovery,
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
            # Each Region keeps its own protection and its own backups.
            replicas=[
                dynamodb.ReplicaTableProps(
                    region=region,
                    deletion_protection=True,
                    point_in_time_recovery_specification=recovery,
                )
                for region in replicas
            ],
        )
