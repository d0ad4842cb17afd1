"""Who watches Greenlane: alarms on what would otherwise fail in silence.

CloudWatch publishes to the topic itself, so mail to whoever subscribed without a filter needs
nothing of ours; `notify_people` reads the same message and tells the channels of every service.

Nothing pages for ever. An alarm publishes when it turns red and not while it is, and each looks
back further than the failures reach that its own message may cause: when telling people fails,
that message fails too, within four minutes, while the alarm is still red from before.
"""

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.functions import Function

PREFIX = "greenlane-"


class OwnAlarms(Construct):
    """Alarms on the queue of what is undelivered, on what looks each minute, on telling people.

    Args:
        scope: the parent construct.
        id: the construct's id.
        topic: where people are told.
        undelivered: where events go that nobody took.
        reconcile: the function that finds what events lost.
        notify: the function that tells people.
        flags: the function that sees to ramps and scheduled rollouts.
        experiments: the function that sees to running A/B tests.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        topic: sns.Topic,
        undelivered: sqs.Queue,
        reconcile: Function,
        notify: Function,
        flags: Function,
        experiments: Function,
    ) -> None:
        super().__init__(scope, id)
        self._topic = topic
        self._let_our_alarms_publish()
        self._alarm(
            "Undelivered",
            "undelivered-events",
            undelivered.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(1), statistic="Maximum"
            ),
            "Something was not delivered: a trigger, or news that a channel did not take three "
            "times. Read the messages of the queue greenlane-undelivered-events, then delete "
            "them, or the next ones are not told.",
            threshold=1,
            red=1,
            of=1,
        )
        self._alarm(
            "Reconcile",
            "reconcile-fails",
            _failures(reconcile, Duration.minutes(1)),
            "The reconciler fails: no watch ends, and what events lose is not found. Look at the "
            "log group /aws/lambda/greenlane-reconcile; often a permission on the table is gone.",
            threshold=1,
            red=3,
            of=15,
        )
        self._alarm(
            "TickFlags",
            "tick-flags-fails",
            _failures(flags, Duration.minutes(1)),
            "Ramps of feature flags neither start nor are looked into, and scheduled rollouts are "
            "not judged: these go on as written. Look at the log group "
            "/aws/lambda/greenlane-tick-flags.",
            threshold=1,
            red=3,
            of=15,
        )
        self._alarm(
            "TickExperiments",
            "tick-experiments-fails",
            _failures(experiments, Duration.minutes(1)),
            "A/B tests are not watched for harm between their looks, and what follows from an end "
            "waits. Look at the log group /aws/lambda/greenlane-tick-experiments.",
            threshold=1,
            red=3,
            of=15,
        )
        self._alarm(
            "Notify",
            "notify-people-fails",
            _failures(notify, Duration.minutes(5)),
            "People are not told by Slack, PagerDuty and the other channels. Look at the log "
            "group /aws/lambda/greenlane-notify-people, and at `greenlane get` of each service.",
            threshold=3,  # one that succeeds when it is tried again is nobody's news
            red=1,
            of=6,
        )

    def watch_migrations(self, tick: Function) -> None:
        """The alarm on what begins the migrations of releases, where there are databases."""
        self._alarm(
            "TickMigrations",
            "tick-migrations-fails",
            _failures(tick, Duration.minutes(1)),
            "The migrate phase of releases does not begin; deployments go on without it. Look at "
            "the log group /aws/lambda/greenlane-tick-migrations.",
            threshold=1,
            red=3,
            of=15,
        )

    def watch_rollouts(self, tick: Function) -> None:
        """The alarm on what looks after rollouts, where there is a coordinator."""
        self._alarm(
            "TendRollouts",
            "tend-rollouts-fails",
            _failures(tick, Duration.minutes(5)),
            "A rollout through several regions whose execution died is not taken on, and the "
            "standby does not notice a lost home. Look at the log group "
            "/aws/lambda/greenlane-tend-rollouts, and at `greenlane regions get` of each service.",
            threshold=1,
            red=3,
            of=6,
        )

    def _let_our_alarms_publish(self) -> None:
        stack = Stack.of(self)
        ours = stack.format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"{PREFIX}*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self._topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="OwnAlarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self._topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": ours},
                },
            )
        )

    def _alarm(
        self,
        id: str,
        name: str,
        metric: cloudwatch.IMetric,
        what_to_do: str,
        *,
        threshold: float,
        red: int,
        of: int,
    ) -> None:
        """At or above the threshold in `red` of the last `of` periods."""
        operator = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        alarm = cloudwatch.Alarm(
            self,
            id,
            alarm_name=f"{PREFIX}{name}",
            alarm_description=what_to_do,
            metric=metric,
            threshold=threshold,
            comparison_operator=operator,
            evaluation_periods=of,
            datapoints_to_alarm=red,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))


def _failures(function: Function, period: Duration) -> cloudwatch.MathExpression:
    """Runs that failed, and calls that Lambda did not let run, whatever the version."""
    return cloudwatch.MathExpression(
        expression="FILL(errors, 0) + FILL(throttles, 0)",
        using_metrics={
            "errors": function.function.metric_errors(period=period, statistic="Sum"),
            "throttles": function.function.metric_throttles(period=period, statistic="Sum"),
        },
        period=period,
        label=f"{function.module} fails",
    )
