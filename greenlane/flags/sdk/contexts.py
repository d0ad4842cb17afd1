"""Who the current request is for: what flags are decided by, without passing it everywhere.

Kept in a `contextvars.ContextVar`, so that threads and tasks do not see each other's users.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

NOBODY: dict[str, Any] = {}
"""Nothing is known of the user. Never written to."""

current: ContextVar[dict[str, Any]] = ContextVar("greenlane_user_context", default=NOBODY)
"""The user of the current thread or task."""


def set_user_context(context: Mapping[str, Any]) -> Token[dict[str, Any]]:
    """From here on, flags in this thread or task are for this user.

    Args:
        context: `targetingKey` and whatever else is known; it is copied.

    Returns:
        What `greenlane.flags.sdk.contexts.current.reset` takes to undo it.

    Raises:
        TypeError: it is no mapping.
    """
    return current.set(_copied(context))


@contextmanager
def user_context(context: Mapping[str, Any]) -> Iterator[None]:
    """Within this block, flags are for this user; after it, for whoever it was before.

    Raises:
        TypeError: it is no mapping.
    """
    token = set_user_context(context)
    try:
        yield
    finally:
        current.reset(token)


def _copied(context: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(context, Mapping):
        raise TypeError(f"a user context is a mapping with targetingKey, not {context!r}")
    return dict(context)
