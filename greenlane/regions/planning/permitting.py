"""Which Regions of a level may be the next wave, windows aside.

Sets of Regions are bits of a whole number: bit i is the i-th of the level, in the order of traffic
and name.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from greenlane.regions.planning.situating import CONFIDENT_WAVES, PRODUCTION, Site, Situation
from greenlane.regions.planning.timing import common_start


def bits(mask: int) -> Iterator[int]:
    """The numbers of the Regions in a set, the lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


class Level:
    """The Regions of one level, and what may be a wave of them.

    Args:
        situation: the rules.
        sites: of the level, in the order of traffic and name.
    """

    def __init__(self, situation: Situation, sites: Sequence[Site]) -> None:
        """See the class."""
        self.situation = situation
        self.sites = tuple(sites)
        self.all = (1 << len(self.sites)) - 1
        self.traffic = [site.traffic for site in self.sites]
        self._waits = sum(
            1 << number
            for number, site in enumerate(self.sites)
            if site.primary and situation.primary_waits and site.stage == PRODUCTION
        )
        self._found: dict[tuple[int, int], tuple[int, ...]] = {}
        self._starts: dict[tuple[int, int], int | None] = {}
        self._lengths: dict[tuple[int, bool], int] = {}

    @cached_property
    def apart(self) -> tuple[int, ...]:
        """For each Region those that may not be in a wave with it: pairs, and distant windows."""
        found = [0] * len(self.sites)
        for one, site in enumerate(self.sites):
            for other in range(one):
                its = self.sites[other]
                paired = frozenset({site.name, its.name}) in self.situation.pairs
                if paired or common_start((site, its), self.situation.start) is None:
                    found[one] |= 1 << other
                    found[other] |= 1 << one
        return tuple(found)

    def singles(self, remaining: int, wave: int) -> int:
        """Those of the remaining Regions that may be a wave of their own.

        One that is more than the wave's budget goes alone, and only when no Region that is left
        would fit: the small ones go first while waves are small.
        """
        may = self._confident(remaining, wave)
        budget = self.situation.budget(wave).traffic
        small = sum(1 << number for number in bits(may) if self.traffic[number] <= budget)
        return small or may

    def waves(self, remaining: int, wave: int) -> tuple[int, ...]:
        """Every set of the remaining Regions that may be the next wave.

        Args:
            remaining: the Regions that are left.
            wave: its number within its stage, from 0.
        """
        key = (remaining, wave)
        if key not in self._found:
            may = self.singles(remaining, wave)
            found = [1 << number for number in bits(may)]
            budget = self.situation.budget(wave)
            if budget.regions > 1:
                self._extend(found, may, wave)
            self._found[key] = tuple(found)
        return self._found[key]

    def fits(self, mask: int, number: int, wave: int) -> bool:
        """Whether a Region may join a set of a wave."""
        budget = self.situation.budget(wave)
        return (
            mask.bit_count() < budget.regions
            and not mask & self.apart[number]
            and self._sum(mask) + self.traffic[number] <= budget.traffic
        )

    def packed(self, seed: int, at: int, order: Iterable[int], wave: int) -> int:
        """A set around one Region, of those in order that fit and are open at its start.

        Args:
            seed: a Region that may be a wave of its own.
            at: its start; nobody is waited for.
            order: who is tried.
            wave: the number of the wave within its stage.
        """
        budget = self.situation.budget(wave)
        mask, apart, traffic, count = 1 << seed, self.apart[seed], self.traffic[seed], 1
        for number in order:
            if count == budget.regions:
                break
            more = traffic + self.traffic[number]
            one = 1 << number
            if (mask | apart) & one or more > budget.traffic or self.start(one, at) != at:
                continue
            mask, apart = mask | one, apart | self.apart[number]
            traffic, count = more, count + 1
        return mask

    def start(self, mask: int, at: int) -> int | None:
        """The earliest common start of a set, as `common_start`; kept."""
        key = (mask, at)
        if key not in self._starts:
            self._starts[key] = common_start([self.sites[number] for number in bits(mask)], at)
        return self._starts[key]

    def length(self, mask: int, wave: int) -> int:
        """Seconds from the start of a set until it is baked."""
        key = (mask, wave == 0)
        if key not in self._lengths:
            self._lengths[key] = max(
                self.sites[number].need
                + (self.sites[number].bake if wave else self.sites[number].first_bake)
                for number in bits(mask)
            )
        return self._lengths[key]

    def weight(self, mask: int) -> int:
        """What a bad version in a set counts."""
        return sum(self.sites[number].weight for number in bits(mask))

    def _extend(self, found: list[int], may: int, wave: int) -> None:
        """Add all larger sets; each is made of a smaller one and a Region after all of its own."""
        for mask in found:  # it grows as it is walked
            for number in bits(may >> mask.bit_length() << mask.bit_length()):
                if self.fits(mask, number, wave):
                    found.append(mask | 1 << number)

    def _sum(self, mask: int) -> int:
        return sum(self.traffic[number] for number in bits(mask))

    def _confident(self, remaining: int, wave: int) -> int:
        """Without a primary Region that waits, while there are others and the waves are few."""
        if wave >= CONFIDENT_WAVES:
            return remaining
        return remaining & ~self._waits or remaining
