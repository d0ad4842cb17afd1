"""Names that infrastructure, functions and the command line share. Imports nothing."""

TABLE = "greenlane-flags"
"""The table of flags; functions read its name from `FLAGS_TABLE`."""
