"""Begin a bake: keep its token, and answer at once if something already decides."""

from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(event: BakeEvent, runtime: Runtime) -> None:
    """The callback of the deployment's state machine; its time-out is the normal way on."""
    start_bake(event, runtime)
