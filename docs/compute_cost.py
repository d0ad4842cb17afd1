"""Compute the tables of docs/cost.md: `python docs/compute_cost.py` writes them into the page.

Pure but for that: prices times counts. Prices are US dollars of US East (N. Virginia), on demand,
arm64, without free tiers, as published in 2026. Those of deployments are in
`greenlane/deployments/looking/cost.py`, where `greenlane plan` reads them too; the others are here.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import NamedTuple, get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from greenlane.deployments.declaring.config import (  # noqa: E402 - the repository's root comes first
    DeploymentConfig,
    ServiceConfig,
    Strategy,
)
from greenlane.deployments.looking.cost import (  # noqa: E402
    FUNCTION_CALL,
    GB_SECOND,
    TRANSITION,
    Cost,
    Fleet,
    cost_of,
)
from greenlane.deployments.looking.foreseeing import queries_of  # noqa: E402
from greenlane.deployments.model import DeploymentRequest  # noqa: E402
from greenlane.deployments.plan import plan_steps  # noqa: E402
from greenlane.health.asked import criteria_of  # noqa: E402
from greenlane.health.declared import known_metrics  # noqa: E402

PAGE = ROOT / "docs" / "cost.md"

READ_UNIT = Decimal("0.000000125")
WRITE_UNIT = Decimal("0.000000625")
API_REQUEST = Decimal("0.0000035")
ALARM_METRIC = Decimal("0.10")
DASHBOARD = Decimal("3")

MINUTES = 30 * 24 * 60
"""Of a month."""
MILLION = 1_000_000
FLEET = Fleet(tasks=2, vcpu=Decimal("0.5"), gigabytes=Decimal(1))

SCHEDULES = 4
"""Functions that run each minute: judge_tick, reconcile, tick_flags, tick_experiments."""
IDLE_READS = 6
"""What these read in a minute in which nothing happens, with one service (`benchmarks/idle.py`)."""
TICK_GB, TICK_SECONDS = Decimal("0.5"), Decimal("0.2")
OWN_ALARM_METRICS = 9
"""Of the alarms about Greenlane itself."""
SERVICE_ALARM_METRICS = 26
"""Of one service of the sample's shape: both slots."""

LOOKUP_GB, LOOKUP_SECONDS = Decimal("0.25"), Decimal("0.01")
RECORD_GB, RECORD_SECONDS = Decimal("0.5"), Decimal("0.05")
"""Seconds are assumed: what is billed, not what was measured."""
TTL_SECONDS = 5
EXPOSURE_WRITES, EVENT_WRITES, TEN_EVENTS_WRITES = 4, 6, 24

SLICE_SECONDS = 60
SLICE_GB, WATCH_GB, WATCH_SECONDS = Decimal(1), Decimal("0.5"), Decimal(1)
SLICE_TRANSITIONS, AROUND_TRANSITIONS = 3, 10
"""Watch, Run, Route; and what comes before the first slice and after the last."""


class Line(NamedTuple):
    """One thing that is paid for: how many of it, at which price each, in US dollars."""

    what: str
    amount: Decimal
    price: Decimal

    @property
    def cost(self) -> Decimal:
        """Amount times price."""
        return self.amount * self.price


def deployment(strategy: Strategy) -> Cost:
    """What a deployment of a service with two small tasks costs by the defaults."""
    config = ServiceConfig(name="any-service")
    timing = config.deployment
    request = DeploymentRequest(service=config.name, version="any", strategy=strategy)
    steps = plan_steps(DeploymentConfig(), request)
    rest = round((timing.extended_watch - timing.watch).total_seconds())
    metrics = known_metrics(config.metrics, config.database)
    return cost_of(
        steps,
        holds=0,
        seconds=sum(step.bake_seconds for step in steps),
        metrics_a_minute=queries_of(criteria_of(config), metrics),
        fleet=FLEET._replace(warm=timing.warm_floor, warm_seconds=rest),
        extended_seconds=rest,
    )


def idle_month() -> list[Line]:
    """What one service costs in a month in which nothing is deployed."""
    runs = Decimal(SCHEDULES * MINUTES)
    return [
        Line("Runs of the functions on a schedule", runs, FUNCTION_CALL),
        Line("Their GB-seconds", runs * TICK_GB * TICK_SECONDS, GB_SECOND),
        Line("Their reads of the tables", Decimal(IDLE_READS * MINUTES), READ_UNIT),
        Line("Alarm metrics about Greenlane itself", Decimal(OWN_ALARM_METRICS), ALARM_METRIC),
        Line("Alarm metrics of one service", Decimal(SERVICE_ALARM_METRICS), ALARM_METRIC),
        Line("The service's dashboard", Decimal(1), DASHBOARD),
    ]


