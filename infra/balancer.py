"""The sample's load balancer: one production rule over both slots, a test listener by header."""

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from greenlane.deployments.workload import SlotName
from infra.nag import acknowledge
from infra.network import TEST_PORT, Network
from infra.settings import SampleSettings, ServiceSettings

SLOTS: tuple[SlotName, ...] = ("blue", "green")
SLOT_HEADER = "X-Greenlane-Slot"


class Balancer(Construct):
    """An application load balancer in front of two target groups.

    Production is one listener: HTTPS when there is a certificate (HTTP then redirects to it),
    HTTP otherwise. Its only rule is created once by `own_listener_rule` and belongs to Greenlane
    from then on; a template that held the rule would put the weights back at its next change. The
    default action answers 503: whatever no rule catches is nobody's traffic. The slots are also
    reachable, whatever their weights, through two static rules of the test listener.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service: ServiceSettings,
        sample: SampleSettings,
        network: Network,
        own_listener_rule_arn: str,
    ) -> None:
        super().__init__(scope, id)
        self._service = service
        self._network = network
        self.load_balancer = elb.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            load_balancer_name=service.name,
            vpc=network.vpc,
            internet_facing=True,
            security_group=network.balancer,
            drop_invalid_header_fields=True,
        )
        acknowledge(
            self.load_balancer,
            "ELB2",
            "A sample environment: verdicts come from the metrics of each target group, and "
            "access logs belong in the bucket of whoever owns the balancer.",
        )
        self.full_name: str = self.load_balancer.load_balancer_full_name
        self.target_groups = {slot: self._target_group(slot) for slot in SLOTS}
        self.production = self._production_listener(sample.certificate_arn)
        self.test = self.load_balancer.add_listener(
            "Test",
            port=TEST_PORT,
            protocol=elb.ApplicationProtocol.HTTP,
            open=False,
            default_action=_answer(404, f"say which slot: {SLOT_HEADER}: blue or green"),
        )
        self.test_rules = [self._test_rule(slot, index) for index, slot in enumerate(SLOTS)]
        self.rule = CustomResource(
            self,
            "ProductionRule",
            service_token=own_listener_rule_arn,
            resource_type="Custom::ListenerRule",
            service_timeout=Duration.minutes(5),
            properties={
                "ListenerArn": self.production.listener_arn,
                "Priority": sample.rule_priority,
                "Paths": list(sample.rule_paths),
                "TargetGroups": {slot: group.ref for slot, group in self.target_groups.items()},
            },
        )

    @property
    def rule_arn(self) -> str:
        """The production rule, which is the custom resource's physical id."""
        arn: str = self.rule.ref
        return arn

    def _target_group(self, slot: SlotName) -> elb.CfnTargetGroup:
        attribute = elb.CfnTargetGroup.TargetGroupAttributeProperty
        return elb.CfnTargetGroup(
            self,
            f"{slot.title()}Targets",
            name=f"{self._service.name}-{slot}",
            vpc_id=self._network.vpc.vpc_id,
            target_type="ip",
            protocol="HTTP",
            port=self._service.port,
            health_check_enabled=True,
            health_check_path="/health",
            health_check_protocol="HTTP",
            health_check_interval_seconds=10,
            health_check_timeout_seconds=5,
            healthy_threshold_count=2,
            unhealthy_threshold_count=2,
            matcher=elb.CfnTargetGroup.MatcherProperty(http_code="200"),
            target_group_attributes=[
                # Long enough for requests in flight; a WebSocket is cut after it.
                attribute(key="deregistration_delay.timeout_seconds", value="30"),
                # A cookie that pins a client to a target would outlast a weight of 0.
                attribute(key="stickiness.enabled", value="false"),
            ],
        )

    def _production_listener(self, certificate_arn: str | None) -> elb.ApplicationListener:
        """The listener that carries the rule; see the ADR for why a certificate comes first.

        Both listeners are named after their ports: a certificate that is added later makes the
        rule's own function refuse the move, not CloudFormation a second listener on port 80.
        """
        nobody = _answer(503, "no rule for this request")
        redirect = elb.ListenerAction.redirect(protocol="HTTPS", port="443", permanent=True)
        http = self.load_balancer.add_listener(
            "Http",
            port=80,
            protocol=elb.ApplicationProtocol.HTTP,
            open=False,
            default_action=redirect if certificate_arn else nobody,
        )
        if certificate_arn is None:
            return http
        return self.load_balancer.add_listener(
            "Https",
            port=443,
            protocol=elb.ApplicationProtocol.HTTPS,
            certificates=[elb.ListenerCertificate.from_arn(certificate_arn)],
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            open=False,
            default_action=nobody,
        )

    def _test_rule(self, slot: SlotName, index: int) -> elb.CfnListenerRule:
        rule = elb.CfnListenerRule
        return elb.CfnListenerRule(
            self,
            f"{slot.title()}TestRule",
            listener_arn=self.test.listener_arn,
            priority=index + 1,
            conditions=[
                rule.RuleConditionProperty(
                    field="http-header",
                    http_header_config=rule.HttpHeaderConfigProperty(
                        http_header_name=SLOT_HEADER, values=[slot]
                    ),
                )
            ],
            actions=[
                rule.ActionProperty(type="forward", target_group_arn=self.target_groups[slot].ref)
            ],
        )


def _answer(status: int, text: str) -> elb.ListenerAction:
    return elb.ListenerAction.fixed_response(
        status, content_type="text/plain", message_body=f"{text}\n"
    )
