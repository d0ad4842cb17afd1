"""Each outcome that is declared, end to end: users recorded, looks, an end, and the same again."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from greenlane.experiments.counting.events import Event, Exposure
from greenlane.experiments.decision import replay
from greenlane.experiments.report.compose import compose
from greenlane.experiments.storing import keeping
from tests.experiment_town import NAME, ExperimentTown

DEFINITION = """
ab_tests:
  checkout:
    variants: {weights}
    metrics: [{metric}]
    success_criteria: {{{name}: {{minimum_lift: 0.05}}}}
    guardrail_metrics: {guardrails}
    minimum_sample_size: 40
    whole_weeks: false
    maximum_duration: 2h
    look_interval: 30m
    watch_interval: 10m
"""


def town_of(
    metric: str = "conversion_rate",
    *,
    weights: str = "{control: 50, treatment: 50}",
    guardrails: str = "[]",
) -> ExperimentTown:
    name = metric.split("name: ")[-1].split(",")[0].strip("{} ")
    text = DEFINITION.format(metric=metric, name=name, weights=weights, guardrails=guardrails)
    return ExperimentTown(text, tick_seconds=300, recorded=True)


Acts = Callable[[ExperimentTown, str, str, int], None]


def come(town: ExperimentTown, users: int, acts: Acts, begin: int = 0) -> None:
    """Let users come one after the other, each shown a variant, each doing something."""
    for number in range(begin, begin + users):
        unit = f"user-{number}"
        seen = town.recorder.expose(Exposure(NAME, unit))
        acts(town, unit, seen.variant, number)


def did(metric: str, *which: str, every: int = 1, value: Any = 1) -> Acts:
    """Users of some variants do something, each or every so often."""

    def acts(town: ExperimentTown, unit: str, variant: str, number: int) -> None:
        if variant in which and number % every == 0:
            town.recorder.record_one(Event(NAME, unit, metric, value, id=f"{metric}-{number}"))

    return acts


def better(town: ExperimentTown, unit: str, variant: str, number: int) -> None:
    """Half of the treatment's users do it, and a tenth of the control's."""
    each = 2 if variant == "treatment" else 10
    did("conversion_rate", variant, every=each)(town, unit, variant, number)


def ended(town: ExperimentTown) -> ExperimentTown:
    """Let the test go on to its end, and check what holds of every end."""
    town.run(4, done=town.over)
    test, looks = town.test(), town.looks()
    assert town.over()
    assert replay(test.definition, looks) is None
    again = compose(test, looks, town.store.watch(NAME, test.run))
    assert town.reports()[-1]["looks"] == again.model_dump(mode="json")["looks"]
    return town


def outcome(town: ExperimentTown, metric: str = "conversion_rate") -> str:
    return str(town.looks()[-1].effects[metric]["treatment"].outcome)


def test_an_arm_whose_values_are_all_alike_is_not_compared_and_ends_without_a_winner() -> None:
    town = town_of("{name: steps, kind: mean, direction: higher}")
    come(town, 120, did("steps", "control", "treatment", value=7))
    ended(town)
    assert outcome(town, "steps") == "no_variance"
    assert (town.test().verdict, town.test().served) == ("inconclusive", "control")
    assert "all values are alike" in town.test().reason


def test_an_arm_without_users_ends_as_invalid_once_it_cannot_be_chance() -> None:
    town = town_of()
    for number in range(900):
        context = {"targetingKey": f"user-{number}"}
        if town.recorder.assign(NAME, context).variant == "control":
            town.recorder.expose(Exposure(NAME, f"user-{number}"))
    ended(town)
    assert town.test().verdict == "invalid"
    (look,) = town.looks()
    # By the first watch, and not by the first look.
    assert look.snapshot.at - look.snapshot.started < town.test().definition.look_interval


def test_a_primary_metric_that_nobody_sent_ends_without_a_winner() -> None:
    town = town_of()
    come(town, 120, lambda *_: None)
    ended(town)
    assert (outcome(town), town.test().verdict) == ("not_sent", "inconclusive")
    assert "nobody sent it" in town.test().reason


def test_a_guardrail_that_nobody_sent_never_passes() -> None:
    town = town_of(guardrails="[error_rate < 0.05]")
    come(town, 400, better)
    ended(town)
    assert town.looks()[-1].crossed == {"treatment": 1}  # it had won
    assert town.test().verdict == "inconclusive"
    assert "error_rate < 0.05 is not shown (no_data)" in town.test().reason


def test_what_was_done_before_an_exposure_is_in_no_sum() -> None:
    town = town_of()
    for number in range(120):
        unit = f"user-{number}"
        did("conversion_rate", "x")(town, unit, "x", number)
    town.kernel.seconds += 60
    come(town, 120, lambda *_: None)
    ended(town)
    assert outcome(town) == "not_sent"


def test_weights_that_change_are_two_epochs_that_are_compared_apart() -> None:
    town = town_of()
    come(town, 200, better)
    town.kernel.seconds += 60
    now = town.kernel.now()
    weights = {"control": Decimal(20), "treatment": Decimal(80)}
    keeping.change(town.store, NAME, weights=weights, by="ada", at=now)
    come(town, 200, better, begin=200)
    ended(town)
    look = town.looks()[-1]
    assert [sum(epoch.users.values()) for epoch in look.snapshot.epochs] == [200, 200]
    # Users who were there before stayed where they were, so neither split is wrong.
    assert (town.test().verdict, look.sample_ratio.p_value > 0.01) == ("ship", True)
    assert any("weights changed 1 times" in note for note in look.notes)
    assert len(town.reports()[-1]["epochs"]) == 2


def test_users_seen_with_two_variants_count_in_neither() -> None:
    town = town_of()
    come(town, 120, did("conversion_rate", "treatment", every=2))
    for number in range(5):
        other = {"control": "treatment", "treatment": "control"}
        seen = town.recorder.assign(NAME, {"targetingKey": f"user-{number}"}).variant
        town.recorder.expose(Exposure(NAME, f"user-{number}", variant=other[seen]))
    ended(town)
    snapshot = town.looks()[-1].snapshot
    assert (snapshot.crossovers, sum(snapshot.epochs[0].users.values())) == (5, 115)
    assert town.reports()[-1]["crossovers"] == 5


def test_what_comes_after_the_last_look_changes_nothing() -> None:
    town = town_of()
    come(town, 300, better)
    ended(town)
    before = (town.looks(), town.reports()[-1], town.test())
    came = [
        town.recorder.record_one(
            Event(NAME, f"user-{number}", "conversion_rate", 1, id="late")
        ).result
        for number in range(50)
    ]
    assert set(came) == {"not_in_test"}
    late = town.recorder.expose(Exposure(NAME, "somebody-new"))
    assert (late.result, late.variant) == ("not_in_test", "treatment")  # the winner is served
    town.run(1)
    assert (town.looks(), town.reports()[-1], town.test()) == before


def test_a_test_that_is_begun_again_finds_nothing_of_before() -> None:
    town = town_of()
    come(town, 300, better)
    ended(town)
    keeping.start(town.store, NAME, by="ada", at=town.kernel.now(), again=True)
    come(town, 60, lambda *_: None)
    town.run(0.6)
    test = town.test()
    assert (test.run, test.status) == (2, "running")
    assert sum(town.looks()[-1].snapshot.epochs[0].users.values()) == 60
    assert town.looks()[-1].number == 1
    assert len(town.store.looks(NAME, 1)) >= 1


@pytest.mark.parametrize("metric", ["conversion_rate"])
def test_segments_are_read_once_after_the_end_and_corrected(metric: str) -> None:
    text = DEFINITION.format(
        metric=metric, name=metric, weights="{control: 50, treatment: 50}", guardrails="[]"
    )
    text += "    segments: {mobile: {device: mobile}, desktop: {device: desktop}}\n"
    town = ExperimentTown(text, tick_seconds=300, recorded=True)
    for number in range(400):
        unit, device = f"user-{number}", "mobile" if number % 3 else "desktop"
        seen = town.recorder.expose(Exposure(NAME, unit, context={"device": device}))
        if device == "mobile":
            better(town, unit, seen.variant, number)
    town.run(4, done=town.over)
    found = {line["segment"]: line["effect"] for line in town.reports()[-1]["segments"]}
    assert found["mobile"]["significant"]
    assert found["desktop"]["outcome"] == "not_sent"
    assert sum(found["mobile"]["users"]) == 266