def lookups() -> list[Line]:
    """A million lookups of flags over HTTP; reads as if each came when the TTL is over."""
    return [
        *_requests(MILLION, LOOKUP_GB, LOOKUP_SECONDS),
        Line("Reads of the version, at most", Decimal(MILLION), READ_UNIT),
    ]


def process_month() -> list[Line]:
    """A process that asks flags in process for a month, however often."""
    reads = Decimal(MINUTES * 60 // TTL_SECONDS)
    return [Line("Reads of the version, one each TTL", reads, READ_UNIT)]


def exposures() -> list[Line]:
    """A million first exposures, each in a request of its own."""
    return _recorded(MILLION, EXPOSURE_WRITES)


def events() -> list[Line]:
    """A million events, each in a request of its own."""
    return _recorded(MILLION, EVENT_WRITES)


def batched_events() -> list[Line]:
    """A million events, ten of one user in each request."""
    return _recorded(MILLION // 10, TEN_EVENTS_WRITES)


def migration_hour() -> list[Line]:
    """A run of a migration that works for an hour."""
    slices = 3600 // SLICE_SECONDS
    transitions = Decimal(slices * SLICE_TRANSITIONS + AROUND_TRANSITIONS)
    seconds = 3600 * SLICE_GB + slices * WATCH_SECONDS * WATCH_GB
    return [
        Line("State transitions", transitions, TRANSITION),
        Line("GB-seconds of functions", seconds, GB_SECOND),
        Line("Writes of the lease and the history", Decimal(2 * slices), WRITE_UNIT),
    ]


def _requests(count: int, gigabytes: Decimal, seconds: Decimal) -> list[Line]:
    return [
        Line("Requests to API Gateway", Decimal(count), API_REQUEST),
        Line("Function calls", Decimal(count), FUNCTION_CALL),
        Line("GB-seconds of functions", count * gigabytes * seconds, GB_SECOND),
    ]


def _recorded(requests: int, writes: int) -> list[Line]:
    return [
        *_requests(requests, RECORD_GB, RECORD_SECONDS),
        Line("Read units", Decimal(requests), READ_UNIT),
        Line("Write units", Decimal(requests * writes), WRITE_UNIT),
    ]


def total(lines: Iterable[Line]) -> Decimal:
    """The sum, in US dollars."""
    return sum((line.cost for line in lines), Decimal(0))


def tables() -> dict[str, str]:
    """Every table of the page in Markdown, by the name of its place."""
    of_months = {"idle": idle_month(), "lookups": lookups(), "process": process_month()}
    of_events = {"exposures": exposures(), "events": events(), "batches": batched_events()}
    lists = {**of_months, **of_events, "migration": migration_hour()}
    return {
        "strategies": _strategies(),
        "canary": _table(
            [Line(one.what, one.count, one.price) for one in deployment("canary").lines]
        ),
        **{name: _table(lines) for name, lines in lists.items()},
    }


def _strategies() -> str:
    rows = ["| Strategy | Orchestration | Judging | Second slot | Warm task | In all |"]
    rows.append("|---|---|---|---|---|---|")
    for strategy in get_args(Strategy):
        cost = deployment(strategy)
        parts = {
            part: sum((one.cost for one in cost.lines if part in one.what), Decimal(0))
            for part in ("metrics", "second slot", "warm")
        }
        rest = cost.total - sum(parts.values(), Decimal(0))
        shown = " | ".join(dollars(one) for one in (rest, *parts.values(), cost.total))
        rows.append(f"| `{strategy}` | {shown} |")
    return "\n".join(rows)


def _table(lines: Sequence[Line]) -> str:
    rows = ["| What | Count | Price each | Cost |", "|---|---|---|---|"]
    rows += [
        f"| {line.what} | {plain(line.amount)} | {plain(line.price)} | {dollars(line.cost)} |"
        for line in lines
    ]
    return "\n".join([*rows, f"| In all | | | {dollars(total(lines))} |"])


def plain(number: Decimal) -> str:
    """A number without an exponent, thousands apart."""
    text = f"{number.normalize():,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def dollars(amount: Decimal) -> str:
    """Two digits from a dollar on, four below."""
    digits = Decimal("0.01") if amount >= 1 else Decimal("0.0001")
    return f"{amount.quantize(digits, ROUND_HALF_UP):f}"


def filled(page: str) -> str:
    """The page with every table as it is now.

    Raises:
        KeyError: the page has a place for a table that there is none for.
    """
    found = tables()
    return re.sub(
        r"(<!-- computed: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{found[match[2]]}\n\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
