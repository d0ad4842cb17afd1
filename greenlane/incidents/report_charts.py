"""Charts of a report as inline SVG. Pure; no I/O.

Each chart has a title and a description for those who do not see it, axes with units, and a line
for each instant at which the weights changed. The two versions differ in colour, in the kind of
line and in the shape of their marks, so that no one of these is needed to tell them apart.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape

from greenlane.deployments.model import Slot
from greenlane.incidents.report_model import Minute, Report
from greenlane.incidents.wording import number

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 58, 38, 36, 24
HEIGHT = 182
_MARKED_UP_TO = 90
_LABEL_SPACE = 34.0
_STEPS_OF_TIME = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360)

Point = tuple[datetime, float | None]


@dataclass(frozen=True)
class Series:
    """One version's line: points in order, None where there is no number."""

    slot: Slot
    is_new: bool
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """What one chart shows; `limit` is the judge's, in the chart's unit."""

    key: str
    title: str
    unit: str
    series: tuple[Series, ...]
    limit: float | None = None
    most: float | None = None
    steps: bool = False


def charts(report: Report) -> tuple[str, ...]:
    """The charts of a report as SVG elements; none without a window of metrics."""
    if report.window_start is None or report.window_end is None:
        return ()
    shown = [_share(report)] if report.shifts else []
    if report.minutes:
        shown += [_requests(report), _errors(report), _response_times(report)]
    return tuple(_Drawing(report, chart).svg() for chart in shown)


def _share(report: Report) -> Chart:
    """The new version's weight, as a staircase."""
    points: list[Point] = []
    before = 0.0
    for shift in report.shifts:
        points += [(shift.at, before), (shift.at, float(shift.weight))]
        before = float(shift.weight)
    end = max(report.window_end or report.as_of, report.ended_at or report.started_at)
    if report.traffic_until is not None:
        points += [(report.traffic_until, before), (report.traffic_until, 0.0)]
        before = 0.0
    points.append((max(end, points[-1][0]), before))
    line = Series(report.new.slot, True, report.new.label, tuple(points))
    title = f"Share of the traffic that {report.new.label} had"
    return Chart("share", title, "percent", (line,), most=100, steps=True)


def _requests(report: Report) -> Chart:
    lines = _lines(report, lambda minute: float(minute.requests))
    return Chart("requests", "Requests", "per minute", lines)


def _errors(report: Report) -> Chart:
    def percent(minute: Minute) -> float | None:
        return 100 * minute.errors / minute.requests if minute.requests else None

    limit = report.limits.error_rate * 100
    return Chart("errors", "Failed requests", "percent", _lines(report, percent), limit=limit)


def _response_times(report: Report) -> Chart:
    lines = _lines(report, lambda minute: minute.p95_ms)
    limit = report.limits.p95_ms
    return Chart("p95", "Response time, p95", "ms", lines, limit=limit)


def _lines(report: Report, value: Callable[[Minute], float | None]) -> tuple[Series, ...]:
    """One line a version, broken where a minute is missing."""
    found = []
    for version, is_new in ((report.old, False), (report.new, True)):
        points: list[Point] = []
        for minute in report.minutes:
            if minute.slot != version.slot:
                continue
            if points and minute.at - points[-1][0] > timedelta(minutes=1):
                points.append((points[-1][0] + timedelta(minutes=1), None))
            points.append((minute.at, value(minute)))
        found.append(Series(version.slot, is_new, version.label, tuple(points)))
    return tuple(found)


