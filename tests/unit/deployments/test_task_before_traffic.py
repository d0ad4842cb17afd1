"""The task before traffic: started once, remembered, stopped when the deployment goes back."""

import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.before_traffic import run_pre_traffic, stop_task
from greenlane.deployments.stepping.preparing import check_stability
from greenlane.errors import FenceLost, NotFinished, ValidationFailed
from tests.builders import SERVICE
from tests.fakes import error

HOOK = "arn:aws:lambda:eu-west-1:123456789012:function:greenlane-hook-smoke"


def with_task(world, **more):
    world.configure(run_task={"command": ["migrate"], "timeout": "10m"}, **more)
    state = world.prepared()
    world.serve("green", 2)
    return check_stability(state, world.runtime)


def running(world):
    """A deployment whose task runs."""
    state = with_task(world)
    world.ecs.one_off = {"lastStatus": "RUNNING", "exitCode": None}
    with pytest.raises(NotFinished, match="RUNNING"):
        run_pre_traffic(state, world.runtime)
    return state


def forget_tasks(world, monkeypatch):
    """ECS knows a stopped task for about an hour."""
    missing = {"tasks": [], "failures": [{"arn": "one-off", "reason": "MISSING"}]}
    monkeypatch.setattr(world.ecs, "describe_tasks", lambda **_: missing)


def stops(world, monkeypatch, problem=None):
    stopped = []

    def stop(cluster, task, reason):
        if problem is not None:
            raise problem
        stopped.append((cluster, task, reason))

    monkeypatch.setattr(world.ecs, "stop_task", stop, raising=False)
    return stopped


def test_a_task_that_runs_is_remembered_and_not_started_again(world):
    state = running(world)
    assert (world.record.pre_task, world.record.pre_task_done) == ("one-off", False)
    with pytest.raises(NotFinished):
        run_pre_traffic(state, world.runtime)
    assert len(world.ecs.started) == 1


def test_a_start_that_could_not_be_remembered_is_repeated_with_its_token(world):
    state = with_task(world)
    world.fail("dynamodb", "update_item", skip=1)
    with pytest.raises(ClientError):
        run_pre_traffic(state, world.runtime)
    run_pre_traffic(state, world.runtime)
    assert len({started["clientToken"] for started in world.ecs.started}) == 1
    assert world.record.pre_task_done


def test_a_task_that_succeeded_is_never_asked_about_again(world, monkeypatch):
    state = with_task(world, hooks={"pre_traffic": [HOOK]})
    world.hooks.answer = {"verdict": "hold", "reason": "not yet"}
    with pytest.raises(NotFinished, match="not yet"):
        run_pre_traffic(state, world.runtime)
    forget_tasks(world, monkeypatch)
    world.hooks.answer = {"verdict": "pass"}
    run_pre_traffic(state, world.runtime)
    assert len(world.ecs.started) == 1
    assert world.kinds().count("task before traffic succeeded") == 1


def test_a_task_that_ecs_forgot_before_anybody_saw_it_succeed_is_a_failure(world, monkeypatch):
    state = running(world)
    forget_tasks(world, monkeypatch)
    with pytest.raises(ValidationFailed, match="does not know the task before traffic.*one-off"):
        run_pre_traffic(state, world.runtime)


def test_a_task_that_ecs_does_not_know_yet_is_asked_about_later(world, monkeypatch):
    """What RunTask started, DescribeTasks may know a moment later."""
    state = with_task(world)
    with monkeypatch.context() as early:
        forget_tasks(world, early)
        with pytest.raises(NotFinished, match="started"):
            run_pre_traffic(state, world.runtime)
    run_pre_traffic(state, world.runtime)
    assert world.record.pre_task_done


def test_a_task_of_a_service_with_capacity_providers_runs_on_them(world):
    strategy = [{"capacityProvider": "spot", "weight": 1, "base": 0}]
    service = world.ecs.services[f"{SERVICE}-green"]
    del service["launchType"]
    service["capacityProviderStrategy"] = strategy
    run_pre_traffic(with_task(world), world.runtime)
    (started,) = world.ecs.started
    assert started["capacityProviderStrategy"] == strategy
    assert "launchType" not in started


def test_a_task_of_a_service_with_a_launch_type_runs_on_that(world):
    world.ecs.services[f"{SERVICE}-green"]["launchType"] = "EC2"
    run_pre_traffic(with_task(world), world.runtime)
    (started,) = world.ecs.started
    assert started["launchType"] == "EC2"
    assert "capacityProviderStrategy" not in started


def test_a_deployment_that_goes_back_stops_its_task(world, monkeypatch):
    running(world)
    stopped = stops(world, monkeypatch)
    stop_task(world.runtime, world.plan(), world.change(phase=Phase.ROLLING_BACK))
    ((cluster, task, reason),) = stopped
    assert (cluster, task) == (SERVICE, "one-off")
    assert "d-1" in reason


def test_after_its_success_there_is_nothing_to_stop(world, monkeypatch):
    running(world)
    stopped = stops(world, monkeypatch)
    stop_task(world.runtime, world.plan(), world.change(pre_task_done=True))
    assert stopped == []


def test_a_task_that_could_not_be_remembered_is_found_and_stopped(world, monkeypatch):
    state = with_task(world)
    world.ecs.one_off = {"lastStatus": "RUNNING", "exitCode": None}
    world.fail("dynamodb", "update_item", skip=1)
    with pytest.raises(ClientError):
        run_pre_traffic(state, world.runtime)
    assert world.record.pre_task is None
    stopped = stops(world, monkeypatch)
    stop_task(world.runtime, world.plan(), world.record)
    assert [task for _, task, _ in stopped] == ["one-off"]


def test_tasks_of_other_deployments_run_on(world, monkeypatch):
    """And those that somebody starts by hand."""
    running(world)
    world.ecs.started[0]["startedBy"] = "d-0"
    stopped = stops(world, monkeypatch)
    stop_task(world.runtime, world.plan(), world.change(pre_task=None))
    assert stopped == []


def test_without_a_task_nobody_asks_ecs_for_one(world):
    world.prepared()
    plan, record = world.plan(), world.record
    world.calls.clear()
    stop_task(world.runtime, plan, record)
    assert world.calls == []


def test_a_task_that_is_gone_already_needs_no_stopping(world, monkeypatch):
    running(world)
    stops(world, monkeypatch, error("InvalidParameterException", "StopTask"))
    stop_task(world.runtime, world.plan(), world.record)


def test_a_task_that_could_not_be_stopped_is_an_error(world, monkeypatch):
    running(world)
    stops(world, monkeypatch, error("ThrottlingException", "StopTask"))
    with pytest.raises(ClientError):
        stop_task(world.runtime, world.plan(), world.record)


def test_a_rollback_that_began_meanwhile_is_not_written_over(world):
    state = with_task(world)
    back = {"epoch": world.record.epoch + 1, "phase": Phase.ROLLING_BACK}
    world.just_before("dynamodb", "update_item", lambda: world.change(**back), skip=1)
    with pytest.raises(FenceLost):
        run_pre_traffic(state, world.runtime)
    assert world.record.pre_task is None
