"""What a test says now, and what a file would change: both without writing anything."""

from datetime import timedelta
from typing import Any

import pytest

from greenlane.errors import Refused, UnknownTest
from greenlane.experiments.decision import decide
from greenlane.experiments.names import TABLE
from greenlane.experiments.previewing import preview
from greenlane.experiments.results import Results, results
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.apply import apply_experiments
from greenlane.problems import InvalidDocument
from tests.experiment_store import NOW, Laboratory, dealt


def say(laboratory: Laboratory, segment: str | None = None) -> Results:
    return results(
        laboratory.store,
        laboratory.table,
        TABLE,
        "checkout",
        at=laboratory.clock.now(),
        segment=segment,
    )


def look(laboratory: Laboratory) -> Any:
    test = laboratory.store.test("checkout")
    before = laboratory.store.looks("checkout", test.run)
    found = decide(test.definition, laboratory.snapshot(), before)
    return laboratory.store.keep_look("checkout", test.run, found)


@pytest.fixture
def laboratory() -> Laboratory:
    """Three times as many of the treatment's users did it, and one event came too early."""
    made = Laboratory()
    test = made.begin(segments={"mobile": {"device": "mobile"}}, whole_weeks=False)
    for variant, did in (("control", 20), ("treatment", 60)):
        for number, unit in enumerate(dealt(test, variant, 200)):
            made.expose(unit, context={"device": "mobile" if number % 2 else "desk"})
            if number < did:
                made.record(unit)
    (late,) = dealt(test, "control", 201)[200:]
    made.clock.go(hours=1)
    made.record(late, at=NOW)
    made.expose(late)
    made.clock.go(hours=-1)
    return made


def written(laboratory: Laboratory) -> Any:
    return laboratory.table.items()


def test_asking_keeps_no_look_and_writes_nothing(laboratory: Laboratory) -> None:
    laboratory.clock.go(days=7)
    before = written(laboratory)

    found = say(laboratory)

    assert (found.verdict, found.stop, found.look) == ("ship", True, None)
    assert found.users == {"control": 201, "treatment": 200}
    assert found.before_exposure == 1
    assert written(laboratory) == before


def test_it_is_what_a_look_of_this_moment_would_say(laboratory: Laboratory) -> None:
    laboratory.clock.go(days=2)
    look(laboratory)
    laboratory.clock.go(days=3)
    found = say(laboratory)
    kept = look(laboratory)

    assert (found.verdict, found.effects, found.reason) == (kept.verdict, kept.effects, kept.reason)


def test_after_the_end_it_is_the_look_that_decided(laboratory: Laboratory) -> None:
    laboratory.clock.go(days=7)
    kept = look(laboratory)
    assert kept.verdict == "ship"
    laboratory.clock.go(days=7)

    found = say(laboratory)

    assert (found.look, found.at, found.effects) == (kept.number, kept.snapshot.at, kept.effects)
    assert found.honest == kept.honest


def test_of_a_test_that_somebody_stopped_it_is_the_moment_of_the_end(
    laboratory: Laboratory,
) -> None:
    laboratory.clock.go(days=1)
    end = laboratory.clock.now()
    keeping.stop(laboratory.store, "checkout", by="ada", reason="enough", at=end)
    laboratory.clock.go(days=30)

    found = say(laboratory)

    assert (found.at, found.ending, found.status) == (end, "stopped", "concluded")


def test_a_clock_that_is_behind_the_last_look_takes_none_before_it(laboratory: Laboratory) -> None:
    laboratory.clock.go(days=1)
    look(laboratory)
    laboratory.clock.go(hours=-1)

    assert say(laboratory).at == NOW + timedelta(days=1)


def test_a_segment_has_wider_intervals_and_no_verdict(laboratory: Laboratory) -> None:
    laboratory.clock.go(days=7)

    whole, mobile = say(laboratory), say(laboratory, "mobile")

    assert (mobile.verdict, mobile.reason, mobile.stop, mobile.honest) == (None, None, False, None)
    assert mobile.users == {"control": 100, "treatment": 100}
    assert mobile.before_exposure is None

    def width(found: Results) -> float:
        low, high = found.effects["conversion_rate"]["treatment"].difference_interval or (0, 0)
        assert low is not None
        assert high is not None
        return high - low

    assert width(mobile) > 1.4 * width(whole)


FILE = """
ab_tests:
  checkout:
    variants: {{control: {control}, treatment: {treatment}}}
    metrics: [{metric}]
    minimum_sample_size: 10
    maximum_duration: 14d
"""


def file(control: int = 50, treatment: int = 50, metric: str = "conversion_rate") -> str:
    return FILE.format(control=control, treatment=treatment, metric=metric)


def test_a_preview_says_what_applying_changes_and_writes_nothing() -> None:
    laboratory = Laboratory()
    new = preview(laboratory.store, file(), at=NOW)
    assert written(laboratory) == []
    apply_experiments(laboratory.store, file(), by="ada", at=NOW, start=True)
    before = written(laboratory)

    same = preview(laboratory.store, file(), at=NOW)
    (other,) = preview(laboratory.store, file(30, 70), at=NOW)

    assert [(one.test, one.before, one.after["status"]) for one in new] == [
        ("checkout", None, "draft")
    ]
    assert same == []
    assert other.before is not None
    weights = [{k: int(v) for k, v in it["variants"].items()} for it in (other.before, other.after)]
    assert weights == [{"control": 50, "treatment": 50}, {"control": 30, "treatment": 70}]
    assert written(laboratory) == before


def test_a_preview_refuses_what_applying_refuses() -> None:
    laboratory = Laboratory()
    apply_experiments(laboratory.store, file(), by="ada", at=NOW, start=True)

    with pytest.raises(Refused, match="only weights"):
        preview(laboratory.store, file(metric="click_rate"), at=NOW)
    with pytest.raises(InvalidDocument):
        preview(laboratory.store, file(60, 60), at=NOW)


def test_a_test_that_is_not_there_has_no_results() -> None:
    with pytest.raises(UnknownTest):
        say(Laboratory())
