"""`ABTestManager`, by the names and meanings of the specification."""

import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import greenlane.experiments
from greenlane.errors import InvalidInput, Refused, UnknownTest
from greenlane.experiments import ABTestManager
from greenlane.experiments.names import TABLE
from greenlane.experiments.storing import keeping
from tests.experiment_store import NOW, Hands
from tests.table import Table


def manager(clock: Hands | None = None, table: Table | None = None) -> ABTestManager:
    return ABTestManager(
        table or Table(TABLE), minimum_sample_size=20, clock=clock or Hands(), by="ada"
    )


def test_a_test_is_created_and_runs_at_once() -> None:
    made = manager()

    assert made.create_ab_test("checkout", {"control": 50, "treatment": 50}) == "ab_test:checkout"
    test = made.store.test("checkout")
    assert (test.status, test.by, test.started_at) == ("running", "ada", NOW)
    assert test.definition.minimum_sample_size == 20
    assert test.definition.criterion.significance_level == Decimal("0.05")
    # The same again, as a service does that starts anew.
    assert made.create_ab_test("checkout", {"control": 50, "treatment": 50}) == "ab_test:checkout"
    assert made.store.test("checkout").version == 1
    with pytest.raises(Refused, match="it runs"):
        made.create_ab_test("checkout", {"control": 50, "treatment": 50}, metrics=("click_rate",))


def test_any_key_of_a_file_can_be_given() -> None:
    made = manager()
    made.create_ab_test(
        "checkout",
        {"control": Decimal("33.5"), "treatment": 66.5},
        metrics=({"name": "spend", "kind": "mean", "direction": "higher", "cap": 10},),
        maximum_duration="14d",
        success_criteria={"spend": {"minimum_lift": 0.05}},
        by="bob",
    )

    test = made.store.test("checkout")
    assert test.definition.maximum_duration == timedelta(days=14)
    assert test.definition.criterion.minimum_lift == Decimal("0.05")
    assert dict(test.definition.variants)["control"] == Decimal("33.5")
    assert test.by == "bob"


def test_the_managers_level_is_that_of_tests_that_do_not_say() -> None:
    made = ABTestManager(Table(TABLE), alpha=0.01, clock=Hands(), by="ada")
    made.create_ab_test("one", {"control": 50, "treatment": 50})
    made.create_ab_test(
        "two", {"control": 50, "treatment": 50}, success_criteria={"conversion_rate": {}}
    )

    levels = [made.store.test(name).definition.criterion for name in ("one", "two")]
    assert [level.significance_level for level in levels] == [Decimal("0.01"), Decimal("0.05")]


