"""Every rule: what it finds, why that hurts, and the safe form.

docs/migrations-rules.md has the same rules, by the same names, with examples; a test holds them
together.
"""

from greenlane.migrations.validating.rules.locks import LOCKS
from greenlane.migrations.validating.rules.shape import Rule as Rule
from greenlane.migrations.validating.rules.versions import VERSIONS
from greenlane.migrations.validating.rules.writing import WRITING

RULES: dict[str, Rule] = {one.name: one for one in (*LOCKS, *VERSIONS, *WRITING)}
