"""The people's side: a change becomes files, a phase is started, watched, ended and taken back.

`MigrationManager` has all of it; the command line is thin over the same.
"""

from greenlane.migrations.managing.manager import MigrationManager as MigrationManager
