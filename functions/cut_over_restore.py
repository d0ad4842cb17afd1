"""Publish the endpoint of a restored database."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.restoring.cutting_over import cut_over_restore
from greenlane.migrations.restoring.model import RestoreRun
from greenlane.migrations.restoring.runtime import RestoreRuntime


@entrypoint
def handler(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """One step of the state machine of restores; repeating it writes the same."""
    return cut_over_restore(run, runtime)