class _Drawing:
    """One chart on its way to SVG."""

    def __init__(self, report: Report, chart: Chart) -> None:
        assert report.window_start is not None, "asked before"
        assert report.window_end is not None, "asked before"
        self.report, self.chart = report, chart
        self.start = report.window_start
        ended = report.ended_at or report.window_end
        self.end = max(report.window_end, ended, self.start + timedelta(minutes=1))
        values = [value for line in chart.series for _, value in line.points if value is not None]
        top = chart.most or max(values, default=0.0)
        # A limit far above everything would flatten what the chart is for.
        self.limit = chart.limit if chart.limit is not None and chart.limit <= 2 * top else None
        self.step = _nice_step(max(top, self.limit or 0.0) or 1.0)
        self.most = self.step * math.ceil(
            round(max(top, self.limit or 0.0, self.step) / self.step, 9)
        )

    def svg(self) -> str:
        """The element, complete."""
        key = self.chart.key
        parts = [
            f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'aria-labelledby="{key}-title {key}-desc">',
            f'<title id="{key}-title">{escape(self.chart.title)}, {self.chart.unit}</title>',
            f'<desc id="{key}-desc">{escape(self._description())}</desc>',
            f'<text class="name" x="{LEFT}" y="12">{escape(self.chart.title)}'
            f'<tspan class="unit" dx="6">{escape(self.chart.unit)}</tspan></text>',
            *self._grid(),
            *self._events(),
            *self._limit_line(),
            *(element for line in self.chart.series for element in self._line(line)),
            "</svg>",
        ]
        return "\n".join(part for part in parts if part)

    def x(self, at: datetime) -> float:
        """Where an instant is."""
        share = (at - self.start) / (self.end - self.start)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Where a value is."""
        return HEIGHT - BOTTOM - value / self.most * (HEIGHT - TOP - BOTTOM)

    def _description(self) -> str:
        said = []
        for line in self.chart.series:
            values = [value for _, value in line.points if value is not None]
            role = "new version" if line.is_new else "old version"
            if values:
                low, high = (number(round(edge, 2)) for edge in (min(values), max(values)))
                said.append(f"{role} {line.label} in {line.slot}: from {low} to {high}")
            else:
                said.append(f"{role} {line.label} in {line.slot}: no numbers")
        limit = f" The judge's limit is {number(self.chart.limit)}." if self.chart.limit else ""
        return f"{'; '.join(said)}.{limit} The numbers are in the tables of this page."

    def _grid(self) -> Iterable[str]:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for index in range(round(self.most / self.step) + 1):
            value = index * self.step
            y = self.y(value)
            yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
            yield f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">' + (
                f"{_tick(value)}</text>"
            )
        for at in _ticks_of_time(self.start, self.end):
            x = self.x(at)
            yield f'<line class="axis" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}"/>'
            yield f'<text class="tick" x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">' + (
                f"{at.astimezone(UTC):%H:%M}</text>"
            )
        yield f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}"/>'

    def _events(self) -> Iterable[str]:
        """A line for each change of weights, and its label where there is room."""
        taken = -math.inf
        back = self.report.traffic_until
        free_from = self.x(back) - _LABEL_SPACE if back is not None else math.inf
        for shift in self.report.shifts:
            x = self.x(shift.at)
            label = ""
            if x - taken >= _LABEL_SPACE and x < free_from:
                label, taken = f"{shift.weight} %", x
            yield self._event(x, "shift", label)
        if back is not None:
            yield self._event(self.x(back), "back", "back")
        elif self.report.outcome == "held" and self.report.ended_at is not None:
            yield self._event(self.x(self.report.ended_at), "back", "held")

    def _event(self, x: float, kind: str, label: str) -> str:
        top, bottom = TOP - (16 if label else 0), HEIGHT - BOTTOM
        line = f'<line class="{kind}" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>'
        if not label:
            return line
        return line + (
            f'<text class="event {kind}-label" x="{x + 3:.1f}" y="{TOP - 6}">{escape(label)}</text>'
        )

    def _limit_line(self) -> Iterable[str]:
        if self.limit is None:
            return
        y = self.y(self.limit)
        yield f'<line class="limit" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
        yield f'<text class="limit-label" x="{LEFT + 4}" y="{y - 3:.1f}">' + (
            f"limit {number(round(self.limit, 2))}</text>"
        )

    def _line(self, line: Series) -> Iterable[str]:
        role = "new" if line.is_new else "old"
        marked = not self.chart.steps and len(line.points) <= _MARKED_UP_TO
        for run in _runs(line.points):
            places = [(self.x(at), self.y(value)) for at, value in run]
            if self.chart.steps:
                yield self._area(line, places)
            if len(places) > 1:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
                yield f'<polyline class="line {role} {line.slot}" points="{path}"/>'
            if marked or len(places) == 1:
                yield "".join(_mark(x, y, role, line.slot) for x, y in places)

    def _area(self, line: Series, places: Sequence[tuple[float, float]]) -> str:
        floor = self.y(0)
        corners = [(places[0][0], floor), *places, (places[-1][0], floor)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        return f'<polygon class="area {line.slot}" points="{path}"/>'


def _mark(x: float, y: float, role: str, slot: Slot) -> str:
    """A square for the new version, a circle for the old one."""
    if role == "new":
        corner = f'x="{x - 2.2:.1f}" y="{y - 2.2:.1f}"'
        return f'<rect class="mark {slot}" {corner} width="4.4" height="4.4"/>'
    return f'<circle class="mark {slot}" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>'


def _runs(points: Iterable[Point]) -> list[list[tuple[datetime, float]]]:
    """The unbroken stretches of a line."""
    runs: list[list[tuple[datetime, float]]] = [[]]
    for at, value in points:
        if value is not None:
            runs[-1].append((at, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _nice_step(top: float) -> float:
    """The distance of grid lines: 1, 2 or 5 times a power of ten, for about four of them."""
    rough = top / 4
    size = 10.0 ** math.floor(math.log10(rough))
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough * 0.999)


def _tick(value: float) -> str:
    """A value at the axis: `1,200`, `0.5`."""
    rounded = round(value, 6)
    return f"{int(rounded):,}" if rounded == int(rounded) else number(rounded)


def _ticks_of_time(start: datetime, end: datetime) -> list[datetime]:
    """Whole minutes, at most nine of them."""
    minutes = (end - start) / timedelta(minutes=1)
    step = next((each for each in _STEPS_OF_TIME if minutes / each <= 8), 720)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = math.ceil((start - midnight) / timedelta(minutes=step))
    ticks, at = [], midnight + first * timedelta(minutes=step)
    while at <= end:
        ticks.append(at)
        at += timedelta(minutes=step)
    return ticks


def sample_of_line(slot: Slot, is_new: bool) -> str:
    """A short piece of a version's line, for the legend."""
    role = "new" if is_new else "old"
    return (
        '<svg class="sample" viewBox="0 0 34 10" aria-hidden="true">'
        f'<line class="line {role} {slot}" x1="0" y1="5" x2="34" y2="5"/>{_mark(17, 5, role, slot)}'
        "</svg>"
    )
