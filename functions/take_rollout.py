"""Take a rollout through several Regions for an execution."""

from greenlane.entrypoint import entrypoint
from greenlane.regions.coordinating.running import RolloutRun, TakeRollout, take_rollout
from greenlane.regions.coordinating.runtime import RegionsRuntime


@entrypoint
def handler(event: TakeRollout, runtime: RegionsRuntime) -> RolloutRun:
    """The first step of the state machine of rollouts."""
    return take_rollout(event, runtime)
