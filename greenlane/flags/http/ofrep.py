"""OpenFeature's remote evaluation protocol: from an HTTP request to its answer.

A key that is no flag's may be an A/B test's: then the value is the name of a variant. A flag hides
a test of its name.

Requests are events of API Gateway's REST proxy, answers what it wants back. The protocol is
https://github.com/open-feature/protocol (0.3.0), and where published clients are stricter than it,
they win: every answer has `variant` and a `reason` out of the protocol's own words, every error an
`errorCode` and `errorDetails`, a number that may be a fraction a decimal point.
"""

from __future__ import annotations

import json
from binascii import Error as BadBase64
from binascii import a2b_base64
from hashlib import blake2b
from urllib.parse import unquote

from greenlane.experiments.answering import Unreadable
from greenlane.flags.evaluating.evaluation import (
    FLAG_NOT_FOUND,
    GENERAL,
    INVALID_CONTEXT,
    PARSE_ERROR,
    Evaluation,
)
from greenlane.flags.evaluating.schedule import level_at, read_schedule
from greenlane.flags.reading.reader import as_stale

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from greenlane.experiments.answering import Answer, Answers
    from greenlane.flags.evaluating.engine import Engine
    from greenlane.flags.evaluating.schedule import Schedule

    Tell = Callable[[Evaluation, int], None]
    Event = Mapping[str, Any]
    Response = dict[str, Any]

MAX_BODY_BYTES = 64 * 1024
"""A longer request is refused."""

RETRY_SECONDS = 5
"""When to ask again after there was no snapshot: whole seconds, for clients read no dates."""

_SHAPE = "2"  # of bulk answers; part of their ETag
_ALLOWED_METHODS = "POST, OPTIONS"
_PLAIN = (str, bool, int, float)


