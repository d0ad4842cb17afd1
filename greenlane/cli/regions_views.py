"""A plan of Regions as people read it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from greenlane.durations import format_seconds

if TYPE_CHECKING:
    from greenlane.regions.planning.model import Comparison, Plan, PlannedWave, Risk


def plan_lines(plan: "Plan", comparison: "Comparison") -> list[str]:
    """The whole plan, what it costs, and what else could be."""
    regions = sum(len(wave.regions) for wave in plan.waves)
    kind = plan.type.replace("_", "/")
    lines = [
        f"{regions} regions in {len(plan.waves)} waves: {kind}, {plan.policy}, from "
        f"{plan.planned_at:%A %Y-%m-%d %H:%M} UTC"
    ]
    lines += [f"zone: {assumption}" for assumption in plan.assumptions]
    for override in plan.overrides:
        lines.append(f"set aside: {override.what}, by {override.by}: {override.reason}")
    if plan.prepare_seconds:
        length = format_seconds(plan.prepare_seconds)
        lines.append(f"first {length}: the version is started and tested everywhere")
    lines += ["", *table(list(_rows(plan.waves))), ""]
    lines += _why(plan.waves)
    lines += ["", *_totals(plan)]
    lines += [f"note: {note}" for note in plan.notes]
    lines += _others(plan, comparison)
    return lines


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _rows(waves: "Sequence[PlannedWave]") -> Iterator[tuple[str, ...]]:
    yield "wave", "region", "traffic", "UTC", "local", "wait", "deploy", "bake", "baked by"
    for wave in waves:
        for index, region in enumerate(wave.regions):
            local = datetime.fromisoformat(region.starts_local)
            traffic = f"{region.traffic_percentage.normalize():f} %"
            both = (region.region, traffic + ("*" if region.small_steps else ""))
            if index:
                shared: tuple[str, ...] = ("", *both, "", _local(local, region.zone), *[""] * 4)
            else:
                shared = (
                    str(wave.number),
                    *both,
                    f"{wave.starts_at:%a %d %H:%M}",
                    _local(local, region.zone),
                    format_seconds(wave.wait_seconds) if wave.wait_seconds else "-",
                    format_seconds(wave.deploy_seconds),
                    format_seconds(wave.bake_seconds) + (" +" if wave.bake_requests else ""),
                    f"{wave.baked_at:%a %d %H:%M}",
                )
            yield shared


def _local(at: datetime, zone: str) -> str:
    return f"{at:%a %d %H:%M} {zone}"


def _why(waves: "Sequence[PlannedWave]") -> Iterator[str]:
    for wave in waves:
        for region in wave.regions:
            reasons = "; ".join(region.why) or "nothing else is to be kept to"
            yield f"why {region.region} is in wave {wave.number}: {reasons}"
        if wave.wait_for:
            yield f"    it waits {format_seconds(wave.wait_seconds)}: {wave.wait_for}"


def _totals(plan: "Plan") -> Iterator[str]:
    if any(region.small_steps for wave in plan.waves for region in wave.regions):
        yield "* more than its wave's budget: its own first step has at most 10 %"
    if requests := next((wave.bake_requests for wave in plan.waves if wave.bake_requests), None):
        yield f"+ and until each region has had {requests} requests"
    pause = format_seconds(plan.delay_seconds)
    watch = format_seconds(plan.watch_seconds)
    yield (
        f"total: {format_seconds(plan.total_seconds)}, until {plan.ends_at:%A %Y-%m-%d %H:%M} UTC, "
        f"with {pause} between waves; {watch} of watch follow and hold up nothing"
    )
    yield f"at risk: {risk_text(plan.risk)}, should the version be bad"


def risk_text(risk: "Risk") -> str:
    """What a bad version is expected to do to users."""
    minutes = f"{risk.user_minutes.normalize():f} user-minutes"
    return minutes if risk.declared else f"{minutes} of 100 users"


def _others(plan: "Plan", comparison: "Comparison") -> Iterator[str]:
    for number, cost in enumerate(comparison.costs):
        binding = ", which bind" if number == 0 else ""
        yield f"cost: {cost.text}{binding}: +{format_seconds(cost.saved_seconds)}"
    if (start := comparison.start) is not None:
        yield (
            f"start: from {start.at:%A %H:%M} UTC it takes {format_seconds(start.total_seconds)}, "
            f"{format_seconds(start.saved_seconds)} less (until {start.ends_at:%A %H:%M})"
        )
    yield ""
    rows = [("what if", "waves", "total", "until (UTC)", "at risk", "what binds")]
    for other in comparison.what_ifs:
        bound = other.binding
        rows.append(
            (
                other.policy + (" (this)" if other.policy == plan.policy else ""),
                str(other.waves),
                format_seconds(other.total_seconds),
                f"{other.ends_at:%a %d %H:%M}",
                risk_text(other.risk),
                "nothing" if bound is None else _bound(bound.text, bound.saved_seconds),
            )
        )
    yield from table(rows)
    yield f"time zones: {plan.tzdata}"


def _bound(text: str, seconds: int) -> str:
    return f"{text} (+{format_seconds(seconds)})"
