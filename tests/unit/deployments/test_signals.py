import pytest

from greenlane.deployments.model import Signal
from greenlane.deployments.phases import Phase
from greenlane.deployments.signals import possible_signals, send_signal
from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.deployments.stepping.judging import judge_step
from greenlane.deployments.storing.items import record_item
from greenlane.errors import SignalRefused
from tests.builders import NOW, SERVICE, plan, record

ALL = ["pause", "resume", "promote", "promote_all", "abort"]


def send(world, name, step=None, by="ada"):
    return send_signal(
        world.store,
        world.runtime.stepfunctions,
        world.clock,
        service=SERVICE,
        name=name,
        step=step,
        by=by,
    )


def baking(world, step=0):
    state = world.shifted(step=step)
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    return state


@pytest.mark.parametrize("name", ["pause", "promote", "promote_all", "abort"])
def test_a_signal_is_written_and_then_ends_the_bake(world, name):
    baking(world)
    seen = []
    world.just_before("stepfunctions", "send_task_success", lambda: seen.append(world.record))
    outcome = send(world, name, step=0)
    assert (outcome.signal, outcome.step, outcome.answered_bake) == (name, 0, True)
    assert seen[0].signal == Signal(name=name, step=0, by="ada", at=NOW)
    assert world.machines.answers == [("token-1", "success", f"signal {name}")]


def test_a_signal_without_a_bake_waits_for_the_next_look(world):
    world.shifted()
    assert send(world, "pause").answered_bake is False
    assert world.record.signal.name == "pause"


def test_a_signal_for_another_step_is_refused_and_does_nothing(world):
    baking(world, step=1)
    for step in (0, 2):
        with world.untouched(), pytest.raises(SignalRefused, match="at step 2"):
            send(world, "promote", step=step)
    assert world.machines.answers == []


def test_a_signal_after_the_steps_is_told_that_they_are_over_and_not_of_a_step_too_many(world):
    given = record(phase=Phase.PROMOTED, step=len(plan().steps))
    world.store.client.put_item(TableName="greenlane-deployments", Item=record_item(given))
    with world.untouched(), pytest.raises(SignalRefused, match="it is promoted"):
        send(world, "pause", step=0)


@pytest.mark.parametrize("name", ["pause", "promote", "promote_all", "abort"])
def test_a_repeated_signal_is_refused_and_says_who_was_first(world, name):
    baking(world)
    send(world, name, by="ada")
    with world.untouched(), pytest.raises(SignalRefused, match="ada said"):
        send(world, name, by="bob")
    assert len(world.machines.answers) == 1


def test_after_an_abort_nothing_else_is_heard(world):
    baking(world)
    send(world, "abort")
    for name in ALL:
        with pytest.raises(SignalRefused, match="abort already"):
            send(world, name)


def test_resume_needs_a_pause_and_pause_needs_none(world):
    baking(world)
    with pytest.raises(SignalRefused, match="not paused"):
        send(world, "resume")
    world.change(paused=True)
    with pytest.raises(SignalRefused, match="paused already"):
        send(world, "pause")
    assert send(world, "resume").answered_bake is True


def test_a_signal_replaces_one_that_nobody_has_taken_yet(world):
    baking(world)
    send(world, "pause")
    assert send(world, "promote").signal == "promote"
    assert world.record.signal.name == "promote"


def test_a_step_that_ends_just_now_makes_the_signal_late(world):
    baking(world)
    world.just_before("dynamodb", "update_item", lambda: world.change(step=1))
    with pytest.raises(SignalRefused, match="too late"):
        send(world, "promote", step=0)
    assert world.record.signal is None


def test_a_signal_that_another_overtakes_is_refused(world):
    baking(world)
    first = Signal(name="pause", step=0, by="bob", at=NOW)
    world.just_before("dynamodb", "update_item", lambda: world.change(signal=first))
    with pytest.raises(SignalRefused):
        send(world, "promote")
    assert world.record.signal == first


def test_a_bake_that_ended_already_still_finds_the_signal(world):
    baking(world)
    world.machines.closed.add("token-1")
    outcome = send(world, "abort")
    assert outcome.answered_bake is False
    assert world.record.signal.name == "abort"


def test_a_service_that_was_never_deployed_has_nobody_to_tell(world):
    with pytest.raises(SignalRefused, match="never been deployed"):
        send(world, "abort")


@pytest.mark.parametrize("phase", sorted(Phase))
def test_what_is_possible_is_what_is_not_refused(world, phase):
    for paused in (False, True):
        given = record(phase=phase, paused=paused)
        world.store.client.put_item(
            TableName="greenlane-deployments",
            Item=record_item(given),
        )
        for name in ALL:
            world.change(signal=None)
            possible = name in possible_signals(world.record, plan())
            if possible:
                send(world, name)
            else:
                with world.untouched(), pytest.raises(SignalRefused):
                    send(world, name)


def test_an_abort_is_possible_from_planning_on_until_promotion():
    allowed = {phase for phase in Phase if "abort" in possible_signals(record(phase=phase), plan())}
    assert allowed == {Phase.PLANNING, Phase.PREPARING, Phase.SHIFTING}


def test_a_signal_is_taken_once(world):
    state = baking(world)
    world.traffic("green", requests=100)
    send(world, "pause")
    first = judge_step(state, world.runtime)
    assert (first.next, world.record.paused, world.record.signal) == ("bake", True, None)
    send(world, "resume")
    second = judge_step(first, world.runtime)
    assert (second.next, world.record.paused) == ("bake", False)
