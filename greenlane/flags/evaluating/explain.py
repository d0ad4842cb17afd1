"""Why somebody gets what they get: every rule, every condition, bucket and threshold.

An explanation names attributes and what was asked of them, never the values that a user has, so it
can be logged and pasted. It is built from the same parts as a lookup, and tests hold it to the
same answer.
"""

from __future__ import annotations

from greenlane.flags.evaluating.bucketing import BUCKETS
from greenlane.flags.evaluating.conditions import compile_condition, reader
from greenlane.flags.evaluating.loading import Parts, share_of, splitter
from greenlane.flags.evaluating.schedule import level_at, next_change

TYPE_CHECKING = False  # as in the engine, which it is loaded beside
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from greenlane.flags.evaluating.conditions import Context
    from greenlane.flags.evaluating.engine import Engine


def explain(engine: Engine, key: str, context: Context, now: float) -> dict[str, Any]:
    """The whole trace of one evaluation, as JSON.

    Args:
        engine: with the snapshot.
        key: the flag.
        context: the user's.
        now: Unix seconds.

    Returns:
        The evaluation's fields, `environment`, `version`, and where the flag is on and sound:
        `requires` (each prerequisite with the variant it has) and `rules` (each one that was
        reached with `condition`, `bucket`, `threshold` and `served`).
    """
    found = engine.evaluate(key, context, now)
    told: dict[str, Any] = {
        "flag": key,
        "environment": engine.environment,
        "version": engine.version,
        **{name: getattr(found, name) for name in ("value", "variant", "reason", "rule", "bucket")},
    }
    if found.error is not None:
        told |= {"error": found.error, "message": found.message}
    if found.error in ("FLAG_NOT_FOUND", "PARSE_ERROR", "INVALID_CONTEXT"):
        return told
    flag = engine.flags[key]
    if flag["on"] is not True:
        return told
    told["requires"] = []
    for other, variant in flag["requires"]:
        now_at = engine.evaluate(other, context, now)
        met = now_at.value is not None and now_at.variant == variant
        told["requires"].append(
            {"flag": other, "wanted": variant, "variant": now_at.variant, "met": met}
        )
    told["rules"] = []
    if all(one["met"] for one in told["requires"]):
        told["rules"] = _rules(engine, Parts(key, flag), context, now)
    return told


def _rules(engine: Engine, parts: Parts, context: Context, now: float) -> list[dict[str, Any]]:
    told = []
    for rule in parts.flag["rules"]:
        one = _rule(engine, parts, rule, context, now)
        told.append(one)
        if one["served"] is not None or "error" in one:
            break
    return told


def _rule(
    engine: Engine, parts: Parts, rule: Mapping[str, Any], context: Context, now: float
) -> dict[str, Any]:
    told: dict[str, Any] = {"rule": rule["id"], "served": None}
    meant = True
    if rule.get("if") is not None:
        told["condition"] = _condition(engine, rule["if"], context)
        meant = told["condition"]["met"]
    share = share_of(rule)
    limit = share if isinstance(share, int) else level_at(share, now)
    told["threshold"] = limit
    if "ceiling" in rule:
        told["ceiling"] = rule["ceiling"]
    if isinstance(share, tuple):
        told["schedule"] = {"level": limit, "next_change": next_change(share, now)}
    if not meant or limit <= 0:
        return told
    constant = isinstance(rule["serve"], str)
    user = parts.subject(context)
    if limit < BUCKETS or not constant:
        if user is None:
            return told | {"error": "no attribute of the context tells users apart"}
        told["bucket"] = at = parts.place()(user)
        if at >= limit:
            return told
    told["served"] = (
        rule["serve"] if constant else splitter(parts, rule["serve"], rule["of"])(user)  # type: ignore[arg-type]
    )
    return told


def _condition(engine: Engine, condition: Sequence[Any], context: Context) -> dict[str, Any]:
    """The condition with, at each of its parts, whether it is met."""
    kind, *rest = condition
    try:
        met = compile_condition(condition, engine.segments)(context)
    except Exception as error:
        # A lookup answers this with an error; the trace shows at which part.
        return {"is": kind, "met": False, "error": type(error).__name__}
    if kind in ("all", "any", "not"):
        return {
            "is": kind,
            "met": met,
            "of": [_condition(engine, part, context) for part in rest[0]]
            if kind != "not"
            else [_condition(engine, rest[0], context)],
        }
    if kind == "segment":
        inside = engine.snapshot["segments"][rest[0]]
        return {
            "is": kind,
            "segment": rest[0],
            "met": met,
            "of": [_condition(engine, inside, context)],
        }
    told = {"is": kind, "attribute": rest[0], "met": met}
    if len(rest) > 1 and kind not in ("present", "absent"):
        told["wanted"] = rest[1]
    found = reader(rest[0])(context)
    told["context_has"] = "nothing" if found is None else type(found).__name__
    return told
