"""The shapes under `feature_flags:` in YAML: what a flag is, and who gets which variant.

These models are for the write path. A lookup never imports them; it reads what
`greenlane.flags.definitions.compiling` made of them.

How the spec's keys combine (ADR 0022): `environments` says where the flag exists; `enabled: false`
switches it off for everybody; `user_groups` always have it; `targeting` says who is eligible; of
those, `percentage` get it, or what `scheduled_rollout` has reached from there. `rules` are for what
these keys cannot say, and come before them.

What needs more than one value to be judged (unknown names, unreachable rules, cycles) is in
`lints`.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from greenlane.deployments.storing.shapes import Document
from greenlane.durations import Duration

FlagType = Literal["boolean", "string", "number", "object"]
Bucketing = Literal["greenlane", "flagd", "flagd-text", "flagd-v2"]
"""How users are told apart: ours, or as a flag that was imported from flagd has them."""

FLAG_KEY = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"
"""No slash, question mark or hash: some clients put the key into a URL as it is."""

Operator = Literal[
    "==",
    "!=",
    "in",
    "not_in",
    ">",
    ">=",
    "<",
    "<=",
    "starts_with",
    "ends_with",
    "contains",
    "matches",
    "semver ==",
    "semver >",
    "semver >=",
    "semver <",
    "semver <=",
    "before",
    "after",
    "present",
    "absent",
]


def _finite(value: float) -> float:
    if not isfinite(value):
        raise ValueError("JSON has no such number")
    return value


Scalar = StrictBool | StrictInt | Annotated[StrictFloat, AfterValidator(_finite)] | StrictStr


def _not_yaml_11(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError("write true or false; in YAML 1.2 yes, no, on and off are text")
    return value


Switch = Annotated[bool, BeforeValidator(_not_yaml_11)]


def _thousandths(value: Decimal) -> Decimal:
    if value * 1000 != (value * 1000).to_integral_value():
        raise ValueError("a percentage has at most three decimals")
    return value


def _exact(value: Any) -> Any:
    """A float of YAML as it was written, not as binary has it."""
    if isinstance(value, bool | str):
        raise ValueError("write a number, such as 25 or 0.5")
    return str(value) if isinstance(value, float) else value


Percentage = Annotated[
    Decimal, BeforeValidator(_exact), Field(ge=0, le=100), AfterValidator(_thousandths)
]


Weight = Annotated[StrictInt, Field(ge=0, le=2**31 - 1)]


def _condition_from_shorthand(value: Any) -> Any:
    """`{plan: premium, country: [de, fr]}` is all of: plan == premium, country in [de, fr]."""
    words = {"all", "any", "not", "segment", "attribute"}
    if not isinstance(value, dict) or not value or words & set(value):
        return value
    return {
        "all": [
            {
                "attribute": attribute,
                "op": "in" if isinstance(wanted, list) else "==",
                "value": wanted,
            }
            for attribute, wanted in value.items()
        ]
    }


class ConditionShape(Document):
    """Exactly one of: all, any, not, segment, or attribute with op and value.

    Dots in `attribute` reach into objects.
    """

    all: "tuple[Condition, ...] | None" = Field(None, max_length=50)
    any: "tuple[Condition, ...] | None" = Field(None, max_length=50)
    not_: "Condition | None" = Field(None, alias="not")
    segment: str | None = None
    attribute: str | None = Field(None, min_length=1, max_length=100)
    op: Operator = "=="
    value: Scalar | tuple[Scalar, ...] | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [
            name
            for name in ("all", "any", "not_", "segment", "attribute")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError("write one of all, any, not, segment, or attribute with op and value")
        if () in (self.all, self.any):
            raise ValueError(f"{given[0]}: it needs at least one condition")
        if self.attribute is None and self.model_fields_set & {"op", "value"}:
            raise ValueError("op and value go with attribute")
        if self.attribute is not None:
            self._value_fits()
        return self

    def _value_fits(self) -> None:
        many = isinstance(self.value, tuple)
        if self.op in ("present", "absent"):
            if self.value is not None:
                raise ValueError(f"value: {self.op} takes none")
        elif self.value is None:
            raise ValueError(f"value: {self.op} needs one")
        elif self.op in ("in", "not_in"):
            if not many:
                raise ValueError(f"value: {self.op} needs a list")
        elif many and self.op not in ("starts_with", "ends_with", "contains"):
            raise ValueError(f"value: {self.op} needs one value, not a list")


Condition = Annotated[ConditionShape, BeforeValidator(_condition_from_shorthand)]
ConditionShape.model_rebuild()


class FlagRule(Document):
    """Those who meet `when` get `serve`, or a variant of `split`; `percentage` of them, by bucket.

    `split` has percent by variant, which add up to 100; `weights` has parts of any sum instead.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    when: Condition | None = None
    percentage: Percentage = Decimal(100)
    serve: str | None = None
    split: dict[str, Percentage] | None = Field(None, min_length=1, max_length=50)
    weights: dict[str, Weight] | None = Field(None, min_length=1, max_length=50)

    @model_validator(mode="after")
    def _serves_one_way(self) -> Self:
        ways = [one for one in (self.serve, self.split, self.weights) if one is not None]
        if len(ways) != 1:
            raise ValueError("write one of serve, split and weights")
        if self.split is not None and sum(self.split.values()) != 100:
            raise ValueError(f"split: it adds up to {sum(self.split.values())}, not to 100")
        if self.weights is not None and sum(self.weights.values()) == 0:
            raise ValueError("weights: one of them is more than 0")
        return self


