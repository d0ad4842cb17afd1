"""Keep the token of a rollout that waits."""

from greenlane.entrypoint import entrypoint
from greenlane.regions.coordinating.running import WaitEvent, wait_for_regions
from greenlane.regions.coordinating.runtime import RegionsRuntime


@entrypoint
def handler(event: WaitEvent, runtime: RegionsRuntime) -> None:
    """The callback of the state machine of rollouts."""
    wait_for_regions(event, runtime)
