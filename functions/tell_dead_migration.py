"""Tell people of a migration whose execution died in the middle."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.dead import Died, tell_dead_migration
from greenlane.migrations.guarding.runtime import MigrationRuntime


@entrypoint
def handler(event: Died, runtime: MigrationRuntime) -> None:
    """Called by the event rule of the machine's executions."""
    tell_dead_migration(event, runtime)
