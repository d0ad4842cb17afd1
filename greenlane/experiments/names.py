"""Names that infrastructure, functions and the command line share. Imports nothing."""

TABLE = "greenlane-experiments"
"""The table of A/B tests; functions read its name from `EXPERIMENTS_TABLE`."""
