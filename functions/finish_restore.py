"""Write down how a restore ended, and end its lease."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.restoring.finishing import finish_restore
from greenlane.migrations.restoring.model import RestoreRun
from greenlane.migrations.restoring.runtime import RestoreRuntime


@entrypoint
def handler(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """The step at the end of every way through the state machine of restores."""
    return finish_restore(run, runtime)
