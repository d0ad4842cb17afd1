"""Ask whether the candidate is up and healthy."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.preparing import check_stability
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(deployment: Deployment, runtime: Runtime) -> Deployment:
    """One step of the deployment's state machine."""
    return check_stability(deployment, runtime)
