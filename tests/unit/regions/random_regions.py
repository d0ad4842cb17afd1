"""Random files of Regions, and the rules that every plan of one keeps, said once more.

The rules are read from the plan and the document alone, with none of the planner's code.
"""

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo

from greenlane.regions.declaring.model import STAGES, RegionsDocument

ZONES = (
    "America/New_York", "America/Los_Angeles", "America/Sao_Paulo", "America/Chicago",
    "Europe/Dublin", "Europe/Berlin", "Africa/Johannesburg", "Asia/Dubai", "Asia/Kolkata",
    "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "Australia/Lord_Howe",
    "Pacific/Auckland", "UTC",
)  # fmt: skip
HOURS = ("02:00-04:00", "01:00-02:00", "23:00-01:00", "22:00-06:00", "09:00-17:00", "00:00-24:00")
MEANT = {
    "EST": "America/New_York",
    "PST": "America/Los_Angeles",
    "CET": "Europe/Berlin",
    "SGT": "Asia/Singapore",
}
STARTS = (
    datetime.fromisoformat("2026-11-30T14:00+00:00"),
    datetime.fromisoformat("2026-03-07T20:10+00:00"),
    datetime.fromisoformat("2026-10-24T23:59:30+00:00"),
    datetime.fromisoformat("2028-02-29T06:00+00:00"),
)


def random_document(seed, most=30, least=1):
    """A file of `least` to `most` Regions, and an instant."""
    rng = random.Random(seed)
    count = rng.randint(least, most)
    names = [f"eu-central-{number}" for number in range(1, count + 1)]
    outside = rng.randint(0, count // 4) if rng.random() < 0.5 else 0
    regions = {name: _region(rng) for name in names}
    for name in names[:outside]:
        regions[name] |= {"stage": rng.choice(("development", "staging")), "primary": False}
    inside = names[outside:]
    for name, share in zip(inside, _shares(rng, len(inside)), strict=True):
        regions[name]["traffic_percentage"] = share
    for name in inside:
        others = [other for other in inside if other != name]
        if others and rng.random() < 0.6:
            regions[name]["failover_regions"] = rng.sample(
                others, rng.randint(1, min(2, len(others)))
            )
    start = rng.choice(STARTS)
    data = {
        "regions": regions,
        "deployment_strategy": _strategy(rng),
        "freezes": _freezes(rng, start, names),
    }
    return RegionsDocument.model_validate(data), start


def _region(rng):
    region = {"priority": rng.choice((["low", "medium", "high"], ["medium"])[rng.random() < 0.4])}
    if rng.random() < 0.85:
        days = rng.sample(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), rng.choice((5, 6, 7)))
        region["deployment_window"] = {
            "hours": rng.choice(HOURS), "zone": rng.choice(ZONES), "days": days,
        }  # fmt: skip
    if rng.random() < 0.2:
        region["headroom_percentage"] = rng.randint(1, 60)
    if rng.random() < 0.2:
        region["expected_duration"] = f"{rng.randint(5, 50)}m"
    if rng.random() < 0.1:
        region["primary"] = rng.random() < 0.5
    return region


def _shares(rng, count):
    """Percent in hundredths, adding up to 100."""
    cuts = sorted(rng.sample(range(1, 10000), count - 1))
    return [float(Decimal(b - a) / 100) for a, b in pairwise([0, *cuts, 10000])]


def _strategy(rng):
    strategy = {
        "type": rng.choice(("rolling", "canary", "canary", "blue_green")),
        "region_delay": rng.choice(("0s", "5m", "1h")),
        "primary_position": rng.choice(("last", "last", "after_confidence")),
        "max_wait": "30d",
    }
    if rng.random() < 0.4:
        strategy["bake"] = {"time": "20m", "first_time": rng.choice(("20m", "2h", "12h"))}
    if rng.random() < 0.5:
        strategy["waves"] = {
            "first_regions": rng.randint(1, 3),
            "first_traffic": rng.choice((1, 5, 20)),
            "growth": rng.choice((1, 1.5, 2, 4)),
            "max_regions": rng.choice((2, 4, 40)),
            "max_traffic": rng.choice((30, 50, 100)),
        }
    return strategy


def _freezes(rng, start, names):
    if rng.random() < 0.7:
        return []
    first = start.date() + timedelta(days=rng.randint(-1, 4))
    last = first + timedelta(days=rng.randint(0, 3))
    freeze = {"name": "freeze", "first_day": str(first), "last_day": str(last)}
    if rng.random() < 0.5:
        freeze["regions"] = rng.sample(names, rng.randint(1, len(names)))
    return [freeze]


