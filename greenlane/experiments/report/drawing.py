"""One chart over the time of a test, as inline SVG. Pure; no I/O.

A chart has a title and a description for those who do not see it, axes with units, and lines that
differ in colour, in the kind of line and in the shape of their marks, so that no one of these is
needed to tell them apart. It is small enough to be read on a phone without scrolling.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape

from greenlane.incidents.wording import number

WIDTH, HEIGHT = 480, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 40, 26
COLOURS = 6
"""Lines beyond so many have a colour again, with another kind of line."""

_STEPS_OF_TIME = tuple(
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440, 2880, 10080, 20160, 40320)
)

Point = tuple[datetime, float | None]


@dataclass(frozen=True)
class Line:
    """Points in order, None where there is no number.

    `colour` counts from 0, which is the control's; `dashed` is for what was planned or asked.
    """

    name: str
    colour: int
    points: tuple[Point, ...]
    dashed: bool = False
    steps: bool = False


@dataclass(frozen=True)
class Band:
    """From low to high at each moment; None for an end that is not known."""

    colour: int
    points: tuple[tuple[datetime, float | None, float | None], ...]


@dataclass(frozen=True)
class Level:
    """A horizontal line with its label."""

    value: float
    label: str
    strong: bool = False


@dataclass(frozen=True)
class Chart:
    """What one chart shows.

    Args:
        key: unique on its page.
        title: of the chart.
        unit: of the vertical axis.
        start: of the horizontal axis.
        end: likewise.
        lines: on top.
        bands: below them.
        levels: across.
        focus: values that must be seen; all of the lines and levels where left out. What lies
            outside is cut off at the edge, so that one wide interval does not flatten the rest.
        said: for those who do not see it.
    """

    key: str
    title: str
    unit: str
    start: datetime
    end: datetime
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    levels: tuple[Level, ...] = ()
    focus: tuple[float, ...] = ()
    said: str = ""


@dataclass
class _Scale:
    low: float
    high: float
    step: float
    ticks: list[float] = field(default_factory=list)


def draw(chart: Chart) -> str:
    """The SVG element, complete."""
    return "\n".join(_Drawing(chart).parts())


class _Drawing:
    """One chart on its way to SVG."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.end = max(chart.end, chart.start + timedelta(minutes=1))
        self.scale = _scale(chart)

    def parts(self) -> Iterator[str]:
        chart, key = self.chart, self.chart.key
        yield (
            f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'aria-labelledby="{key}-title {key}-desc">'
        )
        yield f'<title id="{key}-title">{escape(chart.title)}, {escape(chart.unit)}</title>'
        yield f'<desc id="{key}-desc">{escape(chart.said)}</desc>'
        yield (
            f'<text class="name" x="0" y="13">{escape(chart.title)}</text>'
            f'<text class="unit" x="0" y="29">{escape(chart.unit)}</text>'
        )
        yield from self._grid()
        for band in chart.bands:
            yield from self._band(band)
        for level in chart.levels:
            yield self._level(level)
        for line in chart.lines:
            yield from self._line(line)
        for level in chart.levels:
            yield self._label(level)
        yield "</svg>"

    def x(self, at: datetime) -> float:
        """Where an instant is."""
        share = (at - self.chart.start) / (self.end - self.chart.start)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Where a value is; one beyond the scale is at its edge."""
        share = (value - self.scale.low) / (self.scale.high - self.scale.low)
        return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)

    def _grid(self) -> Iterator[str]:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for value in self.scale.ticks:
            y = self.y(value)
            kind = "zero" if value == 0 and self.scale.low < 0 else "grid"
            yield f'<line class="{kind}" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
            yield f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">' + (
                f"{_tick(value)}</text>"
            )
        for at, text in _ticks_of_time(self.chart.start, self.end):
            x = self.x(at)
            yield f'<line class="axis" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}"/>'
            anchor = "end" if x > WIDTH - 20 else "middle"
            place = min(x, WIDTH - 1.0)
            where = f'x="{place:.1f}" y="{bottom + 17}" text-anchor="{anchor}"'
            yield f'<text class="tick" {where}>{text}</text>'
        yield f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}"/>'

    def _band(self, band: Band) -> Iterator[str]:
        for run in _bands(band, self.scale):
            if len(run) == 1:
                at, low, high = run[0]
                x = self.x(at)
                yield f'<line class="whisker v{band.colour % COLOURS}" x1="{x:.1f}" ' + (
                    f'y1="{self.y(high):.1f}" x2="{x:.1f}" y2="{self.y(low):.1f}"/>'
                )
                continue
            upper = [f"{self.x(at):.1f},{self.y(high):.1f}" for at, _, high in run]
            lower = [f"{self.x(at):.1f},{self.y(low):.1f}" for at, low, _ in reversed(run)]
            points = " ".join(upper + lower)
            yield f'<polygon class="area v{band.colour % COLOURS}" points="{points}"/>'

    def _level(self, level: Level) -> str:
        y = self.y(level.value)
        kind = "bad-level" if level.strong else "asked"
        return f'<line class="{kind}" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'

    def _label(self, level: Level) -> str:
        """Above its line, or below where that would be in the title."""
        y = self.y(level.value)
        place = y - 5 if y > TOP + 14 else y + 14
        kind = "bad-level" if level.strong else "asked"
        return (
            f'<text class="{kind}-label" x="{LEFT + 4}" y="{place:.1f}">{escape(level.label)}'
            + ("</text>")
        )

    def _line(self, line: Line) -> Iterator[str]:
        kind = f"v{line.colour % COLOURS}" + (" dashed" if _is_dashed(line) else "")
        for run in _runs(line.points):
            places = [(self.x(at), self.y(value)) for at, value in run]
            if line.steps:
                places = _stairs(places, self.x(self.end))
            if len(places) > 1:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
                yield f'<polyline class="line {kind}" points="{path}"/>'
            if not line.dashed and not line.steps and len(run) <= 60:
                yield "".join(mark(x, y, line.colour) for x, y in places)


def mark(x: float, y: float, colour: int) -> str:
    """A circle for the control, a square or a diamond for treatments."""
    css = f'class="mark v{colour % COLOURS}"'
    if colour == 0:
        return f'<circle {css} cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'
    if colour % 2:
        return f'<rect {css} x="{x - 2.6:.1f}" y="{y - 2.6:.1f}" width="5.2" height="5.2"/>'
    points = (
        f"{x:.1f},{y - 3.4:.1f} {x + 3.4:.1f},{y:.1f} {x:.1f},{y + 3.4:.1f} {x - 3.4:.1f},{y:.1f}"
    )
    return f'<polygon {css} points="{points}"/>'


def sample_of_line(colour: int, *, dashed: bool = False) -> str:
    """A short piece of a line, for the legend."""
    css = f"v{colour % COLOURS}" + (" dashed" if dashed or colour >= COLOURS else "")
    dot = "" if dashed else mark(17, 5, colour)
    return (
        '<svg class="sample" viewBox="0 0 34 10" aria-hidden="true">'
        f'<line class="line {css}" x1="0" y1="5" x2="34" y2="5"/>{dot}</svg>'
    )


def _is_dashed(line: Line) -> bool:
    return line.dashed or line.colour >= COLOURS


def _runs(points: Iterable[Point]) -> list[list[tuple[datetime, float]]]:
    """The unbroken stretches of a line."""
    runs: list[list[tuple[datetime, float]]] = [[]]
    for at, value in points:
        if value is not None:
            runs[-1].append((at, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _bands(band: Band, scale: _Scale) -> list[list[tuple[datetime, float, float]]]:
    """The unbroken stretches of a band; an end that is not known is beyond the scale."""
    runs: list[list[tuple[datetime, float, float]]] = [[]]
    for at, low, high in band.points:
        if low is None and high is None:
            runs.append([])
            continue
        runs[-1].append(
            (at, scale.low if low is None else low, scale.high if high is None else high)
        )
    return [run for run in runs if run]


def _stairs(places: Sequence[tuple[float, float]], right: float) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for x, y in places:
        if found:
            found.append((x, found[-1][1]))
        found.append((x, y))
    return [*found, (right, found[-1][1])]


def _scale(chart: Chart) -> _Scale:
    values = list(chart.focus)
    if not values:
        values = [value for line in chart.lines for _, value in line.points if value is not None]
    values += [level.value for level in chart.levels]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if not chart.focus:
        low = min(low, 0.0)
    if high <= low:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    step = _nice_step(high - low)
    first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))
    scale = _Scale(first * step, last * step, step)
    scale.ticks = [round(index * step, 12) for index in range(first, last + 1)]
    return scale


def _nice_step(span: float) -> float:
    """The distance of grid lines: 1, 2 or 5 times a power of ten, for about four of them."""
    rough = span / 4
    size = 10.0 ** math.floor(math.log10(rough))
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough * 0.999)


def _tick(value: float) -> str:
    """A value at the axis: `1,200`, `0.5`."""
    rounded = round(value, 6)
    return f"{int(rounded):,}" if rounded == int(rounded) else number(rounded)


def _ticks_of_time(start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """At most six moments, as days or as times of day."""
    span = end - start
    step = next((each for each in _STEPS_OF_TIME if span / each <= 6), span / 6)
    midnight = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + math.ceil((start - midnight) / step) * step
    found = []
    by_day = step >= timedelta(days=1)
    while at <= end:
        day = f"{at.day} {at:%b}"
        text = day if by_day or (at.hour, at.minute) == (0, 0) else f"{at:%H:%M}"
        found.append((at, text))
        at += step
    return found
