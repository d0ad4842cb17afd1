"""Who hears of it: the topic calls the function that tells people by the other channels.

Greenlane's own trouble is told by CloudWatch, without any function of ours on the way to mail.
"""

from collections.abc import Sequence

from aws_cdk import Acknowledgment, Validations
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.functions import Function


class People(Construct):
    """The subscription of `notify_people`, whose failures end in the queue of what is undelivered.

    What SNS cannot hand over, and what Lambda has tried three times within some minutes, is kept
    there; mail has gone out by then, for it is the topic's own.

    Args:
        scope: the parent construct.
        id: the construct's id.
        topic: where news is published.
        notify: the function.
        undelivered: where events go that nobody took.
        operators: addresses that hear of everything, Greenlane's own trouble included.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        topic: sns.Topic,
        notify: Function,
        undelivered: sqs.Queue,
        operators: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, id)
        notify.version.configure_async_invoke(
            retry_attempts=2, on_failure=destinations.SqsDestination(undelivered)
        )
        subscription = topic.add_subscription(
            subscriptions.LambdaSubscription(notify.version, dead_letter_queue=undelivered)
        )
        Validations.of(subscription).acknowledge(
            Acknowledgment(
                id="CloudFormation-Validate::W3694",
                reason="SNS calls a version by its ARN as it does a function; the rule knows only "
                "the latter.",
            )
        )
        for address in operators:
            # Without a filter: what CloudWatch publishes has no attributes, and would match none.
            topic.add_subscription(subscriptions.EmailSubscription(address))
