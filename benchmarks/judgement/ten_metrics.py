"""Ten metrics of both slots over 60 minutes, to time one judgement."""

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from benchmarks.judgement.services import START
from greenlane.deployments.model import Slot
from greenlane.health.criteria import Criteria, Criterion
from greenlane.health.observed import MINUTE, Baseline, Minute, Observed, Segment, Series

MINUTES = 60

TEN = Criteria(
    criteria=tuple(
        Criterion(metric=metric, against=against, limit=Decimal(limit))
        for metric, against, limit in (
            ("error_rate", "live", "0.5"),
            ("response_time_p50", "limit", "1000"),
            ("response_time_p95", "live", "0.05"),
            ("response_time_p99", "limit", "5000"),
            ("throughput", "live", "0.05"),
            ("connection_errors", "limit", "4"),
            ("cpu_usage", "limit", "80"),
            ("memory_usage", "live", "0.1"),
            ("conversion_rate", "live", "0.02"),
            ("revenue", "live", "0"),
        )
    )
)


def ten_metrics() -> Observed:
    """Steps of ten minutes; in each of them the slots' requests follow the weight."""
    rng = random.Random(10)
    weights = (1, 5, 10, 25, 50, 75)
    segments = tuple(
        Segment(
            start=START + timedelta(minutes=10 * number),
            end=START + timedelta(minutes=10 * number + 10),
            weight=weight,
        )
        for number, weight in enumerate(weights)
    )
    series = []
    slots: tuple[Slot, ...] = ("green", "blue")
    for slot in slots:
        share = [w / 100 if slot == "green" else 1 - w / 100 for w in weights for _ in range(10)]
        series += _series(rng, slot, [round(12_000 * each) for each in share])
    return Observed(
        candidate="green",
        live="blue",
        start=START,
        end=START + MINUTES * MINUTE,
        segments=segments,
        series=tuple(series),
        baseline=(Baseline(metric="response_time_p95", value=Decimal(450), minutes=5),),
    )


def _series(rng: random.Random, slot: Slot, requests: list[int]) -> list[Series]:
    noise = rng.lognormvariate
    makers: dict[str, Callable[[int], dict[str, float]]] = {
        "error_rate": lambda r: {"r": r, "c2": r - r // 1000, "c5": r // 1000},
        "response_time_p50": lambda r: {"r": r, "p": 0.2 * noise(0, 0.05)},
        "response_time_p95": lambda r: {"r": r, "p": 0.45 * noise(0, 0.05)},
        "response_time_p99": lambda r: {"r": r, "p": 0.7 * noise(0, 0.05)},
        "slower_than_1000ms": lambda r: {"n": r, "s": 0.1},
        "slower_than_450ms": lambda r: {"n": r, "s": 5 * noise(0, 0.1)},
        "slower_than_472.5ms": lambda r: {"n": r, "s": 4.2 * noise(0, 0.1)},
        "slower_than_5000ms": lambda r: {"n": r, "s": 0.0},
        "throughput": lambda r: {"r": r},
        "connection_errors": lambda r: {"k": 0.0},
        "cpu_usage": lambda r: {"u": 50 * noise(0, 0.05), "v": 100.0},
        "memory_usage": lambda r: {"u": 60 * noise(0, 0.01), "v": 100.0},
        "conversion_rate": lambda r: {"b": 0.05 * noise(0, 0.1), "n": float(r)},
        "revenue": lambda r: {"b": r * noise(0, 0.2), "n": r * 0.05},
    }
    return [
        Series(
            metric=metric,
            slot=slot,
            minutes=tuple(
                Minute(at=START + number * MINUTE, parts=make(count))
                for number, count in enumerate(requests)
            ),
        )
        for metric, make in makers.items()
    ]
