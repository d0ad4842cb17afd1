"""The order of Regions: the shortest that keeps to the rules, or the one with the least risk.

Levels follow each other, so each is searched in itself, from every way in which those before it can
end. What is left of a level depends on which Regions are done, not on their order, and to begin
earlier never makes anything later (`Calendar.next_start`). So of all orders of the same Regions in
as many waves only the best has to be kept: 2^n sets instead of n! orders, and still the optimum.

Levels of many Regions are searched the same way with the best few sets of each size.
"""

from collections.abc import Iterator
from typing import NamedTuple

from greenlane.regions.planning.permitting import Level, bits
from greenlane.regions.planning.situating import Site, Situation
from greenlane.regions.planning.timing import exposure

MOST_SETS = 8
MOST_SINGLES = 10
"""Regions of a level that is searched exactly: with waves of several, and with waves of one."""

Order = tuple[tuple[Site, ...], ...]


class Effort(NamedTuple):
    """How much is looked at.

    Args:
        kept: ways to the same set of Regions that differ in time and risk. There are few; to keep
            them all finds the least risk of the shortest.
        few: the same, in a level of many Regions.
        sets: of each size that are kept in a level of many Regions.
        seeds: Regions that a wave of several is packed around, in such a level.
    """

    kept: int
    few: int
    sets: int
    seeds: int


THOROUGH = Effort(kept=1000, few=6, sets=48, seeds=6)
QUICK = Effort(kept=1, few=1, sets=6, seeds=3)
SKETCHED = Effort(kept=1, few=1, sets=2, seeds=1)


class _Way(NamedTuple):
    """How some Regions can be done: `ready` is when the next wave could start."""

    ready: int
    risk: int
    path: tuple[int, ...]


_Ways = dict[int, list[_Way]]
"""By the number of the next wave in its stage."""


def best_order(situation: Situation, effort: Effort = THOROUGH) -> Order | None:
    """The Regions of each wave; None where some Region can never start.

    Args:
        situation: the Regions and the rules.
        effort: how much is looked at; it matters for the second criterion, and for levels of more
            than `MOST_SETS` Regions.
    """
    ways: _Ways = {0: [_Way(situation.start, 0, ())]}
    levels = [Level(situation, sites) for sites in situation.levels]
    before = 0
    for number, level in enumerate(levels):
        if number and level.sites[0].stage != levels[number - 1].sites[0].stage:
            ways = {0: [way for found in ways.values() for way in found]}
        search = _Search(level, effort, before)
        ways = search.run(ways)
        before += len(level.sites)
    found = [way for several in ways.values() for way in several]
    if not found:
        return None
    best = min(found, key=lambda way: _merit(situation, way))
    return tuple(_order(levels, best.path))


def _merit(situation: Situation, way: _Way) -> tuple[int, int, tuple[int, ...]]:
    first, second = way.ready, way.risk
    if situation.least_risk:
        first, second = second, first
    return first, second, way.path


def _order(levels: list[Level], path: tuple[int, ...]) -> Iterator[tuple[Site, ...]]:
    number, done = 0, 0
    for mask in path:
        level = levels[number]
        yield tuple(level.sites[index] for index in bits(mask))
        done |= mask
        if done == level.all:
            number, done = number + 1, 0


class _Search:
    """One level: from the ways in which those before it end to those in which it does."""

    def __init__(self, level: Level, effort: Effort, before: int) -> None:
        """See the class; `before` Regions are in the levels before."""
        self.level = level
        self.situation = level.situation
        self.effort = effort
        self.before = before
        most = MOST_SINGLES if self.situation.budgets[-1].regions == 1 else MOST_SETS
        self.exact = len(level.sites) <= most
        self.kept = effort.kept if self.exact else effort.few

    def run(self, ways: _Ways) -> _Ways:
        """The ways in which all of the level's Regions are done."""
        by_size: list[dict[tuple[int, int], list[_Way]]] = [{} for _ in range(self._size + 1)]
        by_size[0] = {(0, wave): found for wave, found in ways.items()}
        for size in range(self._size):
            for (done, wave), found in sorted(self._worth_it(by_size[size]).items()):
                for way in found:
                    self._go_on(by_size, done, wave, way)
        return {wave: found for (_, wave), found in by_size[self._size].items()}

    @property
    def _size(self) -> int:
        return len(self.level.sites)

    def _worth_it(
        self, states: dict[tuple[int, int], list[_Way]]
    ) -> dict[tuple[int, int], list[_Way]]:
        """The sets that are followed: all, or the best few."""
        if self.exact or len(states) <= self.effort.sets:
            return states
        best = sorted(states, key=lambda state: _merit(self.situation, states[state][0]))
        return {state: states[state] for state in best[: self.effort.sets]}

    def _go_on(
        self, by_size: list[dict[tuple[int, int], list[_Way]]], done: int, wave: int, way: _Way
    ) -> None:
        level, situation = self.level, self.situation
        remaining = level.all & ~done
        before = self.before + done.bit_count()
        masks = level.waves(remaining, wave) if self.exact else self._packed(remaining, wave, way)
        for mask in masks:
            start = level.start(mask, way.ready)
            if start is None:
                continue
            count = mask.bit_count()
            ready = start + level.length(mask, wave) + situation.delay
            more = exposure(level.weight(mask), before, count, len(situation.sites))
            states = by_size[done.bit_count() + count]
            self._keep(
                states.setdefault((done | mask, wave + 1), []),
                _Way(ready, way.risk + more, (*way.path, mask)),
            )

    def _keep(self, kept: list[_Way], way: _Way) -> None:
        """Keep a way unless another is as good in both; the best stands first."""
        merit = _merit(self.situation, way)
        for other in kept:
            if other.ready <= way.ready and other.risk <= way.risk:
                if (other.ready, other.risk) == (way.ready, way.risk) and way.path < other.path:
                    kept[kept.index(other)] = way
                return
        kept[:] = [one for one in kept if one.ready < way.ready or one.risk < way.risk]
        kept.append(way)
        if len(kept) > 1 and merit < _merit(self.situation, kept[0]):
            kept.sort(key=lambda one: _merit(self.situation, one))
        del kept[self.kept :]

    def _packed(self, remaining: int, wave: int, way: _Way) -> list[int]:
        """Some sets that may be the next wave: each Region alone, and some packed full."""
        level = self.level
        may = level.singles(remaining, wave)
        found = {1 << number: None for number in bits(may)}
        if self.situation.budget(wave).regions == 1:
            return list(found)
        alone = {number: level.start(1 << number, way.ready) for number in bits(may)}
        opens = {number: start for number, start in alone.items() if start is not None}
        seeds = sorted(opens, key=lambda number: (opens[number], number))[: self.effort.seeds]
        for seed in seeds:
            for order in (sorted(opens), sorted(opens, reverse=True)):
                found[level.packed(seed, opens[seed], order, wave)] = None
        return list(found)
