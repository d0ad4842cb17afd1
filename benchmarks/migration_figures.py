"""Figures of migrations under load, rounds of them, and the page and the chart that show them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from statistics import median
from typing import Literal

from benchmarks.migration_cases import Filled
from benchmarks.migration_load import CLIENTS, RATE, SLOW_MS, Measured

Way = Literal["directly", "Greenlane", "nothing"]
NOTHING = "no migration"

MOST_ADDED_MS = 25.0
FEWEST_ROWS_PER_SECOND = 100_000

QUIET = 0.2
"""Processors that other programs may take; a cell that more took from is measured again."""

_BAR, _GAP, _TOP, _LEFT, _WIDTH, _RIGHT = 13, 12, 46, 250, 420, 90
_LOWEST_MS, _DECADES = 1.0, 5
_COLOURS = {"directly": "#b42318", "Greenlane": "#067647"}


@dataclass(frozen=True)
class Cell:
    """One change of one table in one way.

    Args:
        case: its name.
        rows: of the table.
        way: how it ran.
        seconds: how long it took.
        longest_ms: the longest transaction while it ran and in the second after.
        calm_ms: the longest in the seconds before it.
        added_ms: how much longer that one was than this one; 0 where it was not.
        slow: transactions over 100 ms.
        failed: transactions.
        others: processors that other programs took meanwhile.
    """

    case: str
    rows: int
    way: Way
    seconds: float
    longest_ms: float
    calm_ms: float
    added_ms: float
    slow: float
    failed: int
    others: float


@dataclass(frozen=True)
class Run:
    """Everything that was measured.

    Args:
        cells: one for each case, size and way, whatever the rounds.
        filled: the backfill beside the load, by size.
        alone: the same without a load, by size.
        version: of PostgreSQL.
        processors: of the machine.
        rounds: of each cell.
        blocked_seconds: how long the transaction lasts that is in the way.
        calm_seconds: of load before each cell.
    """

    cells: tuple[Cell, ...]
    filled: dict[int, Filled]
    alone: dict[int, Filled]
    version: str
    processors: int
    rounds: int
    blocked_seconds: float
    calm_seconds: float

    def cell(self, case: str, rows: int, way: Way) -> Cell:
        """One of them."""
        return next(c for c in self.cells if (c.case, c.rows, c.way) == (case, rows, way))

    def sizes(self) -> list[int]:
        """Of tables, in their order."""
        return list(dict.fromkeys(one.rows for one in self.cells))

    def cases(self) -> list[str]:
        """Names of the changes, in their order."""
        return list(dict.fromkeys(one.case for one in self.cells if one.way != "nothing"))


def cell(case: str, rows: int, way: Way, measured: Measured, others: float) -> Cell:
    """The figures of one measurement."""
    longest, calm = measured.during.longest_ms, measured.baseline.longest_ms
    return Cell(
        case=case,
        rows=rows,
        way=way,
        seconds=measured.seconds,
        longest_ms=longest,
        calm_ms=calm,
        added_ms=max(0.0, longest - calm),
        slow=measured.during.slow,
        failed=measured.during.failed,
        others=others,
    )


def middle(rounds: Sequence[Cell]) -> Cell:
    """The median of each figure; of failures, and of what others took, the most."""
    first = rounds[0]
    return Cell(
        case=first.case,
        rows=first.rows,
        way=first.way,
        seconds=median(one.seconds for one in rounds),
        longest_ms=median(one.longest_ms for one in rounds),
        calm_ms=median(one.calm_ms for one in rounds),
        added_ms=median(one.added_ms for one in rounds),
        slow=median(one.slow for one in rounds),
        failed=max(one.failed for one in rounds),
        others=max(one.others for one in rounds),
    )


def missed(run: Run) -> list[str]:
    """The goals that were not met, in words."""
    found = []
    for one in run.cells:
        where = f"{one.case}, {one.rows:,} rows"
        if one.way == "Greenlane" and one.added_ms >= MOST_ADDED_MS:
            found.append(f"{where}: {one.added_ms:.0f} ms were added")
        if one.way == "Greenlane" and one.failed:
            found.append(f"{where}: {one.failed} transactions failed")
    found += [
        f"{rows:,} rows were filled at {one.rows_per_second:,.0f} a second, without a load"
        for rows, one in run.alone.items()
        if one.rows_per_second < FEWEST_ROWS_PER_SECOND
    ]
    return found


def disturbed(run: Run) -> str:
    """Whether the machine was too busy for the goals to be judged, in words; empty if not.

    What is added over a long calm would be short by chance.
    """
    added = max(one.added_ms for one in run.cells if one.way == "nothing")
    calm = max(one.calm_ms for one in run.cells)
    if max(added, calm) < MOST_ADDED_MS:
        return ""
    return (
        f"The machine was not quiet, so this says little: without any migration {added:.0f} ms "
        f"were added, and a calm had a stall of {calm:.0f} ms."
    )


def page(run: Run, picture: str) -> str:
    """The whole page. Args: picture: where its chart is, from the page."""
    parts = [
        "# What a migration costs the writers beside it",
        "<!-- Written by `make bench-migrations`; do not edit. -->",
        _introduction(run),
        f'<img src="{picture}" alt="{escape(said(run))}">',
    ]
    for rows in run.sizes():
        parts += [f"## {rows:,} rows", _table(run, rows)]
    parts += ["## Filling rows", _filling(run), "## Goals", _goals(run)]
    return "\n\n".join(parts) + "\n"


def _introduction(run: Run) -> str:
    how = "one round" if run.rounds == 1 else f"the median of {run.rounds} rounds"
    return (
        f"{CLIENTS} pgbench clients make {RATE} transactions a second on a table of orders: six of "
        "ten update a row, two insert one, two read one. Beside them the table is changed, once "
        "as the statement is usually written and run directly, once as Greenlane rewrites, plans "
        "and runs it: the same statement through `rewrite`, the plan's check, and the runner's "
        "slices in all three phases, with no pause between phases or batches. Each on a fresh copy "
        f"of the same database, on PostgreSQL {run.version} in memory, {run.processors} "
        f"processors; {how}. The clients and the server share the machine, so a backfill that "
        "never rests takes processor time from them too.\n\n"
        "The stall is the longest latency of any transaction that ran while the change did, or in "
        "the second after, counted from when it was due. The calm before is the longest in the "
        f"{run.calm_seconds:g} s of the same load before it, and what is added is the difference. "
        "A row without any migration shows how much of that is chance. Over 100 ms are counted "
        "that ended within that second. The transaction behind which a column is added has read "
        f"the table and lasts {run.blocked_seconds:g} s. Other programs took "
        f"{max(one.others for one in run.cells):.2f} processors at most while one was measured."
    )


def _table(run: Run, rows: int) -> str:
    lines = [
        f"| | | duration, s | stall, ms | calm before, ms | added, ms | over {SLOW_MS:.0f} ms "
        "| failed | times shorter |",
        "|---|---|---|---|---|---|---|---|---|",
        _line(run.cell(NOTHING, rows, "nothing"), NOTHING, "", ""),
    ]
    for case in run.cases():
        naive, ours = run.cell(case, rows, "directly"), run.cell(case, rows, "Greenlane")
        lines.append(_line(naive, case, "directly", ""))
        lines.append(_line(ours, "", "Greenlane", f"{naive.longest_ms / ours.longest_ms:,.1f}"))
    return "\n".join(lines)


def _line(one: Cell, name: str, way: str, ratio: str) -> str:
    return (
        f"| {name} | {way} | {one.seconds:.2f} | {_ms(one.longest_ms)} | {_ms(one.calm_ms)} "
        f"| {_ms(one.added_ms)} | {one.slow:,.0f} | {one.failed} | {ratio} |"
    )


def _ms(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _filling(run: Run) -> str:
    lines = ["| | rows | s | rows a second |", "|---|---|---|---|"]
    for name, found in (("beside the load", run.filled), ("without a load", run.alone)):
        for one in found.values():
            rate = f"{one.rows_per_second:,.0f}"
            lines.append(f"| {name} | {one.rows:,} | {one.seconds:.1f} | {rate} |")
    said = (
        "The backfill of the column with a volatile default, by the ledger: from its first batch "
        "to its last, with the runner's own limits, which never rest."
    )
    return said + "\n\n" + "\n".join(lines)


def _goals(run: Run) -> str:
    goals = (
        f"By Greenlane less than {MOST_ADDED_MS:.0f} ms added, no failed transaction, and at least "
        f"{FEWEST_ROWS_PER_SECOND:,} rows a second filled without a load."
    )
    wrong, doubt = missed(run), disturbed(run)
    if wrong:
        goals += " Missed:\n\n" + "\n".join(f"- {one}" for one in wrong)
    elif not doubt:
        goals += " All are met."
    return f"{goals}\n\n{doubt}" if doubt else goals


def said(run: Run) -> str:
    """What the chart shows, in words."""
    rows = run.sizes()[-1]
    pairs = [
        f"{case} {run.cell(case, rows, 'directly').longest_ms:,.0f} and "
        f"{run.cell(case, rows, 'Greenlane').longest_ms:,.0f}"
        for case in run.cases()
    ]
    return (
        f"Longest stall of a transaction in milliseconds, {rows:,} rows, run directly and by "
        f"Greenlane: {'; '.join(pairs)}."
    )


def chart(run: Run) -> str:
    """The stalls as bars on a logarithmic scale, a panel for each size."""
    group = 2 * _BAR + _GAP
    panel = _TOP + group * len(run.cases()) + 24
    width, height = _LEFT + _WIDTH + _RIGHT, panel * len(run.sizes()) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="sans-serif" font-size="12" fill="#1d2939">',
        f"<title>{escape(said(run))}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, rows in enumerate(run.sizes()):
        parts += [f'<g transform="translate(0 {number * panel})">', *_panel(run, rows, group)]
        parts.append("</g>")
    parts += [*_key(height - 22), "</svg>"]
    return "\n".join(parts) + "\n"


def _panel(run: Run, rows: int, group: int) -> Iterable[str]:
    cases = run.cases()
    bottom = _TOP + group * len(cases)
    yield f'<text x="12" y="20" font-weight="bold">{rows:,} rows: longest stall</text>'
    for decade in range(_DECADES + 1):
        value = _LOWEST_MS * 10**decade
        name = f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s"
        x = _x(value)
        yield f'<path d="M{x:.1f} {_TOP - 6}V{bottom}" stroke="#eaecf0"/>'
        yield f'<text x="{x:.1f}" y="{_TOP - 12}" text-anchor="middle">{name}</text>'
    calm = _x(run.cell(NOTHING, rows, "nothing").longest_ms)
    yield (
        f'<path d="M{calm:.1f} {_TOP - 6}V{bottom}" stroke="#475467" stroke-dasharray="4 3" '
        'fill="none"/>'
    )
    for number, case in enumerate(cases):
        top = _TOP + number * group
        middle_of_both = top + _BAR + 4
        yield f'<text x="{_LEFT - 10}" y="{middle_of_both}" text-anchor="end">{escape(case)}</text>'
        ways: tuple[Way, ...] = ("directly", "Greenlane")
        for place, way in enumerate(ways):
            value = run.cell(case, rows, way).longest_ms
            x, y = _x(value), top + place * _BAR
            yield (
                f'<rect x="{_LEFT}" y="{y}" width="{x - _LEFT:.1f}" height="{_BAR - 1}" '
                f'fill="{_COLOURS[way]}"/>'
            )
            yield f'<text x="{x + 5:.1f}" y="{y + 10}">{_ms(value)} ms</text>'


def _key(y: float) -> Iterable[str]:
    names = {"directly": "run directly", "Greenlane": "by Greenlane"}
    for number, (way, name) in enumerate(names.items()):
        x = _LEFT + number * 130
        yield f'<rect x="{x}" y="{y}" width="12" height="12" fill="{_COLOURS[way]}"/>'
        yield f'<text x="{x + 18}" y="{y + 11}">{name}</text>'
    x = _LEFT + 260
    yield f'<path d="M{x} {y + 6}h22" stroke="#475467" stroke-dasharray="4 3"/>'
    yield f'<text x="{x + 28}" y="{y + 11}">without any migration</text>'


def _x(milliseconds: float) -> float:
    """Where a value is on the scale; what is below its lowest is there."""
    share = log10(max(milliseconds, _LOWEST_MS) / _LOWEST_MS) / _DECADES
    return _LEFT + _WIDTH * min(share, 1.0)
