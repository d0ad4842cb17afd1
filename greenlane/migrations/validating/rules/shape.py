"""What a rule says."""

from typing import NamedTuple

from greenlane.migrations.validating.model import Severity


class Rule(NamedTuple):
    """Args: name in kebab case; severity unless the case decides; the rest are phrases."""

    name: str
    severity: Severity
    what: str
    why: str
    safe_form: str
