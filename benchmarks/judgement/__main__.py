"""Run everything on two processes, print the tables and write docs/judgement-benchmark.md."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.judgement.measure import (
    LARGER_WEIGHTS,
    SERVICES,
    WEIGHTS,
    Aborts,
    Cell,
    healthy,
    milliseconds,
    planned,
    regression,
    requests_to_detect,
)
from benchmarks.judgement.page import Results, page
from benchmarks.judgement.ten_metrics import TEN, ten_metrics
from greenlane.health.verdicts import judge

PAGE = Path("docs/judgement-benchmark.md")
CHUNK = 50
SEED = 20260302

SCHEDULES = (*((service, WEIGHTS) for service in SERVICES), (SERVICES[0], LARGER_WEIGHTS))

LEVELS = {
    "one test against the limit, alpha 0.01": {"limit": 0.01},
    "one test against the live slot, alpha 0.01": {"live": 0.01},
    "both, alpha 0.01 together": {"limit": 0.005, "live": 0.005},
    "both, in the whole set of criteria": {"limit": 0.0025, "live": 0.0025},
}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deployments", type=int, default=1000, help="healthy ones per service")
    parser.add_argument("--runs", type=int, default=80, help="of each fault, step and service")
    parser.add_argument("--output", type=Path, default=PAGE)
    given = parser.parse_args()
    begun = time.monotonic()
    results = measure(given.deployments, given.runs)
    text = page(results)
    given.output.write_text(text)
    print(text)
    print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
    return 0


def measure(deployments: int, runs: int) -> Results:
    """All figures; the chunks have seeds of their own, so their order changes nothing."""
    chunks = max(deployments // CHUNK, 1)
    with ProcessPoolExecutor(max_workers=2) as pool:
        good = [
            pool.submit(healthy, service, min(CHUNK, deployments), SEED + number, weights)
            for service, weights in SCHEDULES
            for number in range(chunks)
        ]
        bad = [
            pool.submit(regression, service, weight, runs, SEED)
            for service in SERVICES
            for weight in WEIGHTS[:-1]
        ]
        detect = {
            (name, weight): pool.submit(requests_to_detect, weight, levels, 400, SEED)
            for name, levels in LEVELS.items()
            for weight in WEIGHTS[:-1]
        }
        aborts = _merged([future.result() for future in good])
        cells: list[Cell] = [cell for future in bad for cell in future.result()]
        detected = {key: future.result() for key, future in detect.items()}
    observed = ten_metrics()
    return Results(
        aborts=aborts,
        cells=cells,
        plans={service.name: planned(service, service.requests) for service in SERVICES},
        detected=detected,
        levels=tuple(LEVELS),
        milliseconds=milliseconds(lambda: judge(observed, TEN)),
    )


def _merged(parts: list[Aborts]) -> list[Aborts]:
    found = {
        (service.name, weights): Aborts(service.name, weights, 0) for service, weights in SCHEDULES
    }
    for part in parts:
        whole = found[part.service, part.weights]
        whole.deployments += part.deployments
        whole.taken_back.update(part.taken_back)
        whole.held_steps.update(part.held_steps)
        whole.without_evidence += part.without_evidence
        whole.minutes += part.minutes
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())
