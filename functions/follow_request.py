"""Begin what is asked, and say how it ended."""

from greenlane.entrypoint import entrypoint
from greenlane.pipelines.following import Followed, Following, follow_request
from greenlane.pipelines.runtime import PipelineRuntime


@entrypoint
def handler(event: Following, runtime: PipelineRuntime) -> Followed:
    """The one step of the state machine of requests, retried until it is over."""
    return follow_request(event, runtime)
