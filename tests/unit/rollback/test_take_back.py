from datetime import timedelta

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import Held
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import NOW, SERVICE
from tests.fakes import BACK, FORWARD, client, timeout


def go_back(world, kind="alarm", **more):
    world.calls.clear()
    return take_traffic_back(world.back(kind, **more), world.runtime)


def before_the_write(world):
    """The calls up to the first `ModifyRule`, it not counted."""
    return world.calls[: world.calls.index(("elbv2", "modify_rule"))]


def test_an_alarm_puts_all_traffic_back_after_two_calls(world):
    world.shifted(step=1)
    found = go_back(world)
    assert world.weights() == (100, 0)
    assert before_the_write(world) == [
        ("dynamodb", "update_item"),
        ("elbv2", "describe_target_health"),
    ]
    assert (found.action, found.epoch, found.fenced) == ("settle", 2, True)
    assert found.forward_execution == FORWARD
    assert found.took_back_at == NOW
    record = world.record
    assert (record.phase, record.rollback_execution) == (Phase.ROLLING_BACK, BACK)
    assert "rollback began" in world.kinds()


def test_going_back_drops_the_rules_stickiness(world):
    world.set_weights(100, 0, TargetGroupStickinessConfig={"Enabled": True, "DurationSeconds": 600})
    world.shifted()
    go_back(world)
    (action,) = world.actions()
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"]["Enabled"] is False


@pytest.mark.parametrize("kind", ["alarm", "execution", "failure", "person", "reconciler"])
def test_every_trigger_goes_the_same_way(world, kind):
    world.shifted()
    assert go_back(world, kind).action == "settle"
    assert world.weights() == (100, 0)


@pytest.mark.parametrize("prepare", ["planned", "prepared", "stable"])
@pytest.mark.parametrize("kind", ["execution", "failure", "person"])
def test_without_traffic_there_is_nothing_to_write(world, prepare, kind):
    getattr(world, prepare)()
    found = go_back(world, kind)
    assert found.action == "abandon"
    assert ("elbv2", "modify_rule") not in world.calls
    assert world.record.phase is Phase.ROLLING_BACK


@pytest.mark.parametrize(
    ("prepare", "action"), [("planned", "abandon"), ("prepared", "none"), ("stable", "abandon")]
)
def test_an_alarm_without_traffic_abandons_unless_the_tasks_still_start(world, prepare, action):
    getattr(world, prepare)()
    assert go_back(world, "alarm").action == action
    assert ("elbv2", "modify_rule") not in world.calls


def test_a_weight_that_was_only_intended_is_taken_back(world):
    state = world.stable()
    world.fail("elbv2", "modify_rule", timeout(), after=True)
    with pytest.raises(ReadTimeoutError):
        shift_traffic(state, world.runtime)
    assert world.weights() == (90, 10)
    assert go_back(world).action == "settle"
    assert world.weights() == (100, 0)


def test_weights_that_somebody_changed_are_overwritten(world):
    world.shifted()
    world.set_weights(20, 80)
    go_back(world)
    assert world.weights() == (100, 0)


def test_an_alarm_that_is_not_the_deployments_does_nothing(world):
    world.shifted()
    with world.untouched():
        found = go_back(world, trigger={"name": world.alarm_of("blue")})
    assert found.action == "none"
    assert world.calls == [("dynamodb", "update_item")]


def test_without_a_deployment_an_alarm_does_nothing(world):
    with world.untouched():
        assert go_back(world).action == "none"


def test_an_execution_that_was_refused_has_nothing_to_go_back_from(world):
    with world.untouched():
        assert go_back(world, "execution").action == "none"


def test_the_end_of_an_older_execution_does_not_touch_the_next_deployment(world):
    world.planned()
    world.change(phase=Phase.ROLLED_BACK)
    world.shifted(deployment_id="d-2")
    with world.untouched():
        assert go_back(world, "execution").action == "none"


def test_a_trigger_about_nothing_is_for_a_person(world):
    event = world.back("person", service=None, deployment_id=None)
    with pytest.raises(Held, match="neither a service nor a deployment"):
        take_traffic_back(event, world.runtime)


