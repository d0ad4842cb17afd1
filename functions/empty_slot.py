"""Stop the bad slot's tasks once it serves nothing."""

from greenlane.entrypoint import entrypoint
from greenlane.rollback.model import Rollback
from greenlane.rollback.settle import empty_slot
from greenlane.runtime import Runtime


@entrypoint
def handler(rollback: Rollback, runtime: Runtime) -> Rollback:
    """One step of the rollback's state machine."""
    return empty_slot(rollback, runtime)
