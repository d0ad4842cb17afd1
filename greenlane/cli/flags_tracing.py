"""How the trace of `greenlane flags explain` is printed."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

BUCKETS_OF_A_PERCENT = 1000

_IN_WORDS = {"all": "all of", "any": "one of", "not": "not", "segment": "segment"}


def traced(trace: Mapping[str, Any]) -> list[str]:
    """A trace as lines: what is needed first, then each rule with the parts of its condition."""
    lines = [trace["message"]] if trace.get("message") else []
    for one in trace.get("requires", ()):
        said = "met" if one["met"] else f"not met, it is at {one['variant'] or 'nothing'}"
        lines.append(f"needs {one['flag']} at {one['wanted']}: {said}")
    for rule in trace.get("rules", ()):
        lines.append(f"rule {rule['rule']}: {_decided(rule)}")
        if rule.get("condition") is not None:
            lines += [f"  {line}" for line in _condition(rule["condition"], whole=True)]
    return lines


def _decided(rule: Mapping[str, Any]) -> str:
    condition, limit = rule.get("condition"), rule["threshold"]
    if condition is not None and not condition["met"]:
        return "not met"
    said = [] if condition is None else ["met"]
    percent = f"{limit / BUCKETS_OF_A_PERCENT:g} percent"
    if "error" in rule:
        said.append(rule["error"])
    elif limit <= 0:
        said.append("0 percent have it")
    elif "bucket" in rule:
        below = "below" if rule["bucket"] < limit else "not below"
        said.append(f"bucket {rule['bucket']} is {below} {limit} ({percent})")
    elif condition is None:
        said.append("everybody")
    return ", ".join(said) + (f": {rule['served']}" if rule["served"] is not None else "")


def _condition(condition: Mapping[str, Any], *, whole: bool = False) -> Iterator[str]:
    """A condition and its parts; the parts alone where "all of" says nothing: on top, or of one."""
    met = "met" if condition["met"] else "not met"
    parts = condition.get("of", ())
    deeper = "  "
    if "attribute" in condition:
        wanted = f" {_json(condition['wanted'])}" if "wanted" in condition else ""
        has = f", the context has {condition['context_has']}" if not condition["met"] else ""
        yield f"{condition['attribute']} {condition['is']}{wanted}: {met}{has}"
    elif condition["is"] == "all" and (whole or len(parts) == 1):
        deeper = ""
    else:
        name = _IN_WORDS.get(condition["is"], condition["is"])
        failed = f" ({condition['error']})" if "error" in condition else ""
        yield f"{name}{_of(condition)}: {met}{failed}"
    for part in parts:
        for line in _condition(part):
            yield f"{deeper}{line}"


def _of(condition: Mapping[str, Any]) -> str:
    return f" {condition['segment']}" if "segment" in condition else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
