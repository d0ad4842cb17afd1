"""Write what stands in the database, for applications and people."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.publishing import publish_migration
from greenlane.migrations.guarding.runtime import MigrationRuntime


@entrypoint
def handler(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """The step after the last slice."""
    return publish_migration(run, runtime)
