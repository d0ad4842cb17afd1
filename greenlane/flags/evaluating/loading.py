"""Makes one function of each flag of a snapshot, from the inside out.

Whatever can be decided when a flag is loaded is decided then; what is left for a lookup is as few
calls as possible. A flag of the wrong shape is refused here, so that a lookup cannot find one.
"""

from __future__ import annotations

from greenlane.flags.evaluating.bucketing import BUCKETS, placer
from greenlane.flags.evaluating.conditions import compile_condition
from greenlane.flags.evaluating.evaluation import (
    DEFAULT,
    DISABLED,
    SPLIT,
    STATIC,
    TARGETING_MATCH,
    Evaluation,
    failed,
    keyless,
)
from greenlane.flags.evaluating.schedule import level_at, read_schedule

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from greenlane.flags.evaluating.conditions import Context, Test
    from greenlane.flags.evaluating.schedule import Schedule

    Evaluate = Callable[[Context, float], Evaluation]
    Try = Callable[[Context, float], Evaluation | None]
    Subject = Callable[[Context], str | None]

_DEEPEST = 16
"""Prerequisites of prerequisites; the write path allows fewer."""

_KINDS: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "string": str,
    "number": (int, float),
    "object": dict,
}

_new = tuple.__new__


class Loader:
    """The functions of all flags; prerequisites make one ask for another."""

    def __init__(self, flags: Mapping[str, Any], segments: Mapping[str, Test]) -> None:
        """See the class."""
        self._flags, self._segments = flags, segments
        self._done: dict[str, Evaluate] = {}
        self._open: list[str] = []

    def flag(self, key: str) -> Evaluate:
        """The function of one flag.

        Raises:
            ValueError, TypeError, LookupError, AttributeError: it has the wrong shape.
        """
        if key in self._done:
            return self._done[key]
        if key in self._open or len(self._open) >= _DEEPEST:
            raise ValueError(f"its prerequisites go round or too deep: {key}")
        self._open.append(key)
        try:
            self._done[key] = made = self._made(key, self._flags[key])
        finally:
            self._open.pop()
        return made

    def _made(self, key: str, flag: Mapping[str, Any]) -> Evaluate:
        parts = Parts(key, flag)
        off = Evaluation(key, None, parts.off, DISABLED)
        if flag["on"] is not True:
            return lambda context, now: off
        required = [(other, variant, self.flag(other)) for other, variant in flag["requires"]]
        evaluate = self._by_rules(parts, first=not required)
        if required:
            evaluate = _guarded(parts, required, evaluate)
        return _copying(evaluate) if parts.type == "object" else evaluate

    def _by_rules(self, parts: Parts, *, first: bool) -> Evaluate:
        tries: list[Try] = []
        for rule in parts.flag["rules"]:
            tried = _rule(parts, rule, self._segments, first=first and not tries)
            if tried is not None:
                tries.append(tried)
        rest = parts.evaluation(parts.off, DEFAULT if tries or not first else STATIC)
        if not tries:
            return lambda context, now: rest
        if len(tries) == 1:
            only = tries[0]
            return lambda context, now: only(context, now) or rest

        def evaluate(context: Context, now: float) -> Evaluation:
            for rule in tries:
                found = rule(context, now)
                if found is not None:
                    return found
            return rest

        return evaluate


class Parts:
    """What the functions of a flag are made from."""

    def __init__(self, key: str, flag: Mapping[str, Any]) -> None:
        """See the class."""
        self.key, self.flag = key, flag
        self.type: str = flag["type"]
        self.variants: dict[str, Any] = flag["variants"]
        self.off: str = flag["off"]
        self.how: str = flag.get("hash", "")
        self.salt: str = flag["salt"]
        self.subject = subject_of(tuple(flag["by"]), whole_numbers=not self.how)
        kind = _KINDS[self.type]
        for name, value in self.variants.items():
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise TypeError(f"variant {name} is no {self.type}")

    def place(self, of: int = BUCKETS, *, variant: bool = False) -> Callable[[str], int]:
        """Where a user stands among `of`: in the rollout, or among the variants of a split."""
        if self.how:
            from greenlane.flags.evaluating import murmur

            return murmur.placer(self.how, self.salt, of)
        return placer(self.salt + "/variant" if variant else self.salt, of)

    def evaluation(self, variant: str, reason: str, rule: str | None = None) -> Evaluation:
        """One that is the same for everybody."""
        return Evaluation(self.key, self.variants[variant], variant, reason, rule)


def subject_of(by: tuple[str, ...], *, whole_numbers: bool = True) -> Subject:
    """What a user is told apart by: the first of the attributes that the context has."""
    if not by:
        raise ValueError("a flag tells users apart by an attribute")

    def subject(context: Context) -> str | None:
        for attribute in by:
            found = context.get(attribute)
            if found and isinstance(found, str):
                return found
            if whole_numbers and isinstance(found, int) and not isinstance(found, bool):
                return str(found)
        return None

    return subject


