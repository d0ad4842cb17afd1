"""Take a database's lease for a restore, if it can be restored."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.restoring.model import RestoreRun
from greenlane.migrations.restoring.runtime import RestoreRuntime
from greenlane.migrations.restoring.taking import TakeRestoreEvent, take_restore


@entrypoint
def handler(event: TakeRestoreEvent, runtime: RestoreRuntime) -> RestoreRun:
    """The first step of the state machine of restores."""
    return take_restore(event, runtime)
