"""Database migrations in three phases (expand, migrate, contract), tied to the release.

Rooms:

- `declaring`: the manifest of a folder of SQL files, and each file's phase.
- `sql`: scripts as PostgreSQL's own grammar reads them; the one place that knows the parser.
- `catalog`: what a database contains, as data.
- `validating`: what a statement locks, rewrites and breaks, and its safe form.
- `planning`: from a wanted change to files of three phases.
- `inverting`: what can be undone, how exactly, and what it would lose.
- `running`: one statement, one slice at a time, safe to kill anywhere.
- `guarding`: the lease, and what a release must show before a phase may run.
- `managing`: what people do: files from a change, a run, its way back.
"""
