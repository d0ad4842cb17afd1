"""Wake rollouts when something happened in one of their Regions."""

from greenlane.entrypoint import entrypoint
from greenlane.regions.coordinating.runtime import RegionsRuntime
from greenlane.regions.coordinating.tending import RegionEvent, hear_region


@entrypoint
def handler(event: RegionEvent, runtime: RegionsRuntime) -> None:
    """Called by the event rule of what Regions send."""
    hear_region(event, runtime)
