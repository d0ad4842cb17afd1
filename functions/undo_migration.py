"""Undo one slice of a migration in its database."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.reaching.runtime import NetworkRuntime
from greenlane.migrations.reaching.slices import undo_migration


@entrypoint
def handler(run: MigrationRun, runtime: NetworkRuntime) -> MigrationRun:
    """One turn of the way back, in the databases' network."""
    return undo_migration(run, runtime)
