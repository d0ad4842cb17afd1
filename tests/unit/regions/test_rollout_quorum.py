"""A coordinator starts something only while most Regions take its epoch: else there is another."""

from datetime import timedelta

import pytest

from tests.unit.regions.simulated_regions import HOME, Coordinator, World, shop

FOUR = {"eu-west-1": 10, "eu-west-2": 20, "eu-west-3": 30, "us-east-1": 40}
SAID = "fewer than half of the 4 regions took the epoch"


def begun():
    record = shop(FOUR)
    world = World(record)
    return world, Coordinator(world, HOME, record)


def taken_by(home, monkeypatch, number):
    monkeypatch.setattr(home.realm, "claim", lambda record: number)


def started(world):
    return [name for what, name, _ in world.log if what == "runs"]


@pytest.mark.parametrize("took", [0, 1, 2])
def test_no_wave_starts_while_no_more_than_half_take_the_epoch(monkeypatch, took):
    world, home = begun()
    taken_by(home, monkeypatch, took)
    home.turn()

    assert (started(world), home.record.blocked) == ([], SAID)
    assert home.record.phase == "advancing"

    world.advance(home.due)
    taken_by(home, monkeypatch, 3)
    home.turn()

    assert (started(world), home.record.blocked) == (["eu-west-1"], "")


def test_a_start_that_was_lost_is_not_repeated_without_them_either(monkeypatch):
    world, home = begun()
    act = home.realm.act
    monkeypatch.setattr(home.realm, "act", lambda record, acts: {})  # the start is lost
    home.turn()
    assert home.record.named("starting") == ("eu-west-1",)

    monkeypatch.setattr(home.realm, "act", act)
    taken_by(home, monkeypatch, 2)
    world.advance(world.now + timedelta(minutes=1))
    home.turn()
    assert started(world) == []

    taken_by(home, monkeypatch, 3)
    world.advance(world.now + timedelta(minutes=1))
    home.turn()
    assert started(world) == ["eu-west-1"]
