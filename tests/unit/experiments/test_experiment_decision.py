import json
import random
from typing import Any

import pytest

from greenlane.errors import InvalidInput, Refused
from greenlane.experiments.decision import decide, replay
from greenlane.experiments.model import Experiment
from greenlane.experiments.records import Look, Snapshot
from greenlane.experiments.statistics.special import two_sided
from tests.unit.experiments.experimenting import arm, experiment, snapshot, succeeded


def users(count: int, **others: int) -> dict[str, int]:
    return {"control": count, "treatment": others.pop("treatment", count), **others}


def after(
    days: float,
    control: int,
    treatment: int,
    count: int = 10_000,
    sums: dict[str, Any] | None = None,
    **more: Any,
) -> Snapshot:
    both = {"control": control, "treatment": treatment}
    return snapshot(days, users(count), {"conversion_rate": both, **(sums or {})}, **more)


def run(test: Experiment, *snapshots: Snapshot) -> Look:
    looks: list[Look] = []
    for one in snapshots:
        looks.append(decide(test, one, looks))
    assert replay(test, looks) is None
    return looks[-1]


def test_a_shown_win_after_a_whole_week_ships_with_its_numbers() -> None:
    look = run(experiment(), after(7, 1000, 1200))

    assert (look.verdict, look.reason.treatment, look.reason.look) == ("ship", "treatment", 1)
    assert look.reason.number == pytest.approx(0.2)
    assert look.reason.bound == 0.05
    effect = look.effects["conversion_rate"]["treatment"]
    assert effect.level == pytest.approx(two_sided(look.bounds["treatment"].bound))
    assert look.bounds["treatment"].tau == 0.5
    assert look.honest is not None
    assert look.honest.difference == pytest.approx(0.02, rel=1e-6)
    assert look.clears_minimum == ((effect.lift_interval or (0, 0))[0] >= 0.05)  # type: ignore[operator]


def test_a_win_waits_for_the_whole_week_and_is_remembered() -> None:
    early, late = after(5, 1000, 1250), after(7, 1500, 1620, 15_000)
    assert run(experiment(), early).verdict == "hold"
    look = run(experiment(), early, late)

    # On its own, the second look would not be a win.
    assert not look.effects["conversion_rate"]["treatment"].significant
    assert (look.verdict, look.reason.look) == ("ship", 1)
    assert look.honest is not None
    assert look.honest.look == 1


def test_a_win_waits_for_the_minimum_duration() -> None:
    look = run(experiment(minimum_duration="8d"), after(7, 1000, 1250))

    assert (look.verdict, look.reason.number, look.reason.bound) == ("hold", 7.0, 8.0)
    assert run(experiment(whole_weeks=False), after(3, 1000, 1300)).verdict == "ship"


def test_before_the_minimum_sample_nothing_is_spent() -> None:
    test = experiment(minimum_sample_size=20_000)
    look = run(test, after(7, 1000, 1250))

    assert (look.verdict, look.reason.number, look.reason.bound) == (
        "insufficient_data",
        10_000,
        20_000,
    )
    assert look.bounds == {}
    assert not look.effects["conversion_rate"]["treatment"].significant


def test_a_lift_below_the_minimum_does_not_ship() -> None:
    look = run(experiment(), after(7, 100_000, 103_000, 1_000_000))

    assert look.crossed == {"treatment": 1}
    assert look.verdict == "futile"
    assert (look.reason.number or 9) < 0.05


def test_a_treatment_shown_to_be_no_better_is_futile() -> None:
    look = run(experiment(), after(7, 50_000, 49_900, 500_000))

    assert look.verdict == "futile"
    assert "at best treatment is" in look.reason.text


def test_the_last_look_has_the_alpha_that_is_left_and_ends_the_test() -> None:
    test = experiment()
    first, last = after(7, 700, 720, 7000), after(14, 1400, 1510, 14_000)
    look = run(test, first, last)

    assert look.final
    assert look.bounds["treatment"].tau == 1.0
    assert look.verdict == "ship"
    assert run(test, first, after(14, 1400, 1440, 14_000)).verdict == "inconclusive"


@pytest.mark.parametrize("days", [14, 20])
def test_there_is_no_look_after_the_end(days: int) -> None:
    looks = [decide(experiment(), after(14, 1400, 1430, 14_000))]

    with pytest.raises(Refused, match="ended with look 1 .inconclusive."):
        decide(experiment(), after(days, 1400, 1900, 14_000), looks)


def test_looks_are_taken_in_order() -> None:
    looks = [decide(experiment(), after(5, 100, 100, 2000))]

    with pytest.raises(InvalidInput, match="snapshot.at: .* looks are taken in order"):
        decide(experiment(), after(4, 100, 100, 2000), looks)
    with pytest.raises(InvalidInput, match=r"snapshot.at"):
        decide(experiment(), after(-1, 100, 100, 2000))


