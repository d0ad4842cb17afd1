"""The two slots: ECS services that a template creates once and then leaves alone.

Whatever is in this file is *create-time* state. CloudFormation writes an ECS service's whole
description when any of its properties changes, the task definition included: one changed property
here would put the bootstrap image on the live slot. So nothing here may depend on a setting other
than the names of things, constants are frozen (a test compares both services and the task
definition with `tests/infra/frozen_slots.json`), and everything that is meant to change travels as
data (`Workload.shape`, `Workload.capacity`) that Greenlane applies in its next deployment.
See docs/adr/0002-infrastructure-never-owns-live-state.md.
"""

from aws_cdk import CfnTag, RemovalPolicy, Stack
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from greenlane.deployments.workload import SlotName
from infra.balancer import SLOTS, Balancer
from infra.network import Network
from infra.roles import Allow, least_privilege_role
from infra.settings import SampleSettings, ServiceSettings

# A server that answers 200 to everything: the slots must pass their health checks before the
# first version of the service exists. Public, multi-architecture, no registry of ours needed.
BOOTSTRAP_IMAGE = "public.ecr.aws/docker/library/python:3.13-alpine"
BOOTSTRAP_SERVER = """\
import http.server as h
class Handler(h.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "22")
        self.end_headers()
        self.wfile.write(b"no version is deployed")
    do_POST = do_GET
h.ThreadingHTTPServer(("", {port}), Handler).serve_forever()
"""
# The scalable targets start here; Greenlane registers `Workload.capacity` with its deployments.
BOOTSTRAP_MIN_TASKS = 1
BOOTSTRAP_MAX_TASKS = 10


