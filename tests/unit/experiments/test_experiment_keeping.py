"""What people and workflows may do with tests, and what is refused with which way out."""

from decimal import Decimal
from typing import Any

import pytest

from greenlane.errors import InvalidInput, Refused
from greenlane.experiments.dealing import Deals
from greenlane.experiments.model import Ramp
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.apply import (
    apply_experiments,
    check_experiments,
    is_experiments,
)
from greenlane.experiments.storing.editing import MOST_EPOCHS
from greenlane.problems import InvalidDocument
from tests.experiment_store import NOW, Laboratory, begun, definition, document_of
from tests.unit.experiments.experimenting import SPEC

FILE = """
segments: {staff: {device: laptop}}
layers: {nav: {}}
holdouts: {quarter: {percentage: 5}}
ab_tests:
  checkout:
    variants: {control: 50, treatment: 50}
    metrics: [conversion_rate]
    targeting: {not: {segment: staff}}
    layer: {name: nav, end: 50}
    maximum_duration: 14d
"""


def applied(lab: Laboratory, text: str = FILE, **more: Any) -> Any:
    return apply_experiments(lab.store, text, "ab.yaml", by="ada", at=lab.clock.at, **more)


def changed(*changes: tuple[str, str], text: str = FILE) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def test_a_file_makes_drafts_and_with_start_it_begins_them() -> None:
    lab = Laboratory()

    first = applied(lab)
    assert (first.tests, first.changed) == ({"checkout": "draft"}, ("checkout",))
    again = applied(lab)
    assert (again.version, again.changed) == (1, ())
    begun = applied(lab, start=True)
    assert begun.tests == {"checkout": "running"}
    assert applied(lab, start=True).changed == ()
    test = lab.store.test("checkout")
    assert (test.started_at, test.salt, test.shards) == (NOW, "checkout", 8)
    assert [(part.salt, part.end) for part in test.holdouts] == [("holdout:quarter", 50_000)]
    assert list(test.conditions) == ["staff"]


def test_the_specs_file_can_be_applied_and_started() -> None:
    lab = Laboratory()

    assert is_experiments(SPEC)
    assert not is_experiments("feature_flags: {}")
    assert check_experiments(SPEC, "ab.yaml").tests == ("checkout_optimization", "ui_color_scheme")
    found = applied(lab, SPEC, start=True)
    assert set(found.tests.values()) == {"running"}


def test_a_draft_is_replaced_by_its_file() -> None:
    lab = Laboratory()
    applied(lab)
    applied(lab, changed(("control: 50, treatment: 50", "a: 10, b: 90")))

    assert list(lab.store.test("checkout").definition.variants) == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("maximum_duration: 14d", "maximum_duration: 21d"), "maximum_duration cannot change"),
        (("[conversion_rate]", "[conversion_rate, click_rate]"), "metrics cannot change"),
        (("maximum_duration: 14d", "description: new"), "description, maximum_duration cannot"),
        (("treatment: 50", "treatment: 40, third: 10"), "the list of variants cannot change"),
        (("end: 50", "end: 60"), "layer cannot change"),
        (("{device: laptop}", "{device: desktop}"), "the segments that it uses cannot change"),
        (
            (
                "{control: 50, treatment: 50}",
                "{treatment: 50, control: 50}\n    control: treatment",
            ),
            "control cannot change",
        ),
    ],
)
def test_of_a_running_test_nothing_else_may_change_and_the_way_out_is_told(
    change: tuple[str, str], said: str
) -> None:
    lab = Laboratory()
    applied(lab, start=True)
    before = lab.table.items()

    with pytest.raises(Refused, match=said) as caught:
        applied(lab, changed(change))

    assert "greenlane experiments stop checkout" in str(caught.value)
    assert "under another salt" in str(caught.value)
    assert lab.table.items() == before


def test_weights_of_a_running_test_begin_an_epoch_and_its_definition_stands() -> None:
    lab = Laboratory()
    applied(lab, start=True)
    before = lab.store.test("checkout")
    lab.clock.go(days=1)
    applied(lab, changed(("control: 50, treatment: 50", "control: 30, treatment: 70")))

    test = lab.store.test("checkout")
    assert test.definition == before.definition
    assert [dict(epoch.weights) for epoch in test.epochs] == [
        {"control": 50, "treatment": 50},
        {"control": 30, "treatment": 70},
    ]
    assert test.epochs[1].since == lab.clock.at
    assert dict(test.as_it_is().variants) == {"control": 30, "treatment": 70}
    # The file that says so is what it is: nothing to change.
    assert (
        applied(lab, changed(("control: 50, treatment: 50", "control: 30, treatment: 70"))).changed
        == ()
    )
    # And the file of before sets them back.
    assert len(applied(lab).changed) == 1
    assert len(lab.store.test("checkout").epochs) == 3


