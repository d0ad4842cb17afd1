"""What must hold whatever fails: every subset of Regions, every step, every cut of the network."""

import itertools
import random
from datetime import timedelta
from functools import partial

import pytest

from greenlane.deployments.phases import Phase
from greenlane.regions.coordinating.deciding import CUT_OFF
from greenlane.regions.coordinating.model import OVER
from greenlane.regions.coordinating.news import news_of
from tests.effort import examples, part
from tests.unit.regions.simulated_regions import (
    HOME,
    STANDBY,
    Coordinator,
    World,
    give_back,
    run,
    shop,
    take_over,
)

RUNS = examples(350, 1000)

EIGHT = tuple(f"eu-west-{number}" for number in range(1, 9))
FIVE = {"eu-west-1": 10, "eu-west-2": 15, "eu-west-3": 20, "eu-west-4": 25, "us-east-1": 30}
PAIRS = {"eu-west-2": ["us-east-1"], "eu-west-4": ["us-east-1"], "eu-west-1": ["eu-west-3"]}
STARTED = (Phase.SHIFTING, Phase.PROMOTED, Phase.WATCHING)


@pytest.fixture(scope="module")
def all_deployed():
    record = shop(dict.fromkeys(EIGHT, 12) | {"eu-west-8": 16})
    world = World(record)
    home = Coordinator(world, HOME, record)
    run(world, home, hours=8.5)
    assert home.record.phase == "watching"
    return world, home


@pytest.mark.parametrize("silent", [False, True], ids=["held", "silent"])
def test_whichever_regions_fail_to_go_back_all_others_do_and_the_report_names_just_them(
    all_deployed, silent
):
    """2^8 subsets, each also for Regions that do not answer at all."""
    deployed, before = all_deployed
    for chosen in itertools.product((False, True), repeat=len(EIGHT)):
        bad = {name for name, fails in zip(EIGHT, chosen, strict=True) if fails}
        world = World(before.record)
        world.now = deployed.now
        for name, region in world.regions.items():
            vars(region).update(vars(deployed.regions[name]))
            if name in bad and silent:
                region.deaf_since = world.now
            elif name in bad:
                region.back = Phase.HELD
        # One that can go back turned bad; where there is none, one that cannot.
        first = next((name for name in EIGHT if name not in bad), EIGHT[0])
        region = world.regions[first]
        assert region.started is not None
        region.fails = world.now - region.started
        home = Coordinator(world, HOME, before.record)
        run(world, home, hours=1)
        for name in EIGHT:
            expected = "rolled_back"
            if name in bad:
                expected = "unknown" if silent else "held"
            assert home.record.at(name).state == expected, (bad, name)
            if name not in bad:
                assert world.regions[name].phase(world.now) is Phase.ROLLED_BACK
        assert set(home.record.left) == bad
        if silent and bad == set(EIGHT):  # then it is more likely home that is cut off
            assert (home.record.phase, home.record.blocked) == ("watching", CUT_OFF)
            continue
        assert home.record.phase == ("rolling_back" if bad else "rolled_back")
        told = [news for turn in home.turns for news in news_of(turn.before, turn.after)]
        named = [news.subject for news in told if news.kind == "regions_partial"]
        assert bool(named) == bool(bad)
        if bad:
            assert all(name in named[-1] for name in bad)
            assert not any(name in named[-1] for name in set(EIGHT) - bad)


def check(world, *coordinators):
    """What no run may break, told from what happened in the Regions."""
    assert [entry for entry in world.log if entry[0] == "conflict"] == []
    reached: dict[str, int] = {}
    claimed: dict[int, int] = {}
    overtaken_at: dict[int, int] = {}
    back: set[str] = set()
    for number, (what, where, epoch) in enumerate(world.log):
        match what:
            case "claims":
                claimed[epoch] = number
            case "majority":
                overtaken_at.setdefault(epoch, number)
            case "back":
                back.add(where)
            case "go" | "runs":
                assert epoch >= reached.get(where, 0), f"{where} took an order that was overtaken"
                assert epoch % 2 == 0, "the standby never starts a Region"
                assert where not in back, f"{where} was started after it went back"
                for later, at in overtaken_at.items():
                    if later > epoch and what == "go":
                        assert claimed[epoch] < at, "a coordinator advanced after it was overtaken"
        if what in ("go", "runs", "took"):
            reached[where] = max(reached.get(where, 0), epoch)
    for one in coordinators:
        for turn in one.turns:
            assert turn.after.version >= turn.before.version


