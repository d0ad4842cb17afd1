"""What is wrong with flags beyond the shape of single values: names, order, weights, cycles.

All of it is an error: a flag that means something else than it says is found by its users.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import PydanticSerializationError

from greenlane.deployments.declaring.names import Names
from greenlane.errors import InvalidInput
from greenlane.flags.definitions.compiling import GROUPS, ROLLOUT, compiled, in_order, segments_of
from greenlane.flags.definitions.model import Condition, Flag, FlagRule, FlagsDocument
from greenlane.flags.definitions.reach import unreachable
from greenlane.flags.evaluating.conditions import compile_condition
from greenlane.problems import HALF_A_CHARACTER, Excerpt, Path, dotted, excerpt, suggest
from greenlane.source import Source

MOST_ASKED = 100
"""Flags that one lookup may ask in all, for prerequisites of prerequisites."""

ALMOST = 0.85
"""How alike two names of environments are, 0 to 1, of which one is taken for the other misspelt:
`prodution` and `production`, and not `prod` and `preprod`, nor `prod-eu` and `prod-us`."""

Found = Iterator[tuple[Path, object, str]]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "string": str,
    "number": (int, float),
    "object": dict,
}


def problems_of(document: FlagsDocument, source: Source) -> list[InvalidInput]:
    """Everything that is wrong, with lines."""
    # Alone, for what else is wrong would be told by names that nothing can print.
    found = list(_halves(document)) or [
        *segment_problems(document.segments),
        *_prerequisites(document.feature_flags),
        *_names(document),
        *(
            (("feature_flags", key, *at), value, said)
            for key, flag in document.feature_flags.items()
            for at, value, said in _flag(flag, document.segments)
        ),
    ]
    return [
        InvalidInput(dotted(at), _shown(value), said, line=source.line(at))
        for at, value, said in found
    ]


def _halves(document: FlagsDocument) -> Found:
    """Text that no answer could tell. A file cannot have it (see `documents`), Python and JSON can.

    Writing all of it is the quick way to see that there is none: pydantic refuses it, or in a key
    puts what stands for no character.
    """
    try:
        suspect = "\ufffd" in document.model_dump_json(exclude_unset=True)
    except PydanticSerializationError:
        suspect = True
    if suspect:
        yield from _half_texts((), document.model_dump(exclude_unset=True, by_alias=True))


def _half_texts(at: Path, value: object) -> Found:
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield at, value, HALF_A_CHARACTER
    elif isinstance(value, Mapping):
        for key, part in value.items():
            halves = list(_half_texts(at, key))
            yield from halves or _half_texts((*at, key), part)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _half_texts((*at, number), part)


def _names(document: FlagsDocument) -> Found:
    """Names that no environment can have: they are keys in the table, and stages of the API."""
    approvals = document.approvals
    if approvals is not None:
        yield from _misnamed(("approvals", "environments"), approvals.environments)
    for key, flag in document.feature_flags.items():
        yield from _misnamed(("feature_flags", key, "environments"), flag.environments)
        yield from _misnamed(("feature_flags", key, "per_environment"), flag.per_environment)


def unprotecting(
    document: FlagsDocument, source: Source, *, new: Iterable[str], known: Iterable[str] = ()
) -> list[InvalidInput]:
    """Names under `approvals` that protect nothing, since they are misspelt or no flag is there.

    A flag without `environments` is in environments that nobody names, so an unknown name is wrong
    only if it is almost another one, or if there is no such flag.

    Args:
        document: all flags.
        source: the file, for line numbers.
        new: the names that were not protected before; others may have lost their flags since.
        known: environments that are known besides those that the flags name.
    """
    flags = document.feature_flags.values()
    named = {*known, *(name for one in flags for name in (*one.environments, *one.per_environment))}
    limited = bool(flags) and all(one.environments for one in flags)
    at: Path = ("approvals", "environments")
    found = []
    for name in sorted({*new} - named - {"*"}):
        near = suggest(
            name, [one for one in sorted(named) if abs(len(one) - len(name)) < 3], ALMOST
        )
        if near or limited:
            said = near or f"; there are {', '.join(sorted(named))}"
            way_out = f"no flag names it, so this protects nothing{said}; if it is right, name it "
            way_out += "in a flag's `environments` or `per_environment` first"
            found.append(InvalidInput(dotted(at), name, way_out, line=source.line(at)))
    return found


def _misnamed(at: Path, names: Iterable[str]) -> Found:
    for name in names:
        if name != "*" and not _NAME.fullmatch(name):
            yield at, name, "name it with 1 to 64 letters, digits, dots, hyphens and underscores"


def _shown(value: object) -> object:
    return value if isinstance(value, Excerpt) else excerpt(value)


def _flag(flag: Flag, segments: Mapping[str, Condition]) -> Found:
    yield from _variants(flag)
    yield from _environments(flag)
    yield from _metrics(flag)
    yield from _bucketing(flag)
    yield from _rules((), flag, segments)
    for name, settings in flag.per_environment.items():
        if settings.model_fields_set & {"rules", "percentage", "targeting", "scheduled_rollout"}:
            place: Path = ("per_environment", name)
            own = "rules" in settings.model_fields_set
            for at, value, said in _rules(place, flag.within(name), segments):
                if own or at == (*place, "percentage"):
                    yield at, value, said


def _variants(flag: Flag) -> Found:
    kind = _KINDS[flag.type]
    for name, value in flag.variants.items():
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield ("variants", name), value, f"it is no {flag.type}{_hint(flag.type, value)}"
        elif _endless(value):
            yield ("variants", name), value, "JSON has no such number"
    if flag.default not in flag.variants:
        yield ("default",), flag.default, _no_variant(flag.default, flag)
    if flag.shares and flag.served not in flag.variants:
        yield ("served",), flag.served, _no_variant(flag.served, flag)


def _hint(kind: str, value: object) -> str:
    yaml_11 = kind == "boolean" and str(value).lower() in ("yes", "no", "on", "off", "y", "n")
    return "; write true or false, in YAML 1.2 this is text" if yaml_11 else ""


def _endless(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_endless, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and value - value != 0


def _no_variant(name: str, flag: Flag) -> str:
    near = suggest(name, list(flag.variants))
    return f"there is no variant of that name{near or _there_are(flag.variants)}"


def _there_are(names: Mapping[str, object]) -> str:
    return f"; there are {', '.join(names)}" if names else ""


def _environments(flag: Flag) -> Found:
    if flag.environments:
        for name in flag.per_environment:
            if name not in flag.environments:
                near = suggest(name, flag.environments)
                said = f"the flag is not in this environment{near}; see its key environments"
                yield ("per_environment", name), name, said


def _metrics(flag: Flag) -> Found:
    names = Names()
    for key in ("rollback_conditions", "signal_conditions"):
        for number, text in enumerate(getattr(flag, key)):
            if said := names.expression_problem(text):
                yield (key, number), text, said


def _bucketing(flag: Flag) -> Found:
    if flag.bucketing == "greenlane":
        return
    by = flag.stickiness if isinstance(flag.stickiness, tuple) else (flag.stickiness,)
    if len(by) != 1:
        yield ("stickiness",), list(by), "flagd's bucketing knows one attribute"
    if flag.bucketing == "flagd" and by != ("targetingKey",):
        said = "use bucketing: flagd-text, which hashes another attribute"
        yield ("stickiness",), list(by), said


def _rules(place: Path, flag: Flag, segments: Mapping[str, Condition]) -> Found:
    ids: set[str] = set()
    for number, rule in enumerate(flag.rules):
        at = (*place, "rules", number)
        if rule.id in (GROUPS, ROLLOUT):
            yield (*at, "id"), rule.id, "this name is kept for the rules of the short keys"
        elif rule.id in ids:
            yield (*at, "id"), rule.id, "an earlier rule has this id; give each its own"
        ids.add(rule.id)
        yield from _served(at, rule, flag)
        if rule.when is not None:
            yield from condition_problems((*at, "when"), rule.when, segments)
    yield from unreachable(place, flag)


def _served(at: Path, rule: FlagRule, flag: Flag) -> Found:
    named = {("serve",): rule.serve} if rule.serve is not None else {}
    for key in ("split", "weights"):
        named |= {(key, name): name for name in getattr(rule, key) or ()}  # type: ignore[misc]
    for where, name in named.items():
        if name not in flag.variants:
            yield (*at, *where), name, _no_variant(name, flag)
    if flag.bucketing != "greenlane" and rule.serve is None and rule.percentage != 100:
        said = "in flagd a split is its own share: give the rest to a variant of the split"
        yield (*at, "percentage"), Excerpt(rule.percentage), said


def condition_problems(at: Path, condition: Condition, segments: Mapping[str, Condition]) -> Found:
    """What is wrong with a condition: segments that are not there, values that do not fit."""
    for name in segments_of(condition):
        if name not in segments:
            said = f"there is no segment of that name{suggest(name, list(segments))}"
            yield at, name, said or _there_are(segments)
    for asked in _comparisons(condition):
        try:
            compile_condition(compiled(asked), {})
        except ValueError as error:
            yield at, asked.value, f"{asked.op}: {error}"


def _comparisons(condition: Condition) -> Iterator[Condition]:
    if condition.attribute is not None:
        yield condition
    for part in (*(condition.all or ()), *(condition.any or ()), condition.not_):
        if part is not None:
            yield from _comparisons(part)


def segment_problems(segments: Mapping[str, Condition]) -> Found:
    """What is wrong with the segments of a file, cycles included."""
    for name, condition in segments.items():
        yield from condition_problems(("segments", name), condition, segments)
    sound = {name for name, _ in in_order(segments)}
    for name in segments:
        if name not in sound:
            yield ("segments", name), name, "it goes round: segments use each other in a cycle"


def _prerequisites(flags: Mapping[str, Flag]) -> Found:
    for key, flag in flags.items():
        for number, one in enumerate(flag.prerequisites):
            at: Path = ("feature_flags", key, "prerequisites", number)
            other = flags.get(one.flag)
            if other is None:
                said = f"there is no flag of that name{suggest(one.flag, list(flags))}"
                yield (*at, "flag"), one.flag, said
            elif one.variant not in other.variants:
                yield (*at, "variant"), one.variant, _no_variant(one.variant, other)
        whole = ("feature_flags", key, "prerequisites")
        cycle = _cycle(flags, key)
        if cycle:
            shown = Excerpt(" -> ".join(cycle))
            yield whole, shown, "flags need each other in a cycle; take one of them out"
        elif flag.prerequisites and _asked(flags, key, MOST_ASKED) > MOST_ASKED:
            said = f"a lookup would ask more than {MOST_ASKED} flags; name fewer"
            yield whole, Excerpt("these"), said


def _cycle(flags: Mapping[str, Flag], key: str) -> list[str]:
    """The way from a flag back to itself."""
    ways, seen = [[key]], set()
    while ways:
        way = ways.pop()
        for one in flags[way[-1]].prerequisites if way[-1] in flags else ():
            if one.flag == key:
                return [*way, key]
            if one.flag not in seen:
                seen.add(one.flag)
                ways.append([*way, one.flag])
    return []


def _asked(flags: Mapping[str, Flag], key: str, most: int) -> int:
    """How many flags a lookup asks, prerequisites counted each time; counting ends above most."""
    count, left = 0, [(key, 0)]
    while left and count <= most:
        name, depth = left.pop()
        if depth > 8:
            return most + 1
        for one in flags[name].prerequisites if name in flags else ():
            count += 1
            left.append((one.flag, depth + 1))
    return count
