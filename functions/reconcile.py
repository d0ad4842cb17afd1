"""Find what events lost, each minute."""

from greenlane.deployments.stepping.judging import Tick
from greenlane.entrypoint import entrypoint
from greenlane.rollback.reconcile import reconcile_all
from greenlane.runtime import Runtime


@entrypoint
def handler(tick: Tick, runtime: Runtime) -> None:
    """Scheduled."""
    reconcile_all(tick, runtime)
