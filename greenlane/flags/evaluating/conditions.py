"""Who is meant: conditions over a user's context, made into functions when they are loaded.

A condition is JSON: `["all", ...]`, `["any", ...]`, `["not", one]`, `["segment", name]`, or
`[operator, attribute, value]`. An attribute that the context lacks (null counts as that), or one of
another type, meets no operator but `absent`: `["not_in", "plan", ["free"]]` is not true of somebody
whose plan is unknown. Dots reach into objects: `company.size`.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Context = Mapping[str, Any]
    Test = Callable[[Context], bool]
    Read = Callable[[Context], Any]
    Operator = Callable[[Read, Any], Test]

LONGEST_TEXT = 1024
"""Characters of a value that a pattern is tried on; a longer one does not match."""

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_SEMVER = re.compile(
    rf"[vV]?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
    r"(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)


def compile_condition(condition: Sequence[Any], segments: Mapping[str, Test]) -> Test:
    """A function of a context that is true for those who are meant.

    Args:
        condition: as in the module's docstring; it was checked when it was written.
        segments: the named ones, compiled.

    Raises:
        ValueError: it is no such condition.
    """
    kind, *parts = condition
    if kind == "all":
        return _all([compile_condition(part, segments) for part in parts[0]])
    if kind == "any":
        return _any([compile_condition(part, segments) for part in parts[0]])
    if kind == "not":
        inner = compile_condition(parts[0], segments)
        return lambda context: not inner(context)
    if kind == "segment":
        if parts[0] not in segments:
            raise ValueError(f"there is no segment {parts[0]!r}")
        return segments[parts[0]]
    if kind in ("present", "absent"):
        read, present = reader(parts[0]), kind == "present"
        return lambda context: (read(context) is not None) is present
    if kind not in OPERATORS or len(parts) != 2:
        raise ValueError(f"there is no condition {kind!r} of {len(parts)} parts")
    attribute, wanted = parts
    if kind == "==" and isinstance(wanted, str) and "." not in attribute:
        # The commonest by far, with one call less.
        return lambda context: bool(context.get(attribute) == wanted)
    return OPERATORS[kind](reader(attribute), wanted)


def _all(tests: list[Test]) -> Test:
    if not tests:
        raise ValueError("all of nothing is nobody's condition")
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        one, two = tests
        return lambda context: one(context) and two(context)
    return lambda context: all(test(context) for test in tests)


def _any(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda context: any(test(context) for test in tests)


def reader(attribute: str) -> Read:
    """A function that reads an attribute of a context; None when it is not there."""
    if "." not in attribute:
        return lambda context: context.get(attribute)
    parts = attribute.split(".")

    def read(context: Context) -> Any:
        found: Any = context.get(attribute)
        if found is not None:  # an attribute may have a dot in its own name
            return found
        found = context
        for part in parts:
            if not isinstance(found, dict):
                return None
            found = found.get(part)
        return found

    return read


def equal(found: Any, wanted: Any) -> bool:
    """Equality as JSON has it: `true` is not 1, while 1 and 1.0 are one number."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted)


def _equals(read: Read, wanted: Any) -> Test:
    if isinstance(wanted, str):
        return lambda context: read(context) == wanted
    return lambda context: equal(read(context), wanted)


def _differs(read: Read, wanted: Any) -> Test:
    def test(context: Context) -> bool:
        found = read(context)
        return found is not None and not equal(found, wanted)

    return test


def _one_of(read: Read, wanted: Any) -> Test:
    """A list in the context matches with any of its items: groups, roles."""
    texts = frozenset(one for one in wanted if isinstance(one, str))
    others = [one for one in wanted if not isinstance(one, str)]

    def member(found: Any) -> bool:
        if isinstance(found, str):
            return found in texts
        return any(equal(found, one) for one in others)

    def test(context: Context) -> bool:
        found = read(context)
        if isinstance(found, str):
            return found in texts
        if isinstance(found, list | tuple | set | frozenset):
            return any(member(one) for one in found)
        return member(found)

    return test


def _none_of(read: Read, wanted: Any) -> Test:
    inside = _one_of(read, wanted)
    return lambda context: read(context) is not None and not inside(context)


