"""Look whether a migration can run in its database as it is."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.reaching.runtime import NetworkRuntime
from greenlane.migrations.reaching.slices import check_migration


@entrypoint
def handler(run: MigrationRun, runtime: NetworkRuntime) -> MigrationRun:
    """One step of the state machine of migrations, in the databases' network."""
    return check_migration(run, runtime)
