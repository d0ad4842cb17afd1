"""The sample set up on a local cloud: templates deployed, version 1 live, configuration applied.

What a user's own pipeline did before Greenlane came is done here by plain calls: an image pushed,
a first revision registered, one slot running it.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenlane.deployments.client import Greenlane
from greenlane.deployments.model import Slot, other
from greenlane.deployments.reaching import fleet, traffic
from greenlane.deployments.workload import Workload, parameter_name
from greenlane.errors import InvalidInput
from greenlane.local.cloud import LocalCloud
from greenlane.local.deploy import Deployer
from greenlane.local.errors import LocalCloudError
from greenlane.local.images import push_image

SERVICE = "claude-manager"
FIRST_VERSION = "v1"
CONFIGURATION = Path("examples/claude_manager/greenlane.yaml")
ASSEMBLY = Path("cdk.out")
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Stage:
    """The sample on a local cloud that runs; `deployer` knows the stacks it deployed."""

    cloud: LocalCloud
    greenlane: Greenlane
    workload: Workload
    url: str
    deployer: Deployer

    def push(self, version: str, behaviour: str) -> str:
        """Push a version that behaves so; its digest. See `greenlane.local.images`."""
        return push_image(self.cloud.client("ecr"), self.workload.repository, version, behaviour)


def check_sources(assembly: Path = ASSEMBLY, configuration: Path = CONFIGURATION) -> None:
    """Whether the sample's files are where they are looked for, before anything is started.

    Raises:
        InvalidInput: one is missing, and what makes it.
    """
    if not configuration.is_file():
        way_out = f"it has no {configuration}; run this in the root of Greenlane's repository"
        raise InvalidInput("the working directory", str(Path.cwd()), way_out)
    if not (assembly / "manifest.json").is_file():
        raise InvalidInput("templates", str(assembly), "it holds none; run `make synth` first")


def set_stage(
    cloud: LocalCloud,
    *,
    assembly: Path = ASSEMBLY,
    configuration: Path = CONFIGURATION,
    behaviour: str = "good",
    version: str = FIRST_VERSION,
) -> Stage:
    """Deploy the synthesized templates and bring version 1 up in the slot that has the traffic.

    Args:
        cloud: it runs.
        assembly: where the templates are.
        configuration: of the service.
        behaviour: of version 1.
        version: what version 1 is called here.

    Raises:
        LocalCloudError: the templates are not there, or version 1 did not become healthy.
    """
    if not (assembly / "manifest.json").is_file():
        raise LocalCloudError(f"{assembly} holds no templates: run `make synth` first")
    deployer = Deployer(cloud)
    deployer.deploy_assembly(assembly)
    text = cloud.client("ssm").get_parameter(Name=parameter_name(SERVICE))["Parameter"]["Value"]
    workload = Workload.model_validate_json(text)
    push_image(cloud.client("ecr"), workload.repository, version, behaviour)
    _go_live(cloud, workload, version)
    greenlane = Greenlane.connect(
        region=cloud.region,
        endpoint_url=cloud.endpoint_url,
        clock=cloud.clock,
        credentials=("local", "local"),
    )
    greenlane.apply(configuration, by="the local cloud")
    url = cloud.parts["elb"].url(SERVICE, 80)
    return Stage(cloud=cloud, greenlane=greenlane, workload=workload, url=url, deployer=deployer)


def _go_live(cloud: LocalCloud, workload: Workload, version: str) -> None:
    ecs, elbv2, ecr = (cloud.client(name) for name in ("ecs", "elbv2", "ecr"))
    percent = traffic.read_rule(elbv2, workload.listener_rule_arn).percent(workload) or {}
    live: Slot = "blue" if percent.get("blue") else "green"
    idle = other(live)
    blue = fleet.read_service(ecs, workload.cluster, workload.slots[live].service)
    repository = ecr.describe_repositories(repositoryNames=[workload.repository])
    uri = repository["repositories"][0]["repositoryUri"]
    body = fleet.next_revision(
        fleet.read_task_definition(ecs, blue.task_definition),
        container=workload.container,
        image=f"{uri}:{version}",
        shape=workload.shape,
    )
    arn = fleet.register_once(ecs, body, "before-greenlane")
    tasks = workload.capacity.min_tasks if workload.capacity else 2
    fleet.set_service(ecs, workload.cluster, blue.name, desired=tasks, task_definition=arn)
    _set_idle(cloud, ecs, workload, idle)
    _await_healthy(elbv2, ecs, workload, live, tasks, arn)


def _set_idle(cloud: LocalCloud, ecs: Any, workload: Workload, idle: Slot) -> None:
    """The idle slot's minimum comes first, or auto scaling would start its tasks again."""
    name = workload.slots[idle].service
    cloud.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId=f"service/{workload.cluster}/{name}",
        ScalableDimension="ecs:service:DesiredCount",
        MinCapacity=0,
    )
    fleet.set_service(ecs, workload.cluster, name, desired=0)


def _await_healthy(
    elbv2: Any, ecs: Any, workload: Workload, live: Slot, tasks: int, task_definition: str
) -> None:
    slot = workload.slots[live]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        health = traffic.slot_health(elbv2, slot.target_group_arn)
        runs = set(fleet.revisions_by_address(ecs, workload.cluster, slot.service).values())
        if len(health.healthy) == tasks and not health.others and runs == {task_definition}:
            return
        time.sleep(0.1)
    raise LocalCloudError(f"the first version did not become healthy in {slot.service}")
