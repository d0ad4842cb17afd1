"""A document at an instant, as numbers: what the search works on.

Times are seconds since 1970, traffic is whole hundredths of a percent, so that nothing is rounded.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Literal

from greenlane.regions.declaring.model import PRIORITIES, STAGES, Region, RegionsDocument
from greenlane.regions.declaring.window import ALWAYS
from greenlane.regions.planning.model import Override, Policy
from greenlane.regions.windows.calendar import Calendar, freeze_of
from greenlane.regions.windows.instants import seconds_of
from greenlane.regions.windows.zones import zone_of

PRODUCTION = STAGES.index("production")
CONFIDENT_WAVES = 2
"""Waves of production before a primary Region that is not to be last."""

WAY_BACK_SECONDS = 60
"""From the alarm until no Region sends the bad version a request."""

Constraint = Literal[
    "windows", "freezes", "primary_last", "priorities", "budgets", "pairs", "one_by_one", "requests"
]


@dataclass(frozen=True)
class Terms:
    """What a plan has to keep to. All of it is what the document says, unless a policy differs.

    Args:
        dropped: constraints that are left out.
        bake_factor: how many times as long each wave is watched.
        least_risk: the order with the least risk, not the shortest.
        one_by_one: whether waves have one Region, whatever the type says.
    """

    dropped: frozenset[Constraint] = frozenset()
    bake_factor: int = 1
    least_risk: bool = False
    one_by_one: bool = False

    def without(self, *constraints: Constraint) -> "Terms":
        """These terms, less some constraints."""
        return replace(self, dropped=self.dropped.union(constraints))


TERMS: dict[Policy, Terms] = {
    "safe": Terms(bake_factor=2, least_risk=True, one_by_one=True),
    "balanced": Terms(),
    "fast": Terms(dropped=frozenset({"priorities", "primary_last", "budgets", "one_by_one"})),
}
"""What each policy changes. Stages, failover pairs, windows and the most traffic of a wave stay."""


@dataclass(frozen=True)
class Site:
    """One Region.

    Args:
        name: of it.
        level: stage, whether it waits for all others of production, priority; levels follow each
            other, and within one the order is free.
        primary: whether it is.
        traffic: hundredths of a percent of production.
        weight: what a bad version here counts: users, or traffic where nobody said.
        calendar: when it is open.
        need: seconds that have to be open from its start on.
        bake: seconds of watch after that.
        first_bake: the same, in the first wave of production.
        window: as it is shown; empty for none.
    """

    name: str
    level: tuple[int, bool, int]
    primary: bool
    traffic: int
    weight: int
    calendar: Calendar
    need: int
    bake: int
    first_bake: int
    window: str

    @property
    def stage(self) -> int:
        """Its number in `STAGES`."""
        return self.level[0]


@dataclass(frozen=True)
class Budget:
    """What one wave may have.

    Args:
        regions: at most so many.
        traffic: hundredths of a percent, when it has several.
    """

    regions: int
    traffic: int


@dataclass(frozen=True)
class Situation:
    """What there is to plan.

    Args:
        sites: in the order of level, traffic, name.
        pairs: names of Regions that may not be in one wave.
        start: when the first wave could begin; seconds since 1970.
        delay: seconds between two waves.
        budgets: of waves 0, 1, ... of a stage; the last one is of all later waves too.
        primary_waits: whether a primary Region may not be in the first waves of production.
        least_risk: the order with the least risk, not the shortest.
        caught: seconds that a fault lasts which is seen.
        users_declared: whether weights are users.
    """

    sites: tuple[Site, ...]
    pairs: frozenset[frozenset[str]]
    start: int
    delay: int
    budgets: tuple[Budget, ...]
    primary_waits: bool
    least_risk: bool
    caught: int
    users_declared: bool

    def budget(self, wave: int) -> Budget:
        """Of a wave by its number within its stage, from 0."""
        return self.budgets[min(wave, len(self.budgets) - 1)]

    @cached_property
    def levels(self) -> tuple[tuple[Site, ...], ...]:
        """The sites, level by level."""
        found: dict[tuple[int, bool, int], list[Site]] = {}
        for site in self.sites:
            found.setdefault(site.level, []).append(site)
        return tuple(tuple(level) for _, level in sorted(found.items()))


class Calendars:
    """The calendars of a document's Regions, each made once for all plans that are compared.

    Args:
        document: whose.
        since: the earliest instant that is asked about, seconds since 1970.
    """

    def __init__(self, document: RegionsDocument, since: int) -> None:
        """See the class."""
        self.document = document
        self.since = since
        self._made: dict[tuple[str, bool, bool], Calendar] = {}

    def of(self, name: str, *, windows: bool, freezes: bool) -> Calendar:
        """The calendar of a Region, with or without its window and its freezes."""
        key = (name, windows, freezes)
        if key not in self._made:
            own = self.document.window_of(name) or ALWAYS
            closed = [
                freeze_of(
                    freeze.name,
                    date.fromisoformat(freeze.first_day),
                    date.fromisoformat(freeze.last_day),
                    own.zone if freeze.zone is None else zone_of(freeze.zone),
                )
                for freeze in (self.document.freezes if freezes else ())
                if freeze.holds_for(name)
            ]
            always = replace(ALWAYS, zone=own.zone)
            self._made[key] = Calendar(self.since, own if windows else always, closed)
        return self._made[key]


def whole_minute(now: datetime) -> int:
    """The first whole minute that is not before an instant, in seconds since 1970."""
    return -(-seconds_of(now) // 60) * 60


def prepare_seconds(document: RegionsDocument) -> int:
    """How long the version is started everywhere before the first wave; 0 if it is not."""
    strategy = document.deployment_strategy
    if strategy.type != "blue_green":
        return 0
    longest = max(
        region.expected_duration or strategy.expected_duration
        for region in document.regions.values()
    )
    return int(longest.total_seconds())


def situation_of(
    document: RegionsDocument,
    start: int,
    calendars: Calendars,
    terms: Terms,
    overrides: Collection[Override] = (),
) -> Situation:
    """A document at an instant.

    Args:
        document: without a problem.
        start: when the first wave could begin, seconds since 1970.
        calendars: of its Regions.
        terms: what is to be kept to.
        overrides: what somebody set aside.
    """
    strategy = document.deployment_strategy
    aside = terms.dropped | {override.what for override in overrides}
    declared = [name for name, region in document.regions.items() if region.stage == "production"]
    counted = all(document.regions[name].users is not None for name in declared)
    watched = strategy.monitoring
    caught = watched.alert_evaluation_interval + watched.metrics_collection_interval
    sites = [
        _site(
            name,
            document,
            terms,
            calendars.of(name, windows="windows" not in aside, freezes="freezes" not in aside),
            counted,
        )
        for name in document.regions
    ]
    return Situation(
        sites=tuple(sorted(sites, key=lambda site: (site.level, site.traffic, site.name))),
        pairs=frozenset() if "pairs" in aside else conflicts_of(document),
        start=start,
        delay=int(strategy.region_delay.total_seconds()),
        budgets=tuple(_budgets(document, terms)),
        primary_waits=strategy.primary_position != "last" and "primary_last" not in terms.dropped,
        least_risk=terms.least_risk,
        caught=int(caught.total_seconds()) + WAY_BACK_SECONDS,
        users_declared=counted,
    )


def _site(
    name: str, document: RegionsDocument, terms: Terms, calendar: Calendar, counted: bool
) -> Site:
    region, strategy = document.regions[name], document.deployment_strategy
    primary = name in document.primaries
    last = primary and strategy.primary_position == "last"
    traffic = int((region.traffic_percentage or Decimal(0)) * 100)
    production = region.stage == "production"
    usual, first = _bakes(region, document, terms)
    return Site(
        name=name,
        level=(
            STAGES.index(region.stage),
            last and "primary_last" not in terms.dropped,
            PRIORITIES["medium"] if "priorities" in terms.dropped else region.priority,
        ),
        primary=primary,
        traffic=traffic,
        weight=((region.users or 0) if counted else traffic) if production else 0,
        calendar=calendar,
        need=int(strategy.need_of(region).total_seconds()),
        bake=usual,
        first_bake=first if production else usual,
        window=region.deployment_window.text if region.deployment_window else "",
    )


def _bakes(region: Region, document: RegionsDocument, terms: Terms) -> tuple[int, int]:
    """Seconds of watch in a wave, and in the first wave of production."""
    bake = document.deployment_strategy.bake
    by_requests = timedelta(0)
    if bake.requests and region.requests_per_minute and "requests" not in terms.dropped:
        by_requests = timedelta(minutes=-(-bake.requests // region.requests_per_minute))
    usual, first = (
        int(max(time, by_requests).total_seconds()) * terms.bake_factor
        for time in (bake.time, bake.first_time or bake.time)
    )
    return usual, first


def _budgets(document: RegionsDocument, terms: Terms) -> Sequence[Budget]:
    """Of waves 0, 1, ... until they grow no more."""
    waves, total = document.deployment_strategy.waves, len(document.regions)
    most = min(waves.max_regions, total)
    if terms.one_by_one or (
        document.deployment_strategy.type == "rolling" and "one_by_one" not in terms.dropped
    ):
        most = 1
    top = int(max(waves.max_traffic, waves.first_traffic) * 100)
    if "budgets" in terms.dropped:
        return [Budget(most, top)]
    found: list[Budget] = []
    factor = Decimal(1)
    while not found or (found[-1] != Budget(most, top) and waves.growth > 1):
        regions = min(int(waves.first_regions * factor), most)
        found.append(Budget(regions, min(int(waves.first_traffic * 100 * factor), top)))
        factor *= waves.growth
    return found


def conflicts_of(document: RegionsDocument) -> frozenset[frozenset[str]]:
    """Pairs of Regions that may not be unbaked at once.

    Those of which one takes over from the other; and those that have the same Region take over
    which could not carry both.
    """
    found = set()
    regions = document.regions
    for name, region in regions.items():
        for target in region.failover_regions:
            found.add(frozenset({name, target}))
            spare = regions[target].headroom_percentage
            if spare is None:
                continue
            for other, its in regions.items():
                load = (region.traffic_percentage or 0) + (its.traffic_percentage or 0)
                if other != name and target in its.failover_regions and load > spare:
                    found.add(frozenset({name, other}))
    return frozenset(found)
