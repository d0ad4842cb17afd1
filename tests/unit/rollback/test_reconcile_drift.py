"""What others changed: found twice, told once, written down, and left as it is."""

from datetime import timedelta

import pytest

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.examine import examine
from greenlane.deployments.stepping.finishing import finish_deployment
from greenlane.deployments.stepping.judging import Tick, judge_tick
from greenlane.rollback.closing import close_rollback
from greenlane.rollback.model import CloseEvent
from greenlane.rollback.reconcile import reconcile
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import REGISTRY, SERVICE
from tests.fakes import BACK, FORWARD, timeout
from tests.unit.rollback.test_closing import emptied

FOUND, GONE = "drift found", "drift gone"


def tick(world, **later):
    world.clock.advance(**(later or {"minutes": 1}))
    reconcile(Tick(), world.runtime)


def watching(world):
    """Promoted and finished: green serves, blue is warm at its floor, the watch goes on."""
    state = world.promoted()
    world.clock.advance(minutes=31)
    world.traffic("green", requests=100)
    finish_deployment(state, world.runtime)
    tick(world)
    settle(world)


def rolled_back(world):
    """Taken back and closed: blue serves, green is empty."""
    world.shifted()
    close_rollback(CloseEvent(rollback=emptied(world), execution=BACK), world.runtime)
    tick(world)
    settle(world)


def settle(world):
    assert world.record.drift is None, "nothing drifts by itself"
    world.topic.told.clear()
    world.calls.clear()


def lines(world, kind):
    return [event.detail for event in world.store.history("d-1") if event.kind == kind]


def told(world):
    return [text for text in world.topic.told if text.startswith("Somebody changed")]


REST = {"watching": watching, "rolled_back": rolled_back}
at_rest = pytest.mark.parametrize("rest", REST.values(), ids=REST)


@at_rest
def test_weights_changed_at_rest_are_told_once_and_left(world, rest):
    rest(world)
    world.set_weights(60, 40)
    tick(world)
    assert (told(world), lines(world, FOUND)) == ([], []), "not at the first look"
    for _ in range(5):
        tick(world)
    assert told(world) == [f"Somebody changed what Greenlane deployed as {SERVICE}"]
    (line,) = lines(world, FOUND)
    assert (line["drift"], line["subject"]) == ("weights", "rule")
    assert "'blue': 60, 'green': 40" in line["what"]
    assert world.weights() == (60, 40)
    assert world.writes() == []
    assert "60" in world.topic.messages[-1]


def test_drift_that_is_over_is_written_down_and_may_be_told_again(world):
    watching(world)
    world.set_weights(60, 40)
    tick(world)
    tick(world)
    world.set_weights(0, 100)
    tick(world)
    assert world.record.drift is None
    (line,) = lines(world, GONE)
    assert (line["drift"], line["subject"]) == ("weights", "rule")
    world.set_weights(60, 40)
    tick(world)
    tick(world)
    assert len(told(world)) == len(lines(world, FOUND)) == 2


def test_the_watch_does_not_end_while_the_old_slot_may_have_traffic(world):
    watching(world)
    world.set_weights(60, 40)
    tick(world, hours=25)
    tick(world)
    assert (world.record.phase, world.desired("blue")) == (Phase.WATCHING, 1)
    world.set_weights(0, 100)
    tick(world)
    assert (world.record.phase, world.desired("blue")) == (Phase.RETIRED, 0)


@pytest.mark.parametrize("prepare", ["planned", "prepared", "shifted", "promoted"])
def test_weights_changed_during_a_deployment_are_left_to_its_judge(world, prepare):
    getattr(world, prepare)()
    world.set_weights(35, 65)
    for _ in range(4):
        tick(world)
    assert told(world) == []
    assert world.record.drift is None
    assert world.weights() == (35, 65)


def test_a_rule_or_service_that_is_gone_is_told_once_and_no_error_each_minute(world):
    rolled_back(world)
    for entry in world.ecs.services.values():
        entry["status"] = "INACTIVE"
    for _ in range(4):
        tick(world)
    (line,) = lines(world, FOUND)
    assert (line["drift"], line["subject"]) == ("tasks", "missing")
    assert len(told(world)) == 1


