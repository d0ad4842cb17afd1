"""The shapes of a file of Regions.

What needs more than one value to be judged (shares of traffic, failover that nobody has, a window
too short for the work) is in `lints`.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from greenlane.deployments.storing.shapes import Document
from greenlane.durations import Duration
from greenlane.regions.declaring.window import DeploymentWindow, FreezeShape
from greenlane.regions.windows.gate import AtEnd
from greenlane.regions.windows.window import Window

MOST_REGIONS = 40
"""Of one file; AWS has fewer."""

REGION_NAME = r"^[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}$"

Stage = Literal["development", "staging", "production"]
STAGES: tuple[Stage, ...] = ("development", "staging", "production")
Type = Literal["rolling", "blue_green", "canary"]

PRIORITIES = {"low": 10, "medium": 20, "high": 30}
"""The numbers of the words: high is critical, so it comes late."""

ONE_DAY = timedelta(days=1)

RegionName = Annotated[str, Field(pattern=REGION_NAME)]


def _exact(value: Any) -> Any:
    """A float of YAML as it was written, not as binary has it."""
    if isinstance(value, bool | str):
        raise ValueError("write a number, such as 25 or 0.5")
    return str(value) if isinstance(value, float) else value


def _priority(value: Any) -> Any:
    """`high` is 30."""
    if isinstance(value, str):
        if value not in PRIORITIES:
            raise ValueError("write low, medium or high, or a number: the lowest goes first")
        return PRIORITIES[value]
    return value


Percent = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=100, decimal_places=2, allow_inf_nan=False),
]
"""To a hundredth."""

Priority = Annotated[int, BeforeValidator(_priority), Field(ge=0, le=1000, strict=True)]
Share = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, le=1, allow_inf_nan=False)]


class Region(Document):
    """One Region.

    Args:
        priority: how critical; low goes first, high last. Or a number, the lowest first.
        traffic_percentage: of all production traffic; those of production add up to 100.
        deployment_window: when it may be deployed to; any time if left out.
        failover_regions: where its traffic goes when it fails; never deployed to together.
        stage: all of a stage are baked before the next one begins.
        primary: whether it is the one that everything depends on; it goes last. Where nobody is
            primary, the production Region with the most traffic is, unless this is false.
        headroom_percentage: of all production traffic, how much it could take over besides its
            own. Regions that it could not take over together are not deployed to together.
        users: how many it has, for what a bad version would do to them.
        requests_per_minute: how many it gets, for baking by requests.
        expected_duration: of the deployment itself; the strategy's if left out.
    """

    priority: Priority = PRIORITIES["medium"]
    traffic_percentage: Percent | None = None
    deployment_window: DeploymentWindow | None = None
    failover_regions: tuple[str, ...] = ()
    stage: Stage = "production"
    primary: bool | None = None
    headroom_percentage: Percent | None = None
    users: Annotated[int, Field(ge=1, le=10**10, strict=True)] | None = None
    requests_per_minute: Annotated[int, Field(ge=1, le=10**9, strict=True)] | None = None
    expected_duration: Annotated[Duration, Field(ge=timedelta(minutes=1), le=ONE_DAY)] | None = None


class RollbackThreshold(Document):
    """What takes a Region back, and with it all others: either limit, by the Region's numbers.

    Args:
        error_rate: of requests that fail, a ratio.
        response_time_p95: milliseconds.
    """

    error_rate: Share | None = None
    response_time_p95: Annotated[int, Field(ge=1, le=600_000, strict=True)] | None = None


class RegionMonitoring(Document):
    """How closely each Region is watched.

    Args:
        health_check_interval: of the load balancer, which allows 5 s to 300 s.
        metrics_collection_interval: the period of an alarm's metric: 10 s, 20 s, 30 s or minutes.
        alert_evaluation_interval: how long a limit is exceeded before the alarm rings.
    """

    health_check_interval: Annotated[
        Duration, Field(ge=timedelta(seconds=5), le=timedelta(seconds=300))
    ] = timedelta(seconds=30)
    metrics_collection_interval: Duration = timedelta(minutes=1)
    alert_evaluation_interval: Annotated[Duration, Field(le=ONE_DAY)] = timedelta(minutes=2)

    @model_validator(mode="after")
    def _as_cloudwatch_allows(self) -> Self:
        period = self.metrics_collection_interval.total_seconds()
        if period not in (10, 20, 30) and (period % 60 or not 60 <= period <= 3600):
            raise ValueError(
                "metrics_collection_interval: alarms take 10s, 20s, 30s or whole minutes up to 1h"
            )
        window = self.alert_evaluation_interval.total_seconds()
        if window < period or window % period:
            raise ValueError(
                "alert_evaluation_interval: write a multiple of metrics_collection_interval"
            )
        return self


class Bake(Document):
    """How long a wave is watched before the next one begins.

    Args:
        time: at least so long.
        first_time: of the first wave of production, if it is to be longer.
        requests: at least so many in each Region, by its `requests_per_minute`.
    """

    time: Annotated[Duration, Field(le=timedelta(days=14))] = timedelta(minutes=30)
    first_time: Annotated[Duration, Field(le=timedelta(days=14))] | None = None
    requests: Annotated[int, Field(ge=1, le=10**9, strict=True)] | None = None

    @model_validator(mode="after")
    def _first_is_longest(self) -> Self:
        if self.first_time is not None and self.first_time < self.time:
            raise ValueError("first_time: the first wave is watched at least as long as the others")
        return self


class Waves(Document):
    """How waves grow: wave k of a stage, from 0, has at most its first budget times growth^k.

    Args:
        first_regions: Regions of the first wave.
        first_traffic: percent of production traffic of the first wave. A Region with more goes
            alone, once no Region of its level would fit.
        growth: from one wave to the next.
        max_regions: of any wave.
        max_traffic: percent, of any wave of several Regions.
    """

    first_regions: Annotated[int, Field(ge=1, le=MOST_REGIONS, strict=True)] = 1
    first_traffic: Annotated[Percent, Field(gt=0)] = Decimal(5)
    growth: Annotated[
        Decimal, BeforeValidator(_exact), Field(ge=1, le=100, allow_inf_nan=False)
    ] = Decimal(2)
    max_regions: Annotated[int, Field(ge=1, le=MOST_REGIONS, strict=True)] = MOST_REGIONS
    max_traffic: Annotated[Percent, Field(gt=0)] = Decimal(50)


class DeploymentStrategy(Document):
    """How a version goes through the Regions.

    Args:
        type: `rolling` is one Region after the other; `canary` is waves, each Region by steps of
            its own; `blue_green` starts the version everywhere first, and then switches in waves.
        region_delay: a pause after the bake of a wave.
        rollback_threshold: what takes every touched Region back.
        monitoring: how closely each Region is watched.
        baseline: how long a Region is measured before it is deployed to.
        expected_duration: of a Region's deployment.
        switch_duration: of a Region's switch, where the version runs everywhere before.
        bake: how long a wave is watched before the next.
        extended_monitoring: after the last wave; holds up nothing.
        on_window_end: what becomes of the Region in hand when its window ends; no further one
            starts in any case.
        primary_position: `last`, or `after_confidence`: by its priority, but not in the first two
            waves of production.
        waves: how they grow; `rolling` has waves of one.
        max_wait: the longest wait for a start that a plan may have.
    """

    type: Type = "rolling"
    region_delay: Annotated[Duration, Field(le=timedelta(days=7))] = timedelta(minutes=5)
    rollback_threshold: RollbackThreshold = RollbackThreshold()
    monitoring: RegionMonitoring = RegionMonitoring()
    baseline: Annotated[Duration, Field(le=timedelta(hours=6))] = timedelta(minutes=5)
    expected_duration: Annotated[Duration, Field(ge=timedelta(minutes=1), le=ONE_DAY)] = timedelta(
        minutes=20
    )
    switch_duration: Annotated[Duration, Field(ge=timedelta(seconds=10), le=ONE_DAY)] = timedelta(
        minutes=5
    )
    bake: Bake = Bake()
    extended_monitoring: Annotated[Duration, Field(le=timedelta(days=14))] = timedelta(hours=24)
    on_window_end: AtEnd = "finish"
    primary_position: Literal["last", "after_confidence"] = "last"
    waves: Waves = Waves()
    max_wait: Annotated[Duration, Field(ge=timedelta(hours=1), le=timedelta(days=90))] = timedelta(
        days=8
    )

    def duration_in(self, region: Region) -> timedelta:
        """How long the risky part of a Region's deployment lasts, its baseline not counted."""
        if self.type == "blue_green":
            return self.switch_duration
        return region.expected_duration or self.expected_duration

    def need_of(self, region: Region) -> timedelta:
        """How long a Region's window has to be at least: the baseline and the risky part."""
        return self.baseline + self.duration_in(region)


class RegionsDocument(Document):
    """A file of Regions, whole."""

    regions: Annotated[dict[RegionName, Region], Field(min_length=1, max_length=MOST_REGIONS)]
    deployment_strategy: DeploymentStrategy = DeploymentStrategy()
    freezes: tuple[FreezeShape, ...] = ()

    @property
    def primaries(self) -> tuple[str, ...]:
        """The primary Regions: those that say so, else the one with the most traffic.

        Of two with the same traffic it is the later one by name.
        """
        named = tuple(name for name, region in self.regions.items() if region.primary)
        if named:
            return named
        may = [
            (region.traffic_percentage or Decimal(0), name)
            for name, region in self.regions.items()
            if region.stage == "production" and region.primary is None
        ]
        return (max(may)[1],) if may else ()

    def window_of(self, name: str) -> Window | None:
        """When a Region may be deployed to; None is any time."""
        shape = self.regions[name].deployment_window
        return None if shape is None else shape.window
