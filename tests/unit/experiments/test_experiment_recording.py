"""What becomes of exposures and events, one by one."""

from datetime import timedelta

import pytest

from greenlane.errors import InvalidInput
from greenlane.experiments.assignment import bucket
from greenlane.experiments.counting.events import Event, Recorded
from greenlane.experiments.counting.reading import before_exposure
from greenlane.experiments.names import TABLE
from greenlane.experiments.statistics.moments import UNIT, Moments
from greenlane.experiments.storing import keeping
from tests.experiment_store import NOW, Laboratory, begun, dealt, definition, in_control, only
from tests.flag_store import Failing

SPEND = {"name": "spend", "kind": "mean", "direction": "higher"}


def users(lab: Laboratory) -> list[dict[str, int]]:
    return [epoch.users for epoch in lab.snapshot().epochs]


@pytest.fixture
def lab() -> Laboratory:
    return begun(metrics=["conversion_rate", SPEND])


def test_users_come_from_exposures_so_those_who_did_nothing_are_zeros(lab: Laboratory) -> None:
    for unit in in_control(lab, 3):
        lab.expose(unit)
    lab.record(in_control(lab)[0])

    assert users(lab) == [{"control": 3, "treatment": 0}]
    assert only(lab) == Moments(seen=1, y=UNIT, yy=UNIT**2)


def test_whoever_was_never_exposed_is_in_no_sum(lab: Laboratory) -> None:
    assert lab.record("user-1") == Recorded("pending")
    lab.clock.go(days=3)

    assert lab.counters() == {}
    assert users(lab) == [{"control": 0, "treatment": 0}]


def test_an_event_counts_from_the_very_moment_of_the_exposure_on(lab: Laboratory) -> None:
    (unit,) = in_control(lab)
    at = lab.clock.at
    lab.expose(unit, at=at)
    just_before = at - timedelta(microseconds=1)

    assert lab.record(unit, id="a", at=at) == Recorded("counted")
    assert lab.record(unit, id="b", at=just_before) == Recorded("before_exposure")
    assert only(lab).seen == 1
    assert before_exposure(lab.table, TABLE, lab.store.test("checkout")) == 1


@pytest.mark.parametrize("order", ["exposure first", "event first"])
def test_it_does_not_matter_whether_the_event_or_its_exposure_arrives_first(
    lab: Laboratory, order: str
) -> None:
    (unit,) = in_control(lab)
    before, at, after = (lab.clock.at - timedelta(minutes=ago) for ago in (30, 20, 10))
    steps = [
        lambda: lab.expose(unit, at=at),
        lambda: lab.record(unit, 20, metric="spend", id="a", at=after),
        lambda: lab.record(unit, 5, metric="spend", id="b", at=before),
    ]
    for step in steps if order == "exposure first" else reversed(steps):
        step()

    assert lab.counters() == {
        "0#control": {
            "n": 1,
            "before_exposure": 1,
            "spend:seen": 1,
            "spend:y": 20 * UNIT,
            "spend:yy": (20 * UNIT) ** 2,
        }
    }


def test_the_same_event_counts_once_and_another_metric_may_have_its_id(lab: Laboratory) -> None:
    (unit,) = in_control(lab)
    lab.expose(unit)

    assert lab.record(unit, id="order-17").result == "counted"
    assert lab.record(unit, id="order-17").result == "duplicate"
    assert lab.record(unit, 30, metric="spend", id="order-17").result == "counted"
    assert only(lab).y == UNIT
    twice = [Event("checkout", unit, "spend", 1, "x"), Event("checkout", unit, "spend", 1, "x")]
    assert [one.result for one in lab.recorder.record(twice)] == ["counted", "duplicate"]


def test_a_second_variant_takes_everything_of_the_user_out(lab: Laboratory) -> None:
    unit, other = in_control(lab, 2)
    lab.expose(other)
    lab.record(other, 7, metric="spend")
    before = lab.counters()
    lab.expose(unit)
    lab.record(unit, 30, metric="spend")
    lab.record(unit, 1, at=lab.clock.at - timedelta(minutes=1))

    seen = lab.expose(unit, "treatment")

    assert (seen.result, seen.variant) == ("crossover", "control")
    assert lab.counters() == {"0#control": {**before["0#control"], "crossovers": 1}}
    assert lab.snapshot().crossovers == 1
    assert lab.record(unit, 30, metric="spend", id="late").result == "crossover"
    assert lab.expose(unit, "control").result == "crossover"
    assert lab.snapshot().crossovers == 1


