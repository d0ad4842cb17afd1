"""Lookups of A/B tests: what is dealt, what is on record, and what is said without either."""

from typing import Any

import pytest

from greenlane.experiments.answering import (
    REST_SECONDS,
    Answers,
    Unreadable,
)
from greenlane.experiments.names import TABLE
from greenlane.experiments.storing import keeping
from greenlane.flags.reading.sources import BotoSource
from tests.experiment_store import NOW, Laboratory, dealt, definition
from tests.unit.flags.reading import Time


class Broken:
    """A source whose reads fail while they are told to, and that counts those of items."""

    def __init__(self, source: BotoSource) -> None:
        self._source = source
        self.snapshots = self.records = True
        self.asked: list[int] = []

    def version(self, environment: str) -> int | None:
        if not self.snapshots:
            raise OSError("no answer")
        return self._source.version(environment)

    def snapshot(self, environment: str) -> tuple[int, bytes] | None:
        return self._source.snapshot(environment)

    def items(self, keys: Any) -> Any:
        self.asked.append(len(keys))
        if not self.records:
            raise OSError("no answer")
        return self._source.items(keys)


class Desk:
    """Answers over a laboratory's table, at a time that is moved by hand."""

    def __init__(self) -> None:
        self.laboratory = Laboratory()
        self.source = Broken(BotoSource(self.laboratory.table, TABLE))
        self.time = Time()
        self.answers = Answers(
            self.source, clock=self.time.clock, monotonic=self.time.monotonic, ttl_seconds=0
        )

    def one(self, unit: str | None = "user-1", test: str = "checkout", **known: Any) -> Any:
        context = {**known} if unit is None else {"targetingKey": unit, **known}
        return self.answers.one(test, context, self.laboratory.clock.now().timestamp())

    def said(self, *unit: Any, **known: Any) -> tuple[Any, Any, Any]:
        found = self.one(*unit, **known)
        return found.found.variant, found.found.reason, found.metadata["why"]


def moved(desk: Desk, name: str = "checkout") -> str:
    """A user whom the first weights gave the control, and those of now the treatment."""
    test = desk.laboratory.store.test(name)
    latest = set(dealt(test, "treatment", 200, epoch=len(test.epochs) - 1))
    return next(unit for unit in dealt(test, "control", 100) if unit in latest)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_value_is_the_variants_name_with_what_a_client_needs_to_report_it(desk: Desk) -> None:
    test = desk.laboratory.begin()
    (unit,) = dealt(test, "treatment", 1)

    found, about = desk.one(unit)

    assert (found.key, found.value, found.variant) == ("checkout", "treatment", "treatment")
    assert found.reason == "SPLIT"
    assert about == {
        "experiment": "checkout",
        "run": 1,
        "why": "assigned",
        "takesPart": True,
        "epoch": 0,
    }


def test_it_is_what_the_recorder_assigns(desk: Desk) -> None:
    desk.laboratory.begin(targeting={"country": ["de"]}, traffic=50)
    units = [f"user-{number}" for number in range(200)]

    for country in ("de", "fr"):
        for unit in units:
            assigned = desk.laboratory.recorder.assign(
                "checkout", {"targetingKey": unit, "country": country}
            )
            found, about = desk.one(unit, country=country)
            assert (found.variant, about["why"], about["takesPart"]) == (
                assigned.variant,
                assigned.why,
                assigned.takes_part,
            )


def test_whoever_takes_no_part_has_the_control_and_is_no_exposure(desk: Desk) -> None:
    desk.laboratory.begin(targeting={"country": "de"})

    assert desk.said("user-1", country="fr") == ("control", "DEFAULT", "not_eligible")
    assert desk.said(None, country="de") == ("control", "DEFAULT", "no_unit")
    assert not desk.one("user-1", country="fr").metadata["takesPart"]


def test_a_draft_and_an_ended_test_are_answered_and_count_nothing(desk: Desk) -> None:
    keeping.create(desk.laboratory.store, "checkout", definition(), by="ada", at=NOW)
    draft = desk.said()
    keeping.start(desk.laboratory.store, "checkout", by="ada", at=NOW)
    keeping.stop(
        desk.laboratory.store, "checkout", by="ada", reason="enough", at=NOW, serve="treatment"
    )

    assert draft == ("control", "DEFAULT", "draft")
    assert desk.said() == ("treatment", "STATIC", "served")
    assert not desk.one().metadata["takesPart"]


def test_a_variant_on_record_stays_when_the_weights_change(desk: Desk) -> None:
    test = desk.laboratory.begin()
    units = dealt(test, "control", 40)
    for unit in units[:20]:
        desk.laboratory.expose(unit)
    desk.laboratory.reweigh(control=1, treatment=99)

    recorded = [desk.said(unit) for unit in units[:20]]
    others = {desk.said(unit)[0] for unit in units[20:]}

    assert {one[:2] for one in recorded} == {("control", "SPLIT")}
    assert sum(one[2] == "recorded" for one in recorded) > 15
    assert "treatment" in others
    assert {
        about["epoch"] for _, about in map(desk.one, units[:20]) if about["why"] == "recorded"
    } == {0}


