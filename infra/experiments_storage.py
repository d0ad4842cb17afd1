"""Where A/B tests are kept: definitions, looks, audit, and what was counted, in one table."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from greenlane.experiments.names import TABLE


class ExperimentsStorage(Construct):
    """The table of A/B tests.

    It has no replicas: counters that two Regions add to would lose what the later one overwrites
    (DynamoDB's replication is by the last writer).
    """

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        self.table = dynamodb.Table(
            self,
            "Experiments",
            table_name=TABLE,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            # Of users and their events; definitions, looks, audit and sums never expire.
            time_to_live_attribute="expires_at",
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
