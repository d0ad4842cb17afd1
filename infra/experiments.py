"""A/B tests as they run: their workflow, and the alarms that have them watched at once."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from greenlane.health.alarm_definitions import PULLING, prefix_of
from infra.functions import Function, camel
from infra.workflows import Workflow

EXPERIMENT_MACHINE = "greenlane-experiment"
STEPS = ("judge_experiment", "conclude_experiment")


class Experiments(Construct):
    """The state machine of A/B tests, and the rule on the alarms of each service.

    What runs each minute is with the other ticks, in `infra.events`.

    Args:
        scope: the parent construct.
        id: the construct's id.
        services: the names of all services.
        functions: by module.
        all_versions: the ARN over all versions of each function, by module.
        undelivered: where events go that nobody took.
        log_retention: of the machine's log group.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        services: Sequence[str],
        functions: Mapping[str, Function],
        all_versions: Mapping[str, str],
        undelivered: sqs.Queue,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)
        Workflow(
            self,
            "Workflow",
            name=EXPERIMENT_MACHINE,
            file="experiment.asl.json",
            bindings={f"{camel(step)}Arn": functions[step].version.function_arn for step in STEPS},
            may_invoke={f"{camel(step)}Arn": all_versions[step] for step in STEPS},
            may_start={},
            log_retention=log_retention,
        )
        for service in services:
            self._on_alarm(service, functions["stop_experiments"], undelivered)

    def _on_alarm(self, service: str, stop: Function, undelivered: sqs.Queue) -> None:
        """The alarms that `apply` keeps; those of flags and of templates have other names."""
        field = events.EventField.from_path
        said = {
            "service": service,
            "name": field("$.detail.alarmName"),
            "reason": field("$.detail.state.reason"),
            "at": field("$.detail.state.timestamp"),
        }
        events.Rule(
            self,
            f"AlarmOf-{service}",
            rule_name=f"greenlane-experiment-alarm-{service}",
            description=f"An alarm of {service} has its A/B tests watched at once",
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                detail={
                    "alarmName": [{"prefix": prefix_of(service, role)} for role in PULLING],
                    "state": {"value": ["ALARM"]},
                },
            ),
            targets=[
                targets.LambdaFunction(
                    stop.version,
                    event=events.RuleTargetInput.from_object(said),
                    retry_attempts=10,
                    max_event_age=Duration.minutes(10),
                    dead_letter_queue=undelivered,
                )
            ],
        )
