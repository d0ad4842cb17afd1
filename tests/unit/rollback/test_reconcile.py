from datetime import timedelta

import pytest

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.deployments.stepping.finishing import finish_deployment
from greenlane.deployments.stepping.judging import Tick
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import NotReconciled, NotStable
from greenlane.rollback.model import RollbackRequest
from greenlane.rollback.reconcile import reconcile, reconcile_all
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import NOW, SERVICE, service_config
from tests.fakes import BACK, FORWARD, error, timeout
from tests.unit.rollback.test_closing import emptied


def tick(world, **later):
    world.clock.advance(**later)
    reconcile(Tick(), world.runtime)


def started(world):
    """The machines that were started, with what they were given."""
    found = [(each["machine"], each["input"]) for each in world.machines.started]
    world.machines.started.clear()
    return found


def dies(world, execution=FORWARD, status="FAILED"):
    world.machines.statuses[execution] = status


@pytest.mark.parametrize("prepare", ["planned", "prepared", "shifted", "promoted"])
def test_a_deployment_that_lives_is_left_alone(world, prepare):
    getattr(world, prepare)()
    before = world.record
    for _ in range(3):
        tick(world, minutes=1)
    assert started(world) == []
    assert world.record == before


@pytest.mark.parametrize("prepare", ["planned", "prepared", "shifted"])
@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"])
def test_a_deployment_that_died_goes_back_after_two_looks_a_minute_apart(world, prepare, status):
    getattr(world, prepare)()
    dies(world, status=status)
    tick(world)
    tick(world, seconds=59)
    assert started(world) == [], "never on the first look"
    tick(world, seconds=1)
    ((machine, given),) = started(world)
    assert machine == "greenlane-rollback"
    request = RollbackRequest.model_validate(given)
    assert (request.service, request.deployment_id) == (SERVICE, "d-1")
    assert (request.trigger.kind, request.trigger.name) == ("reconciler", "died")
    assert world.record.phase in (Phase.PLANNING, Phase.PREPARING, Phase.SHIFTING)


def test_what_was_started_does_go_back(world):
    world.shifted()
    dies(world)
    tick(world)
    tick(world, minutes=1)
    ((_, given),) = started(world)
    event = world.back().model_copy(update={"request": RollbackRequest.model_validate(given)})
    assert take_traffic_back(event, world.runtime).action == "settle"
    assert world.weights() == (100, 0)


def test_an_execution_that_was_only_slow_to_show_is_not_dead(world):
    world.shifted()
    del world.machines.statuses[FORWARD]
    tick(world)
    world.machines.statuses[FORWARD] = "RUNNING"
    tick(world, minutes=1)
    assert world.record.observed_dead_at is None
    del world.machines.statuses[FORWARD]
    tick(world, minutes=1)
    assert started(world) == []


def test_a_deployment_that_died_after_promotion_is_completed(world):
    world.promoted()
    dies(world)
    tick(world)
    tick(world, minutes=1)
    ((machine, given),) = started(world)
    assert machine == "greenlane-deployment"
    assert (given["next"], given["step"], given["epoch"]) == ("bake", 3, 2)
    record = world.record
    assert (record.phase, record.epoch) == (Phase.PROMOTED, 2)
    assert world.machines.statuses[record.execution] == "RUNNING"
    tick(world, minutes=1)
    tick(world, minutes=1)
    assert started(world) == [], "the one that completes it lives"


def test_the_rest_of_the_watch_is_what_is_left_of_it(world):
    state = world.promoted()
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    dies(world)
    tick(world, minutes=10)
    tick(world, minutes=1)
    ((_, given),) = started(world)
    assert given["bake_seconds"] == 19 * 60


def test_a_completion_that_never_started_is_started_again(world):
    world.promoted()
    dies(world)
    tick(world)
    world.fail("stepfunctions", "start_execution")
    tick(world, minutes=1)
    assert started(world) == []
    tick(world, minutes=1)
    tick(world, minutes=1)
    ((machine, given),) = started(world)
    assert (machine, given["epoch"]) == ("greenlane-deployment", 3)


def test_what_dies_after_promotion_time_and_again_is_told_once(world):
    world.promoted()
    for _ in range(5):
        for execution in list(world.machines.statuses):
            world.machines.statuses[execution] = "FAILED"
        tick(world)
        tick(world, minutes=1)
    assert len(started(world)) == 5
    pages = [subject for subject in world.topic.told if subject.startswith("PAGE")]
    assert pages == ["PAGE: Greenlane cannot complete the deployment of claude-manager"]


def test_a_rollback_whose_execution_died_is_started_again(world):
    world.shifted()
    take_traffic_back(world.back(), world.runtime)
    tick(world, minutes=2)
    assert started(world) == []
    dies(world, BACK)
    tick(world, minutes=1)
    assert started(world) == []
    tick(world, minutes=1)
    ((machine, _),) = started(world)
    assert machine == "greenlane-rollback"


def test_looks_at_the_forward_machine_do_not_count_for_the_rollback(world):
    world.shifted()
    dies(world)
    tick(world)
    take_traffic_back(world.back(), world.runtime)
    dies(world, BACK)
    tick(world, minutes=1)
    assert started(world) == [], "this was the first look at the rollback's own execution"


def test_before_traffic_a_red_alarm_is_the_first_shifts_to_see(world):
    state = world.stable()
    world.alarm(world.alarm_of("green"), "ALARM")
    tick(world, minutes=2)
    assert started(world) == []
    with pytest.raises(NotStable, match=world.alarm_of("green")):
        shift_traffic(state, world.runtime)


