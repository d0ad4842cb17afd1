"""Renew a migration's lease, and say whether it goes on."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.guarding.watching import watch_migration


@entrypoint
def handler(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """The step before each slice."""
    return watch_migration(run, runtime)
