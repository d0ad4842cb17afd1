"""When a wave is, and what a whole order comes to."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from greenlane.regions.planning.situating import Site, Situation

_SEARCHED_SECONDS = 8 * 86400
"""How far a common start of several Regions is looked for; waiting longer is no wave."""


class TimedWave(NamedTuple):
    """A wave, and its instants in seconds since 1970.

    Args:
        sites: its Regions.
        number: within its stage, from 0.
        ready: when it could start, were it not for windows and freezes.
        start: when it starts.
        baked: when it is done.
    """

    sites: tuple[Site, ...]
    number: int
    ready: int
    start: int
    baked: int


def common_start(sites: Sequence[Site], at: int) -> int | None:
    """The earliest instant from which all of some Regions are open for as long as each needs.

    Args:
        sites: at least one.
        at: not before it, seconds since 1970.

    Returns:
        Seconds since 1970; None if there is none within 8 days (for a single Region: none at all).
    """
    start = at
    while True:
        latest = start
        for site in sites:
            found = site.calendar.next_start(latest, site.need)
            if found is None or (len(sites) > 1 and found - at > _SEARCHED_SECONDS):
                return None
            latest = found
        if latest == start:
            return start
        start = latest


def seconds_after_start(sites: Iterable[Site], number: int) -> int:
    """How long a wave takes from its start until the last of its Regions is baked.

    Args:
        sites: its Regions.
        number: the wave's, within its stage, from 0: the first of production may bake longer.
    """
    if number:
        return max(site.need + site.bake for site in sites)
    return max(site.need + site.first_bake for site in sites)


def exposure(weight: int, before: int, regions: int, total: int) -> int:
    """What a wave adds to the risk of a plan, in units of 2^-total weight.

    A bad version that got as far as a Region is seen there with probability one half; so a fault
    is first seen in a wave of m Regions after b others with probability 2^-b * (1 - 2^-m), and then
    all users of the wave have it. One half is a convention, for comparing plans.

    Args:
        weight: of the wave: its users, or traffic.
        before: Regions in the waves before.
        regions: of the wave.
        total: of the plan.
    """
    return weight * ((1 << (total - before)) - (1 << (total - before - regions)))


def timed(situation: Situation, order: Iterable[Sequence[Site]]) -> Iterator[TimedWave]:
    """When the waves of an order are.

    Args:
        situation: at which instant, and by which rules.
        order: the Regions of each wave; every wave has a common start.
    """
    ready, number, stage = situation.start, 0, -1
    for sites in order:
        number = number + 1 if sites[0].stage == stage else 0
        stage = sites[0].stage
        start = common_start(sites, ready)
        if start is None:
            raise ValueError(f"{', '.join(site.name for site in sites)} have no common start")
        baked = start + seconds_after_start(sites, number)
        yield TimedWave(tuple(sites), number, ready, start, baked)
        ready = baked + situation.delay


def risk_of(situation: Situation, waves: Iterable[Sequence[Site]]) -> float:
    """User-seconds that a bad version is expected to cost, by `exposure`."""
    total, before, sum_of = len(situation.sites), 0, 0
    for sites in waves:
        weight = sum(site.weight for site in sites)
        sum_of += exposure(weight, before, len(sites), total)
        before += len(sites)
    return sum_of * situation.caught / (1 << total)
