"""A service that Greenlane deploys, as the template sees it: names and parameters, no imports."""

from functools import cached_property

from aws_cdk import ArnFormat, CfnParameter, Fn, Stack
from constructs import Construct

from infra.alarms import alarm_names
from infra.balancer import SLOTS
from infra.settings import ServiceSettings


class AdoptedService(Construct):
    """What the product stack knows of one service.

    The ARNs come from the SSM parameters below `/greenlane/workloads/<service>/`, read when the
    stack is deployed: whoever owns the environment writes them, our sample or anybody else. A stack
    has a parameter for what it asks of a service, and for nothing else.
    """

    def __init__(self, scope: Construct, id: str, *, service: ServiceSettings) -> None:
        super().__init__(scope, id)
        self.service = service
        self._prefix = "".join(part.title() for part in service.name.split("-"))
        stack = Stack.of(self)
        self.ecs_services = [
            stack.format_arn(
                service="ecs",
                resource="service",
                resource_name=f"{service.cluster}/{service.ecs_service(slot)}",
            )
            for slot in SLOTS
        ]
        self.cluster_arn = stack.format_arn(
            service="ecs", resource="cluster", resource_name=service.cluster
        )
        self.tasks = stack.format_arn(
            service="ecs", resource="task", resource_name=f"{service.cluster}/*"
        )
        self.task_definitions = stack.format_arn(
            service="ecs", resource="task-definition", resource_name=f"{service.family}:*"
        )
        self.repository = stack.format_arn(
            service="ecr", resource="repository", resource_name=service.repository
        )
        self.log_group = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{service.logs}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self.task_roles = [
            stack.format_arn(service="iam", region="", resource="role", resource_name=role)
            for role in service.task_roles
        ]
        of_our_sample = [name for slot in SLOTS for name in alarm_names(service.name, slot)]
        self.alarms: list[str] = list(service.alarms or of_our_sample)

    @cached_property
    def listener_rule_arn(self) -> str:
        """The production rule."""
        return self.read("listener-rule-arn")

    @cached_property
    def target_group_arns(self) -> dict[str, str]:
        """Each slot's target group."""
        return {slot: self.read(f"target-group-arn-{slot}") for slot in SLOTS}

    def read(self, name: str) -> str:
        """The value of the service's SSM parameter `name` at deployment."""
        parameter = CfnParameter(
            Stack.of(self),
            self._prefix + "".join(part.title() for part in name.split("-")),
            type="AWS::SSM::Parameter::Value<String>",
            default=f"/greenlane/workloads/{self.service.name}/{name}",
            description=f"{name} of {self.service.name}",
        )
        value: str = parameter.value_as_string
        return value

    def subnets(self) -> list[str]:
        """The subnets in which validation runs."""
        subnets: list[str] = Fn.split(",", self.read("subnet-ids"))
        return subnets

    def validation_security_group(self) -> str:
        """The security group that the service's tasks admit for validation."""
        return self.read("validation-security-group-id")