def test_weights_are_given_for_all_variants_and_add_up() -> None:
    lab = begun()

    for weights, said in (
        ({"control": 50, "tretment": 50}, "give all of control, treatment"),
        ({"control": 50, "treatment": 40}, "add up to 90"),
        ({"control": 0, "treatment": 100}, "the control needs users"),
    ):
        with pytest.raises(InvalidInput, match=said):
            lab.reweigh(**weights)
    keeping.stop(lab.store, "checkout", by="ada", reason="enough", at=NOW)
    with pytest.raises(Refused, match="it is concluded"):
        lab.reweigh(control=40, treatment=60)


def test_weights_are_not_changed_more_often_than_can_be_kept_apart() -> None:
    lab = begun()
    for number in range(MOST_EPOCHS - 1):
        lab.reweigh(control=20 + number % 2, treatment=80 - number % 2)

    with pytest.raises(Refused, match="begin it again"):
        lab.reweigh(control=50, treatment=50)


def test_traffic_only_goes_up_at_every_moment_from_now_on() -> None:
    lab = begun(ramp={"steps": [1, 10, 50], "interval": "1d"})

    def change(**keys: Any) -> Any:
        return keeping.change(lab.store, "checkout", by="ada", at=lab.clock.at, **keys)

    with pytest.raises(Refused, match=r"2 days, 0:00:00 after its start 20 percent"):
        change(ramp=Ramp(steps=[5, 20], interval="1d"))
    with pytest.raises(Refused, match="0 percent would take part"):
        change(traffic=Decimal(0))
    wider = change(ramp=Ramp(steps=[5, 20, 50], interval="1d"))
    assert wider.epochs == lab.store.test("checkout").epochs
    lab.clock.go(days=1)
    # What is over needs not be kept to.
    assert change(ramp=Ramp(steps=[1, 20, 50], interval="1d")).ramp.steps[0] == 1
    with pytest.raises(Refused, match="Traffic and ramp only go up"):
        change(ramp=Ramp(steps=[1, 19, 50], interval="1d"))


def test_a_shipped_test_serves_its_winner_and_any_other_end_the_control() -> None:
    for verdict, serve, wanted in (
        ("ship", "treatment", "treatment"),
        ("futile", None, "control"),
        ("rollback", None, "control"),
        ("invalid", "control", "control"),
        ("inconclusive", None, "control"),
    ):
        lab = begun()
        ended = keeping.conclude(
            lab.store,
            "checkout",
            run=1,
            verdict=verdict,  # type: ignore[arg-type]
            serve=serve,
            end_reason="because",
            by="greenlane",
            at=lab.clock.at,
        )
        dealt = Deals(lab.store.snapshot()).deal("checkout", {"targetingKey": "u"}, 0.0)
        assert (ended.status, ended.verdict, ended.reason) == ("concluded", verdict, "because")
        assert dealt is not None
        assert (dealt.variant, dealt.why) == (wanted, "served")


def ended(lab: Laboratory, verdict: Any = "futile", run: int = 1, **more: Any) -> Any:
    return keeping.conclude(
        lab.store, "checkout", run=run, verdict=verdict, by="greenlane", at=lab.clock.at, **more
    )


def test_the_same_end_again_changes_nothing_and_another_one_is_refused() -> None:
    lab = begun()
    first = ended(lab, "ship", serve="treatment")
    lab.clock.go(hours=1)

    assert ended(lab, "ship", serve="treatment") == first
    with pytest.raises(Refused, match=r"it ended at .* \(ship\) and serves treatment"):
        ended(lab, "futile")
    with pytest.raises(Refused, match="serves treatment"):
        keeping.stop(lab.store, "checkout", by="ada", reason="no", at=lab.clock.at)


