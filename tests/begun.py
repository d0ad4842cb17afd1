"""Tables that are filled in the same way for many tests are filled once in a run of them."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.table import Table

_BEGUN: dict[str, list[Any]] = {}


def set_up_once(what: object, tables: Sequence[Table], set_up: Callable[[], object]) -> None:
    """Fill tables as `set_up` does, which is called once for all that have the same `what`.

    It must do nothing but fill them, and do that in the same way each time.
    """
    known = repr(what)
    if known not in _BEGUN:
        set_up()
        _BEGUN[known] = [table.held() for table in tables]
    for table, items in zip(tables, _BEGUN[known], strict=True):
        table.begun_as(items)
