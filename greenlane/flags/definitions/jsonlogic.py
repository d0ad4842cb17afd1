"""Conditions as JsonLogic, the language of flagd's targeting.

JsonLogic compares loosely: nothing is less than 5, and "7" is more than 5. A condition of ours is
written with guards that ask for the type first, so that it means the same there.
"""

from collections.abc import Callable, Mapping
from typing import Any

Json = Any

_BOOLEANS = {True: ["true", "True"], False: ["false", "False"]}
# Some implementations write truth with a capital.


class NotInJsonLogic(ValueError):
    """JsonLogic has no words for this condition."""


def var(attribute: str) -> Json:
    """What reads an attribute."""
    return {"var": attribute}


def is_text(found: Json) -> Json:
    """The guard of text: only text is itself when it is made text."""
    return {"===": [{"cat": [found]}, found]}


def is_number(found: Json) -> Json:
    """The guard of numbers: a truth value becomes one, so it is asked for apart."""
    truths = [*_BOOLEANS[True], *_BOOLEANS[False]]
    return {"and": [{"===": [{"+": [found]}, found]}, {"!": [{"in": [{"cat": [found]}, truths]}]}]}


def is_there(found: Json) -> Json:
    """Whether a context has it."""
    return {"!==": [found, None]}


def equals(found: Json, wanted: Json) -> Json:
    """Equality as JSON has it."""
    if isinstance(wanted, bool):
        known = {"in": [{"cat": [found]}, _BOOLEANS[wanted]]}
        return {"and": [known, {"===": [found, wanted]}]}
    if isinstance(wanted, str):
        return {"===": [found, wanted]}
    return {"and": [is_number(found), {"===": [found, wanted]}]}


def told(condition: Any, segments: Mapping[str, Any]) -> Json:
    """A condition of a snapshot in JsonLogic; segments are written out.

    Raises:
        NotInJsonLogic: it is one on dates or patterns.
    """
    kind, *rest = condition
    if kind in ("all", "any"):
        word = "and" if kind == "all" else "or"
        return {word: [told(part, segments) for part in rest[0]]}
    if kind == "not":
        return {"!": [told(rest[0], segments)]}
    if kind == "segment":
        return told(segments[rest[0]], segments)
    found = var(rest[0])
    if kind == "present":
        return is_there(found)
    if kind == "absent":
        return {"===": [found, None]}
    write = _WRITERS.get(kind)
    if write is None:
        raise NotInJsonLogic(f"flagd has no operator {kind!r}")
    return write(found, rest[1])


def _one_of(found: Json, wanted: Json) -> Json:
    """A list of the context matches with any of its items."""

    def member(one: Json) -> list[Json]:
        texts = [value for value in wanted if isinstance(value, str)]
        others = [value for value in wanted if not isinstance(value, str)]
        inside = [{"in": [one, texts]}] if texts else []
        return [*inside, *(equals(one, value) for value in others)]

    item = member(var(""))
    return {"or": [*member(found), {"some": [found, item[0] if len(item) == 1 else {"or": item}]}]}


def _negated(write: Callable[[Json, Json], Json]) -> Callable[[Json, Json], Json]:
    return lambda found, wanted: {"and": [is_there(found), {"!": [write(found, wanted)]}]}


def _number(word: str) -> Callable[[Json, Json], Json]:
    return lambda found, wanted: {"and": [is_number(found), {word: [found, wanted]}]}


def _text(write: Callable[[Json, str], Json]) -> Callable[[Json, Json], Json]:
    def written(found: Json, wanted: Json) -> Json:
        every = [wanted] if isinstance(wanted, str) else wanted
        asked = [write(found, one) for one in every]
        return {"and": [is_text(found), asked[0] if len(asked) == 1 else {"or": asked}]}

    return written


def _version(word: str) -> Callable[[Json, Json], Json]:
    return _text(lambda found, wanted: {"sem_ver": [found, word, wanted]})