def test_sums_of_an_epoch_that_is_not_known_are_refused() -> None:
    with pytest.raises(ValueError, match="conversion_rate of treatment has 2 epochs, and 1 are"):
        snapshot(7, users(10), {"conversion_rate": {"treatment": [1, 2]}})


def test_the_honest_effect_of_a_sequence_bears_looks_without_news() -> None:
    test = experiment(maximum_duration=None)
    look = run(
        test,
        *(after(day, 600, 650, 6000) for day in (1, 2, 3)),
        after(7, 1000, 1250),
    )

    assert look.verdict == "ship"
    assert look.honest is not None
    assert 0.015 < look.honest.difference < 0.026


def test_a_wrong_split_is_invalid_whatever_else_is_seen() -> None:
    one = snapshot(
        7,
        users(10_000, treatment=8_000),
        {"conversion_rate": {"control": 1000, "treatment": 1200}},
    )
    look = run(experiment(), one)

    assert look.verdict == "invalid"
    assert (look.reason.number or 1) <= (look.reason.bound or 0) == 0.01


def test_harm_stops_at_once_even_before_the_minimum_sample() -> None:
    test = experiment(guardrail_metrics=["error_rate < 0.01"])
    errors = {"error_rate": {"control": 2, "treatment": 40}}
    look = run(test, after(0.1, 30, 90, 500, errors))

    assert (look.verdict, look.reason.treatment) == ("rollback", "treatment")
    assert look.reason.metric == "error_rate"
    assert (look.reason.number or 0) >= (look.reason.bound or 9)


def test_a_limit_that_both_arms_break_alike_is_no_harm_of_the_treatment_and_no_win() -> None:
    test = experiment(guardrail_metrics=["error_rate < 0.01"])
    errors = {"error_rate": {"control": 900, "treatment": 880}}
    look = run(test, after(7, 1000, 1250, 10_000, errors))

    assert look.guardrails[0].everywhere
    assert look.verdict == "hold"


@pytest.mark.parametrize(
    ("sent", "verdict", "standing"),
    [
        ({}, "hold", "no_data"),
        ({"error_rate": {"control": 20, "treatment": 10}}, "ship", "ok"),
        ({"error_rate": {"control": 95, "treatment": 97}}, "ship", "unproven"),
    ],
)
def test_a_guardrail_that_nobody_sent_never_passes(
    sent: dict[str, Any], verdict: str, standing: str
) -> None:
    test = experiment(guardrail_metrics=["error_rate < 0.01"])
    look = run(test, after(7, 1000, 1250, 10_000, sent))

    assert (look.verdict, look.guardrails[0].standing) == (verdict, standing)


@pytest.mark.parametrize(
    ("treated", "verdict", "standing"),
    [(5000, "ship", "ok"), (5400, "hold", "unproven"), (7000, "rollback", "breached")],
)
def test_a_margin_must_be_shown_to_be_kept(treated: int, verdict: str, standing: str) -> None:
    test = experiment(guardrail_metrics=[{"name": "bounce_rate", "margin": 0.1}])
    sent = {"bounce_rate": {"control": 5000, "treatment": treated}}
    look = run(test, after(7, 1000, 1250, 10_000, sent))

    assert (look.guardrails[0].standing, look.verdict) == (standing, verdict)


def test_a_mean_and_a_quantile_are_guarded_too() -> None:
    chance = random.Random(1)
    loads = [[chance.gauss(level, 100) for _ in range(300)] for level in (900, 1900)]
    test = experiment(
        minimum_sample_size=100,
        guardrail_metrics=[
            "page_load_time < 1000",
            {
                "name": "p90",
                "kind": "quantile",
                "quantile": 0.9,
                "direction": "lower",
                "below": 1e3,
            },
            {"name": "tickets", "kind": "count", "direction": "lower", "below": 0.1},
        ],
    )
    by = dict(zip(("control", "treatment"), loads, strict=True))
    one = snapshot(
        1,
        users(300),
        {
            "conversion_rate": {"control": 30, "treatment": 30},
            "page_load_time": {name: arm(one, [1.0] * 300).moments for name, one in by.items()},
            "tickets": {"control": 3, "treatment": succeeded(90)},
        },
        histograms={"p90": {"control": ({340: 300},), "treatment": ({380: 300},)}},
    )
    look = run(test, one)

    assert {one.metric: one.standing for one in look.guardrails} == {
        "page_load_time": "breached",
        "p90": "breached",
        "tickets": "breached",
    }


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (snapshot(7, users(10_000), {}), "nobody sent it"),
        (
            snapshot(7, users(2_000), {"conversion_rate": {"control": 3000, "treatment": 1}}),
            "more users sent it than were exposed",
        ),
    ],
)
def test_a_primary_metric_that_says_nothing_is_declared(one: Snapshot, said: str) -> None:
    look = run(experiment(), one)

    assert (look.verdict, said in look.reason.text) == ("insufficient_data", True)


