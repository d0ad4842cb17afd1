"""Look after rollouts that nobody is at work on."""

from greenlane.deployments.stepping.judging import Tick
from greenlane.entrypoint import entrypoint
from greenlane.regions.coordinating.runtime import RegionsRuntime
from greenlane.regions.coordinating.tending import tend_rollouts


@entrypoint
def handler(event: Tick, runtime: RegionsRuntime) -> None:
    """Called each few minutes, at home and at the standby."""
    tend_rollouts(event, runtime)
