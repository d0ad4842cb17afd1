"""`python -m greenlane.cli` is the same as `greenlane`."""

from greenlane.cli.main import app

app(prog_name="greenlane")