def test_a_record_is_read_only_where_it_could_say_otherwise(desk: Desk) -> None:
    test = desk.laboratory.begin(traffic=50, targeting={"country": "de"})
    desk.laboratory.reweigh(control=40, treatment=60)
    units = dealt(test, "treatment", 40)
    whys = [desk.said(unit, country="de")[2] for unit in units]  # they had it, and have it still
    desk.one(None, country="de")
    before = list(desk.source.asked)
    (inside,) = [unit for unit, why in zip(units, whys, strict=True) if why == "assigned"][:1]
    (outside,) = [unit for unit, why in zip(units, whys, strict=True) if why != "assigned"][:1]
    desk.one(outside, country="fr")  # who never could take part is on no record
    desk.one(inside, country="fr")

    assert set(whys) == {"assigned", "not_included"}
    assert (before, desk.source.asked) == ([], [1])


def test_while_no_record_can_be_read_nobody_sees_another_variant_than_he_is_dealt_anyway(
    desk: Desk,
) -> None:
    test = desk.laboratory.begin(targeting={"country": "de"})
    (unit,) = dealt(test, "treatment", 1)
    desk.laboratory.expose(unit, context={"country": "de"})
    desk.source.records = False
    first = desk.said(unit, country="de")
    desk.laboratory.reweigh(control=10, treatment=90)

    assert first == desk.said(unit, country="de") == ("treatment", "SPLIT", "assigned")


def test_a_record_that_cannot_be_read_gives_the_control_and_no_exposure(desk: Desk) -> None:
    desk.laboratory.begin()
    desk.laboratory.reweigh(control=10, treatment=90)
    unit = moved(desk)
    desk.source.records = False

    found, about = desk.one(unit)

    assert (found.variant, found.reason) == ("control", "STALE")
    assert (about["why"], about["takesPart"], "epoch" in about) == ("unreadable", False, False)


def test_nobody_waits_for_a_second_timeout_of_records(desk: Desk) -> None:
    desk.laboratory.begin()
    desk.laboratory.reweigh(control=10, treatment=90)
    unit = moved(desk)
    desk.source.records = False
    for _ in range(5):
        desk.one(unit)
    desk.source.records = True
    resting = desk.said(unit)[2]
    desk.laboratory.clock.go(seconds=REST_SECONDS)

    assert (len(desk.source.asked), resting) == (1, "unreadable")
    assert desk.said(unit)[2] == "assigned"


def test_records_of_several_tests_are_read_at_once(desk: Desk) -> None:
    for name in ("a", "b", "c"):
        desk.laboratory.begin(name)
        desk.laboratory.reweigh(name, control=1, treatment=99)
    desk.laboratory.begin("plain")
    moment = desk.laboratory.clock.now().timestamp()

    units = [
        {*dealt(test, "control", 100)} & {*dealt(test, "treatment", 200, epoch=1)}
        for test in (desk.laboratory.store.test(name) for name in ("a", "c"))
    ]
    unit = min(units[0] & units[1])

    found = desk.answers.every({"targetingKey": unit}, moment, hidden={"b"})

    assert [one.found.key for one in found] == ["a", "c", "plain"]
    assert desk.source.asked == [2]


def test_without_any_test_none_is_known(desk: Desk) -> None:
    assert desk.one() is None
    assert desk.answers.every({}, 0.0) == []
    assert desk.answers.version == 0


def test_tests_that_were_never_read_are_not_taken_for_unknown(desk: Desk) -> None:
    desk.laboratory.begin()
    desk.source.snapshots = False

    with pytest.raises(Unreadable):
        desk.one()
    assert desk.answers.every({}, 0.0) == []


def test_the_last_tests_are_answered_as_stale_while_they_cannot_be_read(desk: Desk) -> None:
    test = desk.laboratory.begin()
    (unit,) = dealt(test, "treatment", 1)
    desk.one(unit)
    desk.source.snapshots = False
    desk.time.passes(60)

    assert desk.said(unit) == ("treatment", "STALE", "assigned")


def test_while_tests_are_stale_no_record_is_waited_for(desk: Desk) -> None:
    desk.laboratory.begin()
    desk.laboratory.reweigh(control=10, treatment=90)
    unit = moved(desk)
    desk.one(unit)
    desk.source.snapshots = False
    desk.time.passes(60)

    assert desk.said(unit) == ("control", "STALE", "unreadable")
    assert len(desk.source.asked) == 1


@pytest.mark.parametrize("epoch", [None, {"S": "x"}])
def test_a_record_that_is_none_is_not_trusted(desk: Desk, epoch: Any) -> None:
    desk.laboratory.begin()
    desk.laboratory.reweigh(control=10, treatment=90)
    unit = moved(desk)
    desk.laboratory.expose(unit, "control")
    (item,) = desk.laboratory.items("user#")
    item.pop("epoch")
    if epoch is not None:
        item["epoch"] = epoch
    desk.laboratory.table.put_item(TableName=TABLE, Item=item)

    assert desk.said(unit) == ("control", "STALE", "unreadable")


def test_who_only_sent_events_yet_is_not_on_record(desk: Desk) -> None:
    desk.laboratory.begin()
    desk.laboratory.reweigh(control=10, treatment=90)
    unit = moved(desk)
    desk.laboratory.record(unit)

    assert desk.said(unit)[2] == "assigned"


def test_an_error_of_a_user_says_nothing_of_the_user(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.laboratory.begin()
    (dealer,) = desk.answers.reader.deals()[0].tests.values()

    def fails(*_: Any) -> Any:
        raise ValueError("user-1 of Berlin")

    monkeypatch.setattr(type(dealer), "deal", fails)
    found, about = desk.one()

    assert (found.error, found.message, about) == ("GENERAL", "ValueError", {})
