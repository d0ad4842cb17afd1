"""Tell people how a restore ended."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.restoring.finishing import tell_restore
from greenlane.migrations.restoring.model import RestoreRun
from greenlane.migrations.restoring.runtime import RestoreRuntime


@entrypoint
def handler(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """The last step of the state machine of restores; it decides nothing."""
    return tell_restore(run, runtime)
