"""Take a database's lease for a migration, if it may run."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.guarding.taking import TakeEvent, take_migration


@entrypoint
def handler(event: TakeEvent, runtime: MigrationRuntime) -> MigrationRun:
    """The first step of the state machine of migrations."""
    return take_migration(event, runtime)
