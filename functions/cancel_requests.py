"""Take back what a stopped pipeline began."""

from greenlane.entrypoint import entrypoint
from greenlane.pipelines.cancelling import Abandoned, cancel_requests
from greenlane.pipelines.runtime import PipelineRuntime


@entrypoint
def handler(event: Abandoned, runtime: PipelineRuntime) -> None:
    """Called by the event that CodePipeline abandoned an action."""
    cancel_requests(event, runtime)
