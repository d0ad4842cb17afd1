"""Ramps of feature flags: their workflow, and the alarms that switch flags off."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from greenlane.health.alarm_definitions import FLAGS, prefix_of
from infra.functions import Function, camel
from infra.workflows import Workflow

FLAG_MACHINE = "greenlane-flag-rollout"
STEPS = ("judge_flag", "raise_flag")


class FlagRamps(Construct):
    """The state machine of ramps, and the rule on the alarms of rollback conditions.

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
            name=FLAG_MACHINE,
            file="flag_rollout.asl.json",
            bindings={f"{camel(step)}Arn": functions[step].version.function_arn for step in STEPS},
            may_invoke={f"{camel(step)}Arn": all_versions[step] for step in STEPS},
            may_start={},
            log_retention=log_retention,
        )
        for service in services:
            self._on_alarm(service, functions["stop_flags"], undelivered)

    def _on_alarm(self, service: str, stop: Function, undelivered: sqs.Queue) -> None:
        """Alarms that stop something; the parts of composite ones have another name."""
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
            rule_name=f"greenlane-flag-alarm-{service}",
            description=f"A rollback condition of flags on {service} switches them off",
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                detail={
                    "alarmName": [{"prefix": prefix_of(service, "trigger", family=FLAGS)}],
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
