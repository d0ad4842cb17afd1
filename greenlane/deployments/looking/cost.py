"""What one deployment costs. Pure; no I/O.

Prices are those of US East (N. Virginia) in US dollars, as published in 2026 on the pricing pages
of AWS Step Functions, AWS Lambda (arm64), Amazon CloudWatch and AWS Fargate (Linux, x86), without
free tiers. This is the only place where they are written down.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from pydantic import computed_field

from greenlane.deployments.model import PlannedStep
from greenlane.deployments.storing.shapes import StoredModel

TRANSITION = Decimal("0.000025")
FUNCTION_CALL = Decimal("0.0000002")
GB_SECOND = Decimal("0.0000133334")
METRIC_READ = Decimal("0.00001")
VCPU_HOUR = Decimal("0.04048")
GB_HOUR = Decimal("0.004445")

FUNCTION_GB = Decimal("0.5")
FUNCTION_SECONDS = Decimal(1)
"""How long a function of the workflow takes, a cold start among some included."""

BEFORE_THE_STEPS = 6
"""Begin, Plan, Prepare, AwaitStability, BeforeTraffic, Validate."""
EACH_STEP = 4
"""Shift (or Promote), Bake, Judge, Route."""
AFTER_THE_STEPS = 2
"""Drain, Finish."""
RETRIES = 9
"""While tasks start, and while the old slot drains."""
EACH_HOLD = 3
"""Bake, Judge, Route once more."""
EXTENDED_LOOK_SECONDS = 300
"""Between two judgements of the extended watch."""
CHOICES_BEFORE, CHOICES_EACH = 1, 1
"""The states among them that run no function."""

_EXACT = Decimal("0.000000001")


class CostLine(StoredModel):
    """One thing that is paid for, in US dollars."""

    what: str
    count: Decimal
    price: Decimal
    cost: Decimal


class Cost(StoredModel):
    """What a deployment costs, by line and in all, in US dollars."""

    lines: tuple[CostLine, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.cost for line in self.lines), Decimal(0))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def orchestration(self) -> Decimal:
        """The same without the tasks of the second slot."""
        return sum((one.cost for one in self.lines if "slot" not in one.what), Decimal(0))


class Fleet(NamedTuple):
    """The live slot's tasks, and their size; `warm` of the old slot stay until the last watch."""

    tasks: int
    vcpu: Decimal
    gigabytes: Decimal
    warm: int = 0
    warm_seconds: int = 0


def cost_of(
    steps: Sequence[PlannedStep],
    *,
    holds: int,
    seconds: int,
    metrics_a_minute: int,
    fleet: Fleet | None,
    extended_seconds: int = 0,
) -> Cost:
    """What a deployment costs that succeeds.

    Args:
        steps: of the plan, the watch included.
        holds: how many steps wait beyond their bake.
        seconds: from the first weight to the end of the watch, holds included.
        metrics_a_minute: queries of one judgement; one judgement is made each minute.
        fleet: None where the tasks' size is not known.
        extended_seconds: of the extended watch, as far as it is judged.
    """
    transitions = BEFORE_THE_STEPS + EACH_STEP * len(steps) + AFTER_THE_STEPS + RETRIES
    calls = transitions - CHOICES_BEFORE - CHOICES_EACH * len(steps) + 2 * holds
    transitions += EACH_HOLD * holds
    lines = [
        _line("state transitions", Decimal(transitions), TRANSITION),
        _line("function calls", Decimal(calls), FUNCTION_CALL),
        _line("GB-seconds of functions", calls * FUNCTION_GB * FUNCTION_SECONDS, GB_SECOND),
        _line("metrics read", Decimal(metrics_a_minute * -(-seconds // 60)), METRIC_READ),
    ]
    looks = extended_seconds // EXTENDED_LOOK_SECONDS
    if looks:
        read = Decimal(metrics_a_minute * looks)
        lines.append(_line("metrics read in the extended watch", read, METRIC_READ))
    if fleet is not None:
        lines += _of_tasks("second slot", fleet, fleet.tasks, seconds)
        if fleet.warm and fleet.warm_seconds:
            lines += _of_tasks("warm tasks of the old slot", fleet, fleet.warm, fleet.warm_seconds)
    return Cost(lines=tuple(lines))


def _of_tasks(whose: str, fleet: Fleet, tasks: int, seconds: int) -> Iterable[CostLine]:
    for unit, size, price in (
        ("vCPU-hours", fleet.vcpu, VCPU_HOUR),
        ("GB-hours", fleet.gigabytes, GB_HOUR),
    ):
        yield _line(f"{unit}, {whose}", tasks * size * seconds / 3600, price)


def _line(what: str, count: Decimal, price: Decimal) -> CostLine:
    count = count.quantize(_EXACT, ROUND_HALF_UP).normalize()
    cost = (count * price).quantize(_EXACT, ROUND_HALF_UP).normalize()
    return CostLine(what=what, count=count, price=price, cost=cost)
