"""Simulate A/B tests, time their analysis, and write docs/experiments-benchmark.md.

`make bench-experiments` does it all; ARGS="--rounds 300" is quicker and less exact. Seeds are
fixed, so the same rounds give the same page but for the times.
"""

import argparse
import math
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.experiments_simulation import (
    ALPHA,
    LOOKS,
    RATES,
    RULES,
    SPLITS,
    Cell,
    Power,
    false_positives,
    harm_detected,
    planned_bounds,
    power,
    ratio_alarms,
    skewed,
)
from benchmarks.experiments_speed import figures
from greenlane.experiments.assignment import BUCKETS, bucket
from greenlane.experiments.statistics.planner import Design, proportions, sample_size
from greenlane.experiments.statistics.special import chi_square_sf

PAGE = Path("docs/experiments-benchmark.md")
SEED = 20260302
FAMILIES = ("test-{}", "checkout_{}", "{}")


@dataclass
class Results:
    """Everything that the page shows."""

    rounds: int
    users: int
    cells: list[Cell]
    powers: list[Power]
    revenue: dict[str, float]
    ratio: tuple[float, float]
    requests: int
    pairs: dict[str, float]
    uniform: float
    speed: dict[str, Any]


def main() -> int:
    """Measure, write the page, and say whether a rule that we ship is wrong too often."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2000, help="simulated tests of each cell")
    parser.add_argument("--users", type=int, default=1_000_000, help="users dealt to variants")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    start = time.time()
    bounds = {looks: planned_bounds(looks) for looks in LOOKS}
    cells = [(split, rate) for split in SPLITS for rate in RATES]
    with ProcessPoolExecutor(given.processes) as pool:
        waiting = [
            pool.submit(false_positives, split, rate, given.rounds, SEED + number, bounds)
            for number, (split, rate) in enumerate(cells)
        ]
        money = pool.submit(skewed, max(100, given.rounds // 2), SEED)
        powers = pool.submit(power, 10 * given.rounds, SEED, given.rounds)
        dealt = pool.submit(independence, given.users)
        found = Results(
            given.rounds,
            given.users,
            [one.result() for one in waiting],
            powers.result(),
            money.result(),
            ratio_alarms(given.rounds, SEED),
            harm_detected(given.rounds, SEED),
            dealt.result(),
            uniformity(given.users),
            figures(),
        )
    PAGE.write_text(page(found))
    print(f"{PAGE}: {time.time() - start:.0f} s")
    return 1 if too_often(found) else 0


def independence(users: int) -> dict[str, float]:
    """The smallest of the p-values of 45 pairs of similarly named tests, by family of names."""
    found = {}
    for family in FAMILIES:
        salts = [f"variant:{family.format(number)}" for number in range(10)]
        dealt = [
            bytes(bucket(salt, f"user-{one:07}") // 100_000 for one in range(users))
            for salt in salts
        ]
        smallest = 1.0
        for number, one in enumerate(dealt):
            for two in dealt[:number]:
                cells = Counter(zip(one, two, strict=True))
                each = users / 100
                square = sum((cells[a, b] - each) ** 2 / each for a in range(10) for b in range(10))
                smallest = min(smallest, chi_square_sf(square, 99))
        found[family] = smallest
    return found


def uniformity(users: int) -> float:
    """The p-value of 10,000 classes of buckets."""
    cells = Counter(bucket("variant:checkout", f"user-{one:07}") // 100 for one in range(users))
    each = users / (BUCKETS // 100)
    square = sum((cells[number] - each) ** 2 / each for number in range(BUCKETS // 100))
    return chi_square_sf(square, BUCKETS // 100 - 1)


def too_often(found: Results) -> list[str]:
    """Rules of ours that are wrong in more than alpha plus three standard errors, by cell."""
    most = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / found.rounds)
    return [
        f"{rule}, {looks} looks, {cell.split[0]}/{cell.split[1]}, {cell.rate:.1%}"
        for cell in found.cells
        for rule in RULES[1:]
        for looks in LOOKS
        if cell.wrong.get((rule, looks), 0) / cell.rounds > most
    ]


def page(found: Results) -> str:
    """The page."""
    wrong = too_often(found)
    error = math.sqrt(ALPHA * (1 - ALPHA) / found.rounds)
    lines = [
        "# How often an A/B test is wrong",
        "",
        "<!-- Written by `make bench-experiments`; do not edit. -->",
        "",
        f"Simulated tests with fixed seeds, {found.rounds} of each kind: a share of 5 percent has "
        f"a standard error of {error:.1%}. The rules are the product's own code. Beside them "
        "stands what the sample in Greenlane's first specification did: a test for one look, at "
        "every look.",
        "",
        "## False alarms without any effect",
        "",
        "Share of tests that are called won or lost at any look, alpha 5 percent; of the "
        "e-process: called harmful. 40,000 users, from the first one on. The worst of 12 "
        "cells: splits 50/50, 90/10 and 95/5, rates 0.1, 1, 10 and 50 percent.",
        "",
        "| rule | " + " | ".join(f"{looks} looks" for looks in LOOKS) + " |",
        "|---|" + "---|" * len(LOOKS),
    ]
    for rule in RULES:
        worst = [
            max(cell.wrong.get((rule, looks), 0) / cell.rounds for cell in found.cells)
            for looks in LOOKS
        ]
        lines.append(f"| {rule} | " + " | ".join(f"{share:.1%}" for share in worst) + " |")
    lines += [
        "",
        "More than 5 percent and three standard errors, of rules that we ship: "
        + ("; ".join(wrong) if wrong else "none")
        + ".",
        "",
        "Each cell at 200 looks:",
        "",
        "| split | rate | " + " | ".join(RULES) + " |",
        "|---|---|" + "---|" * len(RULES),
    ]
    for cell in found.cells:
        shares = [cell.wrong.get((rule, 200), 0) / cell.rounds for rule in RULES]
        lines.append(
            f"| {cell.split[0]}/{cell.split[1]} | {cell.rate:.1%} | "
            + " | ".join(f"{share:.1%}" for share in shares)
            + " |"
        )
    lines += [
        "",
        f"Skewed revenue (3 percent pay, lognormal), 200 looks, {max(100, found.rounds // 2)} "
        "tests: " + ", ".join(f"{rule} {share:.1%}" for rule, share in found.revenue.items()) + ".",
        "",
        f"Sample ratio, 200 looks, at 1 percent: {found.ratio[0]:.1%} of right splits are called "
        f"wrong, and {found.ratio[1]:.1%} of splits of 50.5/49.5 are found within 200,000 users.",
        "",
        "Harm: 1 to 3 percent of errors at a canary of 10 percent is shown after "
        f"{found.requests:,} requests (median).",
        "",
        *_power(found),
        *_assignment(found),
        *_speed(found.speed),
    ]
    return "\n".join(lines) + "\n"


def _power(found: Results) -> list[str]:
    lines = [
        "## Power",
        "",
        f"500 users an arm and day, 10 percent convert, lift 12.2 percent, 20 daily looks; "
        f"{10 * found.rounds} tests; of the honest effect {found.rounds}. The last columns are the "
        "estimate over the truth: in the mean of the tests that were called, which are the lucky "
        "ones with any rule, and the median of all tests.",
        "",
        "| rule | found | days | of those called | median of all |",
        "|---|---|---|---|---|",
        *(
            f"| {one.rule} | {one.found:.1%} | {one.days:.1f} | {one.called:.2f} "
            f"| {one.median:.2f} |"
            for one in found.powers
        ),
    ]
    fixed, sequential, sequence = (
        sample_size(proportions(0.1, 0.122), design)
        for design in (Design("fixed", 1), Design(looks=20), Design("confidence_sequence", 20))
    )
    return [
        *lines,
        "",
        f"The planner asks for {fixed.control:,} users an arm with one look, "
        f"{sequential.inflation:.3f} times that with 20 group-sequential ones (in the mean "
        f"{sequential.expected * sequential.inflation:.2f} times are seen), and "
        f"{sequence.inflation:.2f} times for a confidence sequence.",
        "",
    ]


def _assignment(found: Results) -> list[str]:
    return [
        "## Assignment",
        "",
        f"{found.users:,} users. Uniform over 10,000 classes: p = {found.uniform:.2f}. The "
        "smallest p-value of 45 pairs of tests whose names differ in one digit, each 10 by 10 "
        "classes: "
        + ", ".join(f"{value:.3f} (`{name}`)" for name, value in found.pairs.items())
        + ".",
        "",
    ]


def _speed(speed: dict[str, Any]) -> list[str]:
    lines = [
        "## Time",
        "",
        "3 variants times 10 metrics from moments: 20 comparisons, with p-value and both "
        "intervals. CPU of this machine, the least of 30.",
        "",
        "| | ms |",
        "|---|---|",
        *(
            f"| Greenlane, {float(users):.0e} users an arm | {ms:.2f} |"
            for users, ms in speed["ours"].items()
        ),
    ]
    for peer in speed["peers"]:
        ms = f"{peer['ms']:.2f}" if "ms" in peer else "-"
        lines.append(f"| {peer['name']}, {peer['gives']} | {ms} |")
    lines += [
        "",
        "| import | ms |",
        "|---|---|",
        f"| Greenlane's analysis | {speed['analysis']:.0f} |",
        f"| Greenlane's decision, pydantic included | {speed['decision']:.0f} |",
        f"| pydantic alone | {speed['pydantic']:.0f} |",
        *(
            f"| {peer['module']} | {peer['import']:.0f} |"
            for peer in speed["peers"]
            if "ms" in peer
        ),
    ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
