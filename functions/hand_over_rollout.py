"""Let a long rollout go on in the next execution."""

from greenlane.entrypoint import entrypoint
from greenlane.regions.coordinating.running import RolloutRun, hand_over_rollout
from greenlane.regions.coordinating.runtime import RegionsRuntime


@entrypoint
def handler(run: RolloutRun, runtime: RegionsRuntime) -> RolloutRun:
    """A step of the state machine of rollouts."""
    return hand_over_rollout(run, runtime)
