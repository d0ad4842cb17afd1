"""The shapes under `ab_tests:` in YAML: what is compared, who takes part, and what decides.

What needs more than one value to be judged (unknown names, overlapping layers, a covariate on a
kind that has none) is in `lints`.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from greenlane.deployments.storing.shapes import Document
from greenlane.durations import Duration
from greenlane.experiments.naming import Direction, Kind, Per, guessed, healthy
from greenlane.flags.definitions.model import FLAG_KEY, Condition, Percentage, Switch

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""Of tests, variants, metrics, layers, holdouts and segments."""

MINUTE = timedelta(minutes=1)
"""As often as anything looks after a test."""

LEAST_WITHOUT_END = timedelta(hours=6)
MOST_LOOKS = 500
"""Of a run: each one reads all those before."""

Name = Annotated[str, Field(pattern=NAME)]


def _exact(value: Any) -> Any:
    """A float of YAML as it was written, not as binary has it."""
    if isinstance(value, bool | str):
        raise ValueError("write a number, such as 0.05")
    return str(value) if isinstance(value, float) else value


Number = Annotated[Decimal, BeforeValidator(_exact), Field(allow_inf_nan=False)]
"""An exact decimal; a ratio where nothing else is said."""

Level = Annotated[Decimal, BeforeValidator(_exact), Field(ge=Decimal("0.0001"), le=Decimal("0.5"))]


def _metric_from_name(value: Any) -> Any:
    """`conversion_rate` is `{name: conversion_rate}` with what its name says."""
    return {"name": value} if isinstance(value, str) else value


