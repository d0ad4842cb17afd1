"""Flags and users for the tests of flags."""

from typing import Any

from greenlane.flags.definitions.compiling import compile_snapshot
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.evaluating.engine import Engine

NOW = 1_780_000_000.0


def rule(serve: Any = "on", **more: Any) -> dict[str, Any]:
    return {"id": "r", "serve": serve, **more}


def flag(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "boolean",
        "on": True,
        "variants": {"on": True, "off": False},
        "off": "off",
        "salt": "f",
        "by": ["targetingKey"],
        "requires": [],
        "rules": list(rules),
        "meta": {},
        **more,
    }


def engine(flags: dict[str, Any], segments: dict[str, Any] | None = None) -> Engine:
    return Engine(
        {
            "format": 1,
            "version": 7,
            "environment": "production",
            "segments": segments or {},
            "flags": flags,
        }
    )


def from_yaml(text: str, environment: str = "production", **more: Any) -> Engine:
    return Engine(compile_snapshot(read_flags(text), environment, **more))
