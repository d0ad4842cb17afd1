"""End an A/B test as its last look says, and do what follows."""

from greenlane.entrypoint import entrypoint
from greenlane.experiments.running.ending import conclude_experiment
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.timing import ExperimentRun


@entrypoint
def handler(run: ExperimentRun, runtime: ExperimentRuntime) -> ExperimentRun:
    """The last step of the state machine of A/B tests."""
    return conclude_experiment(run, runtime)
