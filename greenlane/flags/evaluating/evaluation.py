"""What an evaluation says, in OpenFeature's words."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from typing import Any, NamedTuple

STATIC, TARGETING_MATCH, SPLIT, DEFAULT = "STATIC", "TARGETING_MATCH", "SPLIT", "DEFAULT"
DISABLED, ERROR, STALE = "DISABLED", "ERROR", "STALE"
"""Reasons."""

FLAG_NOT_FOUND, TARGETING_KEY_MISSING = "FLAG_NOT_FOUND", "TARGETING_KEY_MISSING"
INVALID_CONTEXT, PARSE_ERROR, GENERAL = "INVALID_CONTEXT", "PARSE_ERROR", "GENERAL"
"""Codes of errors."""

if TYPE_CHECKING:

    class _Fields(NamedTuple):
        key: str
        value: Any
        variant: str | None
        reason: str
        rule: str | None = None
        bucket: int | None = None
        error: str | None = None
        message: str = ""
else:
    _Fields = namedtuple(
        "_Fields",
        "key value variant reason rule bucket error message",
        defaults=(None, None, None, ""),
    )


class Evaluation(_Fields):
    """What a flag is for somebody, and why. It cannot be changed, so it can be shared.

    `value` is None where the code's own default counts: a disabled flag, or an error. `rule` is
    the id of the rule that served, `bucket` the user's place in the flag's rollout (0 to 99,999)
    where it decided. `error` is a code; `message` says more and never holds a user's data.
    """

    __slots__ = ()


def failed(key: str, code: str, message: str) -> Evaluation:
    """An error: the code's own default counts."""
    return Evaluation(key, None, None, ERROR, error=code, message=message)


def keyless(key: str) -> Evaluation:
    """The error of a user who cannot be told apart from others."""
    return failed(key, TARGETING_KEY_MISSING, "a share of users needs context.targetingKey")
