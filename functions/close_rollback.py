"""Record the outcome of a rollback and tell people."""

from greenlane.entrypoint import entrypoint
from greenlane.rollback.closing import close_rollback
from greenlane.rollback.model import CloseEvent, Rollback
from greenlane.runtime import Runtime


@entrypoint
def handler(event: CloseEvent, runtime: Runtime) -> Rollback | None:
    """The last step of the rollback's state machine."""
    return close_rollback(event, runtime)