class MetricShape(Document):
    """What is measured for each user.

    Args:
        name: as `record_metric` is given it.
        kind: `proportion` (whether a user did it), `mean`, `ratio` (of two totals), `count`
            (independent events per user) or `quantile` (of the users' values).
        per: of a mean: `user`, of the users' totals, those without records counting 0; or
            `record`, of all values, analysed as a ratio, for records of one user are alike.
        direction: which way is better; `either` for what is only reported.
        numerator: of a ratio, a name that is recorded.
        denominator: of a ratio, likewise.
        quantile: of a quantile, between 0 and 1.
        covariate: of a proportion or mean: what was known of each user before; reduces the noise.
        cap: of a mean: a user's total counts for at most this much, from either side of 0.
    """

    name: Name
    kind: Kind
    direction: Direction
    per: Per = "user"
    numerator: Name | None = None
    denominator: Name | None = None
    quantile: Annotated[Number, Field(ge=Decimal("0.01"), le=Decimal("0.999"))] | None = None
    covariate: Name | None = None
    cap: Annotated[Number, Field(gt=0, le=10**9)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_its_name(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            return value
        told = guessed(value["name"]) | value
        if missing := [key for key in ("kind", "direction") if key not in told]:
            raise ValueError(
                f"its name does not say its {' and '.join(missing)}; write such as "
                f"{{name: {value['name']}, kind: mean, direction: higher}}"
            )
        return told

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        for key, kinds in _BELONGS.items():
            given = getattr(self, key) is not None
            if given and self.kind not in kinds:
                raise ValueError(
                    f"{key}: a {self.kind} has none; it goes with {' or '.join(kinds)}"
                )
            if not given and self.kind in kinds and key in _NEEDED:
                raise ValueError(f"{key}: a {self.kind} needs one")
        if self.per == "record":
            for key in ("covariate", "cap"):
                if self.kind != "mean" or getattr(self, key) is not None:
                    raise ValueError("per: record goes with a mean without covariate and cap")
        return self

    @property
    def is_ratio(self) -> bool:
        """Whether its sums are those of two totals: numerator or values, denominator or records."""
        return self.kind == "ratio" or self.per == "record"

    @property
    def most_per_user(self) -> Decimal | None:
        """What a user's total counts for at most: a proportion asks whether, not how often."""
        return Decimal(1) if self.kind == "proportion" else self.cap


_BELONGS: dict[str, tuple[Kind, ...]] = {
    "numerator": ("ratio",),
    "denominator": ("ratio",),
    "quantile": ("quantile",),
    "covariate": ("proportion", "mean"),
    "cap": ("mean",),
}
_NEEDED = ("numerator", "denominator", "quantile")

Metric = Annotated[MetricShape, BeforeValidator(_metric_from_name)]


class Criterion(Document):
    """When a treatment has won: its lift is at least `minimum_lift`, and shown not to be chance.

    Args:
        minimum_lift: relative to control, in the direction that is better: 0.05 is 5 percent.
        significance_level: how often a test without any effect may be called won or lost.
    """

    minimum_lift: Annotated[Number, Field(ge=0, le=10)] = Decimal(0)
    significance_level: Level = Decimal("0.05")


_LIMITS: dict[Kind, int] = {"proportion": 1, "count": 10**5, "quantile": 10**9}
"""What a guardrail's limit is below, by kind."""


def _guardrail_from_text(value: Any) -> Any:
    """`error_rate < 0.01` is `{name: error_rate, below: 0.01}`."""
    return healthy(value) if isinstance(value, str) else value


class GuardrailShape(MetricShape):
    """What must not become worse, whatever wins: one of `below`, `above` and `margin`.

    Args:
        below: healthy is less than this number.
        above: healthy is more than this number.
        margin: healthy is at most so much worse than control, as a ratio; a win needs it shown.
            0 needs no proof, and stops what is shown to be worse at all.
    """

    below: Number | None = None
    above: Number | None = None
    margin: Annotated[Number, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _states_one_condition(self) -> Self:
        given = [key for key in ("below", "above", "margin") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError("write one of below, above and margin")
        if self.margin is not None and self.direction == "either":
            raise ValueError("direction: a margin needs higher or lower")
        if self.margin is None and self.kind in _LIMITS:
            key = "below" if self.below is not None else "above"
            if not 0 < self.limit < _LIMITS[self.kind]:
                most = _LIMITS[self.kind]
                raise ValueError(f"{key}: the limit of a {self.kind} is between 0 and {most}")
        return self

    @property
    def limit(self) -> Decimal:
        """The number of `below` or `above`; 0 for a margin."""
        found = self.below if self.below is not None else self.above
        return found if found is not None else Decimal(0)


Guardrail = Annotated[GuardrailShape, BeforeValidator(_guardrail_from_text)]


class LayerPlace(Document):
    """A part of a layer, in percent of its users: tests in parts of their own never meet."""

    name: Name
    start: Percentage = Decimal(0)
    end: Percentage = Decimal(100)

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end: it must be more than start")
        return self


class Ramp(Document):
    """How many of the eligible take part, step by step; each for `interval`, the last one on."""

    steps: tuple[Annotated[Percentage, Field(gt=0)], ...] = Field(min_length=1, max_length=50)
    interval: Duration = timedelta(days=1)

    @model_validator(mode="after")
    def _only_rises(self) -> Self:
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError("steps: each one must be more than the one before")
        if self.interval <= timedelta(0):
            raise ValueError("interval: it must be more than 0")
        return self


class WinnerFlag(Document):
    """The feature flag that is ramped when the test ships.

    Args:
        name: its key.
        environment: where it is ramped.
        variant: only when this variant wins; any other than the control if left out.
        on_ship: `ramp`, or `none`: then it is only told which flag it is.
        percentage: percent of the flag's eligible to reach.
        increment: percent more in each step.
        interval: between two steps.
    """

    name: Annotated[str, Field(pattern=FLAG_KEY)]
    environment: str = Field(min_length=1, max_length=100)
    variant: str | None = None
    on_ship: Literal["ramp", "none"] = "ramp"
    percentage: Annotated[Percentage, Field(gt=0)] = Decimal(100)
    increment: Annotated[Percentage, Field(gt=0)] = Decimal(10)
    interval: Duration = timedelta(hours=1)

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if self.interval <= timedelta(0):
            raise ValueError("interval: it must be more than 0")
        return self


class Experiment(Document):
    """One A/B test.

    Args:
        variants: percent of the users of the test, adding up to 100.
        control: what the others are compared with: `control`, else the first one.
        metrics: the primary one and those that are reported beside it.
        primary: what decides: the one in `success_criteria`, else the first.
        success_criteria: of the primary metric.
        guardrail_significance_level: of all guardrails together.
        minimum_sample_size: users of each variant, before which nothing is won.
        minimum_duration: before which nothing is won.
        whole_weeks: nothing is won but after whole weeks, for weekdays differ.
        maximum_duration: when the last look is taken; without it, tests that never end.
        targeting: who is eligible, as in feature flags.
        segments: reported apart; declared here, not found afterwards.
        traffic: percent of the eligible that take part, after the ramp.
        unit: the attribute of the context by which users are told apart.
        salt: what the buckets are made with; a new one deals all users anew.
        winner_flag: the feature flag that is ramped when the test ships.
        service: whose alarms its guardrails heed; the only one there is, if left out.
        look_interval: between two looks.
        watch_interval: between two watches for harm and for a wrong split.
    """

    description: str = Field("", max_length=1000)
    variants: dict[Name, Percentage] = Field(min_length=2, max_length=20)
    control: str | None = None
    metrics: tuple[Metric, ...] = Field(min_length=1, max_length=50)
    primary: str | None = None
    success_criteria: dict[str, Criterion] = Field(default_factory=dict)
    guardrail_metrics: tuple[Guardrail, ...] = Field((), max_length=20)
    guardrail_significance_level: Level = Decimal("0.05")
    minimum_sample_size: Annotated[int, Field(strict=True, ge=1, le=10**9)] = 1000
    minimum_duration: Duration = timedelta(0)
    whole_weeks: Switch = True
    maximum_duration: Duration | None = None
    targeting: Condition | None = None
    segments: dict[Name, Condition] = Field(default_factory=dict, max_length=20)
    layer: LayerPlace | None = None
    traffic: Percentage = Decimal(100)
    ramp: Ramp | None = None
    unit: str = Field("targetingKey", min_length=1, max_length=100)
    salt: str | None = Field(None, min_length=1, max_length=200)
    winner_flag: WinnerFlag | None = None
    service: str | None = Field(None, min_length=1, max_length=200)
    look_interval: Duration = timedelta(days=1)
    watch_interval: Duration = timedelta(minutes=15)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum(self.variants.values()) != 100:
            raise ValueError(f"variants: they add up to {sum(self.variants.values())}, not to 100")
        if self.maximum_duration is not None:
            if self.maximum_duration <= timedelta(0):
                raise ValueError("maximum_duration: it must be more than 0")
            if self.minimum_duration > self.maximum_duration:
                raise ValueError("minimum_duration: it is longer than maximum_duration")
        return self

    @model_validator(mode="after")
    def _looks_now_and_then(self) -> Self:
        for key in ("look_interval", "watch_interval"):
            if getattr(self, key) < MINUTE:
                raise ValueError(f"{key}: it is at least 1m")
        if self.maximum_duration is None:
            if self.look_interval < LEAST_WITHOUT_END:
                raise ValueError("look_interval: without a maximum_duration it is at least 6h")
        elif (looks := -(-self.maximum_duration // self.look_interval)) > MOST_LOOKS:
            raise ValueError(
                f"look_interval: that makes {looks} looks until maximum_duration, and there are "
                f"at most {MOST_LOOKS}"
            )
        return self

    @property
    def control_variant(self) -> str:
        """The variant that the others are compared with."""
        if self.control is not None:
            return self.control
        return "control" if "control" in self.variants else next(iter(self.variants))

    @property
    def treatments(self) -> tuple[str, ...]:
        """The other variants, as listed."""
        return tuple(name for name in self.variants if name != self.control_variant)

    @property
    def measured(self) -> dict[str, MetricShape]:
        """What is measured, by name: metrics, and guardrails that are none of them."""
        found: dict[str, MetricShape] = {shape.name: shape for shape in self.metrics}
        # A metric that is a guardrail too is measured once.
        for shape in self.guardrail_metrics:
            found.setdefault(shape.name, shape)
        return found

    @property
    def primary_metric(self) -> MetricShape:
        """What decides."""
        named = self.primary or next(iter(self.success_criteria), self.metrics[0].name)
        return next(metric for metric in self.metrics if metric.name == named)

    @property
    def criterion(self) -> Criterion:
        """Of the primary metric; the defaults where none is written."""
        return self.success_criteria.get(self.primary_metric.name, Criterion())


class Holdout(Document):
    """Users who are kept out of tests, so that all of them together can be measured.

    `tests` are those it keeps them out of; left out, all of the file.
    """

    percentage: Annotated[Percentage, Field(gt=0, lt=100)]
    tests: tuple[str, ...] = ()
    salt: str | None = Field(None, min_length=1, max_length=200)


class Layer(Document):
    """A deck of users that some tests share out among themselves."""

    description: str = Field("", max_length=1000)
    salt: str | None = Field(None, min_length=1, max_length=200)


class ExperimentsDocument(Document):
    """A file of A/B tests, with the layers, holdouts and segments that they name."""

    ab_tests: dict[Name, Experiment]
    layers: dict[Name, Layer] = Field(default_factory=dict)
    holdouts: dict[Name, Holdout] = Field(default_factory=dict)
    segments: dict[str, Condition] = Field(default_factory=dict)
