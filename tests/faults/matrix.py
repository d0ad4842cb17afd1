"""Every call of a deployment and of a rollback, times every fault, times every strategy.

`make faults` runs all of it and writes docs/fault-matrix.md; the tests run a sample.
"""

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

from tests.faults import schedules
from tests.faults.cells import Outcome, all_cells, disturbed_scenes, plain_scenes, play, run
from tests.faults.matrix_page import page

PAGE = Path("docs/fault-matrix.md")
SCHEDULES = 5000


def schedule(seed: int) -> Outcome:
    """Play one random schedule."""
    verdict = schedules.play(seed)
    return Outcome(f"schedule {seed}: {verdict.struck}", verdict.outcome, tuple(verdict.broken))


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=SCHEDULES)
    parser.add_argument("--every", type=int, default=1, help="only each n-th cell")
    parser.add_argument("--thorough", action="store_true", help="some 30,000 cells")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--page", type=Path, default=PAGE)
    return parser.parse_args(given)


def main(arguments: list[str] | None = None) -> int:
    """Run everything; 0 only if nothing is broken."""
    given = _arguments(arguments)
    began = time.monotonic()
    # Not forked: the simulation's threads would be missing in the children.
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        plain, disturbed = pool.map(play, plain_scenes()), pool.map(play, disturbed_scenes())
        chosen = all_cells(plain, disturbed, thorough=given.thorough)[:: given.every]
        print(f"{len(chosen)} cells, then {given.schedules} schedules", file=sys.stderr)
        found = pool.map(run, chosen, chunksize=20)
        print(f"{time.monotonic() - began:.0f} s for the cells", file=sys.stderr)
        began = time.monotonic()
        random = pool.map(schedule, range(given.schedules), chunksize=50)
        print(f"{time.monotonic() - began:.0f} s for the schedules", file=sys.stderr)
    given.page.write_text(page(found, random))
    broken = [outcome for outcome in (*found, *random) if outcome.broken]
    for outcome in broken[:50]:
        print(f"{outcome.name} -> {outcome.outcome}: {'; '.join(outcome.broken)}")
    print(f"{len(found)} cells, {len(random)} schedules, {len(broken)} broken; {given.page}")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
