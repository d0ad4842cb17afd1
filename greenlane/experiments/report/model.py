"""What a report says, before anybody renders it."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.experiments.naming import Direction, Kind
from greenlane.experiments.records import Guarded, HonestEffect, Verdict
from greenlane.experiments.statistics.effects import Effect
from greenlane.experiments.statistics.sequential import SampleRatio
from greenlane.experiments.storing.state import Ending

Outcome = Literal["running"] | Ending
"""How a test ended, or that it has not."""

Ends = tuple[float | None, float | None]
"""Of an interval; None where an end is not known."""


class Told(StoredModel):
    """The primary metric of one treatment at one look.

    Args:
        effect: at this look's critical value.
        bound: of |z|; None where this look spent nothing.
        critical: of |z|, behind the interval.
    """

    effect: Effect
    bound: float | None = None
    critical: float


class Seen(StoredModel):
    """One look.

    Args:
        number: 1 for the first.
        at: aware.
        users: by variant.
        expected: by variant, of the same number of users, as the weights had it.
        treatments: by name.
        guardrails: each of each treatment.
        split_p: how likely such a split, or a worse one, ever is; see `SampleRatio`.
        verdict: what it said.
        text: why.
    """

    number: int
    at: datetime
    users: dict[str, int]
    expected: dict[str, float]
    treatments: dict[str, Told]
    guardrails: tuple[Guarded, ...]
    split_p: float
    verdict: Verdict
    text: str


class Measure(StoredModel):
    """A metric and what the last look said of it, by treatment."""

    name: str
    kind: Kind
    direction: Direction
    effects: dict[str, Effect]


class SegmentLine(StoredModel):
    """The primary metric of one treatment among the users of one segment.

    `effect` is corrected (Holm) for all segments and treatments together.
    """

    segment: str
    treatment: str
    effect: Effect


class Limit(StoredModel):
    """Where a guardrail's harm begins: a value, or a lift against the control where `relative`."""

    metric: str
    kind: Kind
    limit: float
    relative: bool = False


class EpochLine(StoredModel):
    """Since when which weights held, in percent."""

    since: datetime
    weights: dict[str, Decimal]


class Report(StoredModel):
    """A test, all that its looks saw, and what came of it.

    Args:
        name: of the test.
        run: which of its runs.
        description: in its author's words.
        definition: the digest of what was decided by.
        outcome: how it ended.
        reason: why, in words.
        ended_by: who ended it.
        served: the variant that everybody who is eligible has; the control while it runs.
        started_at: aware.
        ended_at: aware; None while it runs.
        as_of: of the last look; the start before the first one.
        latest_end: when the last look is taken at the latest; None where there is no end.
        control: the variant that the others are compared with.
        treatments: the others.
        epochs: oldest first.
        primary: the metric that decides, and the last look's effects.
        others: the other metrics.
        minimum_lift: that is asked of a winner, as a ratio.
        level: of the test, over all its looks and treatments.
        minimum_sample_size: users of each variant.
        looks: oldest first.
        limits: of the guardrails.
        guardrails: as the last look, or a watch after it, had them.
        watched_at: of that watch; None where the last look has them.
        sample_ratio: of the last look or watch; None before the first one.
        decided_at_look: the look that first showed the win; None without one.
        clears_minimum: whether even the lower end of the lift is what is asked.
        honest: the effect without the luck of the moment.
        crossovers: users who were seen with two variants.
        segments: exploratory; read once, after the end.
        segments_at: when.
        notes: what a reader should know.
        next_steps: what to do, in words; commands stand apart.
    """

    schema_version: int = 1
    name: str
    run: int
    description: str = ""
    definition: str
    outcome: Outcome
    reason: str
    ended_by: str = ""
    served: str
    started_at: datetime
    ended_at: datetime | None = None
    as_of: datetime
    latest_end: datetime | None = None
    control: str
    treatments: tuple[str, ...]
    epochs: tuple[EpochLine, ...]
    primary: Measure
    others: tuple[Measure, ...] = ()
    minimum_lift: Decimal
    level: Decimal
    minimum_sample_size: int
    looks: tuple[Seen, ...] = ()
    limits: tuple[Limit, ...] = ()
    guardrails: tuple[Guarded, ...] = ()
    watched_at: datetime | None = None
    sample_ratio: SampleRatio | None = None
    decided_at_look: int | None = None
    clears_minimum: bool = False
    honest: HonestEffect | None = None
    crossovers: int = 0
    segments: tuple[SegmentLine, ...] = ()
    segments_at: datetime | None = None
    notes: tuple[str, ...] = ()
    next_steps: tuple[tuple[str, str], ...] = ()

    @property
    def users(self) -> dict[str, int]:
        """By variant, at the last look."""
        return self.looks[-1].users if self.looks else {}

    @property
    def leader(self) -> str:
        """The treatment that the report speaks of first: the winner, or the best one."""
        if self.outcome == "ship" and self.served in self.treatments:
            return self.served
        sign = -1.0 if self.primary.direction == "lower" else 1.0

        def gain(treatment: str) -> float:
            effect = self.primary.effects.get(treatment)
            return sign * (effect.difference or 0.0) if effect is not None else 0.0

        return max(self.treatments, key=gain)
