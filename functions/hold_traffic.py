"""Watch over the weights until no late write can land."""

from greenlane.entrypoint import entrypoint
from greenlane.rollback.model import Rollback
from greenlane.rollback.settle import hold_traffic
from greenlane.runtime import Runtime


@entrypoint
def handler(rollback: Rollback, runtime: Runtime) -> Rollback:
    """One step of the rollback's state machine."""
    return hold_traffic(rollback, runtime)
