"""Answer a job of CodePipeline whose runs have all died."""

from greenlane.entrypoint import entrypoint
from greenlane.pipelines.dead_jobs import DeadJob, answer_dead_job
from greenlane.pipelines.runtime import JobRuntime


@entrypoint
def handler(event: DeadJob, runtime: JobRuntime) -> None:
    """Called by Lambda, after the last failed run of the action's function."""
    answer_dead_job(event, runtime)
