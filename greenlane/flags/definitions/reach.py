"""Rules that nobody can reach, because an earlier one takes everybody they are for.

All shares of a flag are measured from the same bucket, so of two rules for the same people the
second has an effect only if its percentage is the higher one. A rule at 0 % is not an error: it
waits to be raised.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from greenlane.flags.definitions.compiling import compiled, targeted
from greenlane.flags.definitions.model import Condition, Flag
from greenlane.problems import Excerpt, Path

_HUNDRED = Decimal(100)


def unreachable(place: Path, flag: Flag) -> Iterator[tuple[Path, object, str]]:
    """The rules, and the short keys, that never serve anybody."""
    earlier: list[tuple[str, set[str], Decimal]] = []
    for number, rule in enumerate(flag.rules):
        parts = _parts(rule.when)
        if rule.percentage > 0 and (said := _taken(earlier, parts, rule.percentage)):
            yield (*place, "rules", number), Excerpt(f"rule {rule.id}"), said
        earlier.append((rule.id, parts, rule.percentage))
    if not flag.rules or not flag.shares:
        return
    eligible = targeted(flag.targeting) if flag.targeting is not None else None
    parts = {repr(one) for one in eligible[1]} if eligible else set()
    # Groups come on top of a percentage, so only a rule for everybody leaves nothing to both.
    share = _HUNDRED if flag.percentage is None or flag.scheduled_rollout else flag.percentage
    if share > 0 and (said := _taken(earlier, parts, share)) and not flag.user_groups:
        key = next(
            name
            for name in ("percentage", "scheduled_rollout", "targeting")
            if getattr(flag, name) is not None
        )
        yield (*place, key), Excerpt("this key"), said


def _taken(
    earlier: list[tuple[str, set[str], Decimal]], parts: set[str], share: Decimal
) -> str | None:
    for name, others, percentage in earlier:
        if others <= parts and percentage >= share:
            if percentage == _HUNDRED:
                return f"nobody gets here: rule {name} takes everybody it is for"
            return (
                f"nobody gets here: rule {name} takes the same {share.normalize():f} %; use one "
                "rule with a split"
            )
    return None


def _parts(condition: Condition | None) -> set[str]:
    """What must all be true; nothing for everybody."""
    if condition is None:
        return set()
    whole: list[Any] = compiled(condition)
    return {repr(part) for part in (whole[1] if whole[0] == "all" else [whole])}