def test_of_two_alarms_one_goes_back_and_the_other_finds_it_at_work(world):
    world.shifted()
    go_back(world, execution="first")
    with world.untouched():
        assert go_back(world, execution="second").action == "none"
    assert world.record.rollback_execution == "first"


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", None])
def test_a_rollback_whose_execution_died_is_taken_over(world, status):
    world.shifted()
    go_back(world, execution="first")
    world.set_weights(90, 10)
    world.machines.statuses["first"] = status
    if status is None:
        del world.machines.statuses["first"]
        world.clock.advance(seconds=60)
    found = go_back(world, "reconciler", execution="second")
    assert (found.action, found.epoch) == ("settle", 3)
    assert world.weights() == (100, 0)
    assert found.trigger.kind == "alarm", "the first trigger is the reason"


def test_an_owner_that_is_asked_again_goes_on(world):
    world.shifted()
    world.fail("elbv2", "modify_rule", "ServiceUnavailable")
    with pytest.raises(ClientError):
        go_back(world)
    found = go_back(world)
    assert (found.action, found.epoch) == ("settle", 2)
    assert world.weights() == (100, 0)


def test_an_election_whose_answer_was_lost_is_not_lost(world):
    world.shifted()
    world.fail("dynamodb", "update_item", timeout(), after=True)
    found = go_back(world)
    assert world.weights() == (100, 0)
    assert found.fenced is False
    assert go_back(world).fenced is True


def test_both_slots_sick_holds_and_writes_nothing(world):
    world.shifted()
    world.serve("blue", 0, sick=2)
    found = go_back(world)
    assert found.action == "held"
    assert world.weights() == (90, 10)


def test_a_slot_that_was_let_go_must_grow_before_it_gets_anything(world):
    world.promoted()
    world.change(phase=Phase.RETIRED)
    world.serve("blue", 0)
    found = go_back(world)
    assert found.action == "raise"
    assert world.weights() == (0, 100)


def test_a_slot_that_has_shrunk_gets_its_share_and_the_rest_later(world):
    world.promoted()
    world.serve("blue", 1)
    found = go_back(world)
    assert (found.action, found.capacity) == ("raise", 2)
    assert world.weights() == (50, 50)


@pytest.mark.parametrize("step", [0, 1])
def test_going_back_never_gives_the_bad_slot_more_than_it_had(world, step):
    world.shifted(step=step)
    before = world.weights()
    world.change(full_capacity=8)
    world.serve("blue", 1)
    assert go_back(world).action == "raise"
    assert world.weights() == before
    assert world.weights()[0] > 100 // 8


def test_a_shrunk_slot_gets_all_when_the_bad_one_serves_nothing(world):
    world.promoted()
    world.serve("blue", 1)
    world.serve("green", 0, sick=2)
    assert go_back(world).action == "raise"
    assert world.weights() == (100, 0)


DOWN = ["ThrottlingException", "InternalServerError", timeout()]


@pytest.mark.parametrize("problem", DOWN)
def test_a_table_that_does_not_answer_does_not_keep_an_alarm_from_going_back(world, problem):
    world.shifted()
    world.fail("dynamodb", "*", problem, times=99)
    found = go_back(world)
    assert world.weights() == (100, 0)
    assert (found.action, found.fenced, found.capacity) == ("settle", False, 2)
    assert found.request is not None
    world.heal()
    assert world.record.phase is Phase.SHIFTING


def test_a_table_that_does_not_answer_does_not_keep_the_catch_from_going_back(world):
    state = world.shifted()
    assert state.recipe is not None, "the state carries the way back"
    world.fail("dynamodb", "*", times=99)
    found = go_back(world, "failure", recipe=state.recipe)
    assert (found.action, found.fenced) == ("settle", False)
    assert world.weights() == (100, 0)


def test_without_the_table_capacity_counts_too(world):
    world.promoted()
    world.serve("blue", 1)
    world.fail("dynamodb", "*", times=99)
    assert go_back(world).action == "raise"
    assert world.weights() == (50, 50)


def test_without_the_table_the_good_slots_own_alarm_moves_nothing(world):
    world.shifted()
    world.fail("dynamodb", "*", times=99)
    name = world.groups["blue"].rsplit(":", 1)[-1]
    metric = {"metric": {"dimensions": {"TargetGroup": name}}}
    found = go_back(world, configuration={"metrics": [{"metricStat": metric}]})
    assert found.action == "none"
    assert world.weights() == (90, 10)


