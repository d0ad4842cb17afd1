"""A Lambda function for a module of `functions/`, with its own role and log group."""

from collections.abc import Sequence

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.code import ARCHITECTURE, RUNTIME
from infra.roles import Allow, least_privilege_role


def dashed(module: str) -> str:
    """The physical name's ending for a module: `shift_traffic` gives `shift-traffic`."""
    return module.replace("_", "-")


def camel(module: str) -> str:
    """The name in templates and state machines: `shift_traffic` gives `ShiftTraffic`."""
    return "".join(part.title() for part in module.split("_"))


def all_versions(scope: Construct, module: str) -> str:
    """The ARN over all versions of a module's function."""
    arn: str = Stack.of(scope).format_arn(
        service="lambda",
        resource="function",
        resource_name=f"greenlane-{dashed(module)}:*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    return arn


class Function(Construct):
    """One function: explicit statements only, nothing that CDK's `grant_*` would widen.

    Callers invoke `version`, the published one: it is retained, so a deployment that began before
    an upgrade of Greenlane finishes on the code it began with.

    Args:
        scope: the parent construct.
        id: the construct's id.
        module: the module in `functions/` whose `handler` runs.
        code: the asset with our code.
        layers: the dependency layer, or nothing for a function that needs the runtime only.
        timeout_seconds: of one run.
        memory_mb: MiB; also the share of CPU.
        environment: plain variables.
        allows: all that its role may do besides writing its own logs and traces.
        log_retention: of its log group.
        tick: invoked by a schedule, so the next run replaces a failed one.
        subnet_ids: with `security_group_ids`, the network it runs in.
        security_group_ids: see `subnet_ids`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        module: str,
        code: lambda_.Code,
        layers: Sequence[lambda_.ILayerVersion],
        timeout_seconds: int,
        memory_mb: int,
        environment: dict[str, str],
        allows: Sequence[Allow],
        log_retention: logs.RetentionDays,
        tick: bool = False,
        subnet_ids: Sequence[str] = (),
        security_group_ids: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, id)
        self.module = module
        name = f"greenlane-{dashed(module)}"
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{name}",
            retention=log_retention,
            removal_policy=RemovalPolicy.DESTROY,
        )
        own = [_write_logs(log_group), _write_traces()]
        if subnet_ids:
            own.append(_own_network_interfaces())
        self.role = least_privilege_role(
            self,
            "Role",
            name=f"{name}-{Stack.of(self).region}",
            principal="lambda.amazonaws.com",
            allows=[*own, *allows],
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=f"functions.{module}.handler",
            code=code,
            layers=list(layers),
            timeout=Duration.seconds(timeout_seconds),
            memory_size=memory_mb,
            environment=environment,
            tracing=lambda_.Tracing.ACTIVE,
            log_group=log_group,
            # The role is complete as written above: CDK adds nothing to it.
            role=self.role.without_policy_updates(),
            current_version_options=lambda_.VersionOptions(
                removal_policy=RemovalPolicy.RETAIN,
                retry_attempts=0 if tick else None,
                max_event_age=Duration.minutes(1) if tick else None,
            ),
        )
        if subnet_ids:
            self.function.node.default_child.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
                subnet_ids=list(subnet_ids), security_group_ids=list(security_group_ids)
            )

    @property
    def version(self) -> lambda_.IVersion:
        """The version published with this template."""
        return self.function.current_version


def _write_logs(log_group: logs.LogGroup) -> Allow:
    return Allow(
        "WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [log_group.log_group_arn]
    )


def _write_traces() -> Allow:
    return Allow(
        "WriteTraces",
        ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        ["*"],
        because="these actions know no resource.",
    )


def _own_network_interfaces() -> Allow:
    return Allow(
        "OwnNetworkInterfaces",
        [
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:UnassignPrivateIpAddresses",
        ],
        ["*"],
        because="Lambda attaches a function to a network with interfaces not known before.",
    )
