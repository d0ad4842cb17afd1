"""What fits into one transaction, and what must be left of that for switching flags off.

A change that adds nothing to what people wrote (a flag goes off, a ceiling falls, a flag is taken
out) may use all that DynamoDB allows. Every other one is refused before it leaves too little.
"""

from typing import Any

from greenlane.errors import FlagsTooLarge
from greenlane.flags.storing.audit import AuditEntry, FlagChange
from greenlane.flags.storing.stored_items import LARGEST_BYTES as LARGEST_BYTES
from greenlane.flags.storing.stored_items import SNAPSHOT, audit_item
from greenlane.problems import Excerpt

ORDINARY_BYTES = 380 * 1024
"""Of `LARGEST_BYTES`, for one item."""

MOST_WRITES, MOST_BYTES = 100, 4 * 1024 * 1024 - 64 * 1024
"""Items and bytes of one transaction, by DynamoDB's limits, less what names take."""

MOST_ENVIRONMENTS = (MOST_WRITES - 4) // 2
"""Two items for each, beside the head, the document, the audit entry and a decision."""

SPARE_BYTES = 128 * 1024
"""Of `MOST_BYTES`, for a change of all environments at once."""


def check_room(writes: list[dict[str, Any]], environments: int) -> None:
    """Refuse what would leave no room for a change of all environments at once.

    Snapshots have all flags, also those that are off, so the largest stands for each of them.

    Args:
        writes: of the transaction.
        environments: how many have a snapshot.

    Raises:
        FlagsTooLarge: with what there is, and what there may be.
    """
    if environments > MOST_ENVIRONMENTS:
        raise FlagsTooLarge(
            "environments",
            Excerpt(f"{environments} of them"),
            f"there may be {MOST_ENVIRONMENTS}; name fewer, or take out one that is not used any "
            "more: `greenlane flags forget ENVIRONMENT`",
        )
    puts = [one["Put"]["Item"] for one in writes if "Put" in one]
    sizes = [(one["sk"]["S"], len(one["body"]["B"])) for one in puts if "body" in one]
    largest = max((size for sk, size in sizes if sk == SNAPSHOT), default=0)
    total = sum(size for sk, size in sizes if sk != SNAPSHOT) + largest * environments
    if total > MOST_BYTES - SPARE_BYTES:
        raise FlagsTooLarge(
            "feature_flags",
            Excerpt(f"{total} bytes in {environments} environments, compressed"),
            f"one change writes at most {MOST_BYTES - SPARE_BYTES}: name fewer environments, or "
            "take out flags that are not used any more (`greenlane flags stale`)",
        )


def that_fits(entry: AuditEntry) -> AuditEntry:
    """The entry; where it is too large, without the definitions that stayed as they were."""
    try:
        audit_item(entry)
    except FlagsTooLarge:
        return entry.model_copy(update={"changes": tuple(map(_slim, entry.changes))}).hashed()
    return entry


def _slim(change: FlagChange) -> FlagChange:
    before, after = change.before, change.after
    if not isinstance(before, dict) or not isinstance(after, dict) or "states" not in after:
        return change
    if before["flag"] != after["flag"]:
        return change
    states = {"before": {"states": before["states"]}, "after": {"states": after["states"]}}
    return change.model_copy(update=states)
