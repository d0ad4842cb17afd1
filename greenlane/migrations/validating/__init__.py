"""What a statement locks, rewrites and breaks, and its safe form."""

from greenlane.migrations.validating.assessing import assess as assess
from greenlane.migrations.validating.assessing import problems as problems
