"""Carry out what an action of CodePipeline asks, and answer its job once."""

from greenlane.entrypoint import entrypoint
from greenlane.pipelines.job import JobEvent
from greenlane.pipelines.running import run_job
from greenlane.pipelines.runtime import PipelineRuntime


@entrypoint
def handler(event: JobEvent, runtime: PipelineRuntime) -> None:
    """Called by CodePipeline's Lambda action, which waits for a result."""
    run_job(event, runtime)