class Ofrep:
    """Answers lookups from the engine that it is given.

    Args:
        origin: which pages may read the answers, `*` for any.
        off_variant: tell the value of the `off` variant of a flag that is off. The protocol leaves
            the value out, so that the code's default counts; npm's server provider up to 0.1.3
            takes that for an error (and returns the code's default all the same).
    """

    def __init__(self, *, origin: str = "*", off_variant: bool = False) -> None:
        """See the class."""
        self._off_variant = off_variant
        self._headers = {
            "content-type": "application/json",
            "access-control-allow-origin": origin,
            "access-control-expose-headers": "ETag, Retry-After",
        }
        self._tags: dict[str, tuple[Engine, bytes, list[Schedule]]] = {}

    def answer(
        self,
        event: Event,
        engine: Engine | None,
        stale: bool,
        now: float,
        tell: Tell | None = None,
        tests: Answers | None = None,
    ) -> Response:
        """The answer to one request.

        Args:
            event: of these, `httpMethod`, `pathParameters.key` (none asks for all flags),
                `headers`, `body` and `isBase64Encoded` are read.
            engine: of the environment; None when there is no snapshot.
            stale: whether it may be out of date.
            now: Unix seconds, for schedules.
            tell: counts each evaluation; it gets the version of the flags, or of the tests, too.
            tests: answers for the keys that are no flag's.
        """
        given = (event.get("pathParameters") or {}).get("key")
        key = None if given is None else unquote(given)
        if event.get("httpMethod") != "POST":
            answer = self._error(405, key, GENERAL, f"use one of {_ALLOWED_METHODS}")
            answer["headers"]["allow"] = _ALLOWED_METHODS
            return answer
        try:
            context = _context(event)
        except _Refused as refused:
            return self._error(refused.status, key, refused.code, refused.details)
        if engine is None:
            return self._later(key, "the flags cannot be read now; the code's defaults count")
        if key is None:
            try:
                return self._all(event, engine, context, stale, now, tell, tests)
            except RecursionError:
                # What could just be read may be too deep for writing it.
                return self._error(400, key, PARSE_ERROR, "body: it is nested too deep")
        found = engine.evaluate(key, context, now)
        if found.error == FLAG_NOT_FOUND and tests is not None:
            try:
                tested = tests.one(key, context, now)
            except Unreadable:
                details = "no flag has this key, and the A/B tests cannot be read now"
                return self._later(key, details)
            if tested is not None:
                return self._test(tested, tests.version, tell)
        found = as_stale(found) if stale else found
        if tell is not None:
            tell(found, engine.version)
        if found.error is not None:
            status = 404 if found.error == FLAG_NOT_FOUND else 400
            return self._error(status, key, found.error, found.message)
        return self._answer(200, self._flag(engine, found))

    def _all(
        self,
        event: Event,
        engine: Engine,
        context: dict[str, Any],
        stale: bool,
        now: float,
        tell: Tell | None,
        tests: Answers | None,
    ) -> Response:
        tested = [] if tests is None else tests.every(context, now, engine.flags)
        version = 0 if tests is None else tests.version
        tag = self._tag(engine, context, stale, now, [version, *map(_tested, tested)])
        if tag in _known_tags(event):
            return {
                "statusCode": 304,
                "headers": {**self._headers, "etag": tag},
                "body": "",
                "isBase64Encoded": False,
            }
        found = engine.evaluate_all(context, now)
        found = [as_stale(one) for one in found] if stale else found
        if tell is not None:
            for one in found:
                tell(one, engine.version)
            for answer in tested:
                tell(answer.found, version)
        flags = [
            self._flag(engine, one)
            if one.error is None
            else _failure(one.key, one.error, one.message)
            for one in found
        ]
        metadata = {"version": str(engine.version), "environment": engine.environment}
        if tests is not None:
            metadata["experiments"] = str(version)
            flags += [_tested(one) for one in tested]
        response = self._answer(200, {"flags": flags, "metadata": metadata})
        response["headers"]["etag"] = tag
        return response

    def _test(self, tested: Answer, version: int, tell: Tell | None) -> Response:
        if tell is not None:
            tell(tested.found, version)
        return self._answer(200 if tested.found.error is None else 400, _tested(tested))

    def _tag(
        self,
        engine: Engine,
        context: dict[str, Any],
        stale: bool,
        now: float,
        tested: list[Any],
    ) -> str:
        """Covers all that an answer depends on: flags, context, where schedules stand, and tests.

        The context too, for the web provider sends the tag of one user's attributes with another's.
        """
        known = self._tags.get(engine.environment)
        if known is None or known[0] is not engine:
            known = engine, _digest(engine.snapshot), _schedules(engine.snapshot)
            self._tags[engine.environment] = known
        _, flags, schedules = known
        told = [_SHAPE, self._off_variant, flags.hex(), stale]
        levels = [level_at(one, now) for one in schedules]
        # Of tests the answers themselves, for they may rest on a record of the user.
        about = [*told, context, levels, tested]
        return f'"{_digest(about).hex()}"'

    def _flag(self, engine: Engine, found: Evaluation) -> dict[str, Any]:
        flag = engine.flags[found.key]
        told: dict[str, Any] = {"key": found.key}
        value = found.value
        if value is None and self._off_variant:
            off = flag["variants"][flag["off"]]
            # `default: on` is for whom a flag does not serve, not for a flag that was killed.
            value = None if off is True else off
        if value is not None:
            told["value"] = _as_typed(value, flag)
        told["reason"], told["variant"] = found.reason, found.variant
        meta = flag.get("meta") or {}
        metadata = {name: one for name, one in meta.items() if isinstance(one, _PLAIN)}
        if found.rule is not None:
            metadata["ruleId"] = found.rule
        if found.bucket is not None:
            metadata["bucket"] = found.bucket
        told["metadata"] = metadata
        return told

    def _later(self, key: str | None, details: str) -> Response:
        answer = self._error(503, key, GENERAL, details)
        answer["headers"]["retry-after"] = str(RETRY_SECONDS)
        return answer

    def _error(self, status: int, key: str | None, code: str, details: str) -> Response:
        return self._answer(status, _failure(key, code, details))

    def _answer(self, status: int, body: Mapping[str, Any]) -> Response:
        return {
            "statusCode": status,
            "headers": dict(self._headers),
            "body": json.dumps(body, separators=(",", ":")),
            "isBase64Encoded": False,
        }


