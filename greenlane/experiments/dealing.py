"""Who gets what, out of the compiled snapshot of all tests: light enough for a lookup.

It imports neither pydantic nor boto3 nor `typing`. The snapshot is plain JSON that the write path
has checked and compiled (see `greenlane.experiments.storing.compiling`):

    {"format": 1, "version": 7, "tests": {"checkout": {
        "status": "running", "run": 1, "unit": "targetingKey", "control": "control",
        "serve": null, "segments": {"staff": [...]}, "targeting": ["==", "country", "de"],
        "holdouts": [["holdout:quarter", 20000]], "layer": ["layer:nav", 0, 500000],
        "inclusion": "inclusion:checkout", "variant": "variant:checkout", "digest": "unit:checkout",
        "started": 1772409600.0, "ramp": [43200.0, [10000, 100000, 1000000]], "traffic": 1000000,
        "epochs": [[[500000, "control"], [1000000, "treatment"]]]}}}

What a user gets, and `why`:

- `draft`: the control; nothing is counted.
- `running`: by assignment: `assigned`. Who takes no part gets the control: `not_eligible`,
  `held_out`, `other_layer_place`, `not_included`, or `no_unit` when the context does not say who
  it is.
- `concluded`: what is served now: `served` for those who are eligible by targeting, else
  `not_eligible` and the control.

Only `assigned` is an exposure. A variant that is on record for a user wins over this one where it
may be another (`may_differ`), see `greenlane.experiments.counting`.
"""

from __future__ import annotations

from collections import namedtuple
from hashlib import sha256

from greenlane.flags.evaluating.bucketing import prefix_of
from greenlane.flags.evaluating.conditions import compile_condition
from greenlane.flags.evaluating.loading import subject_of

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NamedTuple

    from greenlane.flags.evaluating.conditions import Context, Test

FORMAT = 1
"""The shape of snapshots that are read here."""

BUCKETS = 1_000_000

ASSIGNED, DRAFT, SERVED = "assigned", "draft", "served"
NOT_ELIGIBLE, HELD_OUT, OTHER_LAYER_PLACE = "not_eligible", "held_out", "other_layer_place"
NOT_INCLUDED, NO_UNIT = "not_included", "no_unit"
"""Why somebody gets a variant."""

_UNLOADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

if TYPE_CHECKING:

    class _Fields(NamedTuple):
        variant: str
        why: str
        epoch: int | None
        run: int
        unit: str | None
else:
    _Fields = namedtuple("_Fields", "variant why epoch run unit")


class Dealt(_Fields):
    """What somebody gets of a test, and why.

    `epoch` is which weights dealt it (0 for those of the start), None where `why` is not
    `assigned`; `run` is 1 unless the test was begun again; `unit` is who was asked for.
    """

    __slots__ = ()

    @property
    def takes_part(self) -> bool:
        """Whether showing this variant is an exposure, to be counted."""
        return self.why == ASSIGNED


