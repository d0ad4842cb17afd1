"""Tell people how a migration ended."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.releasing import tell_migration
from greenlane.migrations.guarding.runtime import MigrationRuntime


@entrypoint
def handler(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """The last step of the state machine of migrations; it decides nothing."""
    return tell_migration(run, runtime)
