"""Changes of what versions in use know, over three phases.

Each function takes tables as `schema.table`, plans nothing that could not be carried out, and
raises `NotPlannable` with what to do first. See docs/migrations.md.
"""

from greenlane.migrations.planning.renaming import rename_column as rename_column
from greenlane.migrations.planning.renaming import split_column as split_column
from greenlane.migrations.planning.retyping import change_type as change_type
from greenlane.migrations.planning.tables import drop_column as drop_column
from greenlane.migrations.planning.tables import drop_table as drop_table
from greenlane.migrations.planning.tables import rename_table as rename_table
from greenlane.migrations.planning.values import add_not_null_column as add_not_null_column
from greenlane.migrations.planning.values import set_not_null as set_not_null
