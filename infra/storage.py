"""Where deployments are remembered, and where people are told."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from greenlane.deployments.connection import TABLE, TOPIC
from infra.nag import acknowledge

UNDELIVERED = "greenlane-undelivered-events"


class Storage(Construct):
    """The table, the topic, and the queue of events that reached nobody."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        self.table = dynamodb.Table(
            self,
            "Deployments",
            table_name=TABLE,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            # Collects garbage; leases end by condition, and readers filter.
            time_to_live_attribute="expires_at",
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self.topic = sns.Topic(
            self,
            "Notifications",
            topic_name=TOPIC,
            enforce_ssl=True,
            # With the disk encryption that every topic has, and no key: CloudWatch, which tells
            # of Greenlane's own trouble, may not use SNS's own, and people must hear while KMS is
            # down. What goes over it is mail in plain text a moment later, and holds no secret.
        )
        self.undelivered = sqs.Queue(
            self,
            "Undelivered",
            queue_name=UNDELIVERED,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
        acknowledge(
            self.undelivered,
            "SQS3",
            "This is the dead-letter queue: of event rules, which cdk-nag does not follow.",
        )
