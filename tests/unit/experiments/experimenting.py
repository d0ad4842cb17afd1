"""Tests, users and snapshots for the tests of experiments."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from greenlane.experiments.model import Experiment
from greenlane.experiments.records import EpochCounts, Snapshot
from greenlane.experiments.statistics.comparison import Arm
from greenlane.experiments.statistics.moments import (
    UNIT,
    Moments,
    UserTotal,
    change,
    millionths,
    together,
)

ROOT = Path(__file__).resolve().parents[3]
SPEC = (ROOT / "tests/data/spec/ab-tests.yaml").read_text()
ORACLES: dict[str, Any] = json.loads((ROOT / "tests/data/experiments/oracles.json").read_text())
START = datetime(2026, 3, 2, tzinfo=UTC)
Z95 = 1.959963984540054


def experiment(**keys: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "variants": {"control": 50, "treatment": 50},
            "metrics": ["conversion_rate"],
            "minimum_sample_size": 1000,
            "maximum_duration": "14d",
            "success_criteria": {"conversion_rate": {"minimum_lift": 0.05}},
            **keys,
        }
    )


def moments(values: Sequence[float], others: Sequence[float] = ()) -> Moments:
    zs = others or [0.0] * len(values)
    totals = [UserTotal(millionths(y), millionths(z)) for y, z in zip(values, zs, strict=True)]
    return together(change(None, total) for total in totals)


def succeeded(count: int) -> Moments:
    """The sums of so many users who did it, and any others."""
    return Moments(count, count * UNIT, count * UNIT**2)


def arm(values: Sequence[float], others: Sequence[float] = ()) -> Arm:
    return Arm(len(values), moments(values, others))


def snapshot(
    days: float,
    users: dict[str, int] | Sequence[dict[str, int]],
    sums: dict[str, dict[str, Any]],
    *,
    planned: Sequence[dict[str, int]] | None = None,
    **more: Any,
) -> Snapshot:
    """What is known after so many days; a number of `sums` is of users who did it."""
    every = [users] if isinstance(users, dict) else list(users)
    plans = planned or [dict.fromkeys(one, 500_000) for one in every]

    def of(value: Any) -> tuple[Moments, ...]:
        parts = value if isinstance(value, list) else [value]
        return tuple(succeeded(part) if isinstance(part, int) else part for part in parts)

    return Snapshot(
        at=START + timedelta(days=days),
        started=START,
        epochs=tuple(
            EpochCounts(planned=plan, users=one) for plan, one in zip(plans, every, strict=True)
        ),
        moments={
            name: {variant: of(value) for variant, value in by.items()} for name, by in sums.items()
        },
        **more,
    )