def _number(compare: Callable[[Any, Any], bool]) -> Operator:
    def operator(read: Read, wanted: Any) -> Test:
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            raise ValueError("it is compared with a number")

        def test(context: Context) -> bool:
            found = read(context)
            if isinstance(found, bool) or not isinstance(found, int | float):
                return False
            return compare(found, wanted)

        return test

    return operator


def _text(holds: Callable[[str, str], bool]) -> Operator:
    """True when it holds for any of the wanted texts."""

    def operator(read: Read, wanted: Any) -> Test:
        every = [wanted] if isinstance(wanted, str) else list(wanted)
        if not all(isinstance(one, str) for one in every):
            raise ValueError("it is compared with text")

        def test(context: Context) -> bool:
            found = read(context)
            return isinstance(found, str) and any(holds(found, one) for one in every)

        return test

    return operator


def pattern_of(text: str) -> Any:
    """A pattern for RE2, which runs in linear time: it cannot hang a lookup.

    Raises:
        ValueError: RE2 refuses it, with what it says.
    """
    import re2  # for those flags only that use it

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options=options)
    except re2.error as error:
        said = error.args[0] if error.args else "RE2 refuses it"
        raise ValueError(said.decode() if isinstance(said, bytes) else str(said)) from None


def _matches(read: Read, wanted: Any) -> Test:
    pattern = pattern_of(wanted)

    def test(context: Context) -> bool:
        found = read(context)
        if not isinstance(found, str) or len(found) > LONGEST_TEXT:
            return False
        return pattern.search(found) is not None

    return test


def semver(text: str) -> tuple[Any, ...] | None:
    """A version as something that compares as semver.org's rule 11 says; None when it is none.

    `1.4` is 1.4.0: apps report their version so.
    """
    found = _SEMVER.fullmatch(text) if len(text) <= 256 else None
    if found is None:
        return None
    major, minor, patch, before = found.groups()
    release = int(major), int(minor or 0), int(patch or 0)
    if before is None:
        return (*release, 1, ())
    parts = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")
    )
    return (*release, 0, parts)


def _version(compare: Callable[[Any, Any], bool]) -> Operator:
    def operator(read: Read, wanted: Any) -> Test:
        limit = semver(wanted) if isinstance(wanted, str) else None
        if limit is None:
            raise ValueError(f"{wanted!r} is no version such as 1.4.2")

        def test(context: Context) -> bool:
            found = read(context)
            version = semver(found) if isinstance(found, str) else None
            return version is not None and compare(version, limit)

        return test

    return operator


def instant(value: Any) -> float | None:
    """Unix seconds of a number, or of an ISO 8601 text; without an offset it means UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    found = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    from datetime import datetime, timedelta, timezone

    year, month, day, hour, minute, second, fraction, offset = found.groups()
    away = timedelta(0)
    if offset and offset != "Z":
        away = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0").ljust(6, "0")),
            tzinfo=timezone(-away if offset and offset[0] == "-" else away),
        )
    except ValueError:
        return None
    return moment.timestamp()


def _date(compare: Callable[[Any, Any], bool]) -> Operator:
    def operator(read: Read, wanted: Any) -> Test:
        limit = instant(wanted)
        if limit is None:
            raise ValueError(f"{wanted!r} is no date such as 2026-11-24 or 2026-11-24T10:00:00Z")

        def test(context: Context) -> bool:
            found = instant(read(context))
            return found is not None and compare(found, limit)

        return test

    return operator


OPERATORS: Mapping[str, Operator] = {
    "==": _equals,
    "!=": _differs,
    "in": _one_of,
    "not_in": _none_of,
    ">": _number(lambda one, two: one > two),
    ">=": _number(lambda one, two: one >= two),
    "<": _number(lambda one, two: one < two),
    "<=": _number(lambda one, two: one <= two),
    "starts_with": _text(str.startswith),
    "ends_with": _text(str.endswith),
    "contains": _text(lambda found, part: part in found),
    "matches": _matches,
    "semver ==": _version(lambda one, two: one == two),
    "semver >": _version(lambda one, two: one > two),
    "semver >=": _version(lambda one, two: one >= two),
    "semver <": _version(lambda one, two: one < two),
    "semver <=": _version(lambda one, two: one <= two),
    "before": _date(lambda one, two: one < two),
    "after": _date(lambda one, two: one > two),
}
"""By the name that a condition begins with; `present` and `absent` take no value."""