@pytest.mark.parametrize(
    ("variants", "keys", "said"),
    [
        ({"control": 50, "treatment": 40}, {}, "they add up to 90, not to 100"),
        ({"control": 50, "treatment": 50}, {"maximum_duratoin": "14d"}, "maximum_duration"),
        ({"control": Decimal("nan"), "treatment": 50}, {}, "write a finite number"),
    ],
)
def test_what_would_be_wrong_is_refused_by_name(
    variants: dict[str, Any], keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        manager().create_ab_test("checkout", variants, **keys)


def test_whoever_creates_a_test_is_named() -> None:
    made = ABTestManager(Table(TABLE), clock=Hands())

    with pytest.raises(InvalidInput, match="say who creates it"):
        made.create_ab_test("checkout", {"control": 50, "treatment": 50})


def test_assigning_a_variant_counts_the_user_once_unless_told_otherwise() -> None:
    clock = Hands()
    made = manager(clock)
    made.create_ab_test("checkout", {"control": 50, "treatment": 50})

    silent = made.assign_variant("checkout", "user-1", expose=False)
    look = made.analyze_test_results("checkout")
    assert look.snapshot.epochs[0].users == {"control": 0, "treatment": 0}
    assert made.assign_variant("checkout", "user-1") == silent
    assert made.assign_variant("checkout", "user-1") == silent
    look = made.analyze_test_results("checkout")
    assert look.snapshot.epochs[0].users[silent] == 1
    with pytest.raises(UnknownTest):
        made.assign_variant("nothing", "user-1")


def test_who_takes_no_part_has_the_control_and_is_not_counted() -> None:
    made = manager()
    made.create_ab_test("checkout", {"control": 50, "treatment": 50}, targeting={"country": "de"})

    assert made.assign_variant("checkout", "user-1", {"country": "fr"}) == "control"
    assert made.assignment("checkout", "user-1", {"country": "fr"}).why == "not_eligible"
    snapshot = made.analyze_test_results("checkout").snapshot
    assert sum(snapshot.epochs[0].users.values()) == 0


def play(made: ABTestManager, clock: Hands, users: int) -> None:
    """Of the control every tenth buys, of the treatment every second."""
    clock.go(hours=1)
    for number in range(users):
        unit = f"user-{number}"
        variant = made.assign_variant("checkout", unit)
        if number % (10 if variant == "control" else 2) == 0:
            for _ in range(2):  # sent twice, counted once
                made.record_metric(
                    "checkout", variant, "conversion_rate", 1, user_id=unit, event_id="order"
                )


def test_results_say_what_was_counted_and_when_to_stop() -> None:
    clock = Hands()
    made = manager(clock)
    made.create_ab_test("checkout", {"control": 50, "treatment": 50}, maximum_duration="14d")
    assert made.should_stop_test("checkout")[0] is False
    play(made, clock, 600)

    soon = made.analyze_test_results("checkout")
    effect = soon.effects["conversion_rate"]["treatment"]
    assert effect.users == tuple(soon.snapshot.epochs[0].users.values())
    assert sum(effect.users) == 600
    assert effect.lift is not None
    assert effect.lift > 2
    # Nothing is won before a whole week is over.
    assert made.should_stop_test("checkout")[0] is False
    clock.go(days=14)
    stop, why = made.should_stop_test("checkout")
    assert (stop, why.split(":")[0]) == (True, "ship")
    assert made.store.looks("checkout", 1) == []


def test_after_the_end_it_is_told_how_it_ended() -> None:
    clock = Hands()
    made = manager(clock)
    made.create_ab_test("checkout", {"control": 50, "treatment": 50}, maximum_duration="14d")
    play(made, clock, 200)
    clock.go(days=14)
    look = made.analyze_test_results("checkout")
    keeping.conclude(
        made.store,
        "checkout",
        run=1,
        verdict="ship",
        serve="treatment",
        look=look,
        end_reason="treatment is better",
        by="greenlane",
        at=clock.at,
    )
    clock.go(days=1)

    assert made.should_stop_test("checkout") == (True, "ship: treatment is better")
    assert made.analyze_test_results("checkout") == look
    assert made.assign_variant("checkout", "user-9999") == "treatment"


def test_a_wrong_variant_of_a_metric_takes_the_user_out() -> None:
    clock = Hands()
    made = manager(clock)
    made.create_ab_test("checkout", {"control": 50, "treatment": 50})
    has = made.assign_variant("checkout", "user-1")
    other = "treatment" if has == "control" else "control"

    said = made.record_metric(
        "checkout", other, "conversion_rate", 1, user_id="user-1", event_id="e"
    )

    assert said.result == "crossover"
    assert made.analyze_test_results("checkout").snapshot.crossovers == 1
    with pytest.raises(InvalidInput, match="there are control, treatment"):
        made.record_metric("checkout", "x", "conversion_rate", 1, user_id="u", event_id="e")


def test_the_package_gives_the_manager_when_it_is_asked_for_and_is_light_before() -> None:
    code = (
        "import sys, greenlane.experiments as it; "
        "light = not {'pydantic', 'boto3'} & set(sys.modules); "
        "it.ABTestManager; print(light, 'pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
    assert not hasattr(greenlane.experiments, "Nothing")
