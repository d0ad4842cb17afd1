"""Begin the migrate phase of releases that have their first traffic, each minute."""

from greenlane.deployments.stepping.judging import Tick
from greenlane.entrypoint import entrypoint
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.shipping.ticking import tick_migrations


@entrypoint
def handler(tick: Tick, runtime: MigrationRuntime) -> None:
    """Scheduled."""
    tick_migrations(tick, runtime)
