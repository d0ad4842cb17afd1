from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.model import Signal
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.deployments.stepping.examine import examine
from greenlane.deployments.stepping.judging import Tick, judge_step, judge_tick
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import (
    Aborted,
    DeadlineExceeded,
    FenceLost,
    JudgedBad,
    NoEvidence,
    WeightsDrifted,
)
from tests.builders import NOW, SERVICE, service_config
from tests.fakes import timeout

HOOK = "arn:aws:lambda:eu-west-1:123456789012:function:greenlane-hook-smoke"


def baked(world, step=0, *, requests=100, errors=0, p95=0.1, **asked):
    """A step whose five minutes are over, with what the balancer measured in them."""
    state = world.shifted(step=step, **asked)
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    world.clock.advance(minutes=5, seconds=15)
    if requests:
        world.traffic("green", requests=requests, errors=errors, p95=p95, minutes=4)
    return state


def look(world):
    return examine(world.runtime, world.plan(), world.record)


def check(verdict, name):
    (found,) = [check for check in verdict.checks if check.name == name]
    return found


def test_good_numbers_shift_to_the_next_step(world):
    state = baked(world)
    found = judge_step(state, world.runtime)
    assert (found.next, found.step) == ("shift", 1)
    assert world.record.bake_token is None
    history = {event.kind: event.detail for event in world.store.history("d-1")}
    assert history["judged"]["verdict"] == "pass"
    assert history["judged"]["requests"] == 400
    assert history["decided"]["next"] == "shift"


def test_bad_numbers_fail_and_the_history_keeps_them(world):
    state = baked(world, errors=8)
    with pytest.raises(JudgedBad, match="32 of 400 requests failed"):
        judge_step(state, world.runtime)
    judged = next(e for e in world.store.history("d-1") if e.kind == "judged")
    assert judged.detail["verdict"] == "fail"


def test_slow_answers_fail(world):
    with pytest.raises(JudgedBad, match="response_time_p95"):
        judge_step(baked(world, p95=3.0), world.runtime)


def test_no_traffic_holds_and_then_goes_back(world):
    state = baked(world, requests=0)
    found = judge_step(state, world.runtime)
    assert (found.next, found.step, found.bake_seconds) == ("bake", 0, 1800)
    world.clock.advance(minutes=30)
    with pytest.raises(NoEvidence):
        judge_step(found, world.runtime)


def test_only_whole_minutes_after_propagation_count(world):
    world.shifted()
    world.clock.advance(seconds=69)
    assert check(look(world), "metrics").reason == "no whole minute yet"
    world.clock.advance(seconds=31)
    world.watch.points["requests_green"] = {NOW: 999.0, NOW + timedelta(minutes=1): 999.0}
    assert look(world).requests == 0, "the minute of the shift is not the candidate's"
    world.clock.advance(seconds=40)
    assert look(world).requests == 999


def test_earlier_steps_count_towards_a_failure_but_no_step_passes_on_them(world):
    state = baked(world)
    assert look(world).verdict == "pass"
    shift_traffic(state.model_copy(update={"step": 1}), world.runtime)
    assert check(look(world), "metrics").reason == "no whole minute yet"
    world.clock.advance(minutes=2, seconds=15)
    assert check(look(world), "error_rate").verdict == "hold"
    world.traffic("green", requests=200, minutes=1)
    assert look(world).verdict == "pass"
    assert look(world).requests == 200


def test_what_is_proven_bad_stays_bad_in_the_next_step(world):
    state = baked(world, errors=50)
    world.serve("green", 2)
    shift_traffic(state.model_copy(update={"step": 1}), world.runtime)
    world.clock.advance(minutes=3, seconds=15)
    world.traffic("green", requests=20, minutes=1)
    assert check(look(world), "error_rate").verdict == "fail"


@pytest.mark.parametrize(
    ("service", "operation", "name"),
    [
        ("cloudwatch", "get_metric_data", "error_rate"),
        ("cloudwatch", "describe_alarms", "alarms"),
        ("elbv2", "describe_rules", "weights and targets"),
        ("elbv2", "describe_target_health", "weights and targets"),
    ],
)
@pytest.mark.parametrize("problem", ["ThrottlingException", timeout()])
def test_what_could_not_be_read_is_a_hold(world, service, operation, name, problem):
    state = baked(world)
    world.fail(service, operation, problem)
    found = judge_step(state, world.runtime)
    assert (found.next, found.step) == ("bake", 0)
    judged = next(e for e in world.store.history("d-1") if e.kind == "judged")
    assert judged.detail["verdict"] == "hold"
    assert [c["verdict"] for c in judged.detail["checks"] if c["name"] == name] == ["hold"]


def test_a_red_candidate_fails_and_a_red_live_slot_holds(world):
    baked(world)
    world.alarm(world.alarm_of("blue"), "ALARM")
    assert look(world).verdict == "hold"
    world.alarm(world.alarm_of("green"), "ALARM")
    assert look(world).verdict == "fail"


