"""Look into a restored database, and compare it with the old one."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.reaching.runtime import NetworkRuntime
from greenlane.migrations.restoring.model import RestoreRun
from greenlane.migrations.restoring.verifying import verify_restore


@entrypoint
def handler(run: RestoreRun, runtime: NetworkRuntime) -> RestoreRun:
    """One step of the state machine of restores, in the databases' network."""
    return verify_restore(run, runtime)
