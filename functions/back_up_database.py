"""Keep what a migration could go back to, before its first statement."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.backing_up import back_up_database
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.runtime import MigrationRuntime


@entrypoint
def handler(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """One step of the state machine of migrations."""
    return back_up_database(run, runtime)
