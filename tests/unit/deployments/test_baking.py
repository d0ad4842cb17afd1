from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.model import Signal
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.baking import BakeEvent, answer, fail, start_bake
from greenlane.errors import FenceLost
from tests.builders import NOW


def bake(world, state, token="token-1", entered=None, attempt=0):
    event = BakeEvent(token=token, deployment=state, entered=entered, attempt=attempt)
    start_bake(event, world.runtime)


def say(world, name, step=0):
    return world.change(signal=Signal(name=name, step=step, by="ada", at=NOW))


def test_a_bake_keeps_its_token_and_its_absolute_end(world):
    state = world.shifted()
    world.clock.advance(seconds=4)
    bake(world, state)
    record = world.record
    assert (record.bake_token, record.bake_step) == ("token-1", 0)
    assert record.bake_until == NOW + timedelta(seconds=300), "counted from the shift"
    assert world.machines.answers == []


def test_a_repeated_or_resumed_bake_keeps_its_first_end(world):
    state = world.shifted()
    bake(world, state)
    until = world.record.bake_until
    world.clock.advance(minutes=9)
    bake(world, state, "token-2")
    assert (world.record.bake_token, world.record.bake_until) == ("token-2", until)


def test_a_bake_that_starts_late_does_not_replace_a_newer_one_of_its_step(world):
    """Judging a step may bake it again; the first of these bakes may still be on its way."""
    state = world.shifted()
    bake(world, state, "newer", entered=NOW + timedelta(seconds=9, milliseconds=20))
    before = world.record
    with pytest.raises(FenceLost):
        bake(world, state, "late", entered=NOW + timedelta(seconds=9, milliseconds=19))
    assert world.record == before
    world.change(bake_token=None)  # judged; the next bake is not there yet
    with pytest.raises(FenceLost):
        bake(world, state, "late", entered=NOW)
    assert world.record.bake_token is None


def test_a_repeated_start_of_the_same_bake_is_the_one_that_counts(world):
    state = world.shifted()
    for token in ("token-1", "token-2"):
        bake(world, state, token, entered=NOW)
        assert (world.record.bake_token, world.record.bake_entered) == (token, NOW)


def test_a_late_write_of_an_earlier_attempt_does_not_replace_the_token_that_counts(world):
    """The first attempt's write gave no answer, and lands after that of the second."""
    state = world.shifted()
    bake(world, state, "second", entered=NOW, attempt=1)
    before = world.record
    with pytest.raises(FenceLost):
        bake(world, state, "first", entered=NOW, attempt=0)
    assert world.record == before
    bake(world, state, "second", entered=NOW, attempt=1)  # Lambda may run it twice
    bake(world, state, "third", entered=NOW, attempt=2)
    assert world.record.bake_token == "third"
    bake(world, state, "next", entered=NOW + timedelta(milliseconds=1))
    assert world.record.bake_token == "next"


def test_a_later_bake_of_the_same_step_replaces_the_one_before(world):
    state = world.shifted()
    for second in (1, 2):
        entered = NOW + timedelta(seconds=second)
        bake(world, state, f"token-{second}", entered=entered)
    assert (world.record.bake_token, world.record.bake_entered) == ("token-2", entered)


def test_a_bake_of_an_execution_from_before_the_upgrade_knows_no_time(world):
    """The other way round as well: after a downgrade nothing may refuse its token."""
    state = world.shifted()
    told = {"token": "token-1", "deployment": state.model_dump(mode="json")}
    start_bake(BakeEvent.model_validate(told), world.runtime)
    assert world.record.bake_token == "token-1"
    bake(world, state, "token-2", entered=NOW)
    bake(world, state, "token-3")
    assert (world.record.bake_token, world.record.bake_entered) == ("token-3", None)


def test_the_watch_is_counted_from_promotion(world):
    state = world.promoted()
    world.clock.advance(minutes=1)
    bake(world, state)
    assert world.record.bake_until == NOW + timedelta(minutes=30)


@pytest.mark.parametrize("name", ["pause", "promote", "promote_all", "abort"])
def test_a_signal_that_came_before_the_token_ends_the_bake_at_once(world, name):
    state = world.shifted()
    say(world, name)
    bake(world, state)
    assert world.machines.answers == [("token-1", "success", f"signal {name}")]


