"""Look whether a restore may be cut over."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.restoring.cutting_over import prepare_cutover
from greenlane.migrations.restoring.model import RestoreRun
from greenlane.migrations.restoring.runtime import RestoreRuntime


@entrypoint
def handler(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """The last step in which a restore can be ended."""
    return prepare_cutover(run, runtime)
