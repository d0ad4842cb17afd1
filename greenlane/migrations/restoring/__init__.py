"""Going back to a backup of a database: a runbook that people approve, never automatic."""
