"""Test and warm up the idle slot from inside the VPC; no AWS calls."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.validation import validate_slot
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(deployment: Deployment, runtime: Runtime) -> Deployment:
    """One step of the deployment's state machine."""
    del runtime  # it would make AWS clients, which cannot be reached from here
    return validate_slot(deployment)
