"""Look into every bake, each minute."""

from greenlane.deployments.stepping.judging import Tick, judge_tick
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(tick: Tick, runtime: Runtime) -> None:
    """Scheduled."""
    judge_tick(tick, runtime)
