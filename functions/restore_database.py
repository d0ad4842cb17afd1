"""Have RDS make the new database of a restore."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.restoring.making import restore_database
from greenlane.migrations.restoring.model import RestoreRun
from greenlane.migrations.restoring.runtime import RestoreRuntime


@entrypoint
def handler(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """One step of the state machine of restores; it is repeated until RDS is done."""
    return restore_database(run, runtime)
