"""What was read of the live system, as plain data: it can be stored, and judged again.

Nothing here knows where the numbers came from. Times are UTC instants on whole minutes, windows
are half open: [start, end).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from pydantic import Field

from greenlane.deployments.storing.shapes import StoredModel
from greenlane.deployments.workload import SlotName as Slot

MINUTE = timedelta(minutes=1)


class Minute(StoredModel):
    """One minute of one metric: the raw numbers by part id; absent is not zero."""

    at: datetime
    parts: dict[str, float] = Field(default_factory=dict)


class Series(StoredModel):
    """A metric's minutes, oldest first; a minute of which nothing was reported is absent.

    `slot` is None for a metric of the whole service. `complete` is False where CloudWatch (or
    Prometheus) answered in part, was throttled or did not answer: then nothing is known for sure.
    """

    metric: str
    slot: Slot | None = None
    minutes: tuple[Minute, ...] = ()
    complete: bool = True
    trouble: str = ""


class Segment(StoredModel):
    """A stretch in which the candidate had one weight, in percent of the traffic."""

    start: datetime
    end: datetime
    weight: int


class Baseline(StoredModel):
    """What a metric was on the live slot before the deployment.

    `value` is in the metric's unit: the ratio over all samples, the median of the minutes'
    percentiles, the mean of a gauge or a flow. `events` of `samples` are a proportion's counts.
    `nothing` says that all of it was read, and nobody had reported anything.
    """

    metric: str
    value: Decimal | None
    minutes: int
    samples: int = 0
    events: int = 0
    nothing: bool = False


class Observed(StoredModel):
    """Everything that one judgement looks at.

    `start` is where the candidate's judged minutes begin; segments cover [start, end), less the
    propagation after each shift. `phase` says which criteria count.
    """

    candidate: Slot
    live: Slot
    phase: Literal["during", "post", "extended"] = "during"
    start: datetime
    end: datetime
    segments: tuple[Segment, ...] = ()
    series: tuple[Series, ...] = ()
    baseline: tuple[Baseline, ...] = ()

    def of(self, metric: str, slot: Slot | None = None) -> Series | None:
        """The series of a metric: the slot's own, else that of the whole service."""
        for one in (slot, None):
            for series in self.series:
                if (series.metric, series.slot) == (metric, one):
                    return series
        return None

    def before(self, metric: str) -> Baseline | None:
        """The baseline of a metric."""
        return next((known for known in self.baseline if known.metric == metric), None)

    def judged(self, series: Series) -> Iterator[tuple[Segment, Minute]]:
        """Its minutes that lie wholly inside a segment, with that segment."""
        for minute in series.minutes:
            for segment in self.segments:
                if segment.start <= minute.at and minute.at + MINUTE <= segment.end:
                    yield segment, minute
