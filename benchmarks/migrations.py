"""The longest stall of writers while a table is changed: run directly, and as Greenlane runs it.

`make bench-migrations` starts a PostgreSQL of its own in memory, and changes tables of one and five
million rows under pgbench's load, each change both ways in one run. It writes
docs/migrations-benchmark.md with its chart, and fails if a goal is missed, or the machine was too
busy to tell. `--quick` is a trial with a small table, and writes both to build/bench/migrations. A
cell that other programs disturbed is measured again, whatever it found.
"""

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.migration_cases import (
    CASES,
    FILLING,
    Case,
    Filled,
    blocker,
    filled,
    run_directly,
    run_plan,
    safe_plan,
)
from benchmarks.migration_figures import (
    NOTHING,
    QUIET,
    Cell,
    Run,
    Way,
    cell,
    chart,
    disturbed,
    middle,
    missed,
    page,
)
from benchmarks.migration_load import BYTES_PER_ROW, SETTINGS, build_table, measure
from benchmarks.other_programs import OtherPrograms
from greenlane.local.postgres import LocalPostgres
from greenlane.migrations.validating.verdict import SMALL_ROWS

PAGE = Path("docs/migrations-benchmark.md")
PICTURE = Path("docs/images/migrations-stalls.svg")
TRIAL = Path("build/bench/migrations")

ROWS, QUICK_ROWS = (1_000_000, 5_000_000), (100_000,)
_PATTERN, _COPY = "pattern", "copy"


@dataclass(frozen=True)
class Times:
    """How long things last, in seconds. Args: nothing: load without a migration."""

    blocked: float = 60.0
    calm: float = 5.0
    nothing: float = 30.0


QUICK = Times(blocked=4.0, calm=2.0, nothing=4.0)


@dataclass
class Bench:
    """Measures on one server. Args: attempts: at a cell that others disturb."""

    server: LocalPostgres
    times: Times
    attempts: int
    fills: dict[int, list[Filled]] = field(default_factory=lambda: defaultdict(list))

    def cell(self, case: Case | None, rows: int, way: Way) -> Cell:
        """One figure, of the attempt that others disturbed least; the first if nobody did."""
        found: list[tuple[Cell, Filled | None]] = []
        for _ in range(self.attempts):
            found.append(self._attempt(case, rows, way))
            if found[-1][0].others <= QUIET:
                break
        best, fill = min(found, key=lambda one: one[0].others)
        if fill is not None:
            self.fills[rows].append(fill)
        return best

    def alone(self, rows: int) -> Filled:
        """The backfill without a load, of the fastest attempt if others disturb it."""
        found = []
        for _ in range(self.attempts):
            with self._copy() as dsn:
                plan = safe_plan(dsn, FILLING)
                others = OtherPrograms(self.server.pid or 0)
                run_plan(dsn, plan)
                found.append(filled(dsn))
                if others.share() <= QUIET:
                    return found[-1]
        return max(found, key=lambda one: one.rows_per_second)

    def _attempt(self, case: Case | None, rows: int, way: Way) -> tuple[Cell, Filled | None]:
        with self._copy() as dsn:
            plan = safe_plan(dsn, case) if case and way == "Greenlane" else None

            def change() -> None:
                if case is None:
                    time.sleep(self.times.nothing)
                elif plan is None:
                    run_directly(dsn, case)
                else:
                    run_plan(dsn, plan)

            def work() -> None:
                if case is None or not case.blocked:
                    change()
                else:
                    with blocker(dsn, self.times.blocked):
                        change()

            others = OtherPrograms(self.server.pid or 0)
            measured = measure(self.server, _COPY, rows, work, baseline_seconds=self.times.calm)
            share = others.share()
            fill = filled(dsn) if plan and case is FILLING else None
        return cell(case.name if case else NOTHING, rows, way, measured, share), fill

    @contextmanager
    def _copy(self) -> Iterator[str]:
        """A database as it was built; copying it writes everything out first."""
        dsn = self.server.create_database(_COPY, _PATTERN)
        try:
            yield dsn
        finally:
            self.server.drop_database(_COPY)


