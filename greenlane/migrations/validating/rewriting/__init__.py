"""A script to its safe form: the same end, by statements that nobody waits for."""

from greenlane.migrations.validating.rewriting.model import Planner as Planner
from greenlane.migrations.validating.rewriting.model import Rewritten as Rewritten
from greenlane.migrations.validating.rewriting.scripts import rewrite as rewrite
