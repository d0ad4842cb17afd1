"""A/B tests by the real workflow and functions, with something wrong at each call in turn."""

from collections.abc import Callable
from typing import Any

import pytest

from greenlane.experiments.decision import replay
from greenlane.flags.storing.ramp_records import level
from tests.effort import part
from tests.experiment_town import NAME, WITH_FLAG, ExperimentTown, calls_of, make
from tests.flag_town import KINDS, Kind

EACH = len(KINDS)
"""Each of the seven kinds strikes every seventh call and begins at another one, so that each call
is struck by one of them; in a whole run by all of them."""


def struck(kind: str, fault: Kind, number: int) -> ExperimentTown:
    town = make(kind)
    town.strikes = {number: fault}
    town.run(6, done=town.over)
    return town


def check_looks(town: ExperimentTown) -> None:
    """Each look once, in order, none before its time, and each the same when decided again."""
    looks, test = town.looks(), town.test()
    assert [look.number for look in looks] == list(range(1, len(looks) + 1))
    assert test.started_at is not None
    moments = [test.started_at, *(look.snapshot.at for look in looks)]
    assert moments == sorted(moments)
    assert replay(test.definition, looks) is None


@pytest.mark.parametrize("fault", KINDS)
def test_a_winner_is_served_ramped_reported_and_told_whatever_happens_at_any_call(
    fault: Kind,
) -> None:
    numbers = range(1, calls_of("ships") + 1)
    for number in part(numbers, EACH, KINDS.index(fault)):
        town = struck("ships", fault, number)
        test, where = town.test(), f"{fault} at call {number}"
        assert town.over(), where
        assert (test.verdict, test.served) == ("ship", "treatment"), where
        assert town.store.snapshot()["tests"][NAME]["serve"] == "treatment", where
        check_looks(town)
        ramps = [one for one in town.flags.audit("new_checkout") if NAME in one.by]
        assert len(ramps) == 1, where
        assert set(town.kinds()) == {"experiment_ship"}, where
        assert len({one["Message"] for one in town.topic.published}) == 1, where
        assert len({str(report) for report in town.reports()}) == 1, where
        town.kernel.close()


@pytest.mark.parametrize("fault", KINDS)
def test_a_harmful_arm_is_stopped_and_told_whatever_happens_at_any_call(fault: Kind) -> None:
    numbers = range(1, calls_of("harms") + 1)
    for number in part(numbers, EACH, KINDS.index(fault)):
        town = struck("harms", fault, number)
        test, where = town.test(), f"{fault} at call {number}"
        assert town.over(), where
        assert (test.verdict, test.served) == ("rollback", "control"), where
        check_looks(town)
        assert set(town.kinds()) == {"experiment_rollback"}, where
        flag = town.flags.read().flags["new_checkout"]
        assert level(flag, "production", town.kernel.now().timestamp()) == 1, where
        assert len(town.reports()) >= 1, where
        # By the watch after the one that was struck at the latest, and a minute to act on it.
        assert test.ended_at is not None
        assert test.started_at is not None
        assert (test.ended_at - test.started_at).total_seconds() <= 3 * 300 + 60, where
        town.kernel.close()


PERSONS: dict[str, Callable[[ExperimentTown], Any]] = {
    "stops it": lambda town: town.stop(),
    "ships it": lambda town: town.stop("it is what we want", serve="treatment"),
}


@pytest.mark.parametrize("person", PERSONS)
def test_what_a_person_decides_meanwhile_stays_whenever_it_is(person: str) -> None:
    numbers = range(1, calls_of("ships") + 1)
    for number in part(numbers, EACH, list(PERSONS).index(person)):
        town = make("ships")

        def act(town: ExperimentTown = town) -> None:
            if town.test().status == "running":
                PERSONS[person](town)

        town.acts = {number: act}
        town.run(6, done=town.over)
        test = town.test()
        assert town.over(), number
        by_person = test.verdict == "stopped"
        assert by_person == (town.kinds() == ["experiment_stopped"]), number
        if by_person:
            assert test.served == ("treatment" if person == "ships it" else "control"), number
            assert not [one for one in town.flags.audit("new_checkout") if NAME in one.by]
        check_looks(town)
        town.kernel.close()


def test_two_executions_at_once_come_to_the_same_looks_and_one_end() -> None:
    alone = make("ships")
    alone.run(6, done=alone.over)
    town = make("ships")
    event = {"test": NAME, "run": 1}

    def second() -> None:
        town.start_execution(
            stateMachineArn="arn:aws:states:eu-west-1:1:stateMachine:greenlane-experiment",
            name="another",
            input='{"test": "checkout", "run": 1}',
        )

    town.kernel.after(21, second)
    for seconds in (1200, 1201, 2400, 2401):
        town.kernel.after(seconds, lambda: town.call("judge_experiment", event))
    town.run(6, done=town.over)
    assert [look.verdict for look in town.looks()] == [look.verdict for look in alone.looks()]
    assert town.kinds() == ["experiment_ship"]
    assert len([one for one in town.flags.audit("new_checkout") if NAME in one.by]) == 1
    check_looks(town)


def test_a_table_that_is_away_for_an_hour_costs_looks_and_nothing_else() -> None:
    town = ExperimentTown(WITH_FLAG, tick_seconds=300)
    town.run(0.2)
    away, back = town.kernel.seconds + 60, town.kernel.seconds + 3660
    faults_of = town.faults_of

    def gone(service: str, operation: str) -> tuple[Any, Any]:
        if away <= town.kernel.seconds <= back and service == "dynamodb":
            return TimeoutError("the table is away"), None
        return faults_of(service, operation)

    town.faults_of = gone  # type: ignore[method-assign]
    town.run(6, done=town.over)
    assert town.over()
    assert town.test().verdict == "ship"
    check_looks(town)