@pytest.mark.parametrize(
    ("verdict", "serve", "said"),
    [
        ("ship", None, "say which of treatment has won"),
        ("ship", "control", "say which of treatment has won"),
        ("ship", "tretment", "did you mean treatment"),
        ("futile", "treatment", "after futile the control is served"),
    ],
)
def test_an_end_serves_what_goes_with_it(verdict: str, serve: str | None, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        ended(begun(), verdict, serve=serve)


def test_a_person_stops_a_test_with_a_reason_and_says_what_is_served() -> None:
    lab = begun()
    with pytest.raises(InvalidInput, match="say why"):
        keeping.stop(lab.store, "checkout", by="ada", reason=" ", at=NOW)
    with pytest.raises(InvalidInput, match="at most 1000 characters"):
        keeping.stop(lab.store, "checkout", by="ada", reason="x" * 1001, at=NOW)

    stopped = keeping.stop(
        lab.store, "checkout", by="ada", reason="it must go out", serve="treatment", at=NOW
    )

    assert (stopped.verdict, stopped.served, stopped.change_reason) == (
        "stopped",
        "treatment",
        "it must go out",
    )


def test_a_draft_is_stopped_without_having_run_and_gives_its_place_free() -> None:
    lab = Laboratory()
    applied(lab)
    other = changed(("checkout:", "other:"))
    with pytest.raises(InvalidDocument, match="give each a part of its own"):
        applied(lab, other)
    with pytest.raises(Refused, match="never started"):
        ended(lab)

    stopped = keeping.stop(lab.store, "checkout", by="ada", reason="not now", at=NOW)

    assert (stopped.started_at, stopped.served) == (None, "control")
    assert applied(lab, other).tests == {"other": "draft"}


def test_a_concluded_test_stays_and_is_begun_again_under_another_salt_only() -> None:
    lab = Laboratory()
    applied(lab, start=True)
    lab.expose("user-1")
    ended(lab, "ship", serve="treatment")
    assert applied(lab, start=True).changed == ()
    different = changed(("[conversion_rate]", "[click_rate]"))
    with pytest.raises(Refused, match=r"it ended \(ship\) and serves treatment.*--again"):
        applied(lab, different)
    with pytest.raises(Refused, match="--again"):
        keeping.start(lab.store, "checkout", by="ada", at=NOW)

    applied(lab, different, again=True, start=True)

    second = lab.store.test("checkout")
    assert (second.run, second.salt, second.past_salts) == (2, "checkout@2", ("checkout",))
    assert (second.status, second.verdict, second.serve) == ("running", None, None)
    assert sum(lab.snapshot().epochs[0].users.values()) == 0
    assert lab.expose("user-1").result in ("exposed", "not_in_test")
    keeping.stop(lab.store, "checkout", by="ada", reason="x", at=NOW)
    third = keeping.start(lab.store, "checkout", by="ada", at=NOW, again=True)
    assert (third.run, third.salt) == (3, "checkout@3")
    with pytest.raises(Refused, match="run 3 is there now, and run 1 is over"):
        ended(lab, run=1)


def test_no_test_may_use_the_salt_of_another_one_or_of_an_earlier_run() -> None:
    lab = begun()
    keeping.stop(lab.store, "checkout", by="ada", reason="x", at=NOW)

    with pytest.raises(InvalidDocument, match="checkout uses or used this salt"):
        keeping.create(lab.store, "new", definition(salt="checkout"), by="ada", at=NOW)
    again = definition(salt="checkout", metrics=["click_rate"])
    keeping.create(lab.store, "checkout", again, by="ada", at=NOW, again=True)
    assert lab.store.test("checkout").salt == "checkout@2"
    with pytest.raises(InvalidDocument, match="uses or used"):
        keeping.create(lab.store, "new", definition(salt="checkout@2"), by="ada", at=NOW)


def test_a_generated_salt_that_an_earlier_run_had_is_refused_too() -> None:
    lab = begun()
    keeping.stop(lab.store, "checkout", by="ada", reason="x", at=NOW)
    second = definition(salt="checkout@3")
    keeping.create(lab.store, "checkout", second, by="ada", at=NOW, again=True)
    keeping.stop(lab.store, "checkout", by="ada", reason="x", at=NOW)

    with pytest.raises(InvalidDocument, match="checkout uses or used this salt"):
        keeping.create(lab.store, "checkout", definition(), by="ada", at=NOW, again=True)


def test_layers_and_holdouts_are_those_of_the_start() -> None:
    lab = Laboratory()
    applied(lab, start=True)
    applied(lab, changed(("percentage: 5", "percentage: 50")))

    assert lab.store.test("checkout").holdouts[0].end == 50_000
    assert lab.store.layers().holdouts["quarter"].percentage == 50
    with pytest.raises(Refused, match="checkout runs in this layer"):
        applied(lab, changed(("layers: {nav: {}}", "layers: {nav: {salt: new}}")))


def test_a_file_is_checked_together_with_what_is_stored() -> None:
    lab = Laboratory()
    applied(lab, start=True)
    keeping.stop(lab.store, "checkout", by="ada", reason="x", at=NOW)
    holdout = "holdouts: {h: {percentage: 1, tests: [checkout, %s]}}\nab_tests: {}"

    with pytest.raises(
        InvalidDocument, match=r"line 1: holdouts\.h\.tests\.1.*did you mean checko"
    ):
        applied(lab, holdout % "checkot")
    assert applied(lab, holdout.replace(", %s", "")).tests == {}
    with pytest.raises(InvalidDocument, match="line 2: ab_tests.b.layer"):
        applied(
            lab,
            "ab_tests:\n  b: {variants: {a: 50, b: 50}, metrics: [a_rate], layer: {name: new}}\n",
        )


def test_one_test_can_be_created_with_the_layers_that_are_stored() -> None:
    lab = Laboratory()
    applied(lab)
    staff = document_of(FILE).segments
    one = definition(layer={"name": "nav", "start": 50}, targeting={"segment": "staff"})

    with pytest.raises(InvalidDocument, match="there is no segment"):
        keeping.create(
            lab.store, "other", one.model_copy(update={"targeting": _missing()}), by="a", at=NOW
        )
    made = keeping.create(lab.store, "other", one, by="ada", at=NOW, start=True, segments=staff)

    assert made.layer is not None
    assert made.status == "running"
    with pytest.raises(InvalidInput, match="ab_tests"):
        keeping.create(lab.store, "no name", one, by="ada", at=NOW)


def _missing() -> Any:
    return definition(targeting={"segment": "nobody"}).targeting
