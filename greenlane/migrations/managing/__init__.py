"""The people's side: a change becomes files, a phase is started, watched, ended and taken back.

`MigrationManager` has all of it; the command line is thin over the same. What needs no files is in
`asking`, which functions without PostgreSQL's grammar import as well.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenlane.migrations.managing.manager import MigrationManager as MigrationManager


def __getattr__(name: str) -> Any:
    """`MigrationManager`, which brings the grammar along, when it is first asked for."""
    if name != "MigrationManager":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from greenlane.migrations.managing.manager import MigrationManager

    return MigrationManager