class Targeting(Document):
    """Who is eligible: every item is required, and any value of a list inside an item."""

    user_attributes: tuple[dict[str, Scalar | tuple[Scalar, ...]], ...] = ()


def _utc_midnight(value: Any) -> Any:
    """A bare date is its midnight in UTC."""
    if not isinstance(value, str | date):
        raise ValueError("write a date such as 2026-11-24 or 2026-11-24T10:00:00Z")
    if isinstance(value, str) and len(value) == 10:
        value = date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def _with_zone(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("write an offset, such as 2026-11-24T10:00:00Z")
    return value.astimezone(UTC)


Instant = Annotated[datetime, BeforeValidator(_utc_midnight), AfterValidator(_with_zone)]


class ScheduledRollout(Document):
    """A rollout by the calendar: `increment` percent at the start, and again each `interval`.

    At `end_date` it stays where it is. An interval is elapsed time: `24h` is 24 hours.
    """

    start_date: Instant
    end_date: Instant | None = None
    increment: Percentage = Field(Decimal(5), gt=0)
    interval: Duration = timedelta(minutes=5)

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end_date is not None and self.end_date <= self.start_date:
            raise ValueError("end_date: it must be after start_date")
        if self.interval <= timedelta(0):
            raise ValueError("interval: it must be more than 0")
        return self


class Prerequisite(Document):
    """Another flag that must be at a variant first."""

    flag: str = Field(pattern=FLAG_KEY)
    variant: str = "on"


class EnvironmentSettings(Document):
    """What is otherwise in one environment; what is left out stays."""

    enabled: Switch | None = None
    percentage: Percentage | None = None
    user_groups: tuple[str, ...] | None = None
    targeting: Targeting | None = None
    scheduled_rollout: ScheduledRollout | None = None
    rules: tuple[FlagRule, ...] | None = None
    service: str | None = None


class Flag(Document):
    """One feature flag.

    A boolean flag has the variants `on` and `off` unless it names others. `default` is what
    everybody else gets, and `served` what the short keys (groups, targeting, percentage) give.
    """

    enabled: Switch = True
    type: FlagType = "boolean"
    variants: dict[str, Any] = Field(
        default_factory=lambda: {"on": True, "off": False}, min_length=1, max_length=50
    )
    default: str = "off"
    served: str = "on"
    environments: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    targeting: Targeting | None = None
    percentage: Percentage | None = None
    scheduled_rollout: ScheduledRollout | None = None
    rules: tuple[FlagRule, ...] = Field((), max_length=50)
    prerequisites: tuple[Prerequisite, ...] = Field((), max_length=10)
    stickiness: str | tuple[str, ...] = "targetingKey"
    salt: str | None = Field(None, description="the flag's key when left out")
    bucketing: Bucketing = "greenlane"
    per_environment: dict[str, EnvironmentSettings] = Field(default_factory=dict)
    rollback_conditions: tuple[str, ...] = ()
    signal_conditions: tuple[str, ...] = Field(
        (), description="hold the ramp, where rollback_conditions retreat"
    )
    service: str | None = Field(None, description="whose metrics the conditions are about")
    expires: Instant | None = Field(None, description="when it should be gone from the code")
    metadata: dict[str, Scalar] = Field(default_factory=dict)

    @property
    def shares(self) -> bool:
        """Whether the short keys give it to anybody: rules alone leave them out."""
        short = (self.user_groups, self.targeting, self.percentage, self.scheduled_rollout)
        return not self.rules or any(key not in (None, ()) for key in short)

    def within(self, environment: str) -> "Flag":
        """The flag as it is in one environment."""
        settings = self.per_environment.get(environment)
        if settings is None:
            return self
        given = {name: getattr(settings, name) for name in settings.model_fields_set}
        # Null clears what may be nothing, such as a percentage, and says nothing of the rest.
        fields = type(self).model_fields
        said = {k: v for k, v in given.items() if v is not None or fields[k].default is None}
        return self.model_copy(update=said)


class Approvals(Document):
    """Where a change of flags needs a second person."""

    environments: tuple[str, ...] = Field((), max_length=40)


class FlagsDocument(Document):
    """A file of flags, with the segments that its conditions name.

    `approvals` stays as it is when a file without it is applied.
    """

    feature_flags: dict[Annotated[str, Field(pattern=FLAG_KEY)], Flag]
    segments: dict[str, Condition] = Field(default_factory=dict)
    approvals: Approvals | None = None
