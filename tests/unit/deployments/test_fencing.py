"""What holds for every forward step at once: without the fence, nothing is written."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.deployments.stepping.before_traffic import run_pre_traffic
from greenlane.deployments.stepping.finishing import drain_slot, finish_deployment, promote
from greenlane.deployments.stepping.judging import judge_step
from greenlane.deployments.stepping.preparing import check_stability, prepare_slot
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import FenceLost
from tests.fakes import timeout


def bake(state, runtime):
    start_bake(BakeEvent(token="token", deployment=state), runtime)


STEPS = {
    prepare_slot: ("planned", {}),
    check_stability: ("prepared", {}),
    run_pre_traffic: ("stable", {}),
    shift_traffic: ("shifted", {"step": 1}),
    bake: ("shifted", {}),
    judge_step: ("shifted", {}),
    promote: ("shifted", {"step": 3}),
    drain_slot: ("promoted", {}),
    finish_deployment: ("promoted", {}),
}


@pytest.fixture(params=STEPS, ids=lambda step: step.__name__)
def step(request, world):
    """A forward step with a world in which it is due."""
    prepare, changes = STEPS[request.param]
    state = getattr(world, prepare)().model_copy(update=changes)
    world.calls.clear()
    return lambda: request.param(state, world.runtime)


LOST: list[dict[str, Any]] = [
    {"epoch": 2},
    {"deployment_id": "d-2"},
    {"phase": Phase.ROLLING_BACK},
    {"phase": Phase.ROLLED_BACK},
    {"phase": Phase.HELD},
    {"schema_version": 3},
]


def test_without_the_fence_nothing_is_written(world, step):
    before = world.record
    for change in LOST:
        world.change(**change)
        world.calls.clear()
        with world.untouched(), pytest.raises(FenceLost):
            step()
        assert world.calls == [("dynamodb", "get_item")], "nothing else is even asked"
        world.change(**{name: getattr(before, name) for name in change})
    assert world.record == before


def test_without_an_answer_about_the_fence_nothing_is_written(world, step):
    for problem in ("ThrottlingException", timeout()):
        world.fail("dynamodb", "get_item", problem)
        with world.untouched(), pytest.raises((ClientError, ReadTimeoutError)):
            step()


def test_a_record_of_the_next_schema_is_still_ours(world):
    state = world.stable()
    world.change(schema_version=2)
    shift_traffic(state, world.runtime)
    assert world.weights() == (90, 10)
