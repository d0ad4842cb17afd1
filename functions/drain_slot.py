"""Ask whether the old slot still serves."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.finishing import drain_slot
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(deployment: Deployment, runtime: Runtime) -> Deployment:
    """One step of the deployment's state machine."""
    return drain_slot(deployment, runtime)
