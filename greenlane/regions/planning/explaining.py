"""Why a Region stands where it stands, and why it is not in the wave before."""

from collections.abc import Iterator, Sequence

from greenlane.durations import format_seconds
from greenlane.regions.declaring.model import PRIORITIES, STAGES
from greenlane.regions.planning.situating import CONFIDENT_WAVES, Site, Situation
from greenlane.regions.planning.timing import TimedWave, common_start
from greenlane.regions.windows.gate import why_not

_WORDS = {number: word for word, number in PRIORITIES.items()}


def why(situation: Situation, waves: Sequence[TimedWave], at: int, site: Site) -> tuple[str, ...]:
    """The reasons for the place of a Region in the wave number `at`, counted from 0."""
    return (
        *_level(situation, site),
        *_before_others(situation, waves, at, site),
        *(_not_earlier(situation, waves[at - 1], waves[at], site) if at else ()),
    )


def waits_for(wave: TimedWave) -> str:
    """What keeps a wave from starting at once; nothing when it does."""
    if wave.start == wave.ready:
        return ""
    alone = {
        site.name: site.calendar.next_start(wave.ready, site.need) or wave.start
        for site in wave.sites
    }
    last = max(wave.sites, key=lambda site: alone[site.name])
    if alone[last.name] < wave.start:
        return "a time when the windows of all its regions are open"
    return f"{last.name}: {why_not(last.calendar, wave.ready)}"


def _level(situation: Situation, site: Site) -> Iterator[str]:
    """What it is by what was declared, as far as that tells it from others."""
    levels = [level[0] for level in situation.levels]
    if len({other.stage for other in levels}) > 1:
        yield f"stage {STAGES[site.stage]}"
    beside = [other for other in levels if other.stage == site.stage]
    if site.level[1] and len(beside) > 1:
        yield "primary: after all others"
    elif len({other.level[2] for other in beside if not other.level[1]}) > 1:
        yield f"priority {_WORDS.get(site.level[2], site.level[2])}"


def _before_others(
    situation: Situation, waves: Sequence[TimedWave], at: int, site: Site
) -> Iterator[str]:
    """Why it is before the Regions of its level that come later."""
    wave = waves[at]
    later = [
        other for after in waves[at + 1 :] for other in after.sites if other.level == site.level
    ]
    if not later:
        return
    if situation.least_risk:
        yield f"least risk: before {_names(later)}"
        return
    budget = situation.budget(wave.number)
    small, large = (
        site.traffic <= budget.traffic,
        [other for other in later if other.traffic > budget.traffic],
    )
    if small and large:
        yield f"small enough for a budget of {_percent(budget.traffic)}, unlike {_names(large)}"
    opens = {
        other.name: other.calendar.next_start(wave.ready, other.need) or wave.start
        for other in later
    }
    nights = [other for other in later if opens[other.name] > wave.start]
    if nights:
        yield f"can start before {_names(nights)}"
    rest = [other for other in later if other not in nights and not (small and other in large)]
    smaller = [other for other in rest if other.traffic > site.traffic]
    if smaller:
        yield f"less traffic than {_names(smaller)}"
    if others := [other for other in rest if other not in smaller]:
        yield f"as quick before {_names(others)} as after, or quicker"


def _not_earlier(
    situation: Situation, before: TimedWave, wave: TimedWave, site: Site
) -> Iterator[str]:
    """Why it is not in the wave before, the first reason that holds."""
    if before.sites[0].level != site.level:
        return
    names = _names(before.sites)
    pairs = [other for other in before.sites if _paired(situation, site, other)]
    budget = situation.budget(before.number)
    traffic = sum(other.traffic for other in before.sites) + site.traffic
    if pairs:
        yield f"not with {_names(pairs)}: one takes over from the other, or both from a third"
    elif len(before.sites) >= budget.regions:
        count = "one region" if budget.regions == 1 else f"{budget.regions} regions"
        yield f"not with {names}: that wave has {count} at most"
    elif traffic > budget.traffic:
        yield (
            f"not with {names}: together {_percent(traffic)}, and that wave has a budget of "
            f"{_percent(budget.traffic)}"
        )
    elif site.primary and situation.primary_waits and before.number < CONFIDENT_WAVES:
        yield f"primary: not in the first {CONFIDENT_WAVES} waves"
    else:
        together = common_start((*before.sites, site), before.ready)
        if together is None:
            yield f"not with {names}: their windows do not overlap for long enough"
        elif together > before.start:
            waited = format_seconds(together - before.start)
            yield f"not with {names}: all together could start {waited} later only"
        else:
            yield f"apart from {names}: the plan is no longer for it"


def _paired(situation: Situation, one: Site, other: Site) -> bool:
    return frozenset({one.name, other.name}) in situation.pairs


def _names(sites: Sequence[Site]) -> str:
    return ", ".join(site.name for site in sites)


def _percent(hundredths: int) -> str:
    return f"{hundredths / 100:g} %"
