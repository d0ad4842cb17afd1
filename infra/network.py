"""The sample's network: one VPC with public subnets, and who may talk to whom."""

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.nag import acknowledge
from infra.settings import SampleSettings, ServiceSettings

TEST_PORT = 9000


class Network(Construct):
    """A VPC over two zones and three security groups: balancer, tasks, validation.

    Public subnets only: the tasks pull images and write logs through the internet gateway, which
    costs nothing, where NAT gateways or five interface endpoints would cost more than the sample
    itself. What keeps the tasks private is their security group: it admits the balancer and
    validation, nobody else.
    """

    def __init__(
        self, scope: Construct, id: str, *, service: ServiceSettings, sample: SampleSettings
    ) -> None:
        super().__init__(scope, id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr("10.0.0.0/16"),
            max_azs=2,
            nat_gateways=0,
            # CDK would empty the default group with a Node function; nothing here uses it.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24
                )
            ],
        )
        acknowledge(
            self.vpc,
            "VPC7",
            "A sample environment: flow logs belong to the owner of a real network, and no "
            "decision of Greenlane reads them.",
        )
        self.subnet_ids: list[str] = [subnet.subnet_id for subnet in self.vpc.public_subnets]
        self.balancer = self._group("Balancer", "The load balancer of the sample")
        self.tasks = self._group("Tasks", "The tasks of both slots", all_outbound=True)
        self.validation = self._group("Validation", "Validation of the idle slot")
        self._production(443 if sample.certificate_arn else None)
        if sample.test_listener_cidr is not None:
            self.balancer.add_ingress_rule(
                ec2.Peer.ipv4(sample.test_listener_cidr), ec2.Port.tcp(TEST_PORT), "Test listener"
            )
        for source in (self.balancer, self.validation):
            self.tasks.connections.allow_from(source, ec2.Port.tcp(service.port))
        if sample.alertmanager_port is not None:
            # Alerts are posted from where validation runs; who lets them in is Alertmanager's.
            self.validation.add_egress_rule(
                ec2.Peer.ipv4(self.vpc.vpc_cidr_block),
                ec2.Port.tcp(sample.alertmanager_port),
                "Alertmanager",
            )
        if sample.prometheus_port is not None:
            self.validation.add_egress_rule(
                ec2.Peer.ipv4(self.vpc.vpc_cidr_block),
                ec2.Port.tcp(sample.prometheus_port),
                "Prometheus",
            )

    def _group(self, id: str, description: str, *, all_outbound: bool = False) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            id,
            vpc=self.vpc,
            description=description,
            allow_all_outbound=all_outbound,
        )

    def _production(self, https: int | None) -> None:
        for port in filter(None, (80, https)):
            self.balancer.add_ingress_rule(
                ec2.Peer.any_ipv4(), ec2.Port.tcp(port), "Production listener"
            )
        acknowledge(
            self.balancer,
            "EC23",
            "The production listener of a public service: it is meant for everybody. The test "
            "listener's port is not among these rules.",
        )
