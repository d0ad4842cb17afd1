"""Move production traffic one step towards the candidate."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(deployment: Deployment, runtime: Runtime) -> Deployment:
    """One step of the deployment's state machine."""
    return shift_traffic(deployment, runtime)
