"""Take the look at an A/B test that is due."""

from greenlane.entrypoint import entrypoint
from greenlane.experiments.running.looking_after import judge_experiment
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.timing import ExperimentRun


@entrypoint
def handler(run: ExperimentRun, runtime: ExperimentRuntime) -> ExperimentRun:
    """One step of the state machine of A/B tests."""
    return judge_experiment(run, runtime)
