"""Say what follows from the answer to a restore's question."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.restoring.asking import heed_restore
from greenlane.migrations.restoring.model import RestoreRun
from greenlane.migrations.restoring.runtime import RestoreRuntime


@entrypoint
def handler(run: RestoreRun, runtime: RestoreRuntime) -> RestoreRun:
    """The step after each question, answered or not."""
    return heed_restore(run, runtime)
