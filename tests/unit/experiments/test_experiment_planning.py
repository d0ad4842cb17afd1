"""Plans: users by the test's own criteria, and days by its traffic, ramp and layer."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlane.errors import InvalidInput
from greenlane.experiments.planning import Baseline, measured, plan
from greenlane.experiments.statistics.planner import Design, proportions, sample_size
from tests.experiment_store import Laboratory, dealt
from tests.unit.experiments.experimenting import experiment

DAY = timedelta(days=1)


def conversion(**keys: Any) -> Any:
    return experiment(**{"minimum_sample_size": 10, **keys})


def test_it_is_the_planners_number_with_a_look_each_day() -> None:
    found = plan(conversion(), Baseline(0.1))
    needed = sample_size(proportions(0.1, 0.05), Design("group_sequential", looks=14))

    assert found.users == {"control": needed.control, "treatment": needed.control}
    assert (found.lift, found.rule, found.looks) == (0.05, "group_sequential", 14)


def test_users_come_in_the_shares_of_the_weights() -> None:
    found = plan(conversion(variants={"control": 80, "a": 15, "b": 5}), Baseline(0.1))

    assert found.users["control"] / found.users["b"] == pytest.approx(16, rel=1e-3)
    assert found.users["a"] / found.users["b"] == pytest.approx(3, rel=1e-3)
    alone = sample_size(
        proportions(0.1, 0.05), Design(looks=14, treatments=2, ratio=5 / 80)
    ).treatment
    assert found.users["b"] == pytest.approx(alone, abs=1)


def test_the_minimum_sample_size_is_asked_of_each_variant() -> None:
    found = plan(conversion(minimum_sample_size=10**6), Baseline(0.1))

    assert min(found.users.values()) == 10**6
    assert any("minimum_sample_size" in note for note in found.notes)


@pytest.mark.parametrize(
    ("keys", "days"),
    [
        ({"whole_weeks": False}, 13),
        ({}, 14),
        ({"traffic": 50, "whole_weeks": False}, 25),
        ({"layer": {"name": "nav", "start": 0, "end": 20}, "whole_weeks": False}, 61),
        ({"ramp": {"steps": [10, 100], "interval": "5d"}, "whole_weeks": False}, 17),
        ({"minimum_duration": "14d", "whole_weeks": False}, 14),
    ],
    ids=str,
)
def test_days_follow_from_traffic_ramp_layer_and_weeks(keys: dict[str, Any], days: int) -> None:
    found = plan(conversion(**keys), Baseline(0.1), per_day=10_000)

    # 120,422 users.
    assert found.duration == days * DAY
    assert found.fits is (days <= 14)


def test_a_test_without_an_end_needs_more_and_fits_always() -> None:
    ending, endless = (
        plan(conversion(maximum_duration=end), Baseline(0.1), per_day=10_000)
        for end in ("14d", None)
    )

    assert sum(endless.users.values()) > 1.4 * sum(ending.users.values())
    assert (endless.fits, endless.detectable, endless.rule) == (None, None, "confidence_sequence")


def test_what_is_found_in_time_is_found_by_a_plan_of_that_lift() -> None:
    first = plan(conversion(whole_weeks=False), Baseline(0.1), per_day=3000)
    assert first.detectable is not None

    again = plan(conversion(whole_weeks=False), Baseline(0.1), per_day=3000, lift=first.detectable)

    assert again.duration is not None
    # A lift of a rate moves its variance too, so it is the same but for some percent.
    assert again.duration / DAY == pytest.approx(14, abs=1)


@settings(deadline=None, max_examples=30)
@given(
    rate=st.floats(0.01, 0.6),
    lift=st.floats(0.02, 0.5),
    more=st.floats(1.1, 3),
)
def test_a_smaller_lift_never_needs_fewer_users(rate: float, lift: float, more: float) -> None:
    small, large = (
        sum(plan(conversion(), Baseline(rate), lift=one).users.values())
        for one in (lift / more, lift)
    )

    assert small >= large


def test_a_metric_that_is_better_low_is_planned_downward() -> None:
    down = conversion(metrics=["bounce_rate"], success_criteria={})
    up = conversion(metrics=["click_rate"], success_criteria={})

    found = [sum(plan(one, Baseline(0.2), lift=0.1).users.values()) for one in (down, up)]

    assert found[0] < found[1]  # 18 percent varies less than 22


MEAN = {"name": "basket", "kind": "mean", "direction": "higher"}


@pytest.mark.parametrize(
    ("keys", "baseline", "more", "said"),
    [
        ({"success_criteria": {}}, Baseline(0.1), {}, "lift"),
        ({}, Baseline(1.5), {}, "rate"),
        ({}, Baseline(0.1), {"per_day": 0}, "per_day"),
        ({}, Baseline(0.1), {"per_day": 1}, "ten years"),
        ({}, Baseline(0.1), {"power": 1.0}, "power"),
        ({}, Baseline(0.1), {"lift": float("nan")}, "lift"),
        ({"variants": {"control": 100, "treatment": 0}}, Baseline(0.1), {}, "variants"),
        ({"metrics": [MEAN], "success_criteria": {}}, Baseline(5.0), {"lift": 0.1}, "deviation"),
        (
            {
                "metrics": [{**MEAN, "kind": "quantile", "quantile": 0.9}],
                "success_criteria": {},
            },
            Baseline(5.0, 1.0),
            {"lift": 0.1},
            "quantile",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_planned_is_refused_by_name(
    keys: dict[str, Any], baseline: Baseline, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        plan(conversion(**keys), baseline, **more)


def test_the_baseline_of_a_running_test_is_its_controls() -> None:
    laboratory = Laboratory()
    spend = {**MEAN, "covariate": "before"}
    test = laboratory.begin(metrics=["conversion_rate", spend])
    values = [0, 10, 20, 30]
    for number, unit in enumerate(dealt(test, "control", 40)):
        value = values[number % 4]
        laboratory.expose(unit, context={"before": value})
        laboratory.record(unit, value, metric="basket")
        if number < 10:
            laboratory.record(unit)
    snapshot = laboratory.snapshot()

    rate = measured(test.definition, snapshot)
    basket = measured(test.definition.model_copy(update={"primary": "basket"}), snapshot)

    assert rate == Baseline(0.25)
    assert (basket.mean, basket.deviation) == (15.0, pytest.approx(11.32, abs=0.01))
    assert basket.correlation == pytest.approx(0.999)


def test_a_baseline_is_not_made_up() -> None:
    laboratory = Laboratory()
    test = laboratory.begin()

    with pytest.raises(InvalidInput, match="too little was counted"):
        measured(test.definition, laboratory.snapshot())