def bucket(salt: str, unit: str) -> int:
    """The bucket of a user under a salt, 0 to 999,999; see `greenlane.experiments.assignment`."""
    hashed = sha256(prefix_of(salt) + unit.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(hashed[:8], "big") * BUCKETS >> 64


def unit_digest(salt: str, unit: str) -> str:
    """What a user is known by where tests are stored: 32 hexadecimal digits.

    The first 16 bytes of SHA-256 of the length of the salt (4 bytes, big endian), the salt, and the
    user, both in UTF-8.

    Args:
        salt: `unit:` and the salt of the test: another one in each run.
        unit: who, such as a user's id.
    """
    hashed = sha256(prefix_of(salt) + unit.encode("utf-8", "surrogatepass")).digest()
    return hashed[:16].hex()


class Dealer:
    """Deals the variants of one test; made once, asked often.

    Args:
        name: of the test.
        test: compiled, see the module.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it has the wrong shape.
    """

    def __init__(self, name: str, test: Mapping[str, Any]) -> None:
        """See the class."""
        self.name = name
        self.status: str = test["status"]
        self.run: int = test["run"]
        self.control: str = test["control"]
        self.serve: str = test["serve"] or test["control"]
        self.unit: str = test["unit"]
        self.salt: str = test["digest"]
        self.epochs: list[list[tuple[int, str]]] = [
            [(int(end), str(variant)) for end, variant in slices] for slices in test["epochs"]
        ]
        self.targeted = "targeting" in test
        self._eligible = _targeting(test)
        self._subject = subject_of((self.unit,))
        self._holdouts = [(str(salt), int(below)) for salt, below in test["holdouts"]]
        self._layer = test["layer"]
        self._inclusion: str = test["inclusion"]
        self._variant: str = test["variant"]
        self._started: float = test["started"] or 0.0
        self._traffic: int = test["traffic"]
        self._ramp = test["ramp"]

    def may_differ(self, dealt: Dealt) -> bool:
        """Whether another variant than was dealt may be on record for a user.

        It may be where some weights of before gave him another one, or where he is not eligible
        now, for what is known of a user changes. Of everybody else the record is what was dealt,
        so nobody has to read it, and nothing depends on whether it can be read.
        """
        unit = dealt.unit
        if self.status != "running" or unit is None:
            return False
        if dealt.why == NOT_ELIGIBLE:
            return self.why_never(unit) is None
        if not dealt.takes_part:
            return False  # nor did he ever: holdouts and layers stand still, and ramps only rise
        before = range(len(self.epochs) - 1)
        return any(self.variant_of(unit, epoch) != dealt.variant for epoch in before)

    def unit_of(self, context: Context) -> str | None:
        """Who is asked for; None when the context does not say."""
        return self._subject(context)

    def deal(self, context: Context, now: float) -> Dealt:
        """What somebody gets.

        Args:
            context: `targetingKey`, or the test's `unit`, and whatever targeting asks for.
            now: Unix seconds.
        """
        unit = self._subject(context)
        if self.status == "draft":
            return Dealt(self.control, DRAFT, None, self.run, unit)
        if not self._eligible(context):
            return Dealt(self.control, NOT_ELIGIBLE, None, self.run, unit)
        if self.status != "running":
            return Dealt(self.serve, SERVED, None, self.run, unit)
        why = NO_UNIT if unit is None else self.why_not(unit, now)
        if why is not None or unit is None:
            return Dealt(self.control, str(why), None, self.run, unit)
        epoch = len(self.epochs) - 1
        return Dealt(self.variant_of(unit, epoch), ASSIGNED, epoch, self.run, unit)

    def why_not(self, unit: str, now: float) -> str | None:
        """Why somebody who is eligible takes no part at a moment; None if he does."""
        return self._why_not(unit, self.level(now))

    def why_never(self, unit: str) -> str | None:
        """Why somebody takes no part, however far the ramp goes; None if he can."""
        last = BUCKETS if self._ramp is None else int(self._ramp[1][-1])
        return self._why_not(unit, min(self._traffic, last))

    def _why_not(self, unit: str, level: int) -> str | None:
        if any(bucket(salt, unit) < below for salt, below in self._holdouts):
            return HELD_OUT
        if self._layer is not None:
            salt, start, end = self._layer
            if not start <= bucket(salt, unit) < end:
                return OTHER_LAYER_PLACE
        return NOT_INCLUDED if bucket(self._inclusion, unit) >= level else None

    def level(self, now: float) -> int:
        """How many buckets take part at a moment (Unix seconds); none before the start."""
        elapsed = now - self._started
        if elapsed < 0 or not self.epochs:
            return 0
        if self._ramp is None:
            return self._traffic
        interval, steps = self._ramp
        step = min(int(elapsed // interval), len(steps) - 1)
        return min(self._traffic, int(steps[step]))

    def variant_of(self, unit: str, epoch: int) -> str:
        """The variant of somebody who takes part, by the weights of an epoch."""
        place = bucket(self._variant, unit)
        return next(variant for end, variant in self.epochs[epoch] if place < end)


def _targeting(test: Mapping[str, Any]) -> Test:
    if "targeting" not in test:
        return lambda context: True
    segments: dict[str, Test] = {}
    for name, condition in test.get("segments", {}).items():
        segments[name] = compile_condition(condition, segments)
    return compile_condition(test["targeting"], segments)


class Deals:
    """Deals the variants of all tests of one snapshot.

    Args:
        snapshot: see the module. A test that cannot be loaded is an error of that test alone, and
            stands in `broken` with what is wrong.

    Raises:
        ValueError: it is no snapshot, or one of a later format.
    """

    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        """See the class."""
        if not isinstance(snapshot, dict) or snapshot.get("format") != FORMAT:
            raise ValueError(f"no snapshot of A/B tests of format {FORMAT}")
        if not isinstance(snapshot.get("tests"), dict):
            raise ValueError("a snapshot of A/B tests has tests")
        self.version: int = snapshot.get("version", 0)
        self.tests: dict[str, Dealer] = {}
        self.broken: dict[str, str] = {}
        for name, test in snapshot["tests"].items():
            try:
                self.tests[name] = Dealer(name, test)
            except _UNLOADABLE as error:
                self.broken[name] = f"{type(error).__name__}: {error}"

    def deal(self, test: str, context: Context, now: float) -> Dealt | None:
        """What somebody gets of a test; None when there is no such test."""
        dealer = self.tests.get(test)
        return None if dealer is None else dealer.deal(context, now)

    def names(self) -> Sequence[str]:
        """All tests, in order."""
        return sorted(self.tests)
