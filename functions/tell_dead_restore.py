"""Tell people of a restore whose execution died in the middle."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.dead import Died
from greenlane.migrations.restoring.dead import tell_dead_restore
from greenlane.migrations.restoring.runtime import RestoreRuntime


@entrypoint
def handler(event: Died, runtime: RestoreRuntime) -> None:
    """Called by the event rule of the machine's executions."""
    tell_dead_restore(event, runtime)
