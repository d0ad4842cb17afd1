"""The numbers of the extended watch: a fail goes back, and nothing else does."""

from greenlane.deployments.stepping.finishing import finish_deployment
from greenlane.deployments.stepping.judging import Tick
from greenlane.rollback.reconcile import reconcile, reconcile_all


def watched(world, *, errors=0, minute=10, **deployment):
    """An hour into the extended watch, at such a minute."""
    world.configure(deployment={"strategy": "canary", "steps": [10, 50, 100], **deployment})
    state = world.promoted()
    world.clock.advance(minutes=31)
    world.traffic("green", requests=100)
    finish_deployment(state, world.runtime)
    world.clock.at = world.clock.at.replace(minute=minute, second=20)
    world.clock.advance(hours=1)
    world.traffic("green", requests=100, errors=errors, minutes=20)


def reconciled(world):
    reconcile_all(Tick(), world.runtime)
    return [(one["machine"], one["input"]["trigger"]) for one in world.machines.started]


def test_a_version_that_turns_bad_in_the_extended_watch_goes_back(world):
    watched(world, errors=20)
    ((machine, trigger),) = reconciled(world)
    assert machine == "greenlane-rollback"
    assert (trigger["kind"], trigger["name"]) == ("reconciler", "judged bad")
    assert "requests failed" in trigger["reason"]


def test_a_good_version_stays_and_so_does_one_without_traffic(world):
    watched(world)
    assert reconciled(world) == []
    world.watch.points.clear()
    assert reconciled(world) == []


def test_it_is_looked_at_every_five_minutes_only(world):
    watched(world, errors=20, minute=11)
    world.calls.clear()
    assert reconciled(world) == []
    assert ("cloudwatch", "get_metric_data") not in world.calls


def test_in_shadow_mode_it_does_not_go_back(world):
    watched(world, errors=20, judge_mode="shadow")
    assert reconciled(world) == []


def test_what_cannot_be_read_is_no_reason(world):
    watched(world, errors=20)
    world.fail("cloudwatch", "get_metric_data")
    assert reconciled(world) == []


def test_the_watch_is_judged_although_something_else_cannot_be_finished(world):
    watched(world, errors=20)
    world.change(scaling_rests=True)
    world.fail("application-autoscaling", "register_scalable_target", times=9)
    reconcile(Tick(), world.runtime)
    assert [one["input"]["trigger"]["name"] for one in world.machines.started] == ["judged bad"]
