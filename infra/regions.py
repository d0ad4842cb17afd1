"""Rollouts through several Regions: the coordinator at home and at the standby, and who tells it.

None of it exists where no Regions are configured. The same settings are deployed to each Region
with another `region`: home and standby get the machine and its functions, every Region gets the
rule that tells both of them what its deployments do. That rule only informs: each Region's alarms
start its own way back, in the Region, whatever becomes of the coordinator.
"""

from collections.abc import Mapping

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from greenlane.regions.coordinating.requesting import REGIONS_MACHINE
from infra.catalog_regions import REGIONS
from infra.functions import Function, all_versions, camel
from infra.permissions_regions import RegionsPermissions, RegionsSpec
from infra.roles import Allow, least_privilege_role
from infra.settings import RegionsSettings
from infra.workflows import Workflow

TENDED_EACH = Duration.minutes(5)
"""Three looks in a row at a lost home, and the standby stands in: a quarter of an hour."""


class Coordinator(Construct):
    """The state machine of rollouts, its functions, and what wakes them.

    Args:
        scope: the parent construct.
        id: the construct's id.
        settings: the Regions.
        permissions: what functions may do.
        code: the asset with our code.
        layer: the dependencies that all functions have.
        environment: variables that all functions have.
        undelivered: where events go that nobody took.
        log_retention: of the log groups.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: RegionsSettings,
        permissions: RegionsPermissions,
        code: lambda_.Code,
        layer: lambda_.ILayerVersion,
        environment: Mapping[str, str],
        undelivered: sqs.Queue,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)
        variables = {
            **environment,
            "REGIONS_MACHINE_ARN": permissions.regions_machine,
            "STANDBY_REGION": settings.standby or "",
            "REGIONS": ",".join(settings.regions),
        }

        def build(spec: RegionsSpec) -> Function:
            return Function(
                self,
                camel(spec.module),
                module=spec.module,
                code=code,
                layers=[layer],
                timeout_seconds=spec.timeout_seconds,
                memory_mb=spec.memory_mb,
                environment=dict(variables),
                allows=spec.may(permissions),
                log_retention=log_retention,
                tick=spec.module == "tend_rollouts",
            )

        self.functions = {spec.module: build(spec) for spec in REGIONS}
        Workflow(
            self,
            "Workflow",
            name=REGIONS_MACHINE,
            file="global_deployment.asl.json",
            bindings={
                f"{camel(module)}Arn": function.version.function_arn
                for module, function in self.functions.items()
            },
            may_invoke={
                f"{camel(module)}Arn": all_versions(self, module) for module in self.functions
            },
            may_start={},
            log_retention=log_retention,
        )
        self._hear(settings, undelivered)
        events.Rule(
            self,
            "Tend",
            rule_name="greenlane-tend-rollouts",
            description="Looks after rollouts that nobody is at work on, and after a lost home",
            schedule=events.Schedule.rate(TENDED_EACH),
            targets=[
                targets.LambdaFunction(
                    self.functions["tend_rollouts"].version,
                    event=events.RuleTargetInput.from_object({}),
                    retry_attempts=0,
                    dead_letter_queue=undelivered,
                )
            ],
        )

    def _hear(self, settings: RegionsSettings, undelivered: sqs.Queue) -> None:
        """What happens in any Region wakes the rollouts that it is part of."""
        said = {"region": events.EventField.from_path("$.region")}
        machines = [arn for region in settings.regions for arn in _machines(self, region)]
        events.Rule(
            self,
            "Hear",
            rule_name="greenlane-hear-regions",
            description="An execution in one of the regions wakes its rollout",
            event_pattern=_executions_of(machines),
            targets=[
                targets.LambdaFunction(
                    self.functions["hear_region"].version,
                    event=events.RuleTargetInput.from_object(said),
                    retry_attempts=10,
                    max_event_age=Duration.minutes(10),
                    dead_letter_queue=undelivered,
                )
            ],
        )


class RegionNews(Construct):
    """The rule that tells home and standby what deployments and rollbacks of this Region do.

    Args:
        scope: the parent construct.
        id: the construct's id.
        settings: the Regions.
        region: this one.
        undelivered: where events go that nobody took.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: RegionsSettings,
        region: str,
        undelivered: sqs.Queue,
    ) -> None:
        super().__init__(scope, id)
        stack = Stack.of(self)
        there = [one for one in settings.coordinators if one != region]
        if not there:
            return
        buses = [
            stack.format_arn(
                service="events", region=one, resource="event-bus", resource_name="default"
            )
            for one in there
        ]
        role = least_privilege_role(
            self,
            "Role",
            name=f"greenlane-tell-coordinators-{stack.region}",
            principal="events.amazonaws.com",
            allows=[Allow("TellCoordinators", ["events:PutEvents"], buses)],
        )
        events.Rule(
            self,
            "Tell",
            rule_name="greenlane-tell-coordinators",
            description="Executions of this region's machines are told to home and standby",
            event_pattern=_executions_of(_machines(self, region)),
            targets=[
                targets.EventBus(
                    events.EventBus.from_event_bus_arn(self, f"Bus-{one}", bus),
                    role=role.without_policy_updates(),
                    dead_letter_queue=undelivered,
                )
                for one, bus in zip(there, buses, strict=True)
            ],
        )


def _machines(scope: Construct, region: str) -> list[str]:
    return [
        Stack.of(scope).format_arn(
            service="states",
            region=region,
            resource="stateMachine",
            resource_name=name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        for name in ("greenlane-deployment", "greenlane-rollback")
    ]


def _executions_of(machines: list[str]) -> events.EventPattern:
    return events.EventPattern(
        source=["aws.states"],
        detail_type=["Step Functions Execution Status Change"],
        detail={"stateMachineArn": machines},
    )