@pytest.mark.parametrize("prepare", ["shifted", "promoted"])
def test_an_alarm_whose_event_never_came_goes_back(world, prepare):
    getattr(world, prepare)()
    world.clock.advance(minutes=5)
    world.alarm(world.alarm_of("green"), "ALARM")
    tick(world, seconds=59)
    assert started(world) == []
    tick(world, seconds=1)
    ((machine, given),) = started(world)
    assert (machine, given["trigger"]["name"]) == ("greenlane-rollback", world.alarm_of("green"))
    assert given["deployment_id"] == "d-1"


def test_alarms_that_are_not_the_deployments_or_older_than_it_do_not_count(world):
    world.shifted()
    world.alarm(world.alarm_of("green"), "ALARM", ago=timedelta(minutes=9))
    world.clock.advance(minutes=1)
    world.alarm(world.alarm_of("blue"), "ALARM")
    tick(world, minutes=5)
    assert started(world) == []


def watching(world, **more):
    state = world.promoted()
    world.clock.advance(minutes=31)
    world.traffic("green", requests=100)
    return finish_deployment(state, world.runtime)


def test_alarms_of_the_extended_watch_count_until_its_end(world):
    watching(world)
    world.alarm(world.alarm_of("green"), "ALARM")
    tick(world, minutes=2)
    assert len(started(world)) == 1
    world.alarm(world.alarm_of("green"), "ALARM")
    tick(world, hours=24)
    assert started(world) == []


def test_when_the_watch_ends_the_old_slot_goes(world):
    watching(world)
    assert (world.record.phase, world.desired("blue")) == (Phase.WATCHING, 1)
    tick(world, hours=23)
    assert world.desired("blue") == 1
    tick(world, hours=1)
    assert (world.record.phase, world.desired("blue")) == (Phase.RETIRED, 0)
    assert world.scaling.of("blue")["MinCapacity"] == 0, "or auto scaling would start it again"
    assert world.scaling.of("green")["MinCapacity"] == 2
    assert "watch ended" in world.kinds()


def test_the_watch_ends_although_the_users_stickiness_cannot_be_given_back(world):
    watching(world)
    world.change(stickiness={"Enabled": True, "DurationSeconds": 600}, stickiness_due=NOW)
    world.fail("elbv2", "modify_rule", "AccessDenied", times=99)
    tick(world, hours=24)
    assert (world.record.phase, world.desired("blue")) == (Phase.RETIRED, 0)
    world.heal()
    tick(world, minutes=1)
    assert world.record.stickiness is None


def test_the_phase_moves_before_the_old_slot_goes(world):
    watching(world)
    seen = []
    world.just_before("ecs", "update_service", lambda: seen.append(world.record.phase))
    tick(world, hours=24)
    assert seen == [Phase.RETIRED]


def test_a_person_who_goes_back_in_that_very_second_finds_a_warm_slot(world):
    watching(world)
    world.just_before(
        "dynamodb",
        "update_item",
        lambda: take_traffic_back(world.back("person"), world.runtime),
    )
    tick(world, hours=24)
    assert (world.record.phase, world.desired("blue")) == (Phase.ROLLING_BACK, 1)


def test_a_person_who_goes_back_between_phase_and_scale_down_finds_the_slot_kept(world):
    watching(world)
    world.just_before(
        "dynamodb",
        "update_item",
        lambda: take_traffic_back(world.back("person"), world.runtime),
        skip=1,
    )
    tick(world, hours=24)
    assert world.record.previous_phase is Phase.RETIRED
    assert world.desired("blue") == 1


def test_a_finish_that_died_halfway_is_finished(world):
    state = world.promoted()
    world.clock.advance(minutes=31)
    world.fail("ecs", "update_service", "ServerException")
    with pytest.raises(Exception, match="ServerException"):
        finish_deployment(state, world.runtime)
    assert (world.record.phase, world.desired("blue")) == (Phase.WATCHING, 2)
    dies(world)
    tick(world)
    tick(world, minutes=1)
    assert world.desired("blue") == 1
    assert world.record.scaling_rests is False


@pytest.mark.parametrize("problem", ["ThrottlingException", timeout()])
def test_one_services_trouble_does_not_keep_the_others_from_it(world, problem):
    world.shifted()
    world.store.put_config(
        service_config(name="another"), source="a", by="ada", at=NOW, workload_declared=True
    )
    world.store.acquire(world.record.model_copy(update={"service": "another"}))
    dies(world)
    for _ in range(2):
        # "another" is asked first, and gets no answer.
        world.fail("dynamodb", "get_item", problem)
        tick(world, minutes=1)
    assert [given["service"] for _, given in started(world)] == [SERVICE]


def test_a_status_that_cannot_be_read_is_no_death(world):
    world.shifted()
    world.fail("stepfunctions", "describe_execution", times=5)
    for _ in range(5):
        tick(world, minutes=1)
    assert world.record.observed_dead_at is None
    assert started(world) == []


def test_services_at_rest_are_not_touched(world):
    world.shifted()
    emptied(world)
    for phase in (Phase.ROLLED_BACK, Phase.HELD, Phase.REFUSED):
        world.change(phase=phase)
        with world.untouched():
            tick(world, hours=30)
    assert started(world) == []


def test_a_service_that_cannot_be_looked_at_fails_the_function_after_all_had_their_turn(world):
    world.store.put_config(service_config(name="another"), source="a", by="ada", at=NOW)
    world.shifted()
    dies(world)
    denied = {"another": error("AccessDeniedException")}
    record = world.store.record

    def read(service):
        if service in denied:
            raise denied[service]
        return record(service)

    world.store.record = read
    for _ in range(2):
        with pytest.raises(NotReconciled, match="^another: AccessDeniedException$"):
            reconcile_all(Tick(), world.runtime)
        world.clock.advance(minutes=1)
    assert len(started(world)) == 1
    denied.clear()
    reconcile_all(Tick(), world.runtime)
