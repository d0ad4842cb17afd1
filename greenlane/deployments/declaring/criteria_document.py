"""What a user's file says about success: limits by group, gates, phases and alerts.

The same shapes stand in a file of their own (`success_criteria:`, `monitoring:`, `alerts:`) and
under `service:`. What each limit asks is `greenlane.health.asked`.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from greenlane.deployments.storing.shapes import Document
from greenlane.deployments.storing.stored import is_stored
from greenlane.durations import Duration
from greenlane.problems import suggest

Comparison = Literal[
    "less_than",
    "greater_than",
    "less_than_live",
    "greater_than_live",
    "less_than_baseline",
    "greater_than_baseline",
]

SCAN = "vulnerability_scan"
KNOWN_GATES = (SCAN, "security_tests", "compliance_checks")
GATE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Limit(Document):
    """A healthy condition: in YAML a number, or a mapping that compares with something else.

    `less_than_live` and the like take the threshold as a multiple of what they compare with:
    `throughput: {threshold: 0.95, comparison: greater_than_baseline}`.
    """

    threshold: Decimal
    comparison: Comparison | None = Field(
        None, description="with the number itself, in the metric's own direction, when left out"
    )

    @model_validator(mode="after")
    def _a_multiple_allows_some_worsening(self, info: ValidationInfo) -> Self:
        relative = self.comparison is not None and self.comparison.endswith(("_live", "_baseline"))
        if not relative or is_stored(info):
            return self
        if self.comparison is not None and self.comparison.startswith("greater"):
            if not 0 < self.threshold <= 1:
                raise ValueError(
                    "threshold: a lowest multiple is more than 0 and at most 1: 0.95 permits 5 "
                    "percent less"
                )
        elif not 1 <= self.threshold <= 100:
            raise ValueError(
                "threshold: a highest multiple is 1 to 100: 1.1 permits 10 percent more"
            )
        return self


LEAST_MS = 10
"""A limit below so many ms must be meant in seconds."""


def _from_number(such_as: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"write {such_as}")
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return {"threshold": value}
        return value

    return read


def _check(value: Decimal, low: int, high: int, means: str, never: int | None) -> None:
    """Whether a number is in the unit that is meant, and can be missed at all."""
    if not low <= value <= high:
        raise ValueError(f"write {means}")
    if never is not None and abs(value) == never:
        raise ValueError(f"{value} is never missed; write {means}")


def _within(
    low: int, high: int, means: str, *, never: int | None = None
) -> Callable[[Limit, ValidationInfo], Limit]:
    def check(limit: Limit, info: ValidationInfo) -> Limit:
        own = limit.comparison is None or limit.comparison in ("less_than", "greater_than")
        if own and not is_stored(info):
            _check(limit.threshold, low, high, means, never)
        return limit

    return check


def _number_within(
    low: int, high: int, means: str, *, never: int | None = None
) -> Callable[[Decimal, ValidationInfo], Decimal]:
    def check(value: Decimal, info: ValidationInfo) -> Decimal:
        if not is_stored(info):
            _check(value, low, high, means, never)
        return value

    return check


AnyLimit = Annotated[Limit, BeforeValidator(_from_number("a number without a unit, such as 4.5"))]
_A_RATIO = "a ratio from 0 to less than 1: 0.01 is one percent"
_LOWEST_RATIO = "a ratio of more than 0, up to 1: 0.01 is one percent"
_SOME_MS = "milliseconds, 10 or more: 2000 is 2 seconds"

HighestRatio = Annotated[
    Limit,
    BeforeValidator(_from_number("a ratio such as 0.01, which is one percent")),
    AfterValidator(_within(0, 1, _A_RATIO, never=1)),
]
LowestRatio = Annotated[
    Limit,
    BeforeValidator(_from_number("a ratio such as 0.01, which is one percent")),
    AfterValidator(_within(0, 1, _LOWEST_RATIO, never=0)),
]
Percent = Annotated[
    Limit,
    BeforeValidator(_from_number("percent such as 80, without the sign")),
    AfterValidator(_within(1, 100, "percent, 1 to 100: 80 for 80 percent")),
]
Milliseconds = Annotated[
    Limit,
    BeforeValidator(_from_number("milliseconds such as 2000, without a unit")),
    AfterValidator(_within(LEAST_MS, 3_600_000, _SOME_MS)),
]
RatioNumber = Annotated[Decimal, AfterValidator(_number_within(0, 1, _A_RATIO, never=1))]
"""A highest ratio that is a number and nothing else, such as `judge.error_rate`."""
MillisecondsNumber = Annotated[
    Decimal, AfterValidator(_number_within(LEAST_MS, 3_600_000, _SOME_MS))
]
"""The same of milliseconds."""
_A_WORSENING = "a ratio from 0 to less than 1: 0.05 permits 5 percent"
Worsening = Annotated[Decimal, AfterValidator(_number_within(0, 1, _A_WORSENING, never=1))]
"""A permitted relative worsening, as a ratio."""
Impact = Annotated[
    Decimal,
    AfterValidator(_number_within(-1, 1, "a ratio: 0.02 permits a loss of 2 percent", never=1)),
]
"""The same, written with either sign."""


class Performance(Document):
    """Limits on what the balancer sees; they also hold in the extended watch."""

    response_time_p50: Milliseconds | None = Field(None, description="ms; more is missed")
    response_time_p95: Milliseconds | None = Field(None, description="ms; more is missed")
    response_time_p99: Milliseconds | None = Field(None, description="ms; more is missed")
    throughput_degradation: Worsening | None = Field(
        None, description="ratio; how much less than the live slot serves, by weight"
    )
    throughput: AnyLimit | None = Field(None, description="requests per minute; less is missed")
    error_rate: HighestRatio | None = Field(None, description="ratio; more is missed")


class Business(Document):
    """Limits on what the application reports."""

    conversion_rate_drop: Worsening | None = Field(
        None, description="ratio; how much less than on the live slot"
    )
    conversion_rate: LowestRatio | None = Field(None, description="ratio; less is missed")
    user_satisfaction: AnyLimit | None = Field(None, description="score; less is missed")
    revenue_impact: Impact | None = Field(
        None, description="ratio; 0 is missed by a loss that is shown, 0.02 permits 2 percent"
    )
    user_complaints: AnyLimit | None = Field(None, description="count; more is missed")


class System(Document):
    """Limits on what the tasks use, in percent of what they reserve."""

    cpu_usage: Percent | None = Field(None, description="percent; more is missed")
    memory_usage: Percent | None = Field(None, description="percent; more is missed")
    disk_usage: Percent | None = Field(None, description="percent; more is missed")
    database_connections: Percent | None = Field(
        None, description="percent of `database.pool_maximum`; more is missed"
    )
    unhealthy_hosts: AnyLimit | None = Field(None, description="count; more is missed")


Findings = Annotated[int, Field(ge=0)]


class GateConfig(Document):
    """What is asked of the image itself: `pass`, or for the scan how many findings it may have.

    A level of none is not counted.
    """

    critical: Findings | None = 0
    high: Findings | None = 0
    medium: Findings | None = None
    low: Findings | None = None
    informational: Findings | None = None
    undefined: Findings | None = Field(None, description="findings without a severity")


def _gate_name(name: str, info: ValidationInfo) -> str:
    if is_stored(info) or name in KNOWN_GATES:
        return name
    hint = suggest(name, KNOWN_GATES, cutoff=0.8)
    if hint or not GATE_NAME.fullmatch(name):
        known = ", ".join(KNOWN_GATES)
        raise ValueError(f"name it in lower-case letters, digits and _; known are {known}{hint}")
    return name


def _from_pass(value: Any) -> Any:
    if value == "pass":
        return {}
    if not isinstance(value, dict | GateConfig):
        raise ValueError("write pass: evidence that is missing or failed never lets it through")
    return value


GateWish = Annotated[GateConfig, BeforeValidator(_from_pass)]
GateName = Annotated[str, AfterValidator(_gate_name)]


class SuccessCriteria(Document):
    """The healthy conditions of a candidate, by group; `metrics` holds any other metric."""

    performance: Performance = Performance()
    business: Business = Business()
    system: System = System()
    security: dict[GateName, GateWish] = Field(default_factory=dict)
    metrics: dict[str, AnyLimit] = Field(
        default_factory=dict, description="own metrics, and any other, by name"
    )

    @model_validator(mode="after")
    def _only_a_scan_has_findings(self, info: ValidationInfo) -> Self:
        for name, wish in self.security.items():
            if name != SCAN and wish.model_fields_set and not is_stored(info):
                raise ValueError(f"security: only {SCAN} counts findings; write {name}: pass")
        return self


class PreDeployment(Document):
    """Before the deployment: what is normal."""

    duration: Duration | None = Field(None, description="the baseline's window")
    metrics: tuple[str, ...] = ()


class DuringDeployment(Document):
    """From the first weight to the end of the final bake."""

    duration: Literal["throughout"] = "throughout"
    metrics: tuple[str, ...] = ()


class PostDeployment(Document):
    """After promotion."""

    duration: Duration | None = Field(None, description="the watch; `deployment.watch`")
    metrics: tuple[str, ...] = ()
    extended_monitoring: Duration | None = Field(
        None, description="from promotion; `deployment.extended_watch`"
    )

    @model_validator(mode="after")
    def _extended_covers_the_watch(self, info: ValidationInfo) -> Self:
        watch, extended = self.duration or timedelta(0), self.extended_monitoring
        if extended is not None and extended < watch and not is_stored(info):
            raise ValueError(
                "extended_monitoring: it begins at promotion as well, so it cannot be shorter "
                "than duration"
            )
        return self


class Alerts(Document):
    """Expressions that are true when things are bad: `critical` goes back, `warning` tells."""

    critical: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
