"""Write down how a migration ended, and end its lease."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.releasing import release_migration
from greenlane.migrations.guarding.runtime import MigrationRuntime


@entrypoint
def handler(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """One step of the state machine of migrations."""
    return release_migration(run, runtime)
