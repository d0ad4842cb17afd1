"""What starts things: alarms and ended executions start the way back, schedules the ticks."""

from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from greenlane.health.alarm_definitions import PULLING, prefix_of
from infra.adopted import AdoptedService
from infra.functions import Function, dashed
from infra.roles import Allow, least_privilege_role

ENDED_BADLY = ["FAILED", "TIMED_OUT", "ABORTED"]


class Events(Construct):
    """The rules on the default bus, each target with ten retries and a dead-letter queue.

    Deliveries are given up after ten minutes: a rollback trigger that is hours old would act on a
    deployment it knows nothing of, and the reconciler has acted long before.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        services: list[AdoptedService],
        deployment_machine_arn: str,
        rollback: sfn.StateMachine,
        ticks: list[Function],
        tell_warning: Function,
        undelivered: sqs.Queue,
    ) -> None:
        super().__init__(scope, id)
        self._rollback = rollback
        self._undelivered = undelivered
        self._role = least_privilege_role(
            self,
            "StartRollback",
            name=f"greenlane-start-rollback-{Stack.of(self).region}",
            principal="events.amazonaws.com",
            allows=[
                Allow("StartRollback", ["states:StartExecution"], [rollback.state_machine_arn])
            ],
        )
        for service in services:
            self._on_alarm(service)
            self._on_warning(service, tell_warning)
        self._on_ended_execution(deployment_machine_arn)
        for tick in ticks:
            every_minute(self, tick, undelivered)

    def _on_alarm(self, service: AdoptedService) -> None:
        """Exactly this service's alarms: by name, and those `apply` keeps by their reserved prefix.

        No name of a neighbour begins with it: a dot ends the service's name, which has none.
        """
        name = service.service.name
        kept = [{"prefix": prefix_of(name, role)} for role in PULLING]
        field = events.EventField.from_path
        events.Rule(
            self,
            f"AlarmOf-{service.service.name}",
            rule_name=f"greenlane-alarm-{service.service.name}",
            description=f"An alarm of {service.service.name} starts the way back",
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                detail={"alarmName": [*service.alarms, *kept], "state": {"value": ["ALARM"]}},
            ),
            targets=[
                self._start_rollback(
                    {
                        "trigger": {
                            "kind": "alarm",
                            "name": field("$.detail.alarmName"),
                            "reason": field("$.detail.state.reason"),
                            "at": field("$.detail.state.timestamp"),
                            "event_id": field("$.id"),
                        },
                        "service": service.service.name,
                        "listener_rule_arn": service.listener_rule_arn,
                        "target_groups": service.target_group_arns,
                        # Says whose alarm it is if the table cannot. The whole configuration:
                        # a composite alarm has no metrics, and a path that is absent from an
                        # event would make the input invalid.
                        "configuration": field("$.detail.configuration"),
                    }
                )
            ],
        )

    def _on_warning(self, service: AdoptedService, tell_warning: Function) -> None:
        """A warning is told to people, and starts nothing."""
        field = events.EventField.from_path
        name = service.service.name
        said = {
            "service": name,
            "name": field("$.detail.alarmName"),
            "reason": field("$.detail.state.reason"),
            "at": field("$.detail.state.timestamp"),
            "configuration": field("$.detail.configuration"),
        }
        events.Rule(
            self,
            f"WarningOf-{name}",
            rule_name=f"greenlane-warning-{name}",
            description=f"A warning of {name} is told to people",
            event_pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                detail={
                    "alarmName": [{"prefix": prefix_of(name, "warning")}],
                    "state": {"value": ["ALARM"]},
                },
            ),
            targets=[
                targets.LambdaFunction(
                    tell_warning.version,
                    event=events.RuleTargetInput.from_object(said),
                    retry_attempts=10,
                    max_event_age=Duration.minutes(10),
                    dead_letter_queue=self._undelivered,
                )
            ],
        )

    def _on_ended_execution(self, deployment_machine_arn: str) -> None:
        field = events.EventField.from_path
        events.Rule(
            self,
            "DeploymentEndedBadly",
            rule_name="greenlane-deployment-ended-badly",
            description="A deployment's execution that ended badly starts the way back",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={"stateMachineArn": [deployment_machine_arn], "status": ENDED_BADLY},
            ),
            targets=[
                self._start_rollback(
                    {
                        "trigger": {
                            "kind": "execution",
                            "name": field("$.detail.status"),
                            "reason": "the deployment's execution ended",
                            "at": field("$.time"),
                            "event_id": field("$.id"),
                        },
                        "deployment_id": field("$.detail.name"),
                    }
                )
            ],
        )

    def _start_rollback(self, document: dict[str, Any]) -> targets.SfnStateMachine:
        return targets.SfnStateMachine(
            self._rollback,
            role=self._role.without_policy_updates(),
            input=events.RuleTargetInput.from_object(document),
            retry_attempts=10,
            max_event_age=Duration.minutes(10),
            dead_letter_queue=self._undelivered,
        )


def every_minute(scope: Construct, tick: Function, undelivered: sqs.Queue) -> None:
    """Run a function each minute.

    Args:
        scope: the parent construct.
        tick: the function.
        undelivered: where events go that nobody took.
    """
    events.Rule(
        scope,
        f"Every-{dashed(tick.module)}",
        rule_name=f"greenlane-every-minute-{dashed(tick.module)}",
        description=f"Runs {tick.module} each minute",
        schedule=events.Schedule.rate(Duration.minutes(1)),
        targets=[
            targets.LambdaFunction(
                tick.version,
                retry_attempts=10,
                max_event_age=Duration.minutes(10),
                dead_letter_queue=undelivered,
            )
        ],
    )


def tell_of_death(
    scope: Construct, what: str, machine_arn: str, tell: Function, undelivered: sqs.Queue
) -> None:
    """Have people told of an execution that ended without ending its lease.

    Args:
        scope: the parent construct.
        what: the machine works on, such as `migration`.
        machine_arn: of the machine.
        tell: the function that is given `execution` and `status`.
        undelivered: where events go that nobody took.
    """
    field = events.EventField.from_path
    said = {"execution": field("$.detail.executionArn"), "status": field("$.detail.status")}
    events.Rule(
        scope,
        "Died",
        rule_name=f"greenlane-{what}-died",
        description=f"A {what}'s execution ended without success",
        event_pattern=events.EventPattern(
            source=["aws.states"],
            detail_type=["Step Functions Execution Status Change"],
            detail={"stateMachineArn": [machine_arn], "status": sorted(ENDED_BADLY)},
        ),
        targets=[
            targets.LambdaFunction(
                tell.version,
                event=events.RuleTargetInput.from_object(said),
                retry_attempts=10,
                max_event_age=Duration.minutes(10),
                dead_letter_queue=undelivered,
            )
        ],
    )
