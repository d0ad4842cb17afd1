"""Stop the forward execution."""

from greenlane.entrypoint import entrypoint
from greenlane.rollback.model import Rollback
from greenlane.rollback.settle import stop_forward
from greenlane.runtime import Runtime


@entrypoint
def handler(rollback: Rollback, runtime: Runtime) -> Rollback:
    """One step of the rollback's state machine."""
    return stop_forward(rollback, runtime)