def test_a_missing_alarm_holds(world):
    baked(world)
    del world.watch.states[world.alarm_of("green")]
    assert look(world).verdict == "hold"


def test_a_cure_is_not_held_up_by_the_illness_it_was_sent_against(world):
    world.alarm(world.alarm_of("blue"), "ALARM")
    state = baked(world, despite_alarms="v1 fails every third request")
    assert look(world).verdict == "pass"
    assert judge_step(state, world.runtime).next == "shift"


def test_a_cure_that_is_ill_itself_still_fails(world):
    world.alarm(world.alarm_of("blue"), "ALARM")
    baked(world, despite_alarms="v1 fails every third request")
    world.alarm(world.alarm_of("green"), "ALARM")
    assert look(world).verdict == "fail"


def test_too_few_healthy_targets_hold_and_none_fail(world):
    baked(world, step=2)
    world.serve("green", 1, sick=1)
    assert check(look(world), "healthy_targets").verdict == "hold"
    world.serve("green", 0, sick=2)
    assert check(look(world), "healthy_targets").verdict == "fail"


@pytest.mark.parametrize("weights", [(100, 0), (80, 20), (2, 1)])
def test_weights_that_nobody_here_wrote_go_back(world, weights):
    state = baked(world)
    world.set_weights(*weights)
    with pytest.raises(WeightsDrifted):
        judge_step(state, world.runtime)


@pytest.mark.parametrize(
    ("answer", "expected"), [("pass", "shift"), ("hold", "bake"), ("fail", None)]
)
def test_a_hook_joins_the_verdict(world, answer, expected):
    world.configure(hooks={"step": [HOOK]})
    state = baked(world)
    world.hooks.answer = {"verdict": answer, "reason": "the hook says so"}
    if expected is None:
        with pytest.raises(JudgedBad, match="the hook says so"):
            judge_step(state, world.runtime)
    else:
        assert judge_step(state, world.runtime).next == expected
    assert [called["phase"] for called in world.hooks.called] == ["step"]
    assert world.hooks.called[0]["weight"] == 10


def test_an_abort_and_the_deadline_are_heard_before_the_evidence(world):
    state = baked(world)
    world.change(signal=Signal(name="abort", step=0, by="ada", at=NOW))
    with pytest.raises(Aborted):
        judge_step(state, world.runtime)
    world.change(signal=None)
    world.clock.advance(hours=6)
    with pytest.raises(DeadlineExceeded):
        judge_step(state, world.runtime)


def test_an_abort_that_comes_while_judging_is_heard(world):
    state = baked(world)
    abort = Signal(name="abort", step=0, by="ada", at=NOW)
    world.just_before("dynamodb", "update_item", lambda: world.change(signal=abort))
    with pytest.raises(Aborted):
        judge_step(state, world.runtime)


def test_a_signal_for_an_earlier_step_is_dropped(world):
    state = baked(world, step=1)
    world.change(signal=Signal(name="promote", step=0, by="ada", at=NOW))
    found = judge_step(state, world.runtime)
    assert (found.next, found.step) == ("shift", 2)
    assert world.record.signal is None


def test_a_pause_that_crossed_the_shift_holds_the_next_step(world):
    state = baked(world, step=1)
    world.change(signal=Signal(name="pause", step=0, by="ada", at=NOW))
    assert judge_step(state, world.runtime).next == "bake"
    assert world.record.paused


def test_a_rollback_that_began_is_not_judged_over(world):
    state = baked(world)
    world.change(epoch=2, phase=Phase.ROLLING_BACK)
    with world.untouched(), pytest.raises(FenceLost):
        judge_step(state, world.runtime)


def test_the_watch_judges_the_new_live_slot_and_then_finishes(world):
    state = world.promoted()
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    world.clock.advance(minutes=10)
    world.traffic("green", requests=100, minutes=9)
    again = judge_step(state, world.runtime)
    assert (again.next, again.bake_seconds) == ("bake", 20 * 60)
    world.clock.advance(minutes=20)
    assert judge_step(again, world.runtime).next == "finish"


def test_the_watch_goes_back_on_bad_numbers(world):
    state = world.promoted()
    world.clock.advance(minutes=10)
    world.traffic("green", requests=100, errors=30, minutes=9)
    with pytest.raises(JudgedBad):
        judge_step(state, world.runtime)


def tick(world):
    judge_tick(Tick(), world.runtime)


def test_a_look_leaves_a_good_bake_alone(world):
    baked(world)
    tick(world)
    assert world.machines.answers == []
    assert world.store.last_look("d-1").verdict.verdict == "pass"


def test_a_look_ends_a_bake_whose_numbers_are_surely_bad(world):
    baked(world, errors=8)
    tick(world)
    assert world.machines.answers == [("token-1", "failure", "JudgedBad")]


