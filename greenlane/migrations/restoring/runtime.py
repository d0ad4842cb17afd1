"""What the functions of restores work with, besides what those of migrations do."""

from functools import cached_property

from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.restoring.records import Restores


class RestoreRuntime(MigrationRuntime):
    """The AWS edges of a process that looks after a restore."""

    @cached_property
    def restores(self) -> Restores:
        """What is kept of restores."""
        return Restores(self.migrations_table, self.settings.table)
