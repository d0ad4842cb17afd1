"""Lookups by OFREP as API Gateway sends them, and flags to look up."""

import json
from typing import Any

from greenlane.flags.evaluating.engine import Engine
from greenlane.flags.http.ofrep import Ofrep
from tests.unit.flags.flagging import NOW, engine, flag, rule

FLAGS = engine(
    {
        "plain": flag(rule()),
        "share": flag(rule(id="beta", share=50_000), meta={"owner": "team", "deep": {"no": 1}}),
        "premium": flag(rule(**{"if": ["==", "plan", "premium"]})),
        "gone": flag(on=False),
        "text": flag(variants={"on": "ja", "off": "nein"}, type="string"),
        "whole": flag(variants={"on": 1, "off": 0}, type="number"),
        "fraction": flag(variants={"on": 1, "off": 0.5}, type="number"),
        "object": flag(rule(), variants={"on": {"a": [1]}, "off": {}}, type="object"),
        "broken": {"type": "boolean"},
    }
)


def event(body: Any, key: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "httpMethod": "POST",
        "pathParameters": None if key is None else {"key": key},
        "headers": None,
        "body": body if isinstance(body, str) or body is None else json.dumps(body),
        "isBase64Encoded": False,
        **more,
    }


def ask(
    body: Any = None,
    key: str | None = None,
    *,
    flags: Engine | None = FLAGS,
    stale: bool = False,
    now: float = NOW,
    ofrep: Ofrep | None = None,
    **more: Any,
) -> tuple[int, dict[str, str], Any]:
    asked = event({"context": {}} if body is None else body, key, **more)
    answer = (ofrep or Ofrep()).answer(asked, flags, stale, now)
    assert answer["isBase64Encoded"] is False
    return (
        answer["statusCode"],
        answer["headers"],
        json.loads(answer["body"]) if answer["body"] else None,
    )


def context(**known: Any) -> dict[str, Any]:
    return {"context": known}