@pytest.mark.parametrize("ago", [0, 30], ids=["after the exposure", "before it"])
@pytest.mark.parametrize("exposed_first", [True, False])
def test_an_event_of_another_variant_says_that_the_user_saw_two(
    lab: Laboratory, ago: int, exposed_first: bool
) -> None:
    (unit,) = in_control(lab)
    at = lab.clock.at - timedelta(minutes=10)
    steps = [
        lambda: lab.expose(unit, "control", at=at),
        lambda: lab.record(unit, variant="treatment", at=lab.clock.at - timedelta(minutes=ago)),
    ]
    for step in steps if exposed_first else reversed(steps):
        step()

    assert lab.counters() == {"0#control": {"crossovers": 1}}


def test_who_was_shown_another_variant_than_was_dealt_counts_in_none(lab: Laboratory) -> None:
    seen = lab.expose(in_control(lab)[0], "treatment")

    assert seen.result == "crossover"
    assert lab.counters() == {"0#control": {"crossovers": 1}}


def test_other_weights_begin_an_epoch_and_whoever_is_on_record_stays(lab: Laboratory) -> None:
    test = lab.store.test("checkout")
    # In the last buckets of the control, which it gives up.
    salt = "variant:checkout"
    moving = [unit for unit in dealt(test, "control", 400) if bucket(salt, unit) >= 200_000]
    recorded, later = moving[:2]
    lab.expose(recorded)
    lab.record(recorded, id="a")

    lab.reweigh(control=20, treatment=80)

    assert lab.recorder.assign("checkout", {"targetingKey": recorded}).why == "recorded"
    assert lab.recorder.assign("checkout", {"targetingKey": recorded}).variant == "control"
    assert lab.recorder.assign("checkout", {"targetingKey": later}).variant == "treatment"
    assert lab.expose(recorded).result == "again"
    assert lab.record(recorded, id="b").result == "counted"
    assert lab.expose(later).variant == "treatment"
    assert users(lab) == [{"control": 1, "treatment": 0}, {"control": 0, "treatment": 1}]
    (first, second) = lab.snapshot().epochs
    assert first.planned == {"control": 500_000, "treatment": 500_000}
    assert second.planned == {"control": 200_000, "treatment": 800_000}


def test_who_was_dealt_a_moment_before_the_weights_changed_counts_where_he_was_dealt(
    lab: Laboratory,
) -> None:
    test = lab.store.test("checkout")
    stays, moves, told = (
        next(u for u in dealt(test, "control", 400) if low <= bucket("variant:checkout", u) < high)
        for low, high in ((0, 100_000), (200_000, 400_000), (100_000, 200_000))
    )
    lab.reweigh(control=20, treatment=80)

    # Without the epoch, the newest weights that deal it; with it, those.
    assert lab.expose(moves, "control").result == "exposed"
    assert lab.expose(stays, "control").result == "exposed"
    assert lab.expose(told, "control", epoch=0).result == "exposed"
    assert users(lab) == [{"control": 2, "treatment": 0}, {"control": 1, "treatment": 0}]
    with pytest.raises(InvalidInput, match="the epochs 0 to 1"):
        lab.expose("user-9", epoch=2)


def test_while_a_draft_and_after_the_end_nothing_is_counted() -> None:
    lab = Laboratory()
    keeping.create(lab.store, "checkout", definition(), by="ada", at=NOW)
    assert lab.expose("user-1") == ("not_in_test", "control", "draft")
    assert lab.record("user-1") == Recorded("not_in_test", "draft")
    keeping.start(lab.store, "checkout", by="ada", at=NOW)
    (unit,) = in_control(lab)
    assert lab.expose(unit).result == "exposed"
    keeping.stop(lab.store, "checkout", by="ada", reason="enough", serve="treatment", at=NOW)
    before = lab.counters()

    assert lab.expose("user-7") == ("not_in_test", "treatment", "served")
    assert lab.record(unit) == Recorded("not_in_test", "concluded")
    assert lab.counters() == before


def test_who_takes_no_part_has_the_control_and_leaves_nothing() -> None:
    lab = begun(targeting={"country": "de"}, traffic=50)
    abroad = lab.expose("user-1", "treatment", context={"country": "fr"})
    units = [f"user-{number}" for number in range(40)]
    inside = [lab.expose(unit, context={"country": "de"}) for unit in units]

    assert abroad == ("not_in_test", "control", "not_eligible")
    left_out = [seen for seen in inside if seen.result == "not_in_test"]
    assert {(seen.variant, seen.why) for seen in left_out} == {("control", "not_included")}
    assert 5 < len(left_out) < 35
    assert sum(users(lab)[0].values()) == 40 - len(left_out)
    outside = units[[seen.result for seen in inside].index("not_in_test")]
    assert lab.record(outside) == Recorded("not_in_test", "not_included")
    assert len(lab.items("user#")) == 40 - len(left_out)


