from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.declaring.config import DeploymentConfig
from greenlane.deployments.plan import carries, linear_weights, plan_steps, share_of
from tests.builders import request

STRATEGIES = ["blue_green", "canary", "linear", "all_at_once"]


def planned(config=None, **asked):
    found = plan_steps(DeploymentConfig.model_validate(config or {}), request(**asked))
    return [(step.kind, step.weight, step.bake_seconds) for step in found]


def test_blue_green_shifts_by_quarters_and_bakes_ten_minutes_at_the_end():
    assert planned({"strategy": "blue_green"}) == [
        *(("step", weight, 120) for weight in (10, 25, 50, 75, 100)),
        ("final", 100, 600),
        ("watch", 100, 1800),
    ]


def test_a_canary_has_six_steps_of_five_minutes():
    assert planned({"strategy": "canary"}) == [
        *(("step", weight, 300) for weight in (1, 5, 10, 25, 50, 100)),
        ("watch", 100, 1800),
    ]


def test_linear_steps_are_equal_but_for_the_last():
    assert linear_weights(30) == (30, 60, 90, 100)
    assert linear_weights(50) == (50, 100)
    assert linear_weights(100) == (100,)
    assert planned({"strategy": "linear", "linear_step": 30}) == [
        *(("step", weight, 180) for weight in (30, 60, 90, 100)),
        ("final", 100, 600),
        ("watch", 100, 1800),
    ]


def test_all_at_once_is_one_step():
    assert planned({"strategy": "all_at_once"}) == [("step", 100, 600), ("watch", 100, 1800)]


def test_a_request_goes_before_the_configuration():
    config = {"strategy": "canary", "steps": [10, 100], "bake": "1m"}
    found = planned(config, steps=[{"weight": 20, "bake": "7m"}, 100], bake="2m")
    assert found == [("step", 20, 420), ("step", 100, 120), ("watch", 100, 1800)]


def test_a_steps_own_bake_goes_before_all_others_even_at_zero():
    config = {"strategy": "canary", "steps": [{"weight": 10, "bake": "0s"}, 100], "bake": "1m"}
    assert planned(config)[0] == ("step", 10, 0)


def test_spelt_out_steps_belong_to_their_own_strategy():
    config = {"strategy": "canary", "steps": [10, 100]}
    assert planned(config, strategy="all_at_once")[0] == ("step", 100, 600)
    assert planned(config, strategy="canary")[0] == ("step", 10, 300)


def test_a_final_bake_can_be_added_and_left_out():
    assert ("final", 100, 60) in planned({"strategy": "canary", "final_bake": "1m"})
    kinds = [kind for kind, _, _ in planned({"strategy": "blue_green", "final_bake": "0s"})]
    assert "final" not in kinds


def test_an_approval_stays_with_its_step():
    config = DeploymentConfig.model_validate({"steps": [{"weight": 10, "approval": True}, 100]})
    assert [step.approval for step in plan_steps(config, request())][:2] == [True, False]


@given(
    strategy=st.sampled_from(STRATEGIES),
    linear_step=st.integers(1, 100),
    bake=st.none() | st.integers(0, 7200).map(lambda s: timedelta(seconds=s)),
    final=st.none() | st.integers(0, 7200).map(lambda s: timedelta(seconds=s)),
)
def test_every_plan_rises_to_100_and_ends_with_the_one_watch(strategy, linear_step, bake, final):
    config = DeploymentConfig(
        strategy=strategy, linear_step=linear_step, bake=bake, final_bake=final
    )
    found = plan_steps(config, request())
    weights = [step.weight for step in found if step.kind == "step"]
    assert weights == sorted(set(weights))
    assert weights[0] > 0
    assert weights[-1] == 100
    assert [step.kind for step in found].count("watch") == 1
    assert found[-1].kind == "watch"
    assert all(step.weight == 100 for step in found if step.kind != "step")
    assert all(step.bake_seconds >= 0 for step in found)


@pytest.mark.parametrize(
    ("capacity", "weight", "needed"),
    [(2, 0, 0), (2, 1, 1), (2, 50, 1), (2, 51, 2), (2, 100, 2), (10, 25, 3), (3, 34, 2), (1, 1, 1)],
)
def test_a_share_is_rounded_up_to_whole_tasks(capacity, weight, needed):
    assert share_of(capacity, weight) == needed
    assert carries(needed, capacity=capacity, weight=weight)
    assert needed == 0 or not carries(needed - 1, capacity=capacity, weight=weight)


@given(capacity=st.integers(1, 500), weight=st.integers(0, 100))
def test_a_share_carries_its_weight_with_no_task_to_spare(capacity, weight):
    tasks = share_of(capacity, weight)
    assert tasks * 100 >= capacity * weight > (tasks - 1) * 100
    assert 0 <= tasks <= capacity