def test_a_signal_that_comes_between_token_and_look_is_seen(world):
    state = world.shifted()
    world.just_before("dynamodb", "get_item", lambda: say(world, "pause"), skip=2)
    bake(world, state)
    assert world.machines.answers == [("token-1", "success", "signal pause")]


def test_a_signal_for_another_step_decides_nothing_but_abort_does(world):
    state = world.shifted(step=1)
    say(world, "promote", step=0)
    bake(world, state)
    assert world.machines.answers == []
    say(world, "abort", step=0)
    bake(world, state, "token-2")
    assert world.machines.answers == [("token-2", "success", "signal abort")]


def test_an_alarm_that_is_red_already_ends_the_bake_at_once(world):
    state = world.shifted()
    world.alarm(world.alarm_of("green"), "ALARM")
    bake(world, state)
    ((_, kind, reason),) = world.machines.answers
    assert (kind, reason) == ("success", f"alarms are red: {world.alarm_of('green')}")


def test_a_red_live_alarm_does_not_end_the_bake(world):
    state = world.shifted()
    world.alarm(world.alarm_of("blue"), "ALARM")
    bake(world, state)
    assert world.machines.answers == []


def quick(world, **step):
    world.configure(
        deployment={"strategy": "canary", "steps": [{"weight": 10, "bake": "0s"} | step, 100]}
    )
    return world.shifted()


def test_a_bake_of_zero_ends_at_once(world):
    state = quick(world)
    assert state.bake_seconds == 1
    bake(world, state)
    assert world.machines.answers == [("token-1", "success", "a bake of 0")]


def test_a_bake_of_zero_still_waits_while_evidence_is_missing(world):
    state = quick(world)
    world.change(hold_until=NOW + timedelta(minutes=30))
    bake(world, state)
    assert world.machines.answers == []


def test_a_bake_of_zero_still_waits_while_paused(world):
    state = quick(world)
    world.change(paused=True)
    bake(world, state)
    assert world.machines.answers == []


def test_a_bake_of_zero_still_waits_for_an_approval(world):
    """Otherwise the machine would go round without a pause until its history is full."""
    state = quick(world, approval=True)
    bake(world, state)
    assert world.machines.answers == []


def test_promoting_all_the_way_skips_the_bakes_that_are_left(world):
    state = world.shifted(step=2)
    world.change(fast_track=True)
    bake(world, state)
    ((_, kind, reason),) = world.machines.answers
    assert (kind, reason) == ("success", "a person said promote all the way")


def test_promoting_all_the_way_keeps_the_watch(world):
    state = world.promoted()
    world.change(fast_track=True)
    bake(world, state)
    assert world.machines.answers == []


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.ROLLING_BACK, Phase.WATCHING])
def test_only_a_deployment_that_bakes_keeps_a_token(world, phase):
    state = world.shifted()
    before = world.change(phase=phase)
    with pytest.raises(FenceLost):
        bake(world, state)
    assert world.record == before


def test_a_rollback_that_begins_meanwhile_keeps_the_token_out(world):
    state = world.shifted()
    epoch = world.record.epoch + 1
    world.just_before(
        "dynamodb",
        "update_item",
        lambda: world.change(epoch=epoch, phase=Phase.ROLLING_BACK),
    )
    with pytest.raises(FenceLost):
        bake(world, state)
    assert world.record.bake_token is None


def test_a_late_answer_is_normal_and_says_so(world):
    machines = world.runtime.stepfunctions
    assert answer(machines, "token-1", "why") is True
    assert answer(machines, "token-1", "why") is False
    assert fail(machines, "token-1", "JudgedBad", "why") is False
    assert fail(machines, "token-2", "JudgedBad", "why") is True
    assert [kind for _, kind, _ in world.machines.answers] == ["success", "failure"]


def test_an_answer_that_could_not_be_sent_is_an_error(world):
    world.fail("stepfunctions", "*", "ThrottlingException", times=2)
    with pytest.raises(ClientError):
        answer(world.runtime.stepfunctions, "token-1", "why")
    with pytest.raises(ClientError):
        fail(world.runtime.stepfunctions, "token-1", "JudgedBad", "why")
