"""The doors without a person: the native Step Functions action, events, and a pipeline's stop.

The Lambda action needs nothing but its function. The machine `greenlane-request` is what the native
action starts, and what an event starts, where the settings name sources whose events are taken.
"""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from greenlane.pipelines.model import REQUEST_MACHINE
from infra.functions import Function, camel
from infra.roles import Allow, least_privilege_role
from infra.workflows import Workflow

STEP = "follow_request"
DETAIL_TYPE = "Greenlane Request"


class Requests(Construct):
    """The machine of requests, and the rules.

    Args:
        scope: the parent construct.
        id: the construct's id.
        region: for the name of the rule's role.
        sources: whose events are requests; none makes no such door.
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
        region: str,
        sources: Sequence[str],
        functions: Mapping[str, Function],
        all_versions: Mapping[str, str],
        undelivered: sqs.Queue,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)
        workflow = Workflow(
            self,
            "Workflow",
            name=REQUEST_MACHINE,
            file="request.asl.json",
            bindings={f"{camel(STEP)}Arn": functions[STEP].version.function_arn},
            may_invoke={f"{camel(STEP)}Arn": all_versions[STEP]},
            may_start={},
            log_retention=log_retention,
        )
        # Not to the queue of what was not delivered: a job carries credentials.
        functions["run_pipeline_action"].version.configure_async_invoke(
            retry_attempts=2,
            on_failure=destinations.LambdaDestination(functions["answer_dead_job"].version),
        )
        self._on_abandoned(functions["cancel_requests"], undelivered)
        if sources:
            self._on_event(workflow.machine, region, sources, undelivered)

    def _on_abandoned(self, cancel: Function, undelivered: sqs.Queue) -> None:
        """An action of any pipeline; what is not ours is in no entry."""
        field = events.EventField.from_path
        events.Rule(
            self,
            "Abandoned",
            rule_name="greenlane-pipeline-abandoned",
            description="A stopped pipeline that abandons its action takes back what that began",
            event_pattern=events.EventPattern(
                source=["aws.codepipeline"],
                detail_type=["CodePipeline Action Execution State Change"],
                detail={
                    "state": ["ABANDONED"],
                    "type": {"provider": ["Lambda", "StepFunctions"]},
                },
            ),
            targets=[
                targets.LambdaFunction(
                    cancel.version,
                    event=events.RuleTargetInput.from_object(
                        {
                            "pipeline": field("$.detail.pipeline"),
                            "execution": field("$.detail.execution-id"),
                            "action": field("$.detail.action"),
                        }
                    ),
                    retry_attempts=10,
                    max_event_age=Duration.minutes(10),
                    dead_letter_queue=undelivered,
                )
            ],
        )

    def _on_event(
        self,
        machine: sfn.StateMachine,
        region: str,
        sources: Sequence[str],
        undelivered: sqs.Queue,
    ) -> None:
        role = least_privilege_role(
            self,
            "Role",
            name=f"greenlane-start-requests-{region}",
            principal="events.amazonaws.com",
            allows=[Allow("StartRequests", ["states:StartExecution"], [machine.state_machine_arn])],
        )
        field = events.EventField.from_path
        events.Rule(
            self,
            "Asked",
            rule_name="greenlane-request",
            description="An event of a source that the settings name is a request",
            event_pattern=events.EventPattern(source=list(sources), detail_type=[DETAIL_TYPE]),
            targets=[
                targets.SfnStateMachine(
                    machine,
                    input=events.RuleTargetInput.from_object(
                        {"request": field("$.detail"), "event": field("$.id")}
                    ),
                    role=role.without_policy_updates(),
                    retry_attempts=10,
                    max_event_age=Duration.minutes(10),
                    dead_letter_queue=undelivered,
                )
            ],
        )
