"""What one look saw and said, as it is stored: enough to decide again, to the last bit."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.experiments.statistics.boundaries import Bounded
from greenlane.experiments.statistics.comparison import Arm
from greenlane.experiments.statistics.effects import Effect
from greenlane.experiments.statistics.moments import Moments
from greenlane.experiments.statistics.sequential import Epoch, SampleRatio

Verdict = Literal[
    "invalid",
    "rollback",
    "insufficient_data",
    "hold",
    "ship",
    "futile",
    "inconclusive",
    "continue",
]

ENDS: tuple[Verdict, ...] = ("invalid", "rollback", "ship", "futile", "inconclusive")
"""After these there is no further look."""

Standing = Literal["ok", "breached", "unproven", "no_data"]


class EpochCounts(StoredModel):
    """Between two changes of weights: buckets planned and users exposed, of each variant."""

    planned: dict[str, int]
    users: dict[str, int]

    def as_epoch(self) -> Epoch:
        """As the test of sample ratios takes it."""
        return Epoch(self.planned, self.users)


class Snapshot(StoredModel):
    """All that a look decides from, frozen: what comes in later belongs to the next one.

    Args:
        at: when it was taken, aware.
        started: when the first user could take part, aware.
        epochs: oldest first.
        moments: by metric and variant, one for each epoch.
        histograms: of quantiles, likewise.
        crossovers: users seen with two variants; they are counted in neither.
    """

    at: datetime
    started: datetime
    epochs: tuple[EpochCounts, ...] = Field(min_length=1)
    moments: dict[str, dict[str, tuple[Moments, ...]]] = Field(default_factory=dict)
    histograms: dict[str, dict[str, tuple[dict[int, int], ...]]] = Field(default_factory=dict)
    crossovers: int = 0

    @model_validator(mode="after")
    def _has_an_epoch_for_all(self) -> Self:
        for kind in ("moments", "histograms"):
            for metric, by in getattr(self, kind).items():
                for variant, parts in by.items():
                    if len(parts) > len(self.epochs):
                        raise ValueError(
                            f"{kind}: {metric} of {variant} has {len(parts)} epochs, and "
                            f"{len(self.epochs)} are known"
                        )
        return self

    def users(self, variant: str) -> int:
        """Exposed users of a variant, of all epochs."""
        return sum(epoch.users.get(variant, 0) for epoch in self.epochs)

    def arms(self, metric: str, variant: str) -> list[Arm]:
        """A metric of one variant, epoch by epoch; what is missing was not sent."""
        moments = self.moments.get(metric, {}).get(variant, ())
        histograms = self.histograms.get(metric, {}).get(variant, ())
        return [
            Arm(
                epoch.users.get(variant, 0),
                moments[number] if number < len(moments) else Moments(),
                histograms[number] if number < len(histograms) else {},
            )
            for number, epoch in enumerate(self.epochs)
        ]

    def pairs(self, metric: str, control: str, treatment: str) -> list[tuple[Arm, Arm]]:
        """A metric of control and treatment, epoch by epoch."""
        both = self.arms(metric, control), self.arms(metric, treatment)
        return list(zip(*both, strict=True))


class Guarded(StoredModel):
    """One guardrail of one treatment.

    Args:
        metric: its name.
        treatment: the variant.
        condition: what is healthy, as text.
        standing: `ok`, `breached`, `unproven`, or `no_data`, which never passes.
        value: of the treatment; its lift where control is the measure.
        evidence: a log e-value, or z.
        needed: what `evidence` must reach to be a breach.
        everywhere: the control breaches it too, and is not better than the treatment.
    """

    metric: str
    treatment: str
    condition: str
    standing: Standing
    value: float | None = None
    evidence: float | None = None
    needed: float | None = None
    everywhere: bool = False


class HonestEffect(StoredModel):
    """The effect without the luck of the moment at which the test ended.

    Median-unbiased, by the look that decided; see
    `greenlane.experiments.statistics.boundaries.honest`.
    """

    look: int
    difference: float
    difference_interval: tuple[float, float]
    lift: float | None = None


class Reason(StoredModel):
    """Why the verdict is what it is: the number that decided and what it was held against.

    Args:
        text: in words.
        metric: which, where it is one's.
        treatment: whose.
        look: at which `number` passed `bound` first.
        number: what was measured.
        bound: what it was held against.
    """

    text: str
    metric: str | None = None
    treatment: str | None = None
    look: int | None = None
    number: float | None = None
    bound: float | None = None


class Look(StoredModel):
    """One look: what it saw, what it was held against, what it said.

    Args:
        number: 1 for the first.
        definition: the digest of the test's definition.
        snapshot: what it decided from.
        final: whether it is the last one by time.
        bounds: of |z|, by treatment; none where this look spends nothing.
        critical: the critical |z| behind every interval, by treatment.
        sample_ratio: whether users came as planned.
        guardrails: each of each treatment.
        effects: by metric and treatment. Those of other metrics than the primary are corrected for
            each other (Holm).
        crossed: the look at which a treatment was first shown to be better, by treatment.
        verdict: what to do.
        reason: why.
        clears_minimum: whether even the lower end of the winner's lift is at least `minimum_lift`.
        honest: of the treatment that was decided about, at an end.
        notes: what a reader should know.
    """

    number: int
    definition: str
    snapshot: Snapshot
    final: bool
    bounds: dict[str, Bounded]
    critical: dict[str, float]
    sample_ratio: SampleRatio
    guardrails: tuple[Guarded, ...]
    effects: dict[str, dict[str, Effect]]
    crossed: dict[str, int]
    verdict: Verdict
    reason: Reason
    clears_minimum: bool = False
    honest: HonestEffect | None = None
    notes: tuple[str, ...] = ()