def test_who_is_on_record_stays_when_targeting_would_leave_him_out_today() -> None:
    lab = begun(targeting={"country": "de"})
    (unit,) = dealt(lab.store.test("checkout"), "treatment", 1)
    lab.expose(unit, context={"country": "de"})

    assigned = lab.recorder.assign("checkout", {"targetingKey": unit, "country": "fr"})

    assert assigned == ("treatment", "recorded", True, 0, 1)
    assert lab.expose(unit, context={"country": "fr"}).result == "again"


def test_a_ramp_counts_from_when_it_lets_somebody_in() -> None:
    lab = begun(ramp={"steps": [1, 100], "interval": "1d"})
    late = next(
        unit
        for unit in dealt(lab.store.test("checkout"), "control", 50)
        if lab.expose(unit).result == "not_in_test"
    )
    assert lab.record(late, id="a") == Recorded("not_in_test", "not_included")
    lab.clock.go(days=1)

    assert lab.expose(late).result == "exposed"
    early = lab.record(late, id="b", at=lab.clock.at - timedelta(hours=20))
    assert early == Recorded("not_in_test", "not_included")
    assert lab.record(late, id="a").result == "counted"


def test_segments_are_those_at_the_exposure_and_are_counted_apart() -> None:
    lab = begun(metrics=["conversion_rate"], segments={"mobile": {"device": "mobile"}})
    one, two = in_control(lab, 2)
    lab.expose(one, context={"device": "mobile"})
    lab.expose(two, context={"device": "desktop"})
    lab.record(one)
    lab.record(two)

    (apart,) = lab.snapshot(segment="mobile").epochs
    assert apart.users == {"control": 1, "treatment": 0}
    assert lab.snapshot(segment="mobile").moments["conversion_rate"]["control"][0].seen == 1
    assert only(lab).seen == 2
    with pytest.raises(InvalidInput, match="did you mean mobile"):
        lab.snapshot(segment="mobil")
    lab.expose(one, "treatment")
    assert lab.snapshot(segment="mobile").epochs[0].users == {"control": 0, "treatment": 0}


COVARIATE = {**SPEND, "covariate": "spent_before"}


def test_a_covariate_comes_with_the_exposure_or_is_recorded_from_before() -> None:
    lab = begun(metrics=[COVARIATE])
    given, recorded, neither = in_control(lab, 3)
    at = lab.clock.at - timedelta(minutes=10)
    earlier = at - timedelta(days=200)
    lab.record(recorded, 4, metric="spent_before", id="a", at=earlier)
    lab.expose(given, context={"spent_before": 9}, at=at)
    lab.expose(recorded, at=at)
    lab.expose(neither, at=at)
    lab.record(recorded, 3, metric="spent_before", id="b", at=earlier)

    assert lab.record(given, 5, metric="spent_before", id="a", at=earlier).result == (
        "before_exposure"
    )
    with_it = only(lab, "spend")
    assert (with_it.z, with_it.zz, with_it.seen) == (16 * UNIT, (81 + 49) * UNIT**2, 0)
    late = lab.record(recorded, 3, metric="spent_before", id="c")
    assert late.result == "refused"
    assert "was not known before it" in late.why
    lab.record(given, 2, metric="spend")
    assert only(lab, "spend").yz == 18 * UNIT**2


def test_what_was_recorded_of_a_metric_before_may_be_its_own_covariate() -> None:
    lab = begun(metrics=[{**SPEND, "covariate": "spend"}])
    (unit,) = in_control(lab)
    at = lab.clock.at
    lab.expose(unit, at=at)
    lab.record(unit, 7, metric="spend", id="a", at=at - timedelta(days=20))
    lab.record(unit, 2, metric="spend", id="b")

    assert only(lab, "spend") == Moments(
        1, 2 * UNIT, 4 * UNIT**2, 7 * UNIT, 49 * UNIT**2, 14 * UNIT**2
    )


def test_two_who_write_one_user_in_the_same_moment_lose_nothing() -> None:
    client = Failing(None)
    lab = Laboratory(client)
    client.target = lab.table
    lab.begin(metrics=[SPEND])
    lab.clock.go(hours=1)
    (unit,) = in_control(lab)
    lab.expose(unit)
    other = Laboratory.over(lab)
    client.between = lambda: other.record(unit, 5, metric="spend", id="theirs")

    assert lab.record(unit, 2, metric="spend", id="ours").result == "counted"

    assert only(lab, "spend") == Moments(1, 7 * UNIT, 49 * UNIT**2)


def test_two_who_expose_one_user_in_the_same_moment_count_one_user() -> None:
    client = Failing(None)
    lab = Laboratory(client)
    client.target = lab.table
    lab.begin()
    lab.clock.go(hours=1)
    client.between = lambda: Laboratory.over(lab).expose("user-1")

    assert lab.expose("user-1").result == "again"
    assert sum(users(lab)[0].values()) == 1
