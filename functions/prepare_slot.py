"""Bring the idle slot up with the new revision."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.preparing import prepare_slot
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(deployment: Deployment, runtime: Runtime) -> Deployment:
    """One step of the deployment's state machine."""
    return prepare_slot(deployment, runtime)