@at_rest
def test_fewer_tasks_than_auto_scaling_keeps_are_told(world, rest):
    rest(world)
    slot = world.record.candidate if rest is watching else world.record.live
    world.ecs.services[f"{SERVICE}-{slot}"]["desiredCount"] = 1
    for _ in range(4):
        tick(world)
    (line,) = lines(world, FOUND)
    assert (line["drift"], line["subject"]) == ("tasks", slot)
    assert world.desired(slot) == 1, "told, and not overwritten"


def test_a_way_back_that_somebody_stopped_in_the_watch_is_told(world):
    watching(world)
    world.ecs.services[f"{SERVICE}-blue"]["desiredCount"] = 0
    tick(world)
    tick(world)
    assert lines(world, FOUND)[0]["subject"] == "blue"


def test_tasks_that_the_judge_starts_again_are_not_told(world):
    world.shifted()
    world.change(bake_token="token", bake_until=world.clock.now() + timedelta(hours=1))
    world.ecs.services[f"{SERVICE}-blue"]["desiredCount"] = 1
    tick(world)
    assert [found.told for found in world.record.drift] == [False]
    judge_tick(Tick(), world.runtime)
    assert world.desired("blue") == 2
    tick(world)
    assert (world.record.drift, told(world), lines(world, GONE)) == (None, [], [])


def test_a_way_back_that_stays_short_during_a_deployment_is_told_and_left_to_the_judge(world):
    world.shifted()
    world.ecs.services[f"{SERVICE}-blue"]["desiredCount"] = 1
    for _ in range(3):
        tick(world)
    (line,) = lines(world, FOUND)
    assert line["what"] == "blue is asked for 1 tasks, it needs 2"
    assert world.desired("blue") == 1


@pytest.mark.parametrize("prepare", ["prepared", "shifted", "promoted", "watching"])
def test_an_alarm_whose_definition_was_changed_is_told(world, prepare):
    watching(world) if prepare == "watching" else getattr(world, prepare)()
    name = world.alarm_of("green")
    world.watch.states[name]["Threshold"] = 90.0
    for _ in range(3):
        tick(world)
    (line,) = lines(world, FOUND)
    assert (line["drift"], line["subject"]) == ("alarm", name)
    assert len(told(world)) == 1


def test_an_alarm_that_was_deleted_is_told_and_the_other_slots_are_not(world):
    world.shifted()
    del world.watch.states[world.alarm_of("green")]
    del world.watch.states[world.alarm_of("blue")]
    for _ in range(3):
        tick(world)
    assert [line["what"] for line in lines(world, FOUND)] == [
        f"the alarm {world.alarm_of('green')} was deleted"
    ]


def test_after_the_watch_nobody_asks_what_the_alarms_say(world):
    watching(world)
    tick(world, hours=25)
    world.watch.states.clear()
    for _ in range(3):
        tick(world)
    assert lines(world, FOUND) == []


def verdict_of(world):
    world.traffic("green", requests=500)
    return examine(world.runtime, world.plan(), world.record)


def test_a_step_holds_on_an_alarm_whose_definition_was_changed(world):
    world.shifted()
    world.clock.advance(minutes=6)
    assert verdict_of(world).verdict == "pass"
    world.watch.states[world.alarm_of("green")]["Threshold"] = 90.0
    found = verdict_of(world)
    assert found.verdict == "hold"
    assert "its definition changed since planning" in found.reason


def test_a_plan_of_an_older_version_knows_no_definitions_and_holds_nothing(world):
    world.shifted()
    world.clock.advance(minutes=6)
    world.store.put_plan(world.plan().model_copy(update={"alarm_definitions": {}}))
    world.watch.states[world.alarm_of("green")]["Threshold"] = 90.0
    assert verdict_of(world).verdict == "pass"
    for _ in range(3):
        tick(world)
    assert lines(world, FOUND) == []


def suspend(world, slot, *, by=("DynamicScalingInSuspended", "ScheduledScalingSuspended")):
    world.scaling.of(slot)["SuspendedState"] |= dict.fromkeys(by, True)


def resting(world, slot):
    return any(world.scaling.of(slot)["SuspendedState"].values())


@at_rest
@pytest.mark.parametrize("slot", ["blue", "green"])
def test_auto_scaling_that_was_left_suspended_is_given_back_once(world, rest, slot):
    rest(world)
    limits = world.scaling.of(slot)["MinCapacity"], world.scaling.of(slot)["MaxCapacity"]
    suspend(world, slot)
    tick(world)
    assert resting(world, slot), "not at the first look"
    tick(world)
    assert not resting(world, slot)
    assert (world.scaling.of(slot)["MinCapacity"], world.scaling.of(slot)["MaxCapacity"]) == limits
    assert (lines(world, FOUND), lines(world, GONE)) == ([], [])
    (line,) = lines(world, "auto scaling given back again")
    assert line["targets"] == [f"service/{SERVICE}/{SERVICE}-{slot}"]
    tick(world)
    assert (world.record.drift, world.record.scaling_given_again, told(world)) == (None, True, [])


