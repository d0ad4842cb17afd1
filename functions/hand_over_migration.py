"""Let a long migration go on in the next execution."""

from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.handing_over import hand_over_migration
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.guarding.runtime import MigrationRuntime


@entrypoint
def handler(run: MigrationRun, runtime: MigrationRuntime) -> MigrationRun:
    """One step of the state machine of migrations."""
    return hand_over_migration(run, runtime)
