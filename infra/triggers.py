"""The triggers that need a function before the state machine: they come in other shapes.

Alarms of the services do not come this way: an event rule starts the machine for them.
"""

from aws_cdk import Acknowledgment, Duration, Stack, Validations
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.adopted import AdoptedService
from infra.functions import Function

TOO_OLD = Duration.minutes(10)
"""As for event rules: an old trigger would act on what it knows nothing of."""


class Triggers(Construct):
    """A topic for alarms, alarms' own actions, and failed ECS deployments, all to one function.

    Args:
        scope: the parent construct.
        id: the construct's id.
        services: whose ECS deployments count.
        normalise: the function that makes requests of what comes.
        undelivered: where what could not be delivered is kept.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        services: list[AdoptedService],
        normalise: Function,
        undelivered: sqs.Queue,
    ) -> None:
        super().__init__(scope, id)
        self._normalise = normalise
        self._undelivered = undelivered
        normalise.version.configure_async_invoke(
            retry_attempts=2,
            max_event_age=TOO_OLD,
            on_failure=destinations.SqsDestination(undelivered),
        )
        subscription = self._topic().add_subscription(
            subscriptions.LambdaSubscription(normalise.version, dead_letter_queue=undelivered)
        )
        Validations.of(subscription).acknowledge(
            Acknowledgment(
                id="CloudFormation-Validate::W3694",
                reason="SNS calls a version by its ARN as it does a function; the rule knows only "
                "the latter.",
            )
        )
        self._be_an_alarms_action()
        for service in services:
            self._on_failed_ecs_deployment(service)

    def _topic(self) -> sns.Topic:
        """Where alarms may publish; what is wrong in Greenlane's own words goes elsewhere."""
        topic = sns.Topic(
            self,
            "Alarms",
            topic_name="greenlane-alarms",
            enforce_ssl=True,
            # Not encrypted: CloudWatch may not use SNS's own key, and a key of one's own for the
            # states of alarms would cost more than the rest of this stack.
        )
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        return topic

    def _be_an_alarms_action(self) -> None:
        """The function without its version, so that alarms name it once and for all."""
        stack = Stack.of(self)
        self._normalise.function.add_permission(
            "AlarmsOfThisAccount",
            principal=iam.ServicePrincipal("lambda.alarms.cloudwatch.amazonaws.com"),
            action="lambda:InvokeFunction",
            source_account=stack.account,
            source_arn=f"arn:{stack.partition}:cloudwatch:{stack.region}:{stack.account}:alarm:*",
        )
        self._normalise.function.configure_async_invoke(
            retry_attempts=2,
            max_event_age=TOO_OLD,
            on_failure=destinations.SqsDestination(self._undelivered),
        )

    def _on_failed_ecs_deployment(self, service: AdoptedService) -> None:
        """Exactly this service's two ECS services, and only the event that says it failed."""
        events.Rule(
            self,
            f"EcsOf-{service.service.name}",
            rule_name=f"greenlane-ecs-{service.service.name}",
            description=f"ECS gave up a deployment of {service.service.name}",
            event_pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Deployment State Change"],
                resources=service.ecs_services,
                detail={"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
            ),
            targets=[
                targets.LambdaFunction(
                    self._normalise.version,
                    retry_attempts=10,
                    max_event_age=TOO_OLD,
                    dead_letter_queue=self._undelivered,
                )
            ],
        )