_WRITERS: Mapping[str, Callable[[Json, Json], Json]] = {
    "==": equals,
    "!=": _negated(equals),
    "in": _one_of,
    "not_in": _negated(_one_of),
    ">": _number(">"),
    ">=": _number(">="),
    "<": _number("<"),
    "<=": _number("<="),
    "starts_with": _text(lambda found, wanted: {"starts_with": [found, wanted]}),
    "ends_with": _text(lambda found, wanted: {"ends_with": [found, wanted]}),
    "contains": _text(lambda found, wanted: {"in": [wanted, found]}),
    "semver ==": _version("="),
    "semver >": _version(">"),
    "semver >=": _version(">="),
    "semver <": _version("<"),
    "semver <=": _version("<="),
}


def read(logic: Json, evaluators: Mapping[str, Any]) -> dict[str, Any]:
    """A condition as people write it in YAML, from JsonLogic.

    The guards that `told` writes are left out again. What others wrote compares strictly here.

    Raises:
        NotInJsonLogic: it asks something that a condition of ours cannot.
    """
    if not isinstance(logic, dict) or len(logic) != 1:
        raise NotInJsonLogic(f"{logic!r} is no condition")
    ((word, given),) = logic.items()
    parts = given if isinstance(given, list) else [given]
    if word == "$ref" and given in evaluators:
        return {"segment": given}
    if word in ("and", "or"):
        return _joined(word, parts, evaluators)
    if word == "!":
        return {"not": read(parts[0], evaluators)}
    compared = _compared(word, parts)
    if compared is None:
        raise NotInJsonLogic(f"{word!r} is not read in this form")
    return compared


def _joined(word: str, parts: list[Any], evaluators: Mapping[str, Any]) -> dict[str, Any]:
    if word == "or" and (member := _membership(parts)) is not None:
        return member
    asked = [part for part in parts if not (word == "and" and _is_guard(part))]
    read_parts = [read(part, evaluators) for part in asked]
    if len(read_parts) == 1:
        return read_parts[0]
    return {"all" if word == "and" else "any": read_parts}


def _is_guard(part: Any) -> bool:
    try:
        if "===" in part:
            return bool(part == is_text(part["==="][1]))
        if "and" in part:
            return bool(part == is_number(part["and"][0]["==="][1]))
        return part["in"][1] in _BOOLEANS.values() and "cat" in part["in"][0]
    except (AttributeError, IndexError, KeyError, TypeError):
        return False


def _membership(parts: list[Any]) -> dict[str, Any] | None:
    """What `in` was written as; None when it is something else."""
    try:
        found = parts[-1]["some"][0]
        values: list[Any] = []
        for part in parts[:-1]:
            values += part["in"][1] if "in" in part else [part["and"][1]["==="][1]]
        if {"or": parts} == _one_of(found, values):
            return _asked(found, "in", values)
    except (IndexError, KeyError, NotInJsonLogic, TypeError):
        pass
    return None


_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_VERSIONS = {"=": "semver ==", **{word: f"semver {word}" for word in _TURNED}}


def _compared(word: str, parts: list[Any]) -> dict[str, Any] | None:
    if word == "sem_ver" and len(parts) == 3:
        if parts[1] == "!=":
            return {"not": _asked(parts[0], "semver ==", parts[2])}
        return _asked(parts[0], _VERSIONS[parts[1]], parts[2]) if parts[1] in _VERSIONS else None
    if len(parts) != 2:
        return None
    one, two = parts
    if word in ("==", "===", "!=", "!=="):
        found, wanted = (one, two) if isinstance(one, dict) else (two, one)
        differs = word.startswith("!")
        if wanted is None:
            return _asked(found, "present" if differs else "absent", None)
        same = _asked(found, "==", wanted)
        return {"not": same} if differs else same
    if word in _TURNED:
        return _asked(one, word, two) if isinstance(one, dict) else _asked(two, _TURNED[word], one)
    if word in ("starts_with", "ends_with"):
        return _asked(one, word, two)
    if word == "in":
        return _asked(one, "in", two) if isinstance(two, list) else _asked(two, "contains", one)
    return None


def _asked(found: Any, op: str, wanted: Any) -> dict[str, Any]:
    name = found.get("var") if isinstance(found, dict) and len(found) == 1 else None
    if isinstance(name, list) and len(name) == 1:
        name = name[0]
    if not isinstance(name, str) or not name or isinstance(wanted, dict):
        raise NotInJsonLogic("one attribute is compared with one value")
    told = {"attribute": name, "op": op}
    return told if wanted is None else told | {"value": wanted}
