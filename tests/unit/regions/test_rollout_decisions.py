"""A rollout, decided turn by turn: order, windows, runtime checks, going back, what people ask."""

from datetime import timedelta
from decimal import Decimal

import pytest

from greenlane.deployments.phases import Phase
from greenlane.regions.coordinating.deciding import NOTICED, decide
from greenlane.regions.coordinating.model import Asked, RegionSeen, Seen
from greenlane.regions.coordinating.news import news_of
from tests.unit.regions.region_files import MONDAY
from tests.unit.regions.simulated_regions import HOME, Coordinator, World, run, shop

FOUR = {"eu-west-1": 10, "eu-west-2": 20, "eu-west-3": 30, "us-east-1": 40}
PAIRS = {"eu-west-2": ["us-east-1"]}


def begun(record=None, **changes):
    record = record or shop(FOUR, pairs=PAIRS, **changes)
    world = World(record)
    return world, Coordinator(world, HOME, record)


def started(world):
    return [name for what, name, _ in world.log if what == "runs"]


def kinds(home):
    return [news.kind for turn in home.turns for news in news_of(turn.before, turn.after)]


def ask(home, name, reason=""):
    number = home.record.heeded + 1
    home.book.asked = Asked(name=name, number=number, by="ada", reason=reason, at=home.world.now)
    home.wake()


def test_a_version_goes_through_all_regions_wave_by_wave_and_is_watched():
    world, home = begun()
    run(world, home)
    assert started(world) == ["eu-west-1", "eu-west-2", "eu-west-3", "us-east-1"]
    assert home.record.phase == "succeeded"
    assert set(home.record.named("succeeded")) == set(FOUR)
    assert kinds(home) == ["regions_succeeded"]


def test_each_wave_starts_only_when_the_one_before_is_baked_and_the_pause_is_over():
    world, home = begun()
    run(world, home)
    starts = [one.started for one in world.regions.values()]
    for before, later in zip(starts, starts[1:], strict=False):
        # 20 minutes of deployment, 30 of watch, 5 of pause
        assert timedelta(minutes=55) <= later - before <= timedelta(minutes=60)


def test_a_rollout_of_one_region_costs_few_turns():
    world, home = begun(shop({"eu-west-1": 100}, extended_monitoring="1h"))
    run(world, home)
    assert home.record.phase == "succeeded"
    assert len(home.turns) <= 8


def test_the_watch_of_a_day_costs_a_turn_an_hour():
    world, home = begun(shop({"eu-west-1": 100}, extended_monitoring="24h"))
    run(world, home)
    assert home.record.phase == "succeeded"
    assert len(home.turns) <= 8 + 24


def test_a_window_is_awaited_and_asked_again_at_the_wake_up():
    world, home = begun()
    opens = world.now + timedelta(hours=7)
    home.realm.opens["eu-west-1"] = opens
    home.turn()
    assert (home.due, home.record.blocked) == (opens, "eu-west-1: outside of its window")
    world.advance(opens - timedelta(minutes=1))
    home.realm.opens["eu-west-1"] = later = opens + timedelta(hours=1)
    world.advance(opens)
    home.turn()
    assert (started(world), home.due) == ([], later)
    world.advance(later)
    home.turn()
    assert started(world) == ["eu-west-1"]


def test_going_back_waits_for_no_window():
    world, home = begun()
    home.turn()
    for name in FOUR:
        home.realm.opens[name] = world.now + timedelta(days=20)
    world.regions["eu-west-1"].fails = timedelta(minutes=1)
    world.advance(world.now + timedelta(minutes=2))
    home.turn()
    assert home.record.phase == "rolled_back"


def test_a_region_that_fails_ends_it_and_every_touched_region_goes_back():
    world, home = begun()
    world.regions["eu-west-3"].fails = timedelta(minutes=12)
    run(world, home)
    assert started(world) == ["eu-west-1", "eu-west-2", "eu-west-3"]
    assert home.record.phase == "rolled_back"
    assert home.record.cause_region == "eu-west-3"
    for name in ("eu-west-1", "eu-west-2", "eu-west-3"):
        assert world.regions[name].phase(world.now) is Phase.ROLLED_BACK
    assert home.record.at("us-east-1").state == "waiting"
    assert kinds(home) == ["regions_rolling_back", "regions_rolled_back"]


