"""Whatever is sent twice, late, out of order or while AWS fails: it counts as one clean run would.

The sums are compared, to the last digit, with a plain re-computation from everything that was told
(see `counting_truth`).
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from greenlane.experiments.counting.events import Event, Exposure
from greenlane.experiments.counting.known import Known
from greenlane.experiments.counting.people import person_from
from greenlane.experiments.counting.reading import before_exposure
from greenlane.experiments.counting.sums import stands_for
from greenlane.experiments.names import TABLE
from tests.aws_failures import BEFORE, LOST, until_it_is_in
from tests.effort import examples
from tests.experiment_store import NOW, Laboratory
from tests.flag_store import Failing
from tests.unit.experiments.counting_truth import Truth

METRICS = [
    "conversion_rate",
    {"name": "revenue", "kind": "mean", "direction": "higher", "cap": 50, "covariate": "spent"},
    {"name": "rating", "kind": "mean", "direction": "higher", "per": "record"},
    {
        "name": "pages_per_visit",
        "kind": "ratio",
        "direction": "higher",
        "numerator": "pages",
        "denominator": "visits",
    },
    {"name": "tickets", "kind": "count", "direction": "lower"},
    {"name": "wait", "kind": "quantile", "direction": "lower", "quantile": 0.9},
]
UNITS = [f"user-{number}" for number in range(4)]
RECORDED = ["conversion_rate", "revenue", "spent", "rating", "pages", "visits", "tickets", "wait"]
MONEY = st.decimals(-90, 90, places=6)
VALUES = {
    "conversion_rate": st.integers(0, 1),
    "tickets": st.integers(0, 3),
    "wait": st.decimals(0, 9000, places=3),
}


class ExactlyOnce(RuleBasedStateMachine):
    """Random exposures, events, replays and failures of one test, whose weights change."""

    @initialize(shards=st.integers(1, 3))
    def begin(self, shards: int) -> None:
        self.client = Failing(None)
        self.lab = Laboratory(self.client)
        self.client.target = self.lab.table
        self.test = self.lab.begin(
            metrics=METRICS, segments={"mobile": {"device": "mobile"}}, shards=shards
        )
        self.truth = Truth(self.test.definition, NOW)
        self.told: list[Exposure | Event] = []
        self.events: dict[tuple[str, str, str], Event] = {}
        self.lab.clock.go(hours=1)

    @rule(
        unit=st.sampled_from(UNITS),
        shown=st.sampled_from([None, None, None, "dealt", "control", "treatment"]),
        minutes=st.integers(0, 90),
        mobile=st.booleans(),
        spent=st.none() | MONEY,
    )
    def expose(self, unit: str, shown: str | None, minutes: int, mobile: bool, spent: Any) -> None:
        deals = self._deals(unit)
        variant = deals[-1][1] if shown == "dealt" else shown
        context: dict[str, Any] = {"device": "mobile"} if mobile else {}
        if spent is not None:
            context["spent"] = spent
        at = self.lab.clock.at - timedelta(minutes=min(minutes, 55))
        self._tell(Exposure("checkout", unit, variant, context, at))

    @rule(data=st.data(), count=st.integers(1, 4))
    def record(self, data: st.DataObject, count: int) -> None:
        batch = [data.draw(self._an_event()) for _ in range(count)]
        for event in batch:
            self._note(event)
        until_it_is_in(lambda: self._all_in(batch))

    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        """What was sent before is sent again, by another process."""
        if self.told:
            self.lab.recorder = self.lab.new_recorder()
            self._tell(data.draw(st.sampled_from(self.told)))

    @rule(treatment=st.integers(10, 90))
    def reweigh(self, treatment: int) -> None:
        if len(self.test.epochs) < 3:
            control = 100 - treatment
            until_it_is_in(lambda: self.lab.reweigh(control=control, treatment=treatment))
            self.test = Laboratory.over(self.lab).store.test("checkout")

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.lab.clock.go(hours=hours)

    @rule(
        ahead=st.integers(0, 3),
        before=st.none() | st.sampled_from(sorted(BEFORE)),
        after=st.none() | st.sampled_from(sorted(LOST)),
    )
    def break_down(self, ahead: int, before: str | None, after: str | None) -> None:
        """One of the next calls fails, before its effect or after it."""
        number = len(self.client.calls) + ahead
        if before is not None:
            self.client.before[number] = BEFORE[before]()
        if after is not None:
            self.client.after[number] = LOST[after]()

    @invariant()
    def the_sums_are_those_of_a_plain_recomputation(self) -> None:
        early = before_exposure(self.lab.table, TABLE, self.test)
        reader = Laboratory.over(self.lab)
        self.truth.check(reader.snapshot(), early)
        self.truth.check(reader.snapshot(segment="mobile"), early, "mobile")

    @invariant()
    def the_counters_are_what_all_users_add_up_to(self) -> None:
        expected: dict[str, Counter[str]] = {}
        for item in self.lab.items("user#"):
            person = person_from(item)
            for counter, numbers in stands_for(self.test.definition, person).items():
                key = f"{person.epoch}#{person.variant}{counter}"
                expected.setdefault(key, Counter()).update(numbers)
        assert Laboratory.over(self.lab).counters() == {
            key: {name: number for name, number in one.items() if number}
            for key, one in expected.items()
            if any(one.values())
        }

    def _an_event(self) -> st.SearchStrategy[Event]:
        minutes = st.integers(-30, 90)
        claims = st.sampled_from([None, None, None, "control"])

        def made(unit: str, metric: str, id: str, value: Any, ago: int, claim: Any) -> Event:
            key = (unit, metric, id)
            at = min(self.lab.clock.at, NOW + timedelta(minutes=ago))
            event = Event("checkout", unit, metric, value, id, at, claim)
            # One id is one event: whoever sends it again sends the same.
            return self.events.setdefault(key, event)

        def with_value(metric: str) -> st.SearchStrategy[Event]:
            value = VALUES.get(metric, MONEY)
            ids = st.sampled_from(["a", "b", "c"])
            return st.builds(
                made, st.sampled_from(UNITS), st.just(metric), ids, value, minutes, claims
            )

        return st.sampled_from(RECORDED).flatmap(with_value)

    def _deals(self, unit: str) -> list[tuple[datetime, str]]:
        dealer = Known(self.test).dealer
        return [(one.since, dealer.variant_of(unit, one.number)) for one in self.test.epochs]

    def _tell(self, told: Exposure | Event) -> None:
        self._note(told)
        if isinstance(told, Exposure):
            until_it_is_in(lambda: self.lab.recorder.expose(told))
        else:
            until_it_is_in(lambda: self._all_in([told]))

    def _note(self, told: Exposure | Event) -> None:
        self.told.append(told)
        if isinstance(told, Event):
            self.truth.recorded(told)
        else:
            assert told.at is not None
            assert told.unit is not None
            deals = self._deals(told.unit)
            self.truth.exposed(told.unit, deals, told.variant, told.at, told.context)

    def _all_in(self, batch: list[Event]) -> None:
        answers = self.lab.recorder.record(batch)
        assert [one for one in answers if one.result == "retry"] == []


ExactlyOnce.TestCase.settings = settings(
    max_examples=examples(60, 400),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
test_any_run_of_events_failures_and_replays_counts_everything_once = ExactlyOnce.TestCase
