"""Make the candidate the live slot."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.finishing import promote
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(deployment: Deployment, runtime: Runtime) -> Deployment:
    """One step of the deployment's state machine."""
    return promote(deployment, runtime)
