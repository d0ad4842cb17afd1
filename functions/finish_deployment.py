"""Free the lease and let the old slot go."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.finishing import finish_deployment
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(deployment: Deployment, runtime: Runtime) -> Deployment:
    """One step of the deployment's state machine."""
    return finish_deployment(deployment, runtime)