class _Refused(Exception):
    """A request that is not looked at any further."""

    def __init__(self, status: int, code: str, details: str) -> None:
        self.status, self.code, self.details = status, code, details


def _failure(key: str | None, code: str, details: str) -> dict[str, str]:
    told = {} if key is None else {"key": key}
    return {**told, "errorCode": code, "errorDetails": details or code}


def _tested(tested: Answer) -> dict[str, Any]:
    """An A/B test as an item."""
    found = tested.found
    if found.error is not None:
        return _failure(found.key, found.error, found.message)
    return {
        "key": found.key,
        "value": found.value,
        "reason": found.reason,
        "variant": found.variant,
        "metadata": dict(tested.metadata),
    }


def _context(event: Event) -> dict[str, Any]:
    """The context of a request; an empty one where it is left out.

    Raises:
        _Refused: the body is too long or not JSON, or the context is no object.
    """
    try:
        body = json.loads(_body(event), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _Refused(400, PARSE_ERROR, "body: send JSON, such as " + _EXAMPLE) from None
    if not isinstance(body, dict):
        details = f"body: it is {_kind(body)}; send an object, such as {_EXAMPLE}"
        raise _Refused(400, PARSE_ERROR, details)
    context = body.get("context", {})
    if not isinstance(context, dict):
        details = f"context: it is {_kind(context)}; send an object, such as {_EXAMPLE}"
        raise _Refused(400, INVALID_CONTEXT, details)
    key = context.get("targetingKey")
    if key is not None and (isinstance(key, bool) or not isinstance(key, str | int)):
        details = f"context.targetingKey: it is {_kind(key)}; send text, or leave it out"
        raise _Refused(400, INVALID_CONTEXT, details)
    return context


_EXAMPLE = '{"context": {"targetingKey": "user-1"}}'


def _body(event: Event) -> bytes:
    body = event.get("body") or ""
    if len(body) > 2 * MAX_BODY_BYTES:
        raise _too_long()
    if event.get("isBase64Encoded"):
        try:
            raw = a2b_base64(body)
        except BadBase64:
            raise ValueError("no base64") from None
    else:
        raw = body.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_BODY_BYTES:
        raise _too_long()
    return raw


def _too_long() -> _Refused:
    limit = f"keep it within {MAX_BODY_BYTES} bytes: send only what rules ask for"
    return _Refused(413, GENERAL, f"body: it is too long; {limit}")


def _no_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


def _kind(value: object) -> str:
    """What a value is, in JSON's words; never the value itself, which is a user's."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return (
        "text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"
    )


def _as_typed(value: Any, flag: Mapping[str, Any]) -> Any:
    """A number with a decimal point where any variant of the flag is a fraction.

    Python's provider takes `1` for an integer and refuses it where a float is asked for.
    """
    if flag["type"] == "number" and isinstance(value, int):
        variants: Iterable[Any] = flag["variants"].values()
        return float(value) if any(isinstance(one, float) for one in variants) else value
    return value


def _known_tags(event: Event) -> list[str]:
    """What `If-None-Match` names; `*` is nothing that a client has seen."""
    headers = event.get("headers") or {}
    given = next((text for name, text in headers.items() if name.lower() == "if-none-match"), "")
    return [tag.strip().removeprefix("W/") for tag in (given or "").split(",")]


def _digest(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).digest()


def _schedules(snapshot: Mapping[str, Any]) -> list[Schedule]:
    """Everything in a snapshot that moves by itself."""
    found = []
    for flag in snapshot["flags"].values():
        for rule in flag.get("rules", ()) if isinstance(flag, dict) else ():
            share = rule.get("share")
            if isinstance(share, list):
                try:
                    found.append(read_schedule(share))
                except (TypeError, ValueError):
                    continue  # a flag that cannot be loaded is an error of that flag alone
    return found