def share_of(rule: Mapping[str, Any]) -> int | Schedule:
    """A rule's share under its ceiling: a number of buckets, or a schedule that ends there."""
    share, ceiling = rule.get("share", BUCKETS), rule.get("ceiling", BUCKETS)
    if isinstance(share, list):
        start, end, every, step, most, base = read_schedule(share)
        return start, end, every, step, min(most, _level(ceiling)), base
    return min(_level(share), _level(ceiling))


def _level(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("a share is a whole number")
    return value


def _rule(
    parts: Parts, rule: Mapping[str, Any], segments: Mapping[str, Test], *, first: bool
) -> Try | None:
    """A rule's function, None of a user whom it is not for; None when it is for nobody."""
    condition, share, name = rule.get("if"), share_of(rule), rule["id"]
    test = None if condition is None else compile_condition(condition, segments)
    serve = rule["serve"]
    if isinstance(serve, str):
        hit: Evaluation | None = parts.evaluation(
            serve, STATIC if test is None and first else TARGETING_MATCH, name
        )
        split: Callable[[str], str | None] | None = None
    else:
        hit, split = None, splitter(parts, serve, rule["of"])
    if isinstance(share, int) and share <= 0:
        return None
    if share == BUCKETS:
        return _everybody(test, hit) if hit else _split(parts, name, test, split)
    return _share(parts, name, test, share, hit, split)


def splitter(parts: Parts, serve: Sequence[Any], of: int) -> Callable[[str], str | None]:
    """From a user's key to the variant of a split."""
    bounds = [(str(variant), _level(upper)) for variant, upper in serve]
    if [upper for _, upper in bounds] != sorted(upper for _, upper in bounds):
        raise ValueError("the bounds of a split rise")
    if bounds[-1][1] != of or any(variant not in parts.variants for variant, _ in bounds):
        raise ValueError("a split ends at its whole, and names variants")
    place = parts.place(of, variant=True)

    def variant_of(user: str) -> str | None:
        at = place(user)
        for variant, upper in bounds:
            if at < upper:
                return variant
        return None

    return variant_of


def _everybody(test: Test | None, hit: Evaluation) -> Try:
    if test is None:
        return lambda context, now: hit
    return lambda context, now: hit if test(context) else None


def _split(parts: Parts, name: str, test: Test | None, split: Any) -> Try:
    key, variants, subject = parts.key, parts.variants, parts.subject

    def evaluate(context: Context, now: float) -> Evaluation | None:
        if test is not None and not test(context):
            return None
        user = subject(context)
        if user is None:
            return keyless(key)
        variant = split(user)
        return Evaluation(key, variants[variant], variant, SPLIT, name)

    return evaluate


def _share(
    parts: Parts, name: str, test: Test | None, share: int | Schedule, hit: Any, split: Any
) -> Try:
    """For a share of the users: the hot path, so it is written without helpers."""
    key, variants, place, subject = parts.key, parts.variants, parts.place(), parts.subject
    by = parts.flag["by"]
    first, schedule = by[0], share if isinstance(share, tuple) else None
    level = 0 if isinstance(share, tuple) else share
    variant, value = (hit.variant, hit.value) if hit else (None, None)

    def evaluate(context: Context, now: float) -> Evaluation | None:
        if test is not None and not test(context):
            return None
        limit = level if schedule is None else level_at(schedule, now)
        if limit <= 0:
            return None
        if limit >= BUCKETS and hit is not None:
            return hit  # type: ignore[no-any-return]
        user = context.get(first)
        if user.__class__ is not str or not user:
            user = subject(context)
            if user is None:
                return keyless(key)
        at = place(user)
        if at >= limit:
            return None
        if hit is not None:
            return _new(Evaluation, (key, value, variant, SPLIT, name, at, None, ""))
        chosen = split(user)
        return _new(Evaluation, (key, variants[chosen], chosen, SPLIT, name, at, None, ""))

    return evaluate


def _guarded(parts: Parts, required: list[tuple[str, str, Evaluate]], inner: Evaluate) -> Evaluate:
    """Others come first: unless each of them is as it must be, this one is off."""
    unmet = {
        other: parts.evaluation(parts.off, DEFAULT, f"requires {other}") for other, _, _ in required
    }

    def evaluate(context: Context, now: float) -> Evaluation:
        for other, variant, ask in required:
            found = ask(context, now)
            if found.error is not None:
                return failed(parts.key, found.error, f"prerequisite {other}: {found.message}")
            if found.value is None or found.variant != variant:
                return unmet[other]
        return inner(context, now)

    return evaluate


def _copying(evaluate: Evaluate) -> Evaluate:
    """An object is made anew each time: whoever gets it may change it."""

    def evaluate_object(context: Context, now: float) -> Evaluation:
        found = evaluate(context, now)
        return found if found.value is None else found._replace(value=_copied(found.value))

    return evaluate_object


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
