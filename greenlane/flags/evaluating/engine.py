"""What a flag is for a user: pure, deterministic, and never "on" by mistake.

The engine is loaded with a snapshot: plain JSON that the write path has checked and compiled (see
`greenlane.flags.definitions.compiling`). Each flag becomes one function. Nothing here does I/O or
reads a clock; the time comes in.

    {"format": 1, "version": 7, "environment": "production", "segments": {"staff": [...]},
     "flags": {"checkout": {
        "type": "boolean", "on": true, "variants": {"on": true, "off": false}, "off": "off",
        "salt": "checkout", "by": ["targetingKey"], "requires": [["other", "on"]],
        "rules": [{"id": "beta", "if": [...], "share": 25000, "serve": "on"}], "meta": {}}}}

Rules are tried in order. A rule serves those who meet its condition and whose bucket is below its
share; everybody else goes on to the next rule, and in the end gets `off`. `share` is a number of
buckets (percent times 1,000), or a schedule. `ceiling` caps it: the level that was last judged
good. `serve` is a variant, or a split `[[variant, upper], ...]` with rising upper bounds of `of`
parts; it is decided by a hash of its own, so that a growing share moves nobody to another variant.
"""

from __future__ import annotations

from greenlane.flags.evaluating.conditions import compile_condition
from greenlane.flags.evaluating.evaluation import (
    FLAG_NOT_FOUND,
    GENERAL,
    INVALID_CONTEXT,
    PARSE_ERROR,
    failed,
)
from greenlane.flags.evaluating.loading import Loader

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from greenlane.flags.evaluating.conditions import Context, Test
    from greenlane.flags.evaluating.evaluation import Evaluation

    Evaluate = Callable[[Context, float], Evaluation]

FORMAT = 1
"""The shape of snapshots that this engine reads."""

_UNLOADABLE = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class Engine:
    """Evaluates the flags of one snapshot.

    Args:
        snapshot: see the module. A flag that cannot be loaded is an error of that flag alone.

    Raises:
        ValueError: it is no snapshot, or one of a later format.
    """

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        """See the class."""
        if not isinstance(snapshot, dict) or snapshot.get("format") != FORMAT:
            raise ValueError(f"no snapshot of format {FORMAT}")
        if not all(isinstance(snapshot.get(part), dict) for part in ("flags", "segments")):
            raise ValueError("a snapshot has flags and segments")
        self.snapshot = snapshot
        self.version: int = snapshot.get("version", 0)
        self.environment: str = snapshot.get("environment", "")
        self.flags: Mapping[str, Any] = snapshot["flags"]
        self.segments = _segments(snapshot["segments"])
        self._keys = sorted(self.flags)
        self._broken: dict[str, str] = {}
        self._evaluate: dict[str, Evaluate] = {}
        load = Loader(self.flags, self.segments)
        for key in self.flags:
            try:
                self._evaluate[key] = load.flag(key)
            except _UNLOADABLE as error:
                self._broken[key] = f"{type(error).__name__}: {error}"

    def evaluate(self, key: str, context: Context, now: float) -> Evaluation:
        """What a flag is for somebody; it never raises.

        Args:
            key: the flag.
            context: `targetingKey` and whatever else is known of the user.
            now: Unix seconds, for schedules.
        """
        try:
            return self._evaluate[key](context, now)
        except Exception as error:
            # Whatever it is: the code's default, never "on".
            return self._failed(key, context, error)

    def _failed(self, key: str, context: Context, error: Exception) -> Evaluation:
        if not isinstance(key, str) or key not in self._evaluate:
            if isinstance(key, str) and key in self._broken:
                return failed(key, PARSE_ERROR, self._broken[key])
            return failed(key, FLAG_NOT_FOUND, "there is no such flag")
        if not isinstance(context, dict):
            return failed(key, INVALID_CONTEXT, "the context is no mapping")
        # The error's text may quote what is known of the user: it stays out.
        return failed(key, GENERAL, type(error).__name__)

    def evaluate_all(self, context: Context, now: float) -> list[Evaluation]:
        """Every flag, in the order of their keys."""
        evaluate = self.evaluate
        return [evaluate(key, context, now) for key in self._keys]


def _segments(conditions: Mapping[str, Any]) -> dict[str, Test]:
    """In their order: a segment may use those before it. A broken one breaks who uses it."""
    segments: dict[str, Test] = {}
    for name, condition in conditions.items():
        try:
            segments[name] = compile_condition(condition, segments)
        except _UNLOADABLE:
            continue
    return segments
