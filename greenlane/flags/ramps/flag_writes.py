"""Greenlane's own changes of flags: of one flag's state, on a condition, again on a conflict.

They go past approvals: a person's change was approved, and a ramp carries that out; what only
takes a flag away needs nobody's leave. Each is in the audit as Greenlane's.
"""

from collections.abc import Callable
from datetime import datetime

from greenlane.errors import FlagConflict
from greenlane.flags.storing.state import StoredFlag, StoredFlags
from greenlane.flags.storing.store import Edit, FlagStore

GREENLANE = "greenlane"
"""Who the audit says it was."""

AGAIN = 20
"""How often a change is tried while others change the same flag."""

Move = Callable[[StoredFlag], StoredFlag | None]
"""From a flag as it is to what it shall be; None where there is nothing to do."""


def move(store: FlagStore, key: str, change: Move, *, why: str, at: datetime) -> StoredFlag | None:
    """Change one flag where `change` finds that it applies.

    `change` is asked anew about whatever is stored when it is written, so it decides by that alone.

    Returns:
        The flag afterwards; None where there is no such flag.

    Raises:
        FlagConflict: others changed the same flag each time; nothing was written.
    """

    def edit(flags: StoredFlags) -> StoredFlags:
        stored = flags.flags.get(key)
        after = change(stored) if stored is not None else None
        return flags if after is None else flags.with_flag(key, after)

    return move_all(store, edit, why=why, at=at).flags.get(key)


def move_all(store: FlagStore, edit: Edit, *, why: str, at: datetime) -> StoredFlags:
    """Change several flags in one transaction; `edit` is asked anew as in `move`.

    Returns:
        All flags afterwards.

    Raises:
        FlagConflict: others changed the same flags each time; nothing was written.
    """
    for _ in range(AGAIN - 1):
        try:
            return store.change(edit, by=GREENLANE, reason=why[:1000], at=at).flags
        except FlagConflict:
            continue
    return store.change(edit, by=GREENLANE, reason=why[:1000], at=at).flags
