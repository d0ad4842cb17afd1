"""Names of what Greenlane makes in RDS. Pure; no I/O."""

import hashlib
import re

LONGEST_NAME = 63
"""Characters of an identifier (RDS API reference, DBClusterIdentifier)."""


def plain_name(whole: str, longest: int = LONGEST_NAME) -> str:
    """A text as RDS takes names: letters, digits and single hyphens, a long one with its digest."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", whole).strip("-").lower()
    if len(plain) <= longest:
        return plain
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{plain[: longest - 9].rstrip('-')}-{digest}"