def test_auto_scaling_that_is_suspended_again_is_somebodys_wish(world):
    watching(world)
    for _ in range(2):
        suspend(world, "green")
        tick(world)
        tick(world)
    for _ in range(3):
        tick(world)
    assert resting(world, "green"), "told, and not fought over"
    assert [line["drift"] for line in lines(world, FOUND)] == ["scaling"]
    assert len(told(world)) == 1


def test_auto_scaling_that_could_not_be_given_back_is_tried_again(world):
    watching(world)
    suspend(world, "green")
    tick(world)
    world.fail("application-autoscaling", "register_scalable_target", "ConcurrentUpdateException")
    tick(world)
    assert resting(world, "green")
    tick(world)
    assert not resting(world, "green")
    assert told(world) == []


def test_auto_scaling_that_was_found_suspended_stays_so(world):
    suspend(world, "blue", by=("ScheduledScalingSuspended",))
    watching(world)
    for _ in range(3):
        tick(world)
    assert world.scaling.of("blue")["SuspendedState"]["ScheduledScalingSuspended"]
    assert world.record.drift is None


def test_the_next_deployment_is_not_given_the_scaling_back_that_it_suspends(world):
    watching(world)
    suspend(world, "green")
    tick(world)
    following = {"deployment_id": "d-2", "image": f"{REGISTRY}/{SERVICE}@sha256:{'c' * 64}"}
    world.just_before("dynamodb", "update_item", lambda: world.planned(**following))
    tick(world)
    assert resting(world, "green")
    assert world.record.deployment_id == "d-2"
    assert told(world) == []


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("elbv2", "describe_rules"),
        ("ecs", "describe_services"),
        ("application-autoscaling", "describe_scalable_targets"),
        ("sns", "publish"),
        ("dynamodb", "put_item"),
    ],
)
@pytest.mark.parametrize("problem", ["ThrottlingException", timeout()])
def test_what_does_not_answer_is_neither_drift_nor_in_the_way(world, service, operation, problem):
    watching(world)
    world.alarm(world.alarm_of("green"), "ALARM")
    world.fail(service, operation, problem, times=20)
    tick(world, seconds=30)
    tick(world, seconds=31)
    assert [found["machine"] for found in world.machines.started] == ["greenlane-rollback"]
    assert world.record.drift is None


def test_known_drift_stays_on_record_while_nobody_answers(world):
    watching(world)
    world.set_weights(60, 40)
    tick(world)
    tick(world)
    before = world.record.drift
    world.fail("elbv2", "describe_rules", times=20)
    tick(world)
    assert world.record.drift == before
    assert lines(world, GONE) == []


def test_the_lease_of_an_execution_that_never_was_goes_back_and_says_so(world):
    world.shifted()
    del world.machines.statuses[FORWARD]
    tick(world)
    tick(world)
    (started,) = world.machines.started
    assert (
        started["input"]["trigger"]["reason"] == "no execution holds the lease of d-1 in shifting"
    )
    assert "reconciler rolls back" in world.kinds()


def test_a_rollback_takes_drifted_weights_back_and_the_drift_is_over(world):
    watching(world)
    world.set_weights(60, 40)
    tick(world)
    tick(world)
    world.serve("blue", 2)
    take_traffic_back(world.back("person"), world.runtime)
    tick(world)
    assert world.record.drift is not None, "nobody looks while a rollback is at work"
    world.change(phase=Phase.ROLLED_BACK, scaling_rests=False)
    world.set_weights(100, 0)
    tick(world)
    assert all(found.kind != "weights" for found in world.record.drift or ())
    assert [line["drift"] for line in lines(world, GONE)] == ["weights"]


def test_of_two_reconcilers_at_once_one_tells(world):
    watching(world)
    world.set_weights(60, 40)
    tick(world)
    world.clock.advance(minutes=1)
    world.just_before("dynamodb", "update_item", lambda: reconcile(Tick(), world.runtime))
    reconcile(Tick(), world.runtime)
    assert len(told(world)) == len(lines(world, FOUND)) == 1
