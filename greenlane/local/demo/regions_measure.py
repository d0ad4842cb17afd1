"""What the scene of three Regions is measured by: clients, rules, and the calls of each Region."""

from collections.abc import Mapping

from greenlane.deployments.reaching import traffic
from greenlane.local.demo.measure import TAKE_BACK
from greenlane.local.demo.regions_result import AFTER, RegionResult, failures_of
from greenlane.local.demo.regions_setting import Setting
from greenlane.local.regions.world import LocalRegion, RegionStage
from greenlane.regions.coordinating.model import Rollout


def measure(setting: Setting, record: Rollout, *, had: Mapping[str, str]) -> list[RegionResult]:
    """Read everything about a rollout that has ended, by wave.

    Args:
        setting: its world and its clients run still.
        record: the rollout's.
        had: the version that each Region had before.
    """
    written = {name: _taken_back_at(setting.world[name]) for name in setting.stages}
    first = min((at for at in written.values() if at is not None), default=0.0)
    found = []
    for name, stage in setting.stages.items():
        one, seen, back = record.at(name), setting.loads[name].snapshot(), written[name]
        found.append(
            RegionResult(
                region=name,
                wave=one.wave,
                had=had[name],
                state=one.state,
                reason=one.reason,
                weights=_weights(setting.world[name], stage),
                requests=seen.by_version(),
                after=seen.by_version(AFTER),
                failures=failures_of(seen),
                back_seconds=None if back is None else back - first,
            )
        )
    return sorted(found, key=lambda it: it.wave)


def _taken_back_at(region: LocalRegion) -> float | None:
    """The real instant at which its way back wrote the rule."""
    written = [
        float(call["at"])
        for call in region.calls()
        if (call["caller"], call["operation"]) == (TAKE_BACK, "ModifyRule")
    ]
    return written[0] if written else None


def _weights(region: LocalRegion, stage: RegionStage) -> dict[str, int]:
    """Percent of the live rule by the version that its slots run."""
    workload, ecs = stage.workload, region.client("ecs")
    rule = traffic.read_rule(region.client("elbv2"), workload.listener_rule_arn)
    found: dict[str, int] = {}
    for slot, percent in (rule.percent(workload) or {}).items():
        if percent:
            service = ecs.describe_services(
                cluster=workload.cluster, services=[workload.slots[slot].service]
            )["services"][0]
            definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])
            containers = definition["taskDefinition"]["containerDefinitions"]
            image = next(it["image"] for it in containers if it["name"] == workload.container)
            found[_tag(region, workload.repository, image)] = round(percent)
    return found


def _tag(region: LocalRegion, repository: str, image: str) -> str:
    """The version of an image that is named by a tag or by its digest."""
    reference, _, digest = image.partition("@")
    if not digest:
        return reference.rpartition(":")[2]
    images = region.client("ecr").describe_images(
        repositoryName=repository, imageIds=[{"imageDigest": digest}]
    )
    return str(images["imageDetails"][0]["imageTags"][0])
