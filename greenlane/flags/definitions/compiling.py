"""From checked definitions to the snapshot that the engine is loaded with, for one environment.

The short keys become rules with the ids `groups` and `rollout`, after the rules that were written
(ADR 0022). A flag that is not for an environment is in its snapshot all the same, switched off:
code that asks for it gets its default and no error.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from greenlane.flags.definitions.model import (
    Condition,
    Flag,
    FlagRule,
    FlagsDocument,
    ScheduledRollout,
    Targeting,
)
from greenlane.flags.evaluating.bucketing import BUCKETS
from greenlane.flags.evaluating.engine import FORMAT

COMPILER = 1
"""Which way of compiling this is. Raise it with any change of what the same definitions become: the
next change of flags then writes all snapshots anew."""

GROUPS, ROLLOUT = "groups", "rollout"
"""Ids of the rules that the short keys become."""

GROUPS_ATTRIBUTE = "groups"
"""The attribute of a context that `user_groups` is about: a list of texts, or one."""


def compile_snapshot(
    document: FlagsDocument,
    environment: str,
    *,
    version: int = 1,
    enabled_since: Mapping[str, float] | None = None,
    ceilings: Mapping[str, Decimal] | None = None,
) -> dict[str, Any]:
    """The snapshot of one environment, as JSON.

    Args:
        document: checked by `read_flags`.
        environment: its name, as the flags have it under `environments`.
        version: of the definitions.
        enabled_since: when each flag was last switched on, in Unix seconds. A schedule that has
            begun before goes from there, so switching on late does not jump.
        ceilings: the percentage that was last judged good, of the flags that are ramping.
    """
    since, most = enabled_since or {}, ceilings or {}
    return {
        "format": FORMAT,
        "version": version,
        "environment": environment,
        "segments": {name: compiled(one) for name, one in in_order(document.segments)},
        "flags": {
            key: _flag(key, flag, environment, since.get(key), most.get(key))
            for key, flag in document.feature_flags.items()
        },
    }


def in_order(segments: Mapping[str, Condition]) -> Iterator[tuple[str, Condition]]:
    """Segments, each after those that it uses; what only goes round is left out."""
    left = {name: set(segments_of(one)) & set(segments) for name, one in segments.items()}
    while ready := [name for name, needs in left.items() if not needs & set(left)]:
        for name in ready:
            del left[name]
            yield name, segments[name]


def segments_of(condition: Condition) -> Iterator[str]:
    """The segments that a condition names."""
    if condition.segment is not None:
        yield condition.segment
    for part in (*(condition.all or ()), *(condition.any or ()), condition.not_):
        if part is not None:
            yield from segments_of(part)


def compiled(condition: Condition) -> list[Any]:
    """A condition as the engine has it; see `greenlane.flags.evaluating.conditions`."""
    if condition.all is not None:
        return ["all", [compiled(part) for part in condition.all]]
    if condition.any is not None:
        return ["any", [compiled(part) for part in condition.any]]
    if condition.not_ is not None:
        return ["not", compiled(condition.not_)]
    if condition.segment is not None:
        return ["segment", condition.segment]
    if condition.op in ("present", "absent"):
        return [condition.op, condition.attribute]
    value = condition.value
    return [condition.op, condition.attribute, list(value) if isinstance(value, tuple) else value]


def targeted(targeting: Targeting) -> list[Any] | None:
    """Every item is required; a list inside an item means any of its values."""
    asked = [
        ["in", name, list(wanted)] if isinstance(wanted, tuple) else ["==", name, wanted]
        for item in targeting.user_attributes
        for name, wanted in item.items()
    ]
    return ["all", asked] if asked else None


def buckets(percentage: Decimal) -> int:
    """A percentage in buckets."""
    return int(percentage * (BUCKETS // 100))


def _flag(
    key: str, whole: Flag, environment: str, since: float | None, ceiling: Decimal | None
) -> dict[str, Any]:
    flag = whole.within(environment)
    here = not flag.environments or environment in flag.environments
    by = [flag.stickiness] if isinstance(flag.stickiness, str) else list(flag.stickiness)
    foreign = {} if flag.bucketing == "greenlane" else {"hash": flag.bucketing}
    return {
        "type": flag.type,
        "on": flag.enabled and here,
        "variants": flag.variants,
        "off": flag.default,
        "salt": key if flag.salt is None else flag.salt,
        "by": by,
        **foreign,
        "requires": [[one.flag, one.variant] for one in flag.prerequisites],
        "rules": [*map(_rule, flag.rules), *_short(flag, since, ceiling)],
        "meta": flag.metadata,
    }


def _rule(rule: FlagRule) -> dict[str, Any]:
    told: dict[str, Any] = {"id": rule.id}
    if rule.when is not None:
        told["if"] = compiled(rule.when)
    if rule.percentage != 100:
        told["share"] = buckets(rule.percentage)
    if rule.serve is not None:
        return told | {"serve": rule.serve}
    parts = rule.weights or {name: buckets(part) for name, part in (rule.split or {}).items()}
    upper, bounds = 0, []
    for variant, part in parts.items():
        upper += part
        bounds.append([variant, upper])
    return told | {"serve": bounds, "of": upper}


def _short(flag: Flag, since: float | None, ceiling: Decimal | None) -> Iterator[dict[str, Any]]:
    """What the short keys say, as rules."""
    if not flag.shares:
        return
    if flag.user_groups:
        yield {
            "id": GROUPS,
            "if": ["in", GROUPS_ATTRIBUTE, list(flag.user_groups)],
            "serve": flag.served,
        }
    eligible = targeted(flag.targeting) if flag.targeting is not None else None
    for_groups_only = flag.percentage is None and flag.scheduled_rollout is None
    if flag.user_groups and for_groups_only and eligible is None:
        return
    told: dict[str, Any] = {"id": ROLLOUT}
    if eligible is not None:
        told["if"] = eligible
    if flag.scheduled_rollout is not None:
        told["share"] = _schedule(flag.scheduled_rollout, flag.percentage, since)
    elif flag.percentage is not None:
        told["share"] = buckets(flag.percentage)
    if ceiling is not None:
        told["ceiling"] = buckets(ceiling)
    yield told | {"serve": flag.served}


def _schedule(
    schedule: ScheduledRollout, percentage: Decimal | None, since: float | None
) -> list[Any]:
    start = schedule.start_date.timestamp()
    return [
        start if since is None else max(start, since),
        None if schedule.end_date is None else schedule.end_date.timestamp(),
        schedule.interval.total_seconds(),
        buckets(schedule.increment),
        BUCKETS,
        buckets(percentage or Decimal(0)),
    ]
