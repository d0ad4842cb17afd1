"""The charts of a report: the effect and its bounds over time, who came, the guardrails. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from greenlane.experiments.report.drawing import Band, Chart, Level, Line, draw
from greenlane.experiments.report.model import Ends, Report
from greenlane.experiments.report.words import as_percent, name_of_metric, plain
from greenlane.experiments.statistics.effects import Effect

MOST_TREATMENTS = 4
"""Of more, those that did best have charts; the tables have all."""


def charts(report: Report) -> tuple[tuple[str, str], ...]:
    """The charts, each with its caption; none before the first look."""
    if not report.looks:
        return ()
    found = []
    for number, treatment in enumerate(_shown(report)):
        found.append((draw(_effect(report, treatment, number)), _effect_caption(report, treatment)))
        found.append((draw(_evidence(report, treatment, number)), _EVIDENCE))
    found.append((draw(_users(report)), ""))
    found.append((draw(_allocation(report)), _ALLOCATION))
    found += [(draw(chart), "") for chart in _guardrails(report)]
    return tuple(found)


_EVIDENCE = (
    "A win or a loss is shown where the line leaves the space between the bounds. Early looks ask "
    "for more, so that looking often costs nothing."
)
_ALLOCATION = "Dashed: as the weights planned it."


def _shown(report: Report) -> list[str]:
    if len(report.treatments) <= MOST_TREATMENTS:
        return list(report.treatments)
    sign = -1.0 if report.primary.direction == "lower" else 1.0

    def gain(treatment: str) -> float:
        effect = report.primary.effects.get(treatment)
        return sign * ((effect.difference if effect else None) or 0.0)

    best = sorted(report.treatments, key=gain, reverse=True)[:MOST_TREATMENTS]
    return [name for name in report.treatments if name in best]


def colour_of(report: Report, variant: str) -> int:
    """0 for the control, then the treatments in their order."""
    return 0 if variant == report.control else 1 + report.treatments.index(variant)


def _times(report: Report) -> tuple[datetime, datetime]:
    last = report.looks[-1].at
    return report.started_at, max(last, report.started_at + timedelta(minutes=1))


def by_lift(report: Report) -> bool:
    """Whether the effect is told as a lift; else as a difference, where no lift is known."""
    told = [one.treatments[name].effect for one in report.looks for name in report.treatments]
    lifts = sum(effect.lift is not None for effect in told)
    return lifts * 2 >= sum(effect.difference is not None for effect in told) and lifts > 0


def value_of(effect: Effect, lift: bool) -> float | None:
    """The estimate, in percent where it is a lift."""
    found = effect.lift if lift else effect.difference
    return None if found is None else found * (100 if lift else 1)


def _ends_of(effect: Effect, lift: bool) -> Ends:
    found = effect.lift_interval if lift else effect.difference_interval
    if found is None:
        return None, None
    factor = 100 if lift else 1
    low, high = (None if end is None else end * factor for end in found)
    return low, high


def _effect(report: Report, treatment: str, number: int) -> Chart:
    lift, colour = by_lift(report), colour_of(report, treatment)
    start, end = _times(report)
    points = [(one.at, value_of(one.treatments[treatment].effect, lift)) for one in report.looks]
    ends = [(one.at, *_ends_of(one.treatments[treatment].effect, lift)) for one in report.looks]
    asked = float(report.minimum_lift) * 100
    if report.primary.direction == "lower":
        asked = -asked
    levels = (Level(asked, f"asked: {asked:+g} %"),) if lift and asked else ()
    metric = name_of_metric(report.primary.name)
    unit = "percent" if lift else "difference"
    return Chart(
        key=f"effect-{number}",
        title=f"{'Lift' if lift else 'Difference'} of {metric}, {treatment}",
        unit=f"{unit}, with its interval at each look",
        start=start,
        end=end,
        lines=(Line(treatment, colour, tuple(points)),),
        bands=(Band(colour, tuple(ends)),),
        levels=levels,
        focus=tuple(_in_focus(points, ends)),
        said=_effect_caption(report, treatment) + " The numbers are in the tables of this page.",
    )


def _in_focus(
    points: list[tuple[datetime, float | None]],
    ends: list[tuple[datetime, float | None, float | None]],
) -> Iterator[float]:
    """All estimates, 0, and the interval of the last look, with as much room again."""
    yield 0.0
    yield from (value for _, value in points if value is not None)
    _, low, high = ends[-1]
    middle = points[-1][1]
    for edge in (low, high):
        if edge is not None:
            yield edge if middle is None else middle + (edge - middle) * 1.6


def _effect_caption(report: Report, treatment: str) -> str:
    effect = report.looks[-1].treatments[treatment].effect
    lift = by_lift(report)
    value, (low, high) = value_of(effect, lift), _ends_of(effect, lift)
    if value is None:
        return f"{treatment}: not compared at the last look ({effect.outcome.replace('_', ' ')})."
    show = as_percent if lift else plain
    return f"Last look: {show(value)}, from {show(low)} to {show(high)}."


def _evidence(report: Report, treatment: str, number: int) -> Chart:
    start, end = _times(report)
    told = [(one.at, one.treatments[treatment]) for one in report.looks]
    line = Line(
        treatment,
        colour_of(report, treatment),
        tuple((at, one.effect.statistic) for at, one in told),
    )
    upper = tuple((at, one.bound) for at, one in told)
    lower = tuple((at, None if one.bound is None else -one.bound) for at, one in told)
    last = told[-1][1]
    statistic = plain(last.effect.statistic)
    bound = "no bound at this look" if last.bound is None else f"bound {plain(last.bound)}"
    values = [one.effect.statistic for _, one in told if one.effect.statistic is not None]
    values += [edge for _, edge in (*upper, *lower) if edge is not None]
    return Chart(
        key=f"evidence-{number}",
        title=f"Evidence for {treatment}",
        unit="z, and the bounds of each look",
        start=start,
        end=end,
        lines=(Line("bound", 0, upper, dashed=True), Line("bound", 0, lower, dashed=True), line),
        focus=(0.0, *values),
        said=f"Last look: z {statistic}, {bound}. The numbers are in the tables of this page.",
    )


def _users(report: Report) -> Chart:
    start, end = _times(report)
    lines = tuple(
        Line(
            name,
            colour_of(report, name),
            ((start, 0.0), *((one.at, float(one.users.get(name, 0))) for one in report.looks)),
        )
        for name in (report.control, *report.treatments)
    )
    said = "; ".join(f"{name} {count:,}" for name, count in report.users.items())
    return Chart(
        key="users",
        title="Users who were shown a variant",
        unit="users, since the start",
        start=start,
        end=end,
        lines=lines,
        said=f"At the last look: {said}. The numbers are in the tables of this page.",
    )


def _allocation(report: Report) -> Chart:
    start, end = _times(report)
    lines: list[Line] = []
    for name in (report.control, *report.treatments):
        seen, planned = [], []
        for one in report.looks:
            everyone = sum(one.users.values())
            if everyone:
                seen.append((one.at, 100 * one.users.get(name, 0) / everyone))
                planned.append((one.at, 100 * one.expected.get(name, 0.0) / everyone))
        colour = colour_of(report, name)
        lines += [
            Line(name, colour, ((start, planned[0][1]), *planned) if planned else (), dashed=True),
            Line(name, colour, tuple(seen)),
        ]
    values = [value for line in lines for _, value in line.points if value is not None]
    room = max(1.0, (max(values, default=0) - min(values, default=0)) * 0.1)
    last = report.looks[-1]
    everyone = sum(last.users.values()) or 1
    said = "; ".join(f"{name} {100 * n / everyone:.2f} percent" for name, n in last.users.items())
    return Chart(
        key="allocation",
        title="Share of the users",
        unit="percent, since the start",
        start=start,
        end=end,
        lines=tuple(lines),
        focus=(min(values, default=0.0) - room, max(values, default=1.0) + room),
        said=f"At the last look: {said}. The numbers are in the tables of this page.",
    )


def _guardrails(report: Report) -> Iterator[Chart]:
    """One for each, of all treatments."""
    start, end = _times(report)
    for number, limit in enumerate(report.limits):
        factor = 100 if limit.relative else 1
        lines = []
        for treatment in report.treatments:
            points = []
            for look in report.looks:
                value = next(
                    (
                        one.value
                        for one in look.guardrails
                        if (one.metric, one.treatment) == (limit.metric, treatment)
                    ),
                    None,
                )
                points.append((look.at, None if value is None else factor * value))
            lines.append(Line(treatment, colour_of(report, treatment), tuple(points)))
        metric = name_of_metric(limit.metric)
        edge = f"{plain(factor * limit.limit)}{' %' if limit.relative else ''}"
        yield Chart(
            key=f"guardrail-{number}",
            title=f"Guardrail: {metric}",
            unit="percent more than the control" if limit.relative else f"{limit.kind}",
            start=start,
            end=end,
            lines=tuple(lines),
            levels=(Level(factor * limit.limit, f"limit {edge}", strong=True),),
            said=f"The limit is {edge}. The numbers are in the tables of this page.",
        )
