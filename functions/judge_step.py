"""Judge a step at the end of its bake."""

from greenlane.deployments.model import Deployment
from greenlane.deployments.stepping.judging import judge_step
from greenlane.entrypoint import entrypoint
from greenlane.runtime import Runtime


@entrypoint
def handler(deployment: Deployment, runtime: Runtime) -> Deployment:
    """One step of the deployment's state machine."""
    return judge_step(deployment, runtime)