def test_without_table_and_tags_an_alarm_waits_for_the_table(world):
    """Most alarms ring while nothing is deployed: nobody is paged for one slow answer."""
    world.fail("dynamodb", "update_item", timeout())
    with world.untouched(), pytest.raises(ReadTimeoutError):
        go_back(world)
    assert go_back(world).action == "none"


@pytest.mark.parametrize("kind", ["person", "reconciler", "failure"])
def test_a_trigger_that_knows_no_rule_waits_for_the_table(world, kind):
    world.shifted()
    world.fail("dynamodb", "update_item", timeout())
    with pytest.raises(ReadTimeoutError):
        go_back(world, kind)
    assert world.weights() == (90, 10)
    assert go_back(world, kind).action == "settle"
    assert world.weights() == (100, 0)


def test_tags_of_another_workload_are_not_believed(world):
    world.shifted()
    client("elbv2").add_tags(
        ResourceArns=[world.rule_arn],
        Tags=[{"Key": "greenlane:good-target-group", "Value": "arn:of:somebody:else"}],
    )
    world.fail("dynamodb", "update_item", timeout())
    with pytest.raises(ReadTimeoutError):
        go_back(world)
    assert world.weights() == (90, 10)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("after", [False, True])
def test_a_balancer_that_fails_is_asked_again_until_the_traffic_is_back(world, times, after):
    world.shifted()
    world.fail("elbv2", "modify_rule", "ThrottlingException", times=times, after=after)
    for _ in range(times):
        with pytest.raises(ClientError):
            go_back(world)
    assert go_back(world).action == "settle"
    assert world.weights() == (100, 0)


@pytest.mark.parametrize("problem", ["AccessDenied", "ThrottlingException", timeout()])
def test_a_good_slot_whose_health_cannot_be_read_gets_the_traffic_at_once(world, problem):
    world.shifted()
    world.fail("elbv2", "describe_target_health", problem, times=9)
    assert go_back(world).action == "settle"
    assert world.weights() == (100, 0)


def test_a_slot_that_was_let_go_is_asked_again_for_its_health(world):
    world.promoted()
    world.change(phase=Phase.RETIRED)
    world.fail("elbv2", "describe_target_health")
    with pytest.raises(ClientError):
        go_back(world)
    assert world.weights() == (0, 100)


def test_a_history_that_cannot_be_written_does_not_matter(world):
    world.shifted()
    world.fail("dynamodb", "put_item", times=9)
    assert go_back(world).action == "settle"
    assert world.weights() == (100, 0)


def test_an_alarm_of_the_extended_watch_goes_back_from_the_floor(world):
    world.promoted()
    world.change(phase=Phase.WATCHING)
    world.clock.advance(hours=3)
    world.serve("blue", 1)
    assert go_back(world).action == "raise"
    world.machines.statuses.clear()
    assert world.record.previous_phase is Phase.WATCHING
    assert world.record.watch_until - NOW == timedelta(hours=24)
    assert world.record.service == SERVICE


def registering(world, slot, count):
    world.serve(slot, count)
    world.targets[slot] = dict.fromkeys(world.targets[slot], "initial")


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.RETIRED])
def test_targets_that_just_start_are_waited_for_and_are_not_sick(world, phase):
    world.promoted()
    world.change(phase=phase)
    registering(world, "blue", 2)
    assert go_back(world).action == "raise"
    assert world.weights() == (0, 100)


def test_a_rollback_that_is_taken_over_while_the_old_slot_starts_goes_on(world):
    world.promoted()
    world.change(phase=Phase.RETIRED)
    world.serve("blue", 0)
    assert go_back(world).action == "raise"
    registering(world, "blue", 2)
    world.machines.statuses[BACK] = "ABORTED"
    assert go_back(world, "person", execution="second").action == "raise"


def test_a_warm_task_that_is_sick_is_replaced_and_not_given_up_on(world):
    world.promoted()
    world.change(phase=Phase.WATCHING)
    world.serve("blue", 0, sick=1)
    assert go_back(world).action == "raise"


def test_a_full_slot_without_a_healthy_target_is_held_and_the_reason_says_so(world):
    world.shifted()
    world.serve("blue", 0, sick=2)
    found = go_back(world)
    assert found.action == "held"
    assert found.reason == "the good slot blue has targets, and none is healthy"
    assert world.weights() == (90, 10)
