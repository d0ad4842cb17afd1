"""Flags to and from flagd's JSON, with flagd's own bucketing kept.

flagd tells users apart by another hash than Greenlane. A flag that came from there keeps it (its
key `bucketing`), so nobody changes sides by the move; only such a flag can go there with a
percentage. Everything that flagd cannot say is refused by name, never left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from greenlane.documents import Source, validate
from greenlane.errors import InvalidInput
from greenlane.flags.definitions.jsonlogic import NotInJsonLogic, read, told, var
from greenlane.flags.definitions.lints import problems_of
from greenlane.flags.definitions.model import FlagsDocument
from greenlane.flags.evaluating.bucketing import BUCKETS
from greenlane.flags.evaluating.loading import share_of
from greenlane.flags.evaluating.schedule import level_at
from greenlane.problems import Excerpt, InvalidDocument

SCHEMA = "https://flagd.dev/schema/v0/flags.json"

_IN, _OUT = "in", "out"


def export_flagd(snapshot: Mapping[str, Any], now: float) -> dict[str, Any]:
    """A snapshot as a flagd definition.

    Args:
        snapshot: of one environment.
        now: Unix seconds; a schedule is exported at the level that it has then.

    Raises:
        InvalidDocument: with every flag that flagd cannot express.
    """
    flags, problems = {}, []
    for key, flag in snapshot["flags"].items():
        try:
            flags[key] = _exported(key, flag, snapshot["segments"], now)
        except NotInJsonLogic as error:
            problems.append(InvalidInput(key, Excerpt("this flag"), str(error)))
    if problems:
        raise InvalidDocument("flagd", problems)
    return {"$schema": SCHEMA, "flags": flags}


def _exported(
    key: str, flag: Mapping[str, Any], segments: Mapping[str, Any], now: float
) -> dict[str, Any]:
    out = {
        "state": "ENABLED" if flag["on"] else "DISABLED",
        "variants": flag["variants"],
        "defaultVariant": flag["off"],
        **({"metadata": flag["meta"]} if flag["meta"] else {}),
    }
    if not flag["on"]:
        return out
    if flag["requires"]:
        raise NotInJsonLogic("flagd has no prerequisites")
    chain: list[Any] = []
    for rule in flag["rules"]:
        asked = list(_asked_of(key, flag, rule, segments, now))
        if None not in asked:
            served = rule["serve"]
            if not isinstance(served, str):
                served = {"fractional": [*_by(key, flag), *_parts(served)]}
            chain += [asked[0] if len(asked) == 1 else {"and": asked} if asked else True, served]
    return out | {"targeting": {"if": chain}} if chain else out


def _asked_of(
    key: str, flag: Mapping[str, Any], rule: Mapping[str, Any], segments: Any, now: float
) -> Iterator[Any]:
    """What must all be true; None for what never is."""
    if rule.get("if") is not None:
        yield told(rule["if"], segments)
    share = share_of(rule)
    level = share if isinstance(share, int) else level_at(share, now)
    if level <= 0:
        yield None
    elif level < BUCKETS:
        parts = [[_IN, level], [_OUT, BUCKETS - level]]
        yield {"==": [{"fractional": [*_by(key, flag), *parts]}, _IN]}


def _parts(bounds: list[Any]) -> list[Any]:
    parts, below = [], 0
    for variant, upper in bounds:
        parts.append([variant, upper - below])
        below = upper
    return parts


def _by(key: str, flag: Mapping[str, Any]) -> list[Any]:
    """What flagd is told to hash; nothing for its default."""
    how, salt = flag.get("hash"), flag["salt"]
    if how is None:
        raise NotInJsonLogic(
            "its percentages would meet other users there: flagd hashes otherwise; "
            "with bucketing: flagd it can go, after its users were told apart anew"
        )
    if how == "flagd-v2":
        raise NotInJsonLogic("flagd of today hashes otherwise than the one this flag came from")
    if how == "flagd":
        if salt != key:
            raise NotInJsonLogic("with another salt than its key use bucketing: flagd-text")
        return []
    found = var(flag["by"][0])
    return [{"cat": [salt, found]}] if salt else [found]


def import_flagd(
    definition: Mapping[str, Any], hashing: Literal["cbor", "text"] = "cbor"
) -> FlagsDocument:
    """Flags of a flagd definition, bucketed as they are there.

    Args:
        definition: flagd's JSON.
        hashing: `cbor` as flagd does now; `text` as it did before.

    Raises:
        InvalidDocument: with every flag that cannot be taken over as it is.
    """
    evaluators: Mapping[str, Any] = definition.get("$evaluators") or {}
    problems: list[InvalidInput] = []
    flags: dict[str, Any] = {}
    segments: dict[str, Any] = {}
    for name, logic in evaluators.items():
        try:
            segments[name] = read(logic, evaluators)
        except NotInJsonLogic as error:
            problems.append(InvalidInput(name, Excerpt("this evaluator"), str(error)))
    for key, flag in definition.get("flags", {}).items():
        try:
            flags[key] = _Import(key, flag, evaluators, hashing).flag()
        except (NotInJsonLogic, AttributeError, IndexError, KeyError, TypeError) as error:
            said = str(error) if isinstance(error, NotInJsonLogic) else "it is no flag of flagd"
            problems.append(InvalidInput(key, Excerpt("this flag"), said))
    if problems:
        raise InvalidDocument("flagd", problems)
    source = Source("flagd", "", {"feature_flags": flags, "segments": segments})
    document = validate(FlagsDocument, source)
    if found := problems_of(document, source):
        raise InvalidDocument("flagd", found)
    return document


class _Import:
    """One flag on its way in: its rules, and the one bucketing that they share."""

    def __init__(
        self, key: str, flag: Mapping[str, Any], evaluators: Mapping[str, Any], hashing: str
    ) -> None:
        self._key, self._flag, self._evaluators = key, flag, evaluators
        self._hashing = hashing
        self._bucketing: tuple[str, str, str] | None = None
        self._rules: list[dict[str, Any]] = []

    def flag(self) -> dict[str, Any]:
        flag = self._flag
        off = flag.get("defaultVariant")
        if not isinstance(off, str | bool) or off == "":
            raise NotInJsonLogic("name a defaultVariant; a flag here always has one")
        self._off = off if isinstance(off, str) else str(off).lower()
        if flag.get("targeting"):
            self._outcome([], flag["targeting"])
        made: dict[str, Any] = {
            "enabled": flag["state"] == "ENABLED",
            "type": _type(flag["variants"]),
            "variants": flag["variants"],
            "default": self._off,
            "served": self._off,
            "metadata": flag.get("metadata") or {},
            "rules": self._rules,
        }
        if not self._rules:
            made["percentage"] = 0  # everybody has the default, which is what flagd says too
        if self._bucketing is not None:
            how, salt, by = self._bucketing
            made |= {"bucketing": how, "salt": salt, "stickiness": by}
        return made

    def _outcome(self, asked: list[Any], logic: Any) -> None:
        """The rules for those who meet all of `asked` and get what `logic` says."""
        if logic is None or logic == self._off and not asked:
            if asked:
                self._rule(asked, {"serve": self._off})
        elif isinstance(logic, bool | str):
            self._rule(asked, {"serve": logic if isinstance(logic, str) else str(logic).lower()})
        elif set(logic) == {"if"}:
            self._chain(asked, logic["if"])
        elif set(logic) == {"fractional"}:
            self._rule(asked, {"weights": self._weights(logic["fractional"])})
        else:
            raise NotInJsonLogic("targeting is an if, a fractional, or a variant")

    def _chain(self, asked: list[Any], parts: list[Any]) -> None:
        pairs, rest = parts[: len(parts) // 2 * 2], parts[len(parts) // 2 * 2 :]
        for condition, outcome in zip(pairs[::2], pairs[1::2], strict=True):
            self._outcome(asked if condition is True else [*asked, condition], outcome)
            if condition is True:
                return
        # Whoever is not meant by the inner conditions gets nothing further outside either.
        self._outcome(asked, rest[0] if rest else None)

    def _rule(self, asked: list[Any], serves: dict[str, Any]) -> None:
        conditions: list[Any] = []
        shares: list[int] = []
        for logic in asked:
            for part in logic["and"] if isinstance(logic, dict) and "and" in logic else [logic]:
                share = self._share(part)
                if share is None:
                    conditions.append(part)
                else:
                    shares.append(share)
        rule: dict[str, Any] = {"id": f"rule-{len(self._rules) + 1}", **serves}
        if conditions:
            logic = conditions[0] if len(conditions) == 1 else {"and": conditions}
            rule["when"] = read(logic, self._evaluators)
        if shares:
            rule["percentage"] = min(shares) * 100 / BUCKETS
        self._rules.append(rule)

    def _share(self, part: Any) -> int | None:
        """The share of users that an exported percentage means."""
        try:
            fractional, word = part["=="]
            weights = self._weights(fractional["fractional"])
        except (KeyError, TypeError, ValueError):
            return None
        if word != _IN or list(weights) != [_IN, _OUT] or sum(weights.values()) != BUCKETS:
            return None
        return weights[_IN]

    def _weights(self, parts: list[Any]) -> dict[str, int]:
        by, parts = ([], parts) if isinstance(parts[0], list) else (parts[:1], parts[1:])
        bucketing = self._by(by[0] if by else None)
        if self._bucketing not in (None, bucketing):
            raise NotInJsonLogic("a flag tells users apart in one way only")
        self._bucketing = bucketing
        weights: dict[str, int] = {}
        for name, *weight in parts:
            if not isinstance(name, str) or name in weights:
                raise NotInJsonLogic("a fractional names each variant once")
            if weight and (isinstance(weight[0], bool) or not isinstance(weight[0], int)):
                raise NotInJsonLogic("weights are whole numbers")
            weights[name] = max(weight[0], 0) if weight else 1
        return weights

    def _by(self, logic: Any) -> tuple[str, str, str]:
        """Which bucketing, with which salt, of which attribute."""
        text = "flagd-text" if self._hashing == "cbor" else "flagd-v2"
        if logic is None:
            return ("flagd" if text == "flagd-text" else text), self._key, "targetingKey"
        parts = logic.get("cat", ["", logic]) if isinstance(logic, dict) else []
        if len(parts) == 2:
            salt = self._key if parts[0] == var("$flagd.flagKey") else parts[0]
            name = parts[1].get("var") if isinstance(parts[1], dict) else None
            if isinstance(salt, str) and isinstance(name, str):
                return text, salt, name
        raise NotInJsonLogic("users are told apart by an attribute, after a text or the flag's key")


def _type(variants: Mapping[str, Any]) -> str:
    kinds = {
        "boolean" if isinstance(one, bool) else _KINDS.get(type(one), "")
        for one in variants.values()
    }
    if len(kinds) != 1 or "" in kinds:
        raise NotInJsonLogic("all variants of a flag have one type: boolean, text, number, object")
    return kinds.pop()


_KINDS = {str: "string", int: "number", float: "number", dict: "object"}
