"""`greenlane migrations`: judge, plan and run changes of a database's schema."""

import typer

from greenlane.cli import (
    migrations_checking,
    migrations_planning,
    migrations_restoring,
    migrations_running,
    migrations_undoing,
)

app = typer.Typer(
    name="migrations",
    help="Change a database's schema without downtime: judge SQL, plan changes, run them.",
    no_args_is_help=True,
)
migrations_checking.register(app)
migrations_planning.register(app)
migrations_running.register(app)
migrations_undoing.register(app)
migrations_restoring.register(app)
