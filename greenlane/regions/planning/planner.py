"""From a document and an instant to a plan, or to the reason why there is none."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from greenlane.durations import format_seconds
from greenlane.errors import InvalidInput
from greenlane.problems import as_error
from greenlane.regions.declaring.lints import assumptions_of
from greenlane.regions.declaring.model import STAGES, RegionsDocument
from greenlane.regions.planning.explaining import waits_for, why
from greenlane.regions.planning.model import (
    Override,
    Plan,
    PlannedRegion,
    PlannedWave,
    Policy,
    Risk,
)
from greenlane.regions.planning.searching import best_order
from greenlane.regions.planning.situating import (
    TERMS,
    Calendars,
    Site,
    Situation,
    conflicts_of,
    prepare_seconds,
    situation_of,
    whole_minute,
)
from greenlane.regions.planning.timing import TimedWave, risk_of, timed
from greenlane.regions.windows.calendar import FOREVER
from greenlane.regions.windows.gate import why_not
from greenlane.regions.windows.instants import instant_of
from greenlane.regions.windows.zones import IANA_VERSION


def plan_regions(
    document: RegionsDocument,
    *,
    now: datetime,
    policy: Policy = "balanced",
    overrides: Collection[Override] = (),
) -> Plan:
    """In which waves, and when, a version that is deployed now goes through the Regions.

    Args:
        document: without a problem, as `read_regions` gives it.
        now: the clock's instant, aware.
        policy: how careful; `balanced` is what the document says.
        overrides: windows or freezes that somebody sets aside.

    Raises:
        InvalidInput: a Region could not start within `max_wait`; it says why, and what to do.
    """
    planned_at = whole_minute(now)
    calendars = Calendars(document, planned_at)
    start = planned_at + prepare_seconds(document)
    situation = situation_of(document, start, calendars, TERMS[policy], overrides)
    check_starts(document, situation)
    order = best_order(situation)
    if order is None:  # each can start by itself, so that they follow each other can be too
        raise InvalidInput("regions", list(document.regions), "no order of them can be planned")
    waves = list(timed(situation, order))
    _check_waits(document, waves)
    return _plan(document, situation, waves, planned_at, policy, tuple(overrides))


def outdated(plan: Plan) -> str | None:
    """Why a plan has to be made again before it is followed; None if it need not."""
    if plan.tzdata == IANA_VERSION:
        return None
    return f"made with the time zones of {plan.tzdata}, and these are those of {IANA_VERSION}"


def check_starts(document: RegionsDocument, situation: Situation) -> None:
    """Refuse a document of which a Region can start nowhere within `max_wait`.

    Raises:
        InvalidInput: with all of them.
    """
    most = int(document.deployment_strategy.max_wait.total_seconds())
    found = []
    for site in situation.sites:
        start = site.calendar.next_start(situation.start, site.need)
        if start is None or start - situation.start > most:
            found.append(_no_start(site, situation.start, start, most))
    if found:
        raise as_error(found, "the plan")


def _check_waits(document: RegionsDocument, waves: Sequence[TimedWave]) -> None:
    most = int(document.deployment_strategy.max_wait.total_seconds())
    found = [
        _no_start(site, wave.ready, wave.start, most)
        for wave in waves
        if wave.start - wave.ready > most
        for site in wave.sites
        if site.calendar.next_start(wave.ready, site.need) == wave.start
    ]
    if found:
        raise as_error(found, "the plan")


def _no_start(site: Site, at: int, start: int | None, most: int) -> InvalidInput:
    """The error for a Region that can start too late, or never."""
    reason = why_not(site.calendar, at)
    if start is None:
        said = (
            f"no window is ever as long as the {format_seconds(site.need)} that baseline and "
            f"deployment take ({reason})"
        )
    else:
        said = (
            f"no start is possible within {format_seconds(most)} of {_utc(at)} ({reason}); the "
            f"first is {_utc(start)}: plan again later, raise max_wait, or set the window or the "
            "freeze aside with a reason"
        )
    return InvalidInput(f"regions.{site.name}.deployment_window", site.window or "any time", said)


def _plan(
    document: RegionsDocument,
    situation: Situation,
    waves: Sequence[TimedWave],
    planned_at: int,
    policy: Policy,
    overrides: tuple[Override, ...],
) -> Plan:
    strategy = document.deployment_strategy
    pairs = sorted(sorted(pair) for pair in conflicts_of(document))
    return Plan(
        planned_at=instant_of(planned_at),
        tzdata=IANA_VERSION,
        type=strategy.type,
        policy=policy,
        prepare_seconds=prepare_seconds(document),
        waves=tuple(_wave(document, situation, waves, number) for number in range(len(waves))),
        delay_seconds=situation.delay,
        total_seconds=waves[-1].baked - planned_at,
        ends_at=instant_of(waves[-1].baked),
        watch_seconds=int(strategy.extended_monitoring.total_seconds()),
        on_window_end=strategy.on_window_end,
        pairs=tuple((one, other) for one, other in pairs),
        risk=risk(situation, [wave.sites for wave in waves]),
        overrides=overrides,
        assumptions=assumptions_of(document),
        notes=tuple(_notes(document, situation, waves, planned_at)),
    )


def risk(situation: Situation, order: Sequence[Sequence[Site]]) -> Risk:
    """What a bad version is expected to do to users by an order."""
    minutes = Decimal(risk_of(situation, order)) / 60
    if not situation.users_declared:
        minutes /= 100  # weights are hundredths of a percent, and so of 100 users
    declared = situation.users_declared
    return Risk(
        user_minutes=minutes.quantize(Decimal("0.01")),
        of_users=sum(site.weight for site in situation.sites) if declared else 100,
        declared=declared,
        caught_seconds=situation.caught,
    )


def _wave(
    document: RegionsDocument, situation: Situation, waves: Sequence[TimedWave], number: int
) -> PlannedWave:
    wave = waves[number]
    strategy = document.deployment_strategy
    budget = situation.budget(wave.number).traffic
    deploy = max(site.need for site in wave.sites)
    return PlannedWave(
        number=number + 1,
        stage=STAGES[wave.sites[0].stage],
        starts_at=instant_of(wave.start),
        wait_seconds=wave.start - wave.ready,
        wait_for=waits_for(wave),
        deploy_seconds=deploy,
        bake_seconds=wave.baked - wave.start - deploy,
        bake_requests=strategy.bake.requests,
        baked_at=instant_of(wave.baked),
        traffic_percentage=_percent(sum(site.traffic for site in wave.sites)),
        budget_percentage=_percent(budget),
        regions=tuple(
            _region(site, wave, budget, why(situation, waves, number, site))
            for site in sorted(wave.sites, key=lambda site: site.name)
        ),
    )


def _region(site: Site, wave: TimedWave, budget: int, reasons: tuple[str, ...]) -> PlannedRegion:
    zone = site.calendar.window.zone
    closes = site.calendar.closes(wave.start)
    return PlannedRegion(
        region=site.name,
        starts_local=instant_of(wave.start).astimezone(zone.tz).isoformat(),
        zone=zone.key,
        window=site.window,
        closes_at=None if closes is None or closes >= FOREVER else instant_of(closes),
        traffic_percentage=_percent(site.traffic),
        small_steps=site.traffic > budget,
        why=reasons,
    )


def _percent(hundredths: int) -> Decimal:
    return Decimal(hundredths) / 100


def _notes(
    document: RegionsDocument,
    situation: Situation,
    waves: Sequence[TimedWave],
    planned_at: int,
) -> Iterator[str]:
    if not any(region.primary for region in document.regions.values()):
        for name in document.primaries if len(document.regions) > 1 else ():
            yield f"{name} has the most traffic, so it counts as primary"
    end = waves[-1].baked
    for site in situation.sites:
        for day, seconds in site.calendar.unusual_days(end):
            length = f"lasts {format_seconds(seconds)}" if seconds else "does not exist"
            yield f"{site.name}: clocks change, so its window of {day} {length}"
        for freeze in site.calendar.freezes:
            if freeze.end > planned_at and freeze.start < end:
                yield f"{site.name}: frozen by {freeze.name} until {_utc(freeze.end)}"
    if document.deployment_strategy.type == "blue_green":
        hours = len(situation.sites) * (end - planned_at) / 3600
        yield f"both versions run everywhere from the start: {hours:.0f} hours, over all regions"


def _utc(second: int) -> str:
    return f"{instant_of(second).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