def test_a_region_that_fails_after_it_was_baked_ends_it_too():
    world, home = begun()
    world.regions["eu-west-1"].fails = timedelta(minutes=70)
    run(world, home)
    assert home.record.phase == "rolled_back"
    assert "us-east-1" not in started(world)


def test_a_region_that_fails_within_the_watch_after_the_last_wave_takes_all_back():
    world, home = begun()
    world.regions["eu-west-1"].fails = timedelta(hours=9)
    run(world, home, hours=5)
    assert home.record.phase == "watching"
    home.wake()  # later, by the Region's event
    world.advance(world.now + timedelta(hours=6))
    run(world, home)
    assert home.record.phase == "rolled_back"
    assert set(home.record.named("rolled_back")) == set(FOUR)


def test_a_touched_region_that_is_silent_counts_as_changed_and_failed():
    world, home = begun()
    world.regions["eu-west-2"].deaf_since = world.now + timedelta(minutes=56)
    run(world, home, hours=4)
    assert home.record.phase == "rolling_back"
    assert home.record.left == ("eu-west-2",)
    assert home.record.at("eu-west-2").state == "unknown"
    assert world.regions["eu-west-1"].phase(world.now) is Phase.ROLLED_BACK
    assert "regions_partial" in kinds(home)
    world.regions["eu-west-2"].deaf_since = None
    run(world, home)
    assert home.record.phase == "rolled_back"
    assert world.regions["eu-west-2"].phase(world.now) is Phase.ROLLED_BACK


def test_a_short_silence_ends_nothing():
    world, home = begun()
    home.turn()
    world.cut.add((HOME, "eu-west-1"))
    world.advance(world.now + timedelta(minutes=25))
    home.turn()
    world.cut.clear()
    world.advance(world.now + timedelta(minutes=5))
    home.turn()
    assert home.record.phase == "advancing"
    run(world, home)
    assert home.record.phase == "succeeded"


def test_regions_that_never_go_back_are_named_until_a_person_closes_it():
    world, home = begun()
    world.regions["eu-west-1"].back = Phase.HELD
    world.regions["eu-west-2"].fails = timedelta(minutes=3)
    run(world, home, hours=3)
    assert (home.record.phase, home.record.left) == ("rolling_back", ("eu-west-1",))
    ask(home, "close", "taken back by hand")
    run(world, home)
    assert (home.record.phase, home.record.left) == ("partial", ("eu-west-1",))
    assert "taken back by hand" in home.record.cause


def test_after_a_day_with_regions_left_only_people_go_on():
    world, home = begun()
    world.regions["eu-west-1"].back = Phase.HELD
    world.regions["eu-west-2"].fails = timedelta(minutes=3)
    run(world, home)
    assert (home.record.phase, home.due) == ("partial", None)
    assert kinds(home).count("regions_partial") == 2


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("alarm", "us-east-1, which takes over for it, has red alarms: p95"),
        ("silent", "us-east-1, which takes over for it, does not answer"),
    ],
)
def test_a_region_is_not_touched_while_who_takes_over_for_it_is_ill(trouble, said):
    world, home = begun()
    run(world, home, hours=0.9)
    if trouble == "alarm":
        home.realm.red["us-east-1"] = ("p95",)
    else:
        world.cut.add((HOME, "us-east-1"))
    run(world, home, hours=2)
    assert started(world) == ["eu-west-1"]
    assert said in home.record.blocked
    assert "regions_waiting" in kinds(home)
    home.realm.red.clear()
    world.cut.clear()
    run(world, home)
    assert home.record.phase == "succeeded"


def test_a_region_that_has_taken_over_much_traffic_is_no_small_one_any_more():
    world, home = begun()
    home.realm.shares["eu-west-1"] = Decimal(45)
    home.turn()
    assert started(world) == []
    assert "45 % of the traffic now" in home.record.blocked
    home.realm.shares["eu-west-1"] = Decimal(19)
    world.advance(home.due)
    home.turn()
    assert started(world) == ["eu-west-1"]


