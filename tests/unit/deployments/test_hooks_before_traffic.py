"""What must succeed before the candidate gets traffic: the user's hooks, and a task of its own."""

import pytest

from greenlane.deployments.stepping.before_traffic import run_pre_traffic
from greenlane.deployments.stepping.preparing import check_stability
from greenlane.errors import NotFinished, ValidationFailed
from tests.builders import NEW_IMAGE, SERVICE

HOOK = "arn:aws:lambda:eu-west-1:123456789012:function:greenlane-hook-smoke"


def with_hook(world, **more):
    world.configure(hooks={"pre_traffic": [HOOK]}, **more)
    state = world.prepared()
    world.serve("green", 2)
    return check_stability(state, world.runtime)


def test_a_hook_is_told_what_it_is_about_and_may_pass(world):
    state = with_hook(world)
    run_pre_traffic(state, world.runtime)
    (called,) = world.hooks.called
    assert called == {
        "name": HOOK,
        "deployment_id": "d-1",
        "service": SERVICE,
        "phase": "pre_traffic",
        "step": 0,
        "weight": 0,
        "candidate": "green",
        "image": NEW_IMAGE,
    }


@pytest.mark.parametrize(
    ("answer", "crashes", "error", "match"),
    [
        ({"verdict": "fail", "reason": "no login"}, False, ValidationFailed, "no login"),
        ({"verdict": "hold", "reason": "still warm"}, False, NotFinished, "still warm"),
        ({"verdict": "maybe"}, False, ValidationFailed, "instead of"),
        (None, False, ValidationFailed, "instead of"),
        ({"errorMessage": "boom"}, True, ValidationFailed, "it failed"),
    ],
)
def test_a_hook_that_does_not_pass_stops_the_deployment(world, answer, crashes, error, match):
    state = with_hook(world)
    world.hooks.answer, world.hooks.error = answer, crashes
    with pytest.raises(error, match=match):
        run_pre_traffic(state, world.runtime)


def with_task(world, **more):
    world.configure(run_task={"command": ["migrate"], "timeout": "10m"}, **more)
    state = world.prepared()
    world.serve("green", 2)
    return check_stability(state, world.runtime)


def test_a_task_before_traffic_runs_our_revision_in_the_slots_network(world):
    run_pre_traffic(with_task(world), world.runtime)
    (started,) = world.ecs.started
    assert started["taskDefinition"] == world.record.task_definition
    assert started["networkConfiguration"] == {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    assert started["overrides"] == {
        "containerOverrides": [{"name": SERVICE, "command": ["migrate"]}]
    }


def test_a_task_that_still_runs_is_waited_for_by_the_same_token(world):
    state = with_task(world)
    world.ecs.one_off = {"lastStatus": "RUNNING", "exitCode": None}
    for _ in range(2):
        with pytest.raises(NotFinished, match="RUNNING"):
            run_pre_traffic(state, world.runtime)
    assert len({started["clientToken"] for started in world.ecs.started}) == 1
    world.clock.advance(minutes=15)
    with pytest.raises(ValidationFailed, match="ran longer"):
        run_pre_traffic(state, world.runtime)


@pytest.mark.parametrize("code", [1, 137, None])
def test_a_task_that_ends_badly_fails_the_deployment(world, code):
    state = with_task(world)
    world.ecs.one_off = {"lastStatus": "STOPPED", "exitCode": code}
    with pytest.raises(ValidationFailed, match=f"exit code {code}"):
        run_pre_traffic(state, world.runtime)