class Slots(Construct):
    """The cluster, the repository, and for each slot a service with its scaling."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service: ServiceSettings,
        sample: SampleSettings,
        network: Network,
        balancer: Balancer,
    ) -> None:
        super().__init__(scope, id)
        self._service = service
        self._network = network
        self.repository = ecr.Repository(
            self,
            "Repository",
            repository_name=service.repository,
            image_scan_on_push=True,
            # A tag is resolved once to a digest; immutable tags keep the history readable.
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self._cluster = ecs.CfnCluster(
            self,
            "Cluster",
            cluster_name=service.cluster,
            cluster_settings=[
                ecs.CfnCluster.ClusterSettingsProperty(name="containerInsights", value="enabled")
            ],
        )
        self._log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/ecs/{service.name}",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._bootstrap = self._bootstrap_revision()
        self.services: dict[str, ecs.CfnService] = {}
        for slot in SLOTS:
            self.services[slot] = self._slot(slot, balancer.target_groups[slot].ref)
            # ECS refuses a target group that no rule ties to a balancer yet.
            self.services[slot].node.add_dependency(balancer.rule, *balancer.test_rules)
            self._scaling(slot, sample, balancer)

    def service_name(self, slot: SlotName) -> str:
        """The ECS service of a slot."""
        return self._service.ecs_service(slot)

    def _roles(self) -> tuple[iam.Role, iam.Role]:
        """The role of the service's own code, which may do nothing yet, and that of ECS."""
        task = least_privilege_role(
            self,
            "TaskRole",
            name=self._service.task_roles[0],
            principal="ecs-tasks.amazonaws.com",
            allows=[],
        )
        execution = least_privilege_role(
            self,
            "ExecutionRole",
            name=self._service.task_roles[1],
            principal="ecs-tasks.amazonaws.com",
            allows=[
                Allow(
                    "LogInToRepositories",
                    ["ecr:GetAuthorizationToken"],
                    ["*"],
                    because="the action knows no resource; PullImages limits what it opens.",
                ),
                Allow(
                    "PullImages",
                    [
                        "ecr:BatchCheckLayerAvailability",
                        "ecr:BatchGetImage",
                        "ecr:GetDownloadUrlForLayer",
                    ],
                    [self.repository.repository_arn],
                ),
                Allow(
                    "WriteLogs",
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    [self._log_group.log_group_arn],
                ),
            ],
        )
        return task, execution

    def _bootstrap_revision(self) -> ecs.CfnTaskDefinition:
        task, execution = self._roles()
        return ecs.CfnTaskDefinition(
            self,
            "Bootstrap",
            family=self._service.family,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu="256",
            memory="512",
            task_role_arn=task.role_arn,
            execution_role_arn=execution.role_arn,
            runtime_platform=ecs.CfnTaskDefinition.RuntimePlatformProperty(
                cpu_architecture="X86_64", operating_system_family="LINUX"
            ),
            container_definitions=[
                ecs.CfnTaskDefinition.ContainerDefinitionProperty(
                    name=self._service.container,
                    image=BOOTSTRAP_IMAGE,
                    command=["python", "-c", BOOTSTRAP_SERVER.format(port=self._service.port)],
                    # Tells Greenlane's first deployment to leave the command behind.
                    docker_labels={"greenlane.bootstrap": "true"},
                    essential=True,
                    port_mappings=[
                        ecs.CfnTaskDefinition.PortMappingProperty(
                            container_port=self._service.port, protocol="tcp"
                        )
                    ],
                    log_configuration=ecs.CfnTaskDefinition.LogConfigurationProperty(
                        log_driver="awslogs",
                        options={
                            "awslogs-group": self._log_group.log_group_name,
                            "awslogs-region": Stack.of(self).region,
                            "awslogs-stream-prefix": self._service.name,
                        },
                    ),
                )
            ],
        )

    def _slot(self, slot: SlotName, target_group_arn: str) -> ecs.CfnService:
        return ecs.CfnService(
            self,
            f"{slot.title()}Service",
            cluster=self._cluster.ref,
            service_name=self.service_name(slot),
            launch_type="FARGATE",
            # No DesiredCount: 1 when the service is created, afterwards as it is.
            task_definition=self._bootstrap.ref,
            deployment_controller=ecs.CfnService.DeploymentControllerProperty(type="ECS"),
            deployment_configuration=ecs.CfnService.DeploymentConfigurationProperty(
                minimum_healthy_percent=100,
                maximum_percent=200,
                # Its own rollback would put the old image back and call the slot stable.
                deployment_circuit_breaker=ecs.CfnService.DeploymentCircuitBreakerProperty(
                    enable=True, rollback=False
                ),
            ),
            health_check_grace_period_seconds=60,
            load_balancers=[
                ecs.CfnService.LoadBalancerProperty(
                    container_name=self._service.container,
                    container_port=self._service.port,
                    target_group_arn=target_group_arn,
                )
            ],
            network_configuration=ecs.CfnService.NetworkConfigurationProperty(
                awsvpc_configuration=ecs.CfnService.AwsVpcConfigurationProperty(
                    assign_public_ip="ENABLED",
                    subnets=self._network.subnet_ids,
                    security_groups=[self._network.tasks.security_group_id],
                )
            ),
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            # `Deployment=active|standby` is Greenlane's to write, so it is not a template's.
            tags=[CfnTag(key="Environment", value=slot)],
        )

    def _scaling(self, slot: SlotName, sample: SampleSettings, balancer: Balancer) -> None:
        """Follow CPU and requests; both policies only ask, the limits are Greenlane's."""
        target = autoscaling.CfnScalableTarget(
            self,
            f"{slot.title()}Scaling",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=f"service/{self._service.cluster}/{self.service_name(slot)}",
            min_capacity=BOOTSTRAP_MIN_TASKS,
            max_capacity=BOOTSTRAP_MAX_TASKS,
        )
        target.add_resource_dependency(self.services[slot])
        group = balancer.target_groups[slot].attr_target_group_full_name
        for name, metric, label, value in (
            ("cpu", "ECSServiceAverageCPUUtilization", None, sample.cpu_target_percent),
            (
                "requests",
                "ALBRequestCountPerTarget",
                f"{balancer.full_name}/{group}",
                sample.requests_per_task_target,
            ),
        ):
            tracking = autoscaling.CfnScalingPolicy
            autoscaling.CfnScalingPolicy(
                self,
                f"{slot.title()}Follows{name.title()}",
                policy_name=f"{self.service_name(slot)}-{name}",
                policy_type="TargetTrackingScaling",
                scaling_target_id=target.ref,
                target_tracking_scaling_policy_configuration=(
                    tracking.TargetTrackingScalingPolicyConfigurationProperty(
                        target_value=value,
                        predefined_metric_specification=(
                            tracking.PredefinedMetricSpecificationProperty(
                                predefined_metric_type=metric, resource_label=label
                            )
                        ),
                        scale_in_cooldown=300,
                        scale_out_cooldown=60,
                    )
                ),
            )
