"""Which of two versions of a service is the older one. Pure; no I/O.

Source of the order: Semantic Versioning 2.0.0, section 11.
"""

import re
from collections.abc import Sequence

_NUMBER = r"(?:0|[1-9]\d*)"
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"v?(?P<core>{_NUMBER}\.{_NUMBER}\.{_NUMBER})"
    rf"(?:-(?P<pre>{_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)

Precedence = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]


def precedence(version: str) -> Precedence | None:
    """A key that sorts semantic versions; None for a text that is none.

    A leading `v` is allowed. Build metadata does not count, as the specification says.
    """
    match = _SEMVER.fullmatch(version)
    if match is None:
        return None
    core = tuple(int(part) for part in match["core"].split("."))
    before = match["pre"]
    if before is None:
        return core, True, ()
    # Numbers come before words, and a shorter list before one that it begins.
    parts = tuple(
        (False, int(part), "") if part.isdigit() else (True, 0, part) for part in before.split(".")
    )
    return core, False, parts


def is_older(version: str | None, least: str, shipped: Sequence[str]) -> bool:
    """Whether a version is older than the least one that is asked for.

    Two semantic versions compare as such. Others compare by which this service's deployments
    shipped first. One that is not known is older: nothing shows that it is not.

    Args:
        version: None where nobody knows which it is.
        least: what is asked for.
        shipped: the service's versions, each once, the one that was shipped first before the rest.
    """
    if version is None:
        return True
    if version == least:
        return False
    one, other = precedence(version), precedence(least)
    if one is not None and other is not None:
        return one < other
    if version not in shipped or least not in shipped:
        return True
    return shipped.index(version) < shipped.index(least)
