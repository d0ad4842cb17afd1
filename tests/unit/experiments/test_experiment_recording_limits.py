"""What is refused: wrong events, totals and sums beyond the digits, more than may wait."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from greenlane.errors import InvalidInput, UnknownTest
from greenlane.experiments.assignment import bucket
from greenlane.experiments.counting.events import Event, Exposure, Recorded
from greenlane.experiments.counting.people import MOST_PENDING
from greenlane.experiments.counting.recording import Recorder
from greenlane.experiments.counting.transacting import MOST_USERS
from greenlane.experiments.names import TABLE
from greenlane.experiments.statistics.moments import UNIT, OutOfBudget
from tests.experiment_store import NOW, Laboratory, begun, dealt, in_control, only
from tests.flag_store import Failing

SPEND = {"name": "spend", "kind": "mean", "direction": "higher"}
COVARIATE = {**SPEND, "covariate": "spent_before"}


@pytest.fixture
def lab() -> Laboratory:
    return begun(metrics=["conversion_rate", SPEND])


def waiting(unit: str, at: datetime, count: int, **more: Any) -> list[Event]:
    """Events of one minute each."""
    return [
        Event("checkout", unit, "spend", 1, f"e{number}", at + timedelta(minutes=number), **more)
        for number in range(count)
    ]


def test_who_does_a_lot_before_he_is_exposed_is_never_told_to_send_it_again(
    lab: Laboratory,
) -> None:
    (unit,) = in_control(lab)
    lab.clock.go(hours=5)
    at = lab.clock.at - timedelta(hours=4)
    many = waiting(unit, at, 3 * MOST_PENDING)
    answers = [one.result for one in lab.recorder.record(many)]
    late = waiting(unit, at - timedelta(minutes=9), 1)[0]

    assert answers == ["pending"] * 3 * MOST_PENDING
    assert lab.recorder.record([replace(late, id="late")]) == [Recorded("before_exposure")]
    lab.expose(unit, at=many[-10].at)
    assert only(lab, "spend").y == 10 * UNIT
    assert lab.counters()["0#control"]["before_exposure"] == 3 * MOST_PENDING - 9
    assert {one.result for one in lab.recorder.record(many)} == {"duplicate"}


def test_a_covariate_is_whole_though_its_records_waited_too_long_and_knows_nothing_of_later() -> (
    None
):
    lab = begun(metrics=["conversion_rate", COVARIATE])
    early, late = in_control(lab, 2)
    lab.clock.go(hours=5)
    at = lab.clock.at - timedelta(hours=4)
    for unit in (early, late):
        lab.recorder.record(
            [replace(one, metric="spent_before") for one in waiting(unit, at, MOST_PENDING + 9)]
        )
    lab.expose(early, at=lab.clock.at)
    assert only(lab, "spend").z == (MOST_PENDING + 9) * UNIT
    lab.expose(late, at=at)

    assert only(lab, "spend").z == (MOST_PENDING + 9) * UNIT


def test_a_second_variant_is_told_though_its_event_waited_too_long(lab: Laboratory) -> None:
    (unit,) = in_control(lab)
    lab.clock.go(hours=5)
    at = lab.clock.at - timedelta(hours=4)
    lab.record(unit, id="seen", at=at - timedelta(minutes=1), variant="treatment")
    lab.recorder.record(waiting(unit, at, MOST_PENDING))

    assert lab.expose(unit).result == "crossover"
    assert lab.counters() == {"0#control": {"crossovers": 1}}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"metric": "conversion_rat"}, "did you mean conversion_rate"),
        ({"value": 2}, "conversion_rate is a proportion"),
        ({"value": "many"}, "send a number"),
        ({"value": True}, "send a finite number"),
        ({"metric": "tickets", "value": 0.5}, "tickets is a count"),
        ({"metric": "wait", "value": -1}, "wait is a quantile"),
        ({"variant": "treatmnt"}, "did you mean treatment"),
        ({"at": NOW.replace(tzinfo=None)}, "write an offset"),
        ({"at": NOW + timedelta(hours=2)}, "it is not yet"),
        ({"value": "1e99999999"}, "a user's total is at most 10"),
        ({"value": "-1e99999999"}, "a user's total is at most 10"),
        ({"id": ""}, "1 to 256 characters"),
        ({"id": "x" * 257}, "1 to 256 characters"),
        ({"unit": ""}, "1 to 256 characters"),
    ],
)
def test_a_wrong_event_is_refused_by_name_and_keeps_no_other_from_counting(
    event: dict[str, Any], said: str
) -> None:
    tickets = {"name": "tickets", "kind": "count", "direction": "lower"}
    wait = {"name": "wait", "kind": "quantile", "direction": "lower", "quantile": 0.9}
    lab = begun(metrics=["conversion_rate", tickets, wait])
    (unit,) = in_control(lab)
    lab.expose(unit)
    given = {"unit": unit, "metric": "conversion_rate", "value": 1, "id": "e", **event}
    wrong = Event("checkout", **given)

    answers = lab.recorder.record([wrong, Event("checkout", unit, "conversion_rate", 1, "good")])

    assert [one.result for one in answers] == ["refused", "counted"]
    assert said in answers[0].why
    with pytest.raises(InvalidInput, match=said):
        lab.recorder.record_one(wrong)


def test_what_is_exposed_is_checked_too(lab: Laboratory) -> None:
    with pytest.raises(UnknownTest, match="did you mean checkout"):
        lab.recorder.expose(Exposure("chekout", "user-1"))
    with pytest.raises(InvalidInput, match="did you mean treatment"):
        lab.expose("user-1", "treatmen")
    with pytest.raises(InvalidInput, match="say who was shown it"):
        lab.recorder.expose(Exposure("checkout"))
    with pytest.raises(InvalidInput, match="1 to 256 characters"):
        lab.expose("u" * 300)
    spending = begun(metrics=[COVARIATE])
    with pytest.raises(InvalidInput, match=r"context\.spent_before"):
        spending.expose("user-1", context={"spent_before": "a lot"})
    assert lab.counters() == spending.counters() == {}


def test_an_event_of_a_test_without_an_end_is_not_taken_when_it_is_too_old_to_tell() -> None:
    lab = begun(maximum_duration=None)
    (unit,) = in_control(lab)
    lab.expose(unit)
    lab.clock.go(days=70)

    answer = lab.recorder.record(
        [Event("checkout", unit, "conversion_rate", 1, "e", lab.clock.at - timedelta(days=61))]
    )

    assert answer[0].result == "refused"
    assert "60 days" in answer[0].why


def test_a_users_total_is_at_most_a_thousand_million_and_nothing_of_more_counts(
    lab: Laboratory,
) -> None:
    (unit,) = in_control(lab)
    lab.expose(unit)
    lab.record(unit, 10**9, metric="spend", id="a")
    before = lab.counters()

    with pytest.raises(OutOfBudget, match="at most 10"):
        lab.record(unit, "0.000001", metric="spend", id="b")
    answers = lab.recorder.record(
        [
            Event("checkout", unit, "spend", 1, "c"),
            Event("checkout", unit, "spend", Decimal("-2.5"), "d"),
        ]
    )

    assert [one.result for one in answers] == ["refused", "counted"]
    assert lab.counters() != before
    assert only(lab, "spend").y == 10**15 - 2_500_000
    # What was refused left no trace, so it may come again.
    assert lab.record(unit, 1, metric="spend", id="c").result == "counted"


def test_a_sum_never_needs_more_than_38_digits_for_a_shard_takes_so_many_users(
    lab: Laboratory,
) -> None:
    assert (MOST_USERS * (10**15) ** 2) < 10**38
    test = lab.store.test("checkout")
    for shard in range(test.shards):
        lab.table.put_item(
            TableName=TABLE,
            Item={
                "pk": {"S": f"count#checkout#1#{shard}"},
                "sk": {"S": "0#control"},
                "n": {"N": str(MOST_USERS)},
            },
        )
    before = lab.table.items()

    with pytest.raises(OutOfBudget, match="more shards"):
        lab.expose(in_control(lab)[0])
    assert lab.table.items() == before


def test_a_sum_that_dynamodb_cannot_hold_is_told_and_counts_nothing(lab: Laboratory) -> None:
    (unit,) = in_control(lab)
    lab.expose(unit)
    for item in lab.items("count#"):
        lab.table.put_item(TableName=TABLE, Item=item | {"spend:yy": {"N": "9" * 38}})
    before = lab.table.items()

    with pytest.raises(OutOfBudget, match="38 digits"):
        lab.record(unit, 5, metric="spend")
    assert lab.table.items() == before


def test_the_largest_test_that_is_taken_fits_into_a_transaction_and_an_expression() -> None:
    """100 items, and 4 KB of each expression, are all that DynamoDB takes."""
    quantiles: list[dict[str, Any]] = [
        {"name": f"wait_{n}", "kind": "quantile", "direction": "lower", "quantile": 0.9}
        for n in range(3)
    ]
    means: list[dict[str, Any]] = [
        {"name": f"m_{n}", "kind": "mean", "direction": "higher", "covariate": f"c_{n}"}
        for n in range(40)
    ]
    lab = begun(
        metrics=[*means, *quantiles],
        segments={f"s_{n}": {"device": "mobile"} for n in range(11)},
    )
    (unit,) = in_control(lab)
    before = {f"c_{n}": 1 + n for n in range(40)}
    waiting = [Event("checkout", unit, one["name"], 2, "a") for one in (*means, *quantiles)]
    assert {one.result for one in lab.recorder.record(waiting)} == {"pending"}

    seen = lab.expose(unit, context={"device": "mobile", **before}, at=NOW + timedelta(minutes=1))
    more = [Event("checkout", unit, one["name"], 3, "b") for one in (*means, *quantiles)]
    many = [Event("checkout", unit, "wait_0", 3, f"e{n}") for n in range(7)]

    assert seen.result == "exposed"
    assert {one.result for one in lab.recorder.record([*more, *many])} == {"counted"}
    assert only(lab, "m_0").y == 5 * UNIT
    assert lab.snapshot(segment="s_10").moments["m_39"]["control"][0].z == 40 * UNIT
    assert lab.expose(unit, "treatment").result == "crossover"
    assert lab.counters() == {"0#control": {"crossovers": 1}}


def test_weights_that_changed_a_moment_ago_are_read_before_anybody_is_called_a_crossover() -> None:
    lab = begun()
    behind = Recorder(lab.table, TABLE, clock=lab.clock, known_seconds=5)
    behind.assign("checkout", {"targetingKey": "user-1"})
    test = lab.store.test("checkout")
    stays, moves, told = (
        next(u for u in dealt(test, "control", 400) if low <= bucket("variant:checkout", u) < high)
        for low, high in ((0, 100_000), (200_000, 400_000), (400_000, 500_000))
    )
    lab.reweigh(control=20, treatment=80)

    answers = [
        behind.expose(Exposure("checkout", moves, "treatment")),
        behind.expose(Exposure("checkout", told, "treatment", epoch=1)),
        behind.expose(Exposure("checkout", stays, "treatment")),
    ]

    assert [one.result for one in answers] == ["exposed", "exposed", "crossover"]
    assert lab.snapshot().epochs[1].users == {"control": 0, "treatment": 2}


def test_a_definition_is_read_again_when_it_is_a_few_seconds_old() -> None:
    lab = Laboratory()
    lab.begin()
    counting = Failing(lab.table)
    recorder = Recorder(counting, TABLE, clock=lab.clock, known_seconds=5)
    context = {"targetingKey": "user-1"}

    for _ in range(3):
        recorder.assign("checkout", context)
    assert counting.calls == ["get_item"]
    lab.clock.go(seconds=5)
    recorder.assign("checkout", context)
    assert counting.calls == ["get_item"] * 2


def test_a_name_that_is_no_test_is_not_asked_for_again_at_once() -> None:
    counting = Failing(Laboratory().table)
    clock = Laboratory().clock
    recorder = Recorder(counting, TABLE, clock=clock, known_seconds=5)

    for _ in range(3):
        with pytest.raises(UnknownTest):
            recorder.assign("nothing", {"targetingKey": "user-1"})
    assert len(counting.calls) == 2  # the item, and which names there are


@pytest.mark.parametrize("year", [1, 500, 1999])
def test_a_year_that_could_not_be_read_again_is_refused_and_spoils_no_user(year: int) -> None:
    lab = begun(metrics=["conversion_rate", COVARIATE])
    (unit,) = in_control(lab)
    at = datetime(year, 1, 1, tzinfo=timezone(timedelta(hours=14)))

    with pytest.raises(InvalidInput, match="it is before 2000"):
        lab.record(unit, metric="spent_before", at=at)
    with pytest.raises(InvalidInput, match="it is before 2000"):
        lab.expose(unit, at=at)
    assert lab.expose(unit).result == "exposed"
    assert lab.record(unit).result == "counted"


class Reading:
    """Counts what is read of the definitions."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.definitions = self.names = self.queries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def get_item(self, **given: Any) -> Any:
        self.definitions += given["Key"]["pk"]["S"] == "tests"
        self.names += given["Key"]["pk"]["S"] == "snapshot#tests"
        return self.table.get_item(**given)

    def query(self, **given: Any) -> Any:
        self.queries += 1
        return self.table.query(**given)


def test_names_that_somebody_makes_up_do_not_wear_out_the_definitions(lab: Laboratory) -> None:
    reading = Reading(lab.table)
    recorder = Recorder(reading, TABLE, clock=lab.clock, sleep=lambda seconds: None)
    made_up = [Event(f"checkou{number}", "u", "conversion_rate", 1, "e") for number in range(100)]

    answers = recorder.record(made_up)
    assert {one.result for one in answers} == {"refused"}
    assert "did you mean checkout?" in answers[0].why
    assert (reading.definitions, reading.names, reading.queries) == (1, 1, 0)
    lab.begin("banner")
    lab.clock.go(seconds=5)
    assert recorder.record([Event("banner", "u", "conversion_rate", 1, "e")])[0].result == "pending"
