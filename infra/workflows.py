"""The state machines: ASL files, kept inline so that cfn-lint and the local cloud see them."""

import re
from collections.abc import Mapping
from pathlib import Path

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.code import ROOT
from infra.roles import Allow, least_privilege_role

STATE_MACHINES = ROOT / "statemachines"


class UnboundName(Exception):
    """A state machine names `${X}` for which there is no function or machine."""


def placeholders(definition: str) -> set[str]:
    """The names in `${...}` of a definition."""
    return set(re.findall(r"\$\{(\w+)\}", definition))


class Workflow(Construct):
    """One Standard state machine, from `statemachines/<file>`.

    Args:
        scope: the parent construct.
        id: the construct's id.
        name: the machine's name, `greenlane-...`.
        file: the name of its file.
        bindings: what each `${X}` may stand for; only those used are bound.
        may_invoke: the functions it calls, as ARNs over *all* their versions.
        may_start: ARNs of the machines it starts.
        log_retention: of its log group.
        folder: where `file` is; another one in tests.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        file: str,
        bindings: Mapping[str, str],
        may_invoke: Mapping[str, str],
        may_start: Mapping[str, str],
        log_retention: logs.RetentionDays,
        folder: Path = STATE_MACHINES,
    ) -> None:
        super().__init__(scope, id)
        definition = (folder / file).read_text()
        used = placeholders(definition)
        if unbound := used - set(bindings):
            raise UnboundName(f"{file}: nothing to bind {sorted(unbound)} to")
        log_group = logs.LogGroup(
            self,
            "Logs",
            # Step Functions shortens the resource policy of groups that begin like this.
            log_group_name=f"/aws/vendedlogs/states/{name}",
            retention=log_retention,
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = self._role(
            name,
            [arn for key, arn in may_invoke.items() if key in used],
            [arn for key, arn in may_start.items() if key in used],
        )
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=name,
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(definition),
            definition_substitutions={key: bindings[key] for key in sorted(used)},
            role=role.without_policy_updates(),
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=log_group,
                level=sfn.LogLevel.ALL,
                # The data would put task tokens, which anybody can answer with, into the log.
                include_execution_data=False,
            ),
        )

    def _role(self, name: str, functions: list[str], machines: list[str]) -> iam.Role:
        allows = [
            Allow(
                "CallFunctions",
                ["lambda:InvokeFunction"],
                functions,
                because="all versions: an execution that began before an upgrade of Greenlane "
                "calls the versions it began with.",
            ),
            Allow(
                "DeliverLogs",
                [
                    "logs:CreateLogDelivery",
                    "logs:DeleteLogDelivery",
                    "logs:DescribeLogGroups",
                    "logs:DescribeResourcePolicies",
                    "logs:GetLogDelivery",
                    "logs:ListLogDeliveries",
                    "logs:PutResourcePolicy",
                    "logs:UpdateLogDelivery",
                ],
                ["*"],
                because="log delivery knows no resource.",
            ),
            Allow(
                "WriteTraces",
                [
                    "xray:GetSamplingRules",
                    "xray:GetSamplingTargets",
                    "xray:PutTelemetryRecords",
                    "xray:PutTraceSegments",
                ],
                ["*"],
                because="tracing knows no resource.",
            ),
        ]
        if machines:
            allows.append(Allow("StartMachines", ["states:StartExecution"], machines))
        return least_privilege_role(
            self,
            "Role",
            name=f"{name}-machine-{Stack.of(self).region}",
            principal="states.amazonaws.com",
            allows=allows,
        )