def broken(document, plan):
    """Every rule that a balanced plan breaks, in words; none for a good plan."""
    placed = [region.region for wave in plan.waves for region in wave.regions]
    found = []
    if sorted(placed) != sorted(document.regions):
        found.append("not each region once")
    for before, after in pairwise(plan.waves):
        if after.starts_at < before.baked_at + document.deployment_strategy.region_delay:
            found.append(f"wave {after.number} begins before {before.number} is baked")
    for wave in plan.waves:
        found += _broken_pairs(document, wave)
        found += [
            said for region in wave.regions for said in _broken_times(document, wave, region.region)
        ]
    return found + _broken_order(document, plan) + _broken_budgets(document, plan)


def _broken_pairs(document, wave):
    for one, other in combinations([region.region for region in wave.regions], 2):
        first, second = document.regions[one], document.regions[other]
        if other in first.failover_regions or one in second.failover_regions:
            yield f"{one} and {other} take over from each other"
        for target in set(first.failover_regions) & set(second.failover_regions):
            spare = document.regions[target].headroom_percentage
            if spare is not None and first.traffic_percentage + second.traffic_percentage > spare:
                yield f"{target} cannot carry {one} and {other}"


def _broken_times(document, wave, name):
    region, strategy = document.regions[name], document.deployment_strategy
    switch = strategy.switch_duration if strategy.type == "blue_green" else None
    work = strategy.baseline + (switch or region.expected_duration or strategy.expected_duration)
    if wave.baked_at < wave.starts_at + work + strategy.bake.time:
        yield f"{name} is not baked"
    zone = ZoneInfo("UTC")
    if region.deployment_window is not None:
        written = region.deployment_window.zone
        zone = ZoneInfo(MEANT.get(written, written))
        for at in (wave.starts_at, wave.starts_at + work - timedelta(seconds=1)):
            if not _within(region.deployment_window, at.astimezone(zone)):
                yield f"{name} is outside of its window at {at}"
    for freeze in document.freezes:
        for at in (wave.starts_at, wave.starts_at + work - timedelta(seconds=1)):
            day = at.astimezone(zone).date()
            first, last = (date.fromisoformat(d) for d in (freeze.first_day, freeze.last_day))
            if freeze.holds_for(name) and first <= day <= last:
                yield f"{name} is frozen at {at}"


def _within(shape, local):
    start, end = (
        int(part.split(":")[0]) * 60 + int(part.split(":")[1]) for part in shape.hours.split("-")
    )
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    minute = local.hour * 60 + local.minute
    today, yesterday = names[local.weekday()], names[local.weekday() - 1]
    if start < end:
        return start <= minute < end and today in shape.days
    return (minute >= start and today in shape.days) or (minute < end and yesterday in shape.days)


def rank(document, name):
    """Stage, whether it is a primary that is last, priority."""
    region = document.regions[name]
    last = document.deployment_strategy.primary_position == "last"
    return (STAGES.index(region.stage), last and name in document.primaries, region.priority)


def _broken_order(document, plan):
    for before, after in pairwise(plan.waves):
        latest = max(rank(document, region.region) for region in before.regions)
        earliest = min(rank(document, region.region) for region in after.regions)
        if latest > earliest:
            return [f"wave {after.number} belongs before {before.number}"]
    mixed = [
        wave.number
        for wave in plan.waves
        if len({rank(document, region.region) for region in wave.regions}) > 1
    ]
    return [f"wave {number} has several levels" for number in mixed]


def _broken_budgets(document, plan):
    found = []
    numbers = dict.fromkeys(STAGES, 0)
    left = set(document.regions)
    for wave in plan.waves:
        names = [region.region for region in wave.regions]
        left -= set(names)
        found += broken_budget(document, wave.stage, numbers[wave.stage], names, left)
        numbers[wave.stage] += 1
    return found


def traffic(document, names):
    return sum((document.regions[name].traffic_percentage or 0 for name in names), Decimal(0))


def broken_budget(document, stage, number, names, left):
    """What is wrong with some Regions as the wave of a number, while others are left."""
    waves = document.deployment_strategy.waves
    rolling = document.deployment_strategy.type == "rolling"
    factor = waves.growth**number
    most = 1 if rolling else min(int(waves.first_regions * factor), waves.max_regions)
    top = max(waves.max_traffic, waves.first_traffic)
    budget = min(waves.first_traffic * factor, top)
    beside = [name for name in left if rank(document, name) == rank(document, names[0])]
    waiting = document.deployment_strategy.primary_position != "last" and stage == "production"
    early = waiting and number < 2
    found = []
    if len(names) > max(most, 1):
        found.append(f"wave {number} of {stage} has {len(names)} regions")
    if (
        early
        and any(name in document.primaries for name in names)
        and any(name not in document.primaries for name in beside)
    ):
        found.append("a primary region is in the first two waves")
    if early and any(name not in document.primaries for name in (*names, *beside)):
        beside = [name for name in beside if name not in document.primaries]
    if traffic(document, names) > budget:
        small = [name for name in beside if traffic(document, [name]) <= budget]
        if len(names) > 1 or small:
            found.append(f"wave {number} of {stage} is over its budget")
    return found
