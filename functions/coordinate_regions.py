"""Take a rollout through several Regions on by one turn."""

from greenlane.entrypoint import entrypoint
from greenlane.regions.coordinating.running import RolloutRun, coordinate_regions
from greenlane.regions.coordinating.runtime import RegionsRuntime


@entrypoint
def handler(run: RolloutRun, runtime: RegionsRuntime) -> RolloutRun:
    """A step of the state machine of rollouts, between two waits."""
    return coordinate_regions(run, runtime)