def settled(world, *records):
    """All Regions have the new version, or all that were touched have their own again."""
    phases = {name: one.phase(world.now) for name, one in world.regions.items()}
    assert Phase.ROLLING_BACK not in phases.values()
    if any(record.phase == "rolled_back" for record in records):
        assert not set(phases.values()) & set(STARTED), phases


def _at(at, how, call):
    return how if call == at else ""


def test_a_coordinator_may_die_at_any_call_and_the_end_is_the_same():
    record = shop(FIVE, pairs=PAIRS)
    for fails in (None, "eu-west-3"):
        world = World(record)
        if fails:
            world.regions[fails].fails = timedelta(minutes=5)
        home = Coordinator(world, HOME, record)
        run(world, home)
        calls, ended = world.calls, home.record.phase
        assert ended == ("rolled_back" if fails else "succeeded")
        for at in part(range(1, calls + 1), 5, 2 if fails else 0):
            for how in ("gone before", "gone after", "lost", "unanswered", "twice", "late"):
                world = World(record)
                if fails:
                    world.regions[fails].fails = timedelta(minutes=5)
                world.strike = partial(_at, at, how)
                home = Coordinator(world, HOME, record)
                run(world, home)
                check(world, home)
                assert home.record.phase == ended, (at, how)
                settled(world, home.record)


def test_no_stale_coordinator_advances_and_no_pair_is_in_flight_in_any_run():
    """Deaths, cuts, losses, late and doubled messages, a standby that takes over at any call."""
    record = shop(FIVE, pairs=PAIRS)
    ends = {"succeeded": 0, "rolled_back": 0, "partial": 0, "held": 0}
    stale = 0
    for seed in range(RUNS):
        chance = random.Random(seed)
        world = World(record)
        home = Coordinator(world, HOME, record)
        standbys: list[Coordinator] = []
        trouble = chance.choice((0.0, 0.01, 0.03))
        ways = ("gone before", "gone after", "lost", "unanswered", "late", "twice")

        def strike(_call, chance=chance, trouble=trouble, ways=ways):
            return chance.choice(ways) if chance.random() < trouble else ""

        world.strike = strike
        for name in chance.sample(sorted(FIVE), chance.choice((0, 0, 1))):
            world.regions[name].fails = timedelta(minutes=chance.randrange(1, 60))

        def cut(world=world, chance=chance):
            for site, name in itertools.product((HOME, STANDBY), FIVE):
                if chance.random() < 0.3:
                    world.cut.add((site, name))

        def split(world=world, chance=chance):
            few = chance.sample(sorted(FIVE), 2)
            for name in FIVE:
                world.cut.add((STANDBY if name in few else HOME, name))

        def comes(world=world, home=home, standbys=standbys):
            if not standbys:
                standbys.append(take_over(world, home))
                standbys[0].turn()

        def doubled(home=home):
            home.turn()  # the same step again, while the first one is in the middle of a turn

        for call in sorted(chance.sample(range(1, 160), 3)):
            world.between[call] = chance.choice((cut, comes, doubled, world.cut.clear))
        if chance.random() < 0.4:
            at = chance.randrange(1, 120)
            world.between[at], world.between[at + 1] = split, comes
        run(world, home, hours=3)
        if standbys:
            stale += 1
            run(world, home, *standbys, hours=3)
        world.cut.clear()
        world.between.clear()
        world.strike = lambda _: ""
        run(world, home, *standbys, hours=40)
        check(world, home, *standbys)
        if standbys and home.record.phase == "held":
            give_back(world, home)
            run(world, home, *standbys, hours=80)
            check(world, home, *standbys)
        settled(world, home.record, *(one.record for one in standbys))
        assert home.record.phase in OVER or home.record.phase == "held", seed
        ends[home.record.phase] += 1
    assert stale > 0.15 * RUNS
    assert ends["succeeded"] > 0.2 * RUNS
    assert ends["rolled_back"] > 0.2 * RUNS
