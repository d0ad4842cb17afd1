"""See to running A/B tests, each minute: their executions, watches, and what follows from ends."""

from greenlane.deployments.stepping.judging import Tick
from greenlane.entrypoint import entrypoint
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.ticking import tick_experiments


@entrypoint
def handler(tick: Tick, runtime: ExperimentRuntime) -> None:
    """Scheduled."""
    tick_experiments(tick, runtime)
