"""Watch the A/B tests at once whose guardrails an alarm is about."""

from greenlane.entrypoint import entrypoint
from greenlane.experiments.running.alarming import RedAlarm, stop_experiments
from greenlane.experiments.running.runtime import ExperimentRuntime


@entrypoint
def handler(event: RedAlarm, runtime: ExperimentRuntime) -> None:
    """Called by EventBridge, by the rule of each service's alarms."""
    stop_experiments(event, runtime)
