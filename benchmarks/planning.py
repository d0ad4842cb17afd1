"""What planning costs, and what it is worth beside the order in which people write Regions down.

`make bench-planning` plans random files of 4 to 30 Regions with windows around the world: the
seconds of processor time, and how long the rollout takes from now to the end of the last bake,
beside going through the file from top to bottom, one Region at a time, each in its next window. It
also times what `greenlane plan` computes for six steps of a canary. Goals: two seconds for 30
Regions, 0.2 for six steps.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from greenlane.health.criteria import Criteria, Criterion
from greenlane.health.power import StepTraffic, Usual, visible
from greenlane.regions.declaring.model import RegionsDocument
from greenlane.regions.planning.planner import plan_regions
from greenlane.regions.planning.situating import TERMS, Calendars, situation_of, whole_minute
from greenlane.regions.planning.timing import timed

ZONES = (
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Europe/Berlin",
    "Asia/Dubai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
)
NOW = datetime(2026, 11, 30, 14, tzinfo=UTC)
SIZES = (4, 8, 16, 30)
FILES = 7
GOAL_SECONDS, STEPS_GOAL_SECONDS = 2.0, 0.2


class Planned(NamedTuple):
    """One file: processor seconds, and how many minutes both orders take."""

    seconds: float
    ours: float
    written: float


def main() -> int:
    """Print one table; 1 if a goal was missed."""
    console, slowest = Console(), 0.0
    shown = Table(title="Planning a rollout", title_justify="left")
    for title in ("Regions", "seconds to plan", "the slowest", "rollout", "in the file's order"):
        shown.add_column(title, justify="right")
    for size in SIZES:
        found = [planned(document(size, seed)) for seed in range(FILES)]
        slowest = max(slowest, *(one.seconds for one in found))
        shown.add_row(
            str(size),
            f"{statistics.median(one.seconds for one in found):.3f}",
            f"{max(one.seconds for one in found):.3f}",
            hours(statistics.median(one.ours for one in found)),
            hours(statistics.median(one.written for one in found)),
        )
    console.print(shown)
    steps = min(processor_seconds(six_steps) for _ in range(5))
    console.print(f"what six steps of a canary would see: {steps * 1000:.1f} milliseconds")
    return 0 if slowest <= GOAL_SECONDS and steps <= STEPS_GOAL_SECONDS else 1


def document(size: int, seed: int) -> RegionsDocument:
    """A file of Regions that share the traffic, each with a window at night."""
    chosen = random.Random(seed)
    shares = [100 // size + (number < 100 % size) for number in range(size)]
    names = [f"eu-central-{number}" for number in range(1, size + 1)]
    regions: dict[str, Any] = {}
    for name, share in zip(names, shares, strict=True):
        begins = chosen.randint(0, 4)
        regions[name] = {
            "priority": chosen.choice(("low", "medium", "high")),
            "traffic_percentage": share,
            "deployment_window": {
                "hours": f"0{begins}:00-0{begins + chosen.choice((2, 4))}:00",
                "zone": chosen.choice(ZONES),
            },
            "failover_regions": [chosen.choice([other for other in names if other != name])],
        }
    return RegionsDocument.model_validate(
        {"regions": regions, "deployment_strategy": {"type": "canary"}}
    )


def planned(declared: RegionsDocument) -> Planned:
    """Plan a file, and time the order in which it is written."""
    plans = []
    seconds = processor_seconds(lambda: plans.append(plan_regions(declared, now=NOW)))
    at = whole_minute(NOW)
    situation = situation_of(declared, at, Calendars(declared, at), TERMS["balanced"])
    sites = {site.name: site for site in situation.sites}
    *_, last = timed(situation, [[sites[name]] for name in declared.regions])
    return Planned(seconds, plans[0].total_seconds / 60, (last.baked - at) / 60)


def six_steps() -> None:
    """What each step of a canary with 60,000 requests a minute would see."""
    limits = {"error_rate": "0.01", "response_time_p95": "2000"}
    criteria = Criteria(
        criteria=tuple(
            Criterion(metric=name, limit=Decimal(limit), against="limit")
            for name, limit in limits.items()
        )
    )
    steps = [StepTraffic(weight, 5, 60_000) for weight in (1, 5, 10, 25, 50, 100)]
    visible(steps, criteria, Usual(0.001, {"response_time_p95": 455.0}))


def processor_seconds(act: Callable[[], object]) -> float:
    """How long something keeps a processor busy."""
    began = time.process_time()
    act()
    return time.process_time() - began


def hours(minutes: float) -> str:
    """Minutes as hours and minutes."""
    whole = round(minutes)
    return f"{whole // 60} h {whole % 60:02} min"


if __name__ == "__main__":
    sys.exit(main())
