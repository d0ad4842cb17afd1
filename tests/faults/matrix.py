"""Every call of a deployment and of a rollback, times every fault, times every strategy.

`make faults` runs all of it and writes docs/fault-matrix.md; the tests run a sample.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.faults import KINDS, Kind, Site, one
from tests.faults.scenes import STRATEGIES, Scene
from tests.faults.schedules import play

PAGE = Path("docs/fault-matrix.md")
SCHEDULES = 5000
FULL = "canary"


@dataclass(frozen=True)
class Cell:
    """One run: this call of this scene fails so; `twice` stands for a duplicated run of it."""

    scene: Scene
    site: Site
    kind: Kind | None


@dataclass(frozen=True)
class Outcome:
    """What became of a cell, or of a schedule."""

    name: str
    outcome: str
    broken: tuple[str, ...]
    call: tuple[str, str] = ("", "")
    kind: str = ""


def scenes() -> list[Scene]:
    """Each strategy with a good version and with a bad one."""
    return [Scene(strategy, bad) for strategy in STRATEGIES for bad in (False, True)]


def cells(scene: Scene, kinds: Iterable[Kind] = KINDS) -> list[Cell]:
    """The cells of a scene: the first time of each call, and for the canary the last as well."""
    verdict, account = scene.play()
    assert not verdict.broken, f"{scene.name} without any fault: {verdict.broken}"
    chosen = {site for site in account.faults.sites if site.number == 1}
    if scene.strategy == FULL:
        last = {site.call: site for site in account.faults.sites}
        chosen |= set(last.values())
    return [Cell(scene, site, kind) for site in sorted(chosen) for kind in kinds]


def run(cell: Cell) -> Outcome:
    """Play one cell."""
    assert cell.kind is not None
    verdict, _ = cell.scene.play(one(cell.site, cell.kind), may_hold=cell.kind == "denied")
    return Outcome(
        name=f"{cell.scene.name}: {cell.kind} at {cell.site}",
        outcome=verdict.outcome,
        broken=tuple(verdict.broken),
        call=(cell.site.caller, f"{cell.site.service}.{cell.site.operation}"),
        kind=cell.kind,
    )


def schedule(seed: int) -> Outcome:
    """Play one random schedule."""
    verdict = play(seed)
    return Outcome(f"schedule {seed}: {verdict.struck}", verdict.outcome, tuple(verdict.broken))


def page(found: list[Outcome], schedules: list[Outcome]) -> str:
    """The published page."""
    by_call: dict[tuple[str, str], dict[str, Counter[str]]] = defaultdict(
        lambda: defaultdict(Counter)
    )
    for outcome in found:
        by_call[outcome.call][outcome.kind][_letter(outcome)] += 1
    broken = [outcome for outcome in (*found, *schedules) if outcome.broken]
    lines = [
        "# Fault matrix",
        "",
        "Written by `make faults`; do not edit. What the simulated account is, and what is checked",
        "after every call, is on the page about [testing](testing.md).",
        "",
        "| What | Runs | Ended whole | Held, and paged | Paged, still trying | Broken |",
        "|---|---|---|---|---|---|",
        _summary("Cells of the matrix", found),
        _summary("Random schedules", schedules),
        "",
        "Outcomes over all strategies, good and bad versions: `p` promoted to the end, `b` back on",
        "the version before, `n` refused or never begun, `h` held with a page, `t` on one healthy",
        "version, paged and still trying (a permission is gone), `w` promoted, and its watch does",
        "not end since the reconciler cannot read or write the table, `!` broken.",
        "",
        "| Function | Call | " + " | ".join(kind.replace("_", " ") for kind in KINDS) + " |",
        "|---|---|" + "---|" * len(KINDS),
    ]
    for (function, call), kinds in sorted(by_call.items()):
        row = [_counts(kinds.get(kind, Counter())) for kind in KINDS]
        lines.append(f"| `{function}` | `{call}` | " + " | ".join(row) + " |")
    if broken:
        lines += ["", "## Broken", ""]
        lines += [f"- {outcome.name}: {'; '.join(outcome.broken)}" for outcome in broken]
    return "\n".join(lines) + "\n"


def _summary(what: str, found: list[Outcome]) -> str:
    letters = Counter(_letter(outcome) for outcome in found)
    whole = sum(letters[letter] for letter in "pbnw")
    numbers = (len(found), whole, letters["h"], letters["t"], letters["!"])
    return f"| {what} | {' | '.join(str(number) for number in numbers)} |"


_LETTERS = {"retired": "p", "rolled_back": "b", "refused": "n", "nothing began": "n", "held": "h"}
_LETTERS |= {"promoted": "t", "rolling_back": "t", "watching": "w"}


def _letter(outcome: Outcome) -> str:
    return "!" if outcome.broken else _LETTERS.get(outcome.outcome, "!")


def _counts(letters: Counter[str]) -> str:
    return " ".join(f"{count}{letter}" for letter, count in sorted(letters.items()))


def main(arguments: list[str] | None = None) -> int:
    """Run everything; 0 only if nothing is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=SCHEDULES)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    # Not forked: the simulation's threads would be missing in the children.
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        chosen = [cell for some in pool.map(cells, scenes()) for cell in some]
        print(f"{len(chosen)} cells, then {given.schedules} schedules", file=sys.stderr)
        found = pool.map(run, chosen, chunksize=50)
        print(f"{time.monotonic() - began:.0f} s for the cells", file=sys.stderr)
        began = time.monotonic()
        schedules = pool.map(schedule, range(given.schedules), chunksize=50)
        print(f"{time.monotonic() - began:.0f} s for the schedules", file=sys.stderr)
    given.page.write_text(page(found, schedules))
    broken = [outcome for outcome in (*found, *schedules) if outcome.broken]
    for outcome in broken[:50]:
        print(f"{outcome.name} -> {outcome.outcome}: {'; '.join(outcome.broken)}")
    print(f"{len(found)} cells, {len(schedules)} schedules, {len(broken)} broken; {given.page}")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