def test_who_waits_for_too_long_is_held_and_goes_on_when_a_person_says_so():
    world, home = begun(max_wait="1h")
    home.realm.shares["eu-west-1"] = Decimal(90)
    run(world, home, hours=2)
    assert home.record.phase == "held"
    assert "waited too long" in home.record.held_for
    home.realm.shares.clear()
    ask(home, "resume")
    run(world, home)
    assert home.record.phase == "succeeded"


def test_a_hold_lets_what_is_under_way_end_and_starts_nothing():
    world, home = begun()
    home.turn()
    ask(home, "hold", "a fair")
    run(world, home, hours=20)
    assert started(world) == ["eu-west-1"]
    assert home.record.at("eu-west-1").state == "succeeded"
    assert (home.record.phase, home.record.held_for) == ("held", "asked by ada: a fair")


def test_a_person_takes_a_whole_rollout_back_while_it_runs_and_after_it():
    for hours in (1.5, 60):
        world, home = begun()
        run(world, home, hours=hours)
        touched = started(world)
        ask(home, "rollback", "complaints")
        home.due = world.now
        run(world, home)
        assert home.record.phase == "rolled_back"
        assert home.record.cause == "asked by ada: complaints"
        assert {world.regions[name].phase(world.now) for name in touched} == {Phase.ROLLED_BACK}


def test_two_regions_of_a_pair_are_never_started_by_one_turn():
    record = shop(FOUR)
    waves = (
        record.waves[0].model_copy(
            update={"regions": tuple(FOUR), "budget_percentage": Decimal(100)}
        ),
    )
    together = {name: one.model_copy(update={"wave": 1}) for name, one in record.regions.items()}
    pairs = (("eu-west-1", "eu-west-2"),)
    world, home = begun(
        record.model_copy(update={"waves": waves, "regions": together, "pairs": pairs})
    )
    home.turn()
    assert started(world) == []
    assert "must not be unbaked with" in home.record.blocked


def under_way(**seen):
    """A decision about a rollout whose first Region is being deployed to."""
    record = shop(FOUR, pairs=PAIRS, on_window_end=seen.get("at_end", "finish"))
    one = record.at("eu-west-1").model_copy(
        update={"state": "deploying", "ordered_at": record.started_at, "since": record.started_at}
    )
    record = record.model_copy(update={"regions": record.regions | {"eu-west-1": one}})
    look = RegionSeen(phase=Phase.SHIFTING, execution="running", **seen)
    others = {name: RegionSeen() for name in FOUR if name != "eu-west-1"}
    return record, Seen(regions={"eu-west-1": look, **others})


def test_a_deployment_whose_window_ends_stands_still_once_and_goes_on_when_it_opens():
    record, seen = under_way(at_end="pause", opens_at=MONDAY + timedelta(hours=22))
    decided = decide(record, seen, record.started_at)
    assert [(act.what, act.region) for act in decided.acts] == [("pause", "eu-west-1")]
    assert decided.wake_at == MONDAY + NOTICED, "nobody looks each few minutes meanwhile"
    assert decide(decided.record, seen, record.started_at).acts == ()
    _, opened = under_way()
    again = decide(decided.record, opened, record.started_at)
    assert [(act.what, act.region) for act in again.acts] == [("resume", "eu-west-1")]
    assert decide(again.record, opened, record.started_at).acts == ()


def test_a_deployment_whose_window_ends_is_taken_back_where_that_was_declared():
    record, seen = under_way(at_end="rollback")
    decided = decide(record, seen, record.started_at)
    assert decided.record.phase == "rolling_back"
    assert decided.record.cause == "eu-west-1: its window ended while it was deployed"


def test_a_limit_of_the_rollout_that_is_exceeded_fails_the_region():
    record, seen = under_way(over="error_rate 0.2 is above the rollout's 0.05")
    decided = decide(record, seen, record.started_at)
    assert decided.record.cause == "eu-west-1: error_rate 0.2 is above the rollout's 0.05"
