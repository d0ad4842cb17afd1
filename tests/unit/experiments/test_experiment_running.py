"""Looks, watches, executions and ends of tests, by the real functions in virtual time."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.experiments.decision import decide
from greenlane.experiments.records import Look, Snapshot
from greenlane.experiments.report.compose import compose
from greenlane.experiments.running import settling
from greenlane.experiments.running.ending import conclude_experiment, end_by_look
from greenlane.experiments.running.looking_after import keep
from greenlane.experiments.running.timing import (
    ExperimentRun,
    next_look,
    watch_due,
    whole_seconds,
)
from greenlane.experiments.running.watching import watch
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.state import owed
from tests.builders import NOW
from tests.experiment_town import FLAG, NAME, TEST, WITH_FLAG, ExperimentTown
from tests.fakes import error
from tests.unit.experiments.experimenting import START, experiment, snapshot, succeeded

MINUTE = timedelta(minutes=1)


def look_at(days: float, looks: list[Look], **more: Any) -> Look:
    test = experiment(**more)
    return decide(test, snapshot(days, {"control": 10, "treatment": 10}, {}), looks)


# When.


def test_looks_are_due_at_whole_intervals_and_once_more_at_the_end() -> None:
    test = experiment(maximum_duration="60h", look_interval="1d")
    days, looks = [], list[Look]()
    while (due := next_look(test, START, looks)) is not None:
        days.append((due - START) / timedelta(days=1))
        seen = snapshot(days[-1], {"control": 10, "treatment": 10}, {})
        looks.append(decide(test, seen, looks))
    assert days == [1, 2, 2.5]


def test_a_look_that_was_missed_is_taken_late_and_not_made_up_for() -> None:
    looks = [look_at(3.4, [])]
    assert next_look(experiment(), START, looks) == START + timedelta(days=4)


def test_a_test_without_an_end_is_looked_at_for_ever() -> None:
    test = experiment(maximum_duration=None, look_interval="7d")
    seen = decide(test, snapshot(700.5, {"control": 10, "treatment": 10}, {}))
    assert next_look(test, START, [seen]) == START + timedelta(days=707)


@given(
    interval=st.integers(60, 10**6),
    longest=st.integers(60, 10**7),
    late=st.integers(0, 10**6),
)
def test_the_next_look_is_never_before_the_last_and_never_after_the_end(
    interval: int, longest: int, late: int
) -> None:
    test = experiment().model_copy(
        update={
            "look_interval": timedelta(seconds=interval),
            "maximum_duration": timedelta(seconds=longest),
        }
    )
    first = next_look(test, START, [])
    assert first is not None
    at = first + timedelta(seconds=late)
    seen = snapshot((at - START) / timedelta(days=1), {"control": 1, "treatment": 1}, {})
    look = decide(test, seen.model_copy(update={"at": at}))
    after = next_look(test, START, [look])
    if after is None:
        assert look.final
    else:
        assert at < after <= START + timedelta(seconds=longest)


def test_watches_come_a_while_after_the_start_and_after_each_other() -> None:
    test = experiment(watch_interval="15m")
    assert watch_due(test, START, None) == START + 15 * MINUTE
    assert watch_due(test, START, START + 20 * MINUTE) == START + 35 * MINUTE


def test_waits_are_whole_seconds_that_are_never_early_and_never_too_long() -> None:
    assert whole_seconds(timedelta(seconds=1.2)) == 2
    assert whole_seconds(timedelta(0)) == 1
    assert whole_seconds(timedelta(days=90)) == 7 * 86400


# What a watch says.

RATES = st.integers(0, 400)


@given(
    control=st.integers(1, 800),
    treatment=st.integers(1, 800),
    errors=st.tuples(RATES, RATES),
    left=st.tuples(RATES, RATES),
)
def test_a_watch_says_what_a_look_at_the_same_moment_says(
    control: int, treatment: int, errors: tuple[int, int], left: tuple[int, int]
) -> None:
    test = experiment(
        minimum_sample_size=50,
        guardrail_metrics=["error_rate < 0.05", {"name": "cart_abandonment_rate", "margin": 0.1}],
    )

    def sums(pair: tuple[int, int]) -> dict[str, Any]:
        return {
            "control": succeeded(min(pair[0], control)),
            "treatment": succeeded(min(pair[1], treatment)),
        }

    seen = snapshot(
        3,
        {"control": control, "treatment": treatment},
        {"error_rate": sums(errors), "cart_abandonment_rate": sums(left)},
    )
    watched, look = watch(test, seen), decide(test, seen)
    if watched.verdict is not None:
        assert (watched.verdict, watched.reason) == (look.verdict, look.reason)
    else:
        assert look.verdict not in ("invalid", "rollback")


# Executions.


def test_a_test_that_is_started_has_an_execution_within_a_minute() -> None:
    town = ExperimentTown()
    town.run(0.03)
    (execution,) = town.executions.values()
    assert execution.arn.endswith(":greenlane-experiment:checkout-run1")
    assert town.test().execution in (None, execution.arn)


def test_a_dead_execution_is_replaced_and_goes_on_where_the_looks_are() -> None:
    town = ExperimentTown(rates={"conversion_rate": {"control": 0.1, "treatment": 0.1}})
    town.run(0.5)
    before = town.looks()
    next(iter(town.executions.values())).stop("Killed", "by the test")
    town.run(0.5)
    names = [arn.rsplit(":", 1)[-1] for arn in town.executions]
    assert names == ["checkout-run1", "checkout-run1-2"]
    assert town.test().execution == list(town.executions)[1]
    looks = town.looks()
    assert looks[: len(before)] == before
    assert len(looks) > len(before)


def test_a_test_that_a_person_stops_has_its_execution_ended_and_is_told_once() -> None:
    town = ExperimentTown()
    town.run(0.2)
    town.stop("the offer is over")
    town.run(0.1)
    (execution,) = town.executions.values()
    assert (execution.status, execution.error) == ("ABORTED", "Ended")
    assert "the offer is over" in execution.cause
    assert town.kinds() == ["experiment_stopped"]
    assert town.topic.told == ["A/B test: checkout was stopped by ada"]
    assert "the offer is over" in town.topic.messages[0]


def test_news_that_comes_late_and_the_report_made_again_still_name_who_stopped_it() -> None:
    town = ExperimentTown()
    faults_of = town.faults_of

    def deaf(service: str, operation: str) -> tuple[Any, Any]:
        if service == "sns" and town.kernel.seconds < 1800:
            return error("InternalError"), None
        return faults_of(service, operation)

    town.faults_of = deaf  # type: ignore[method-assign]
    town.run(0.2)
    town.stop()
    town.run(0.5, done=town.over)
    assert town.topic.told == ["A/B test: checkout was stopped by ada"]
    test = town.test()
    again = compose(test, town.looks(), town.store.watch(NAME, 1))
    assert again.model_dump(mode="json") == town.reports()[0]


def test_a_draft_that_is_stopped_has_no_consequences() -> None:
    town = ExperimentTown(TEST)
    keeping.create(town.store, "later", experiment(), by="ada", at=NOW)
    keeping.stop(town.store, "later", by="ada", reason="no", at=NOW)
    assert owed(town.test("later")) == ()
    town.run(0.1)
    assert town.kinds() == []


def test_drafts_and_tests_that_are_done_cost_one_query_a_minute() -> None:
    town = ExperimentTown()
    town.run(done=town.over)
    town.calls.clear()
    town.run(2.4 / 60)
    assert set(town.calls) == {("dynamodb", "query")}


# Ends.


def test_a_winner_is_served_its_flag_ramped_and_the_news_says_so() -> None:
    town = ExperimentTown(WITH_FLAG)
    town.run(done=town.over)
    assert town.test().served == "treatment"
    ramp = town.flags.read().flags["new_checkout"].state("production").ramp
    assert ramp is not None
    assert (ramp.target, ramp.increment, ramp.interval) == (100, 25, 10 * MINUTE)
    assert ramp.by == "greenlane, A/B test checkout run 1"
    (message,) = town.topic.messages
    assert "new_checkout is ramped to 100 percent in production" in message
    assert town.reports()[0]["outcome"] == "ship"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("on_ship: none", "new_checkout is left to you: greenlane flags ramp new_checkout"),
        ("variant: bolder", "new_checkout is left to you"),
    ],
)
def test_a_flag_that_this_end_does_not_ramp_is_told_of(keys: str, said: str) -> None:
    text = TEST.replace("treatment: 50", "treatment: 40, bolder: 10")
    flag = f"    winner_flag: {{name: new_checkout, environment: production, {keys}}}\n"
    town = ExperimentTown(text + flag)
    town.per_minute = {"control": 50, "treatment": 40, "bolder": 10}
    town.rates["conversion_rate"]["bolder"] = town.rates["error_rate"]["bolder"] = 0.01
    town.run(done=town.over)
    assert town.test().verdict == "ship"
    assert said in town.topic.messages[0]
    assert town.flags.read().flags["new_checkout"].state("production").ramp is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("feature_flags: {other: {percentage: 1}}", "there is no such flag"),
        (
            "feature_flags: {new_checkout: {environments: [production], percentage: 100}}",
            "100 percent have it in production",
        ),
    ],
)
def test_a_flag_that_cannot_be_ramped_is_told_of_and_left_alone(flags: str, said: str) -> None:
    town = ExperimentTown(WITH_FLAG, flags=flags)
    town.run(done=town.over)
    assert town.over()
    assert "new_checkout is not ramped" in town.topic.messages[0]
    assert said in town.topic.messages[0]


def test_in_a_protected_environment_the_ramp_waits_for_a_second_person() -> None:
    town = ExperimentTown(WITH_FLAG, flags=f"{FLAG}\napprovals: {{environments: [production]}}")
    town.run(done=town.over)
    (proposal,) = town.flags.proposals()
    assert f"greenlane flags approve {proposal.id}" in town.topic.messages[0]
    assert town.flags.read().flags["new_checkout"].state("production").ramp is None


def test_of_two_who_end_a_test_at_once_one_does_what_follows() -> None:
    town = ExperimentTown()
    looks: list[Look] = []
    while not looks or looks[-1].verdict != "ship":
        town.kernel.seconds += 1200
        looks = [*looks, keep(town.runtime, town.test(), looks, _now(town))]
    town.calls.clear()
    change = type(town.runtime.experiments).change
    ahead: list[bool] = []

    def slow(store: Any, edit: Any, **said: Any) -> Any:
        """Somebody else comes first, a moment before, and is about to do what follows."""
        if not ahead:
            ahead.append(True)
            town.kernel.seconds -= 1
            end_by_look(town.runtime, town.test(), looks[-1])
            town.kernel.seconds += 1
        return change(store, edit, **said)

    town.runtime.experiments.change = partial(slow, town.runtime.experiments)  # type: ignore[method-assign]
    conclude_experiment(ExperimentRun(test=NAME, run=1), town.runtime)
    assert (town.test().verdict, town.kinds(), town.reports()) == ("ship", [], [])
    # Had the other one died there, the tick would do it.
    town.run(0.1, done=town.over)
    assert (town.kinds(), len(town.reports())) == (["experiment_ship"], 1)


def _now(town: ExperimentTown) -> Snapshot:
    return town.runtime.snapshot(town.test(), town.kernel.now())


def test_a_topic_that_takes_nothing_is_asked_until_it_does() -> None:
    town = ExperimentTown()
    faults_of = town.faults_of

    def deaf(service: str, operation: str) -> tuple[Any, Any]:
        if service == "sns" and town.kernel.seconds < 3 * 3600:
            return error("InternalError"), None
        return faults_of(service, operation)

    town.faults_of = deaf  # type: ignore[method-assign]
    town.run(2)
    assert (town.test().status, owed(town.test())) == ("concluded", ("news",))
    town.run(4, done=town.over)
    assert town.kinds() == ["experiment_ship"]


def test_reports_that_cannot_be_written_hold_up_nothing_else() -> None:
    town = ExperimentTown()
    faults_of = town.faults_of

    def full(service: str, operation: str) -> tuple[Any, Any]:
        if service == "s3" and town.kernel.seconds < 3 * 3600:
            return error("AccessDenied"), None
        return faults_of(service, operation)

    town.faults_of = full  # type: ignore[method-assign]
    town.run(2)
    assert (owed(town.test()), town.kinds()) == (("report",), ["experiment_ship"])
    town.run(4, done=town.over)
    assert len(town.reports()) == 1


def test_a_page_that_cannot_be_drawn_keeps_nobody_from_being_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(settling, "compose", broken)
    town = ExperimentTown()
    town.run(2)
    assert (owed(town.test()), town.kinds()) == (("report",), ["experiment_ship"])


def test_a_flag_table_that_is_away_delays_the_news_and_then_not_for_long() -> None:
    town = ExperimentTown(WITH_FLAG)

    def away(**_: Any) -> Any:
        raise error("InternalServerError")

    town.flags_table.transact_write_items = away  # type: ignore[method-assign]
    town.run(1)
    assert "flag" in owed(town.test())
    assert town.kinds() == ["experiment_ship"]
    ended = town.test().ended_at
    assert ended is not None
    assert [one for one in town.store.audit(NAME, limit=9) if "news" in one.reason]
    told = next(one for one in town.store.audit(NAME, limit=9) if "news" in one.reason)
    assert timedelta(minutes=9) < told.at - ended < timedelta(minutes=12)


def test_a_test_begun_again_is_told_and_reported_again() -> None:
    town = ExperimentTown()
    town.run(done=town.over)
    keeping.start(town.store, NAME, by="ada", at=town.kernel.now(), again=True)
    town.run(4, done=lambda: town.over() and town.test().status == "concluded")
    assert town.test().run == 2
    assert town.kinds() == ["experiment_ship"] * 2
    assert (len(town.reports(1)), len(town.reports(2))) == (1, 1)
