"""The stack of the sample: its blue/green environment, described as data."""

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from greenlane.deployments.workload import SlotName, SlotResources, Workload, parameter_name
from infra.alarms import Alarms, alarm_names
from infra.balancer import Balancer
from infra.code import our_code
from infra.functions import Function
from infra.network import Network
from infra.permissions import KNOWS_NO_RESOURCE
from infra.retention import log_retention
from infra.roles import Allow
from infra.settings import ServiceSettings, Settings
from infra.slots import Slots


class WorkloadStack(Stack):
    """The sample: a service in two slots behind one weighted rule, and its description as data.

    Greenlane does not import this stack. It reads the SSM parameters that are written here, and
    would read the same from anybody else.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, **kwargs: Any) -> None:
        super().__init__(scope, id, **kwargs)
        if settings.sample is None:
            raise ValueError("sample: the sample's stack needs the settings of the sample")
        sample = settings.sample
        service = settings.service(sample.service)
        network = Network(self, "Network", service=service, sample=sample)
        self.own_listener_rule = self._own_listener_rule(settings, service)
        balancer = Balancer(
            self,
            "Balancer",
            service=service,
            sample=sample,
            network=network,
            own_listener_rule_arn=self.own_listener_rule.function.function_arn,
        )
        slots = Slots(
            self, "Slots", service=service, sample=sample, network=network, balancer=balancer
        )
        Alarms(self, "Alarms", service=service, thresholds=sample.alarms, balancer=balancer)
        workload = Workload(
            service=service.name,
            cluster=service.cluster,
            container=service.container,
            port=service.port,
            repository=service.repository,
            load_balancer_full_name=balancer.full_name,
            listener_arn=balancer.production.listener_arn,
            listener_rule_arn=balancer.rule_arn,
            test_listener_arn=balancer.test.listener_arn,
            slots={
                "blue": self._slot(service, slots, balancer, "blue"),
                "green": self._slot(service, slots, balancer, "green"),
            },
            shape=sample.shape,
            capacity=sample.capacity,
        )
        self._describe(service.name, workload, network)

    def _own_listener_rule(self, settings: Settings, service: ServiceSettings) -> Function:
        rules, listeners = (
            self.format_arn(
                service="elasticloadbalancing",
                resource=resource,
                resource_name=f"app/{service.name}/*",
            )
            for resource in ("listener-rule", "listener")
        )
        return Function(
            self,
            "OwnListenerRule",
            module="own_listener_rule",
            code=our_code(),
            layers=[],
            timeout_seconds=60,
            memory_mb=256,
            environment={},
            allows=[
                Allow(
                    "SeeRules",
                    [
                        "elasticloadbalancing:DescribeRules",
                        "elasticloadbalancing:DescribeTags",
                    ],
                    ["*"],
                    because=KNOWS_NO_RESOURCE,
                ),
                Allow(
                    "CreateRule",
                    ["elasticloadbalancing:CreateRule"],
                    [listeners],
                    because="the balancer's listeners; its id is not known before it exists.",
                ),
                Allow(
                    "OwnRule",
                    [
                        "elasticloadbalancing:AddTags",
                        "elasticloadbalancing:DeleteRule",
                        "elasticloadbalancing:ModifyRule",
                        "elasticloadbalancing:RemoveTags",
                        "elasticloadbalancing:SetRulePriorities",
                    ],
                    [rules],
                    because="the rules of this balancer; their ids are not known before.",
                ),
            ],
            log_retention=log_retention(settings),
        )

    def _slot(
        self, service: ServiceSettings, slots: Slots, balancer: Balancer, slot: SlotName
    ) -> SlotResources:
        return SlotResources(
            service=slots.service_name(slot),
            target_group_arn=balancer.target_groups[slot].ref,
            alarms=alarm_names(service.name, slot),
        )

    def _describe(self, name: str, workload: Workload, network: Network) -> None:
        """Write the description, and beside it the values that templates read one by one."""
        prefix = parameter_name(name)
        values = {
            "Workload": (prefix, self.to_json_string(workload.model_dump(mode="json"))),
            "ListenerRuleArn": (f"{prefix}/listener-rule-arn", workload.listener_rule_arn),
            "SubnetIds": (f"{prefix}/subnet-ids", ",".join(network.subnet_ids)),
            "ValidationSecurityGroupId": (
                f"{prefix}/validation-security-group-id",
                network.validation.security_group_id,
            ),
        }
        for slot, resources in workload.slots.items():
            values[f"{slot.title()}TargetGroupArn"] = (
                f"{prefix}/target-group-arn-{slot}",
                resources.target_group_arn,
            )
        for id, (parameter, value) in values.items():
            ssm.CfnParameter(self, f"{id}Parameter", name=parameter, type="String", value=value)