def test_an_arm_without_users_is_an_invalid_split_and_waits_while_few_came() -> None:
    def at(count: int) -> str:
        sums = {"conversion_rate": {"control": 5}}
        return run(experiment(), snapshot(7, users(count, treatment=0), sums)).verdict

    assert at(20_000) == "invalid"
    assert at(20) == "insufficient_data"


def test_arms_without_variance_decide_nothing() -> None:
    spend = {"name": "spend", "kind": "mean", "direction": "higher"}
    test = experiment(metrics=[spend], success_criteria={}, minimum_sample_size=5)
    flat = {"spend": {"control": arm([2.0] * 9).moments, "treatment": arm([3.0] * 9).moments}}

    assert "all values are alike" in run(test, snapshot(7, users(9), flat)).reason.text
    assert run(test, snapshot(14, users(9), flat)).verdict == "inconclusive"


def test_a_change_of_weights_is_noted_and_compared_epoch_by_epoch() -> None:
    one = snapshot(
        7,
        [users(9000, treatment=1000), users(1000, treatment=9000)],
        {"conversion_rate": {"control": [900, 200], "treatment": [100, 1800]}},
        planned=[{"control": 9, "treatment": 1}, {"control": 1, "treatment": 9}],
        crossovers=3,
    )
    look = run(experiment(), one)

    assert look.effects["conversion_rate"]["treatment"].difference == pytest.approx(0, abs=1e-12)
    assert look.sample_ratio.p_value == 1.0
    assert [note[:15] for note in look.notes] == ["weights changed", "3 users were se"]


def test_lower_can_be_better() -> None:
    test = experiment(
        metrics=["bounce_rate"], success_criteria={"bounce_rate": {"minimum_lift": 0.05}}
    )
    one = snapshot(7, users(10_000), {"bounce_rate": {"control": 1200, "treatment": 1000}})
    two = snapshot(7, users(50_000), {"bounce_rate": {"control": 5000, "treatment": 5600}})

    assert run(test, one).verdict == "ship"
    assert run(test, two).verdict == "futile"


def test_the_best_of_two_treatments_ships_at_half_the_level_each() -> None:
    test = experiment(variants={"control": 34, "a": 33, "b": 33})
    sums = {"conversion_rate": {"control": 1000, "a": 1200, "b": 1250}}
    one = snapshot(
        14,
        {"control": 10_000, "a": 10_000, "b": 10_000},
        sums,
    )
    look = run(test, one)

    assert (look.verdict, look.reason.treatment) == ("ship", "b")
    assert two_sided(look.bounds["a"].bound) == pytest.approx(0.025, rel=1e-9)


def test_a_test_without_an_end_has_a_confidence_sequence() -> None:
    test = experiment(maximum_duration=None)
    look = run(test, after(7, 1000, 1250))

    assert look.verdict == "ship"
    assert look.bounds["treatment"].bound > 2.5
    assert run(test, after(700, 1000, 1010)).verdict == "continue"
    few = run(test, after(7, 3, 40, 2000))
    assert "fewer than 5 users" in few.reason.text


def test_secondary_metrics_are_corrected_for_each_other() -> None:
    metrics = ["conversion_rate", *(f"m{number}_rate" for number in range(10))]
    sums = {f"m{number}_rate": {"control": 1000, "treatment": 1095} for number in range(10)}
    look = run(experiment(metrics=metrics), after(14, 1000, 1010, 10_000, sums))
    found = [look.effects[f"m{number}_rate"]["treatment"] for number in range(10)]

    assert all((one.p_value or 1) < 0.05 for one in found)
    assert not any(one.significant for one in found)
    assert all((one.difference_interval or (1, 1))[0] <= 0 for one in found)  # type: ignore[operator]


def test_looks_survive_storage_to_the_bit_and_replay_the_same() -> None:
    chance, test = random.Random(12), experiment(guardrail_metrics=["error_rate < 0.01"])
    looks: list[Look] = []
    control = treatment = 0
    for day in range(1, 8):
        control += chance.randint(90, 110)
        treatment += chance.randint(100, 125)
        errors = {"error_rate": {"control": day, "treatment": day}}
        looks.append(decide(test, after(day, control, treatment, day * 1000, errors), looks))
    stored = [Look.model_validate_json(look.model_dump_json()) for look in looks]

    assert stored == looks
    assert replay(test, stored) is None
    json.loads(looks[-1].model_dump_json(), parse_constant=pytest.fail)


def test_replay_names_the_first_look_that_differs() -> None:
    test = experiment()
    looks: list[Look] = []
    for day in (3, 5):
        looks.append(decide(test, after(day, 100 * day, 101 * day, 1000 * day), looks))
    forged = [looks[0], looks[1].model_copy(update={"verdict": "ship"})]

    assert replay(test, forged) == 2
    assert replay(experiment(minimum_sample_size=900), looks) == 1
