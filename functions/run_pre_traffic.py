"""Run the task and the hooks that come before traffic."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.before_traffic import run_pre_traffic
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(deployment: Deployment, runtime: Runtime) -> Deployment:
    """One step of the deployment's state machine."""
    return run_pre_traffic(deployment, runtime)
