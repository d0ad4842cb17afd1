"""Check, take the lease, write the way back."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.admission import PlanningEvent, plan_deployment
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(event: PlanningEvent, runtime: Runtime) -> Deployment:
    """The first step of the deployment's state machine."""
    return plan_deployment(event, runtime)
