"""An answer as code takes it: of the type that it asked for, and wrong ones logged once."""

import logging
from typing import Any

TYPE_MISMATCH = "TYPE_MISMATCH"
"""The code of an error: the flag is of another type than the code's default."""

log = logging.getLogger("greenlane.flags")

_MOST_TOLD = 1_000


class Told:
    """Logs what is wrong with a flag once, and not at each of its lookups."""

    def __init__(self) -> None:
        """See the class."""
        self._told: set[tuple[str, str]] = set()

    def __call__(self, flag: str, code: str, message: str) -> None:
        """Log it, unless this flag's trouble of this kind was logged before."""
        about = (str(flag), code)
        if about not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(about)
            log.error("flag %s: %s: %s", flag, code, message)


def as_type(value: Any, kind: type) -> Any:
    """A flag's value as the type of the code's default; None when it is of another.

    `True` is no number, and 2.0 is an int where one is asked for.
    """
    if kind is bool or isinstance(value, bool):
        return value if kind is bool and isinstance(value, bool) else None
    if kind is float and isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    if kind is int and isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, kind) else None