def test_what_is_bad_but_not_proven_holds_at_a_look_and_at_the_end_alike(world):
    state = baked(world, requests=25)
    world.watch.points["bad5_green"] = {max(world.watch.points["requests_green"]): 2.0}
    tick(world)
    assert world.machines.answers == []
    assert judge_step(state, world.runtime).next == "bake"
    assert "not" in check(look(world), "error_rate").reason


@pytest.mark.parametrize("early", [False, True])
def test_evidence_ends_a_step_early_only_where_that_is_declared(world, early):
    steps = {"strategy": "canary", "steps": [10, 100], "early_advance": early}
    world.configure(deployment=steps)
    state = world.shifted()
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    world.clock.advance(minutes=2, seconds=45)
    tick(world)
    assert world.machines.answers == [], "there is no evidence yet"
    world.traffic("green", requests=400, minutes=1)
    tick(world)
    assert [kind for _, kind, _ in world.machines.answers] == ["success"] * early
    assert judge_step(state, world.runtime).next == ("shift" if early else "bake")


def test_a_pause_is_not_ended_early(world):
    steps = {"strategy": "canary", "steps": [10, 100], "early_advance": True}
    world.configure(deployment=steps)
    baked(world)
    world.change(paused=True, bake_until=world.clock.now() + timedelta(hours=1))
    tick(world)
    assert world.machines.answers == []


def test_a_look_ends_a_hold_when_the_evidence_has_come_in(world):
    state = judge_step(baked(world, requests=0), world.runtime)
    start_bake(BakeEvent(token="token-2", deployment=state), world.runtime)
    tick(world)
    assert world.machines.answers == []
    world.clock.advance(minutes=3)
    world.traffic("green", requests=100, minutes=2)
    tick(world)
    assert world.machines.answers == [("token-2", "success", "the evidence is in")]
    assert judge_step(state, world.runtime).next == "shift"


def test_a_look_does_not_end_a_pause(world):
    baked(world)
    world.change(paused=True, hold_until=NOW)
    tick(world)
    assert world.machines.answers == []


def test_a_look_sees_weights_that_somebody_changed(world):
    baked(world)
    world.set_weights(20, 80)
    tick(world)
    assert world.machines.answers == [("token-1", "failure", "WeightsDrifted")]


def test_a_look_without_a_bake_does_nothing(world):
    world.shifted()
    world.calls.clear()
    tick(world)
    assert {service for service, _ in world.calls} == {"dynamodb"}


def test_one_services_trouble_does_not_keep_the_others_from_being_looked_at(world):
    baked(world, errors=8)
    world.store.put_config(
        service_config(name="another"), source="a", by="ada", at=NOW, workload_declared=True
    )
    world.store.acquire(
        world.record.model_copy(update={"service": "another", "deployment_id": "without-a-plan"})
    )
    tick(world)
    assert world.machines.answers == [("token-1", "failure", "JudgedBad")]


def test_an_answer_that_cannot_be_sent_does_not_stop_the_look_either(world):
    baked(world, errors=8)
    world.fail("stepfunctions", "send_task_failure")
    tick(world)
    tick(world)
    assert world.machines.answers == [("token-1", "failure", "JudgedBad")]
    assert SERVICE in world.store.services()


def test_a_judgement_that_cannot_be_written_down_is_an_error(world):
    state = baked(world)
    world.fail("dynamodb", "put_item")
    with pytest.raises(ClientError):
        judge_step(state, world.runtime)
    assert judge_step(state, world.runtime).next == "shift"


@pytest.mark.parametrize("name", ["promote", "promote_all", "pause"])
def test_what_a_person_said_outlives_a_judgement_that_dies_after_it_was_taken(world, name):
    state = baked(world, requests=0)
    world.change(signal=Signal(name=name, step=0, by="ada", at=NOW))
    world.fail("dynamodb", "put_item", skip=1)
    with pytest.raises(ClientError):
        judge_step(state, world.runtime)
    assert world.record.signal is None, "it was taken"
    found = judge_step(state, world.runtime)
    assert (found.next, world.record.paused) == (
        ("bake", True) if name == "pause" else ("shift", False)
    )
    (decided,) = [e for e in world.store.history("d-1") if e.kind == "decided"]
    assert decided.detail["why"].startswith("a person said")


def test_the_history_names_the_file_behind_each_check(world):
    asked = {"performance": {"error_rate": 0.02}}
    world.configure(success_criteria=asked, rollback_triggers=["user_complaints > 10"])
    judge_step(baked(world), world.runtime)
    judged = next(e for e in world.store.history("d-1") if e.kind == "judged")
    sources = {check["name"]: check["source"] for check in judged.detail["checks"]}
    assert sources["error_rate against live"] == "default"
    assert "rollback trigger user_complaints > 10" in sources
