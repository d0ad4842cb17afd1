"""What can be undone, how exactly, and what it would lose."""

from greenlane.migrations.inverting.grading import foresee_inverses as foresee_inverses
from greenlane.migrations.inverting.grading import grade_inverse as grade_inverse
from greenlane.migrations.inverting.rollback import create_rollback_plan as create_rollback_plan
