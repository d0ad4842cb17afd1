"""Put the traffic back on the good slot."""

from greenlane.entrypoint import entrypoint
from greenlane.rollback.model import Rollback, RollbackEvent
from greenlane.rollback.take_back import take_traffic_back
from greenlane.runtime import Runtime


@entrypoint
def handler(event: RollbackEvent, runtime: Runtime) -> Rollback:
    """The first step of the rollback's state machine."""
    return take_traffic_back(event, runtime)