def measured(
    sizes: Sequence[int], cases: Sequence[Case], times: Times, *, rounds: int, attempts: int
) -> Run:
    """All cells of all sizes, round after round, so that a busy minute meets both ways."""
    cells: list[Cell] = []
    filled_beside, alone = {}, {}
    with LocalPostgres.start(SETTINGS, tmpfs_bytes=max(sizes) * BYTES_PER_ROW) as server:
        if not server.on_tmpfs:
            print("the server is on a disk, whose own pauses are in the figures")
        bench = Bench(server, times, attempts)
        for rows in sizes:
            size = build_table(server, _PATTERN, rows)
            print(f"{rows:,} rows, {size / 1e6:,.0f} MB")
            found: dict[tuple[str, Way], list[Cell]] = defaultdict(list)
            for _ in range(rounds):
                for case, way in _turns(cases):
                    one = bench.cell(case, rows, way)
                    print(_told(one), flush=True)
                    found[one.case, one.way].append(one)
            cells += [middle(several) for several in found.values()]
            if FILLING in cases:
                fills = sorted(bench.fills[rows], key=lambda one: one.rows_per_second)
                filled_beside[rows] = fills[len(fills) // 2]
                if rows == sizes[0]:
                    alone[rows] = bench.alone(rows)
            server.drop_database(_PATTERN)
        version = server.version
    return Run(
        cells=tuple(cells),
        filled=filled_beside,
        alone=alone,
        version=version,
        processors=os.cpu_count() or 0,
        rounds=rounds,
        blocked_seconds=times.blocked,
        calm_seconds=times.calm,
    )


def _turns(cases: Sequence[Case]) -> Iterator[tuple[Case | None, Way]]:
    yield None, "nothing"
    for case in cases:
        yield case, "directly"
        yield case, "Greenlane"


def _told(one: Cell) -> str:
    return (
        f"  {one.case:36} {one.way:10} {one.seconds:7.2f} s, stall {one.longest_ms:8.1f} ms, calm "
        f"{one.calm_ms:6.1f} ms, {one.slow:.0f} slow, {one.failed} failed, others {one.others:.2f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page and its chart, and say whether a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", help="sizes of the table")
    parser.add_argument("--rounds", type=int, default=1, help="the page has the median")
    parser.add_argument("--attempts", type=int, default=2, help="at a cell that others disturb")
    parser.add_argument("--only", default="", help="changes with this in their name")
    parser.add_argument("--quick", action="store_true", help="a trial: small and short")
    given = parser.parse_args(arguments)
    cases = [one for one in CASES if given.only.lower() in one.name.lower()]
    if not cases:
        parser.error(f"no change has {given.only!r} in its name")
    sizes = given.rows or (QUICK_ROWS if given.quick else ROWS)
    if min(sizes) <= SMALL_ROWS:
        parser.error(f"a table of {SMALL_ROWS:,} rows is small, and run as it is written")
    times = QUICK if given.quick else Times()
    began = time.monotonic()
    run = measured(sizes, cases, times, rounds=given.rounds, attempts=given.attempts)
    trial = given.quick or given.only
    written, picture = (TRIAL / PAGE.name, TRIAL / PICTURE.name) if trial else (PAGE, PICTURE)
    TRIAL.mkdir(parents=True, exist_ok=True)
    (TRIAL / "figures.json").write_text(json.dumps(asdict(run), indent=2) + "\n")
    picture.write_text(chart(run))
    written.write_text(page(run, str(picture.relative_to(written.parent))))
    wrong = [*missed(run), *filter(None, [disturbed(run)])]
    print("\n".join(wrong) if wrong else "all goals are met")
    print(f"{written}, after {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
