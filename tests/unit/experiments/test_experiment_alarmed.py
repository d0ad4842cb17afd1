"""Alarms of a service and its tests: what is watched at once, and what an alarm alone ends."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from greenlane.deployments.workload import Workload
from greenlane.experiments.running.red_alarms import alarms_of_service, limited
from greenlane.flags.ramps.impact import Behind
from tests.builders import NOW, SERVICE, service_config
from tests.effort import WHOLE, part
from tests.experiment_town import NAME, TEST, ExperimentTown
from tests.flag_town import KINDS, Kind
from tests.unit.experiments.experimenting import experiment

CRITERIA = {
    "rollback_triggers": ["error_rate > 0.05"],
    "alerts": {"critical": ["response_time_p95 > 2000"], "warning": ["error_rate > 0.01"]},
}
EACH = 3
"""Each third call is struck; with the next kind of fault those beside it."""

HARM = {
    "conversion_rate": {"control": 0.10, "treatment": 0.10},
    "error_rate": {"control": 0.01, "treatment": 0.2},
}


def behind() -> Behind:
    config = service_config(**CRITERIA)
    assert isinstance(config.workload, Workload)
    return Behind(config, config.workload)


def alarm_name(expression: str = "error_rate > 0.05", slot: str = "blue") -> str:
    return next(
        one.name
        for one in alarms_of_service(behind())
        if one.expression == expression and f".{slot}." in one.name
    )


def town_of(rates: dict[str, dict[str, float]] = HARM, **more: Any) -> ExperimentTown:
    """A test that is watched seldom, so that only an alarm can be quick."""
    text = TEST.replace("watch_interval: 5m", "watch_interval: 2h")
    text = text.replace("look_interval: 20m", "look_interval: 90m")
    return ExperimentTown(text, rates=rates, config=CRITERIA, **more)


def ring(town: ExperimentTown, name: str, service: str = SERVICE) -> ExperimentTown:
    """Ten minutes into the test, an alarm turns red."""
    town.run(10 / 60)
    event = {"service": service, "name": name, "reason": "crossed", "at": town.kernel.now()}
    run = town.call("stop_experiments", event)
    town.kernel.run(town.kernel.seconds + 30, lambda: run.ended.is_set)
    assert run.failure is None
    return town


def red(town: ExperimentTown, name: str, minutes: float = 5) -> None:
    """The alarm exists, and is red since so many minutes after the start."""
    since = NOW + timedelta(minutes=minutes)

    def describe_alarms(**_: Any) -> dict[str, Any]:
        alarm = {
            "AlarmName": name,
            "StateValue": "ALARM",
            "StateReason": "crossed",
            "StateTransitionedTimestamp": since,
        }
        return {"MetricAlarms": [alarm], "CompositeAlarms": []}

    town.alarms.describe_alarms = describe_alarms  # type: ignore[method-assign]


def metrics(town: ExperimentTown, *, failing: float) -> None:
    """What CloudWatch has of the service: so many of a thousand requests a minute fail."""

    def get_metric_data(**given: Any) -> dict[str, Any]:
        minutes = []
        at = given["StartTime"]
        while at + timedelta(minutes=1) <= town.kernel.now():
            minutes.append(at)
            at += timedelta(minutes=1)
        values = {
            "RequestCount": 1000.0,
            "HTTPCode_Target_2XX_Count": 1000 * (1 - failing),
            "HTTPCode_Target_5XX_Count": 1000 * failing,
        }
        return {
            "MetricDataResults": [
                {
                    "Id": query["Id"],
                    "StatusCode": "Complete",
                    "Timestamps": minutes if _known(query, values) else [],
                    "Values": [_known(query, values)] * len(minutes)
                    if _known(query, values)
                    else [],
                }
                for query in given["MetricDataQueries"]
            ]
        }

    town.alarms.get_metric_data = get_metric_data  # type: ignore[attr-defined]


def _known(query: dict[str, Any], values: dict[str, float]) -> float | None:
    return values.get(query["MetricStat"]["Metric"]["MetricName"])


def test_only_alarms_that_call_for_going_back_and_only_limits_are_heeded() -> None:
    expressions = {one.expression for one in alarms_of_service(behind())}
    assert expressions == {"error_rate > 0.05", "response_time_p95 > 2000"}
    guardrails = ["error_rate < 0.05", {"name": "cart_abandonment_rate", "margin": 0.1}]
    assert limited(experiment(guardrail_metrics=guardrails)) == {"error_rate"}


def test_an_alarm_has_the_test_watched_at_once_and_its_own_numbers_end_it() -> None:
    town = ring(town_of(), alarm_name())
    test = town.test()
    assert (test.verdict, test.served) == ("rollback", "control")
    assert test.ended_at is not None
    assert test.ended_at - NOW < timedelta(minutes=11)
    assert [look.verdict for look in town.looks()] == ["rollback"]
    assert town.kinds() == ["experiment_rollback"]


def test_the_same_event_again_changes_nothing() -> None:
    town = ring(town_of(), alarm_name())
    version = town.test().version
    ring(town, alarm_name())
    assert (town.test().version, town.kinds()) == (version, ["experiment_rollback"])


def test_numbers_by_variant_that_show_no_harm_outweigh_an_alarm() -> None:
    rates = {**HARM, "error_rate": {"control": 0.02, "treatment": 0.02}}
    town = town_of(rates)
    red(town, alarm_name())
    metrics(town, failing=0.3)
    ring(town, alarm_name())
    assert town.test().status == "running"
    watch = town.store.watch(NAME, 1)
    assert watch is not None
    assert {one.standing for one in watch.guardrails} <= {"ok", "unproven"}


def test_where_nobody_recorded_the_guardrail_the_alarm_alone_ends_the_test() -> None:
    town = town_of()
    town.silent = {"error_rate"}
    red(town, alarm_name())
    metrics(town, failing=0.3)
    ring(town, alarm_name())
    test = town.test()
    assert (test.verdict, test.served) == ("rollback", "control")
    assert test.reason == (
        "error_rate > 0.05 is true of claude-manager, and nobody recorded error_rate by variant"
    )
    watch = town.store.watch(NAME, 1)
    assert watch is not None
    assert (watch.verdict, town.looks()) == ("rollback", [])
    assert town.kinds() == ["experiment_rollback"]


@pytest.mark.parametrize(
    "otherwise",
    ["not of all users", "red before the test", "green again", "another service", "another alarm"],
)
def test_an_alarm_with_another_cause_ends_no_test(otherwise: str) -> None:
    town = town_of()
    town.silent = {"error_rate"}
    name, service = alarm_name(), SERVICE
    if otherwise != "green again":
        red(town, name, minutes=-5 if otherwise == "red before the test" else 5)
    metrics(town, failing=0.001 if otherwise == "not of all users" else 0.3)
    if otherwise == "another service":
        service = "another"
    if otherwise == "another alarm":
        name = alarm_name("response_time_p95 > 2000")
    ring(town, name, service)
    assert town.test().status == "running"


def test_an_alarm_whose_event_was_lost_is_found_by_the_next_watch() -> None:
    town = ExperimentTown(TEST, rates=HARM, config=CRITERIA)
    town.silent = {"error_rate"}
    red(town, alarm_name(), minutes=2)
    metrics(town, failing=0.3)
    town.run(12 / 60)
    assert town.test().verdict == "rollback"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("silent", [False, True])
def test_an_alarm_ends_a_harmful_test_whatever_happens_at_any_call(
    kind: Kind, silent: bool
) -> None:
    """As Lambda calls it: twice again where it failed."""
    struck_calls = []
    for number in part(range(1, 100), EACH, KINDS.index(kind) + silent):
        town = town_of(tick_seconds=600)
        town.silent = {"error_rate"} if silent else set()
        red(town, alarm_name())
        metrics(town, failing=0.3)
        town.run(10 / 60)
        before = len(town.calls)
        town.strikes = {before + number: kind}
        event = {
            "service": SERVICE,
            "name": alarm_name(),
            "reason": "crossed",
            "at": town.kernel.now(),
        }
        for _ in range(3):
            run = town.call("stop_experiments", event)
            town.kernel.run(town.kernel.seconds + 20, partial(getattr, run.ended, "is_set"))
            if run.failure is None:
                break
        struck = len(town.calls) >= before + number
        where = f"{kind} at call {number}"
        assert (town.test().verdict, town.test().served) == ("rollback", "control"), where
        # An execution that nobody ended wakes for its next look, and ends.
        town.run(2, done=town.over)
        assert town.over(), where
        assert set(town.kinds()) == {"experiment_rollback"}, where
        assert len(town.looks()) == (0 if silent else 1), where
        town.kernel.close()
        if not struck:
            break
        struck_calls.append(number)
    assert len(struck_calls) > (10 if WHOLE else 10 // EACH)


def test_a_test_of_another_service_heeds_no_alarm_of_this_one() -> None:
    text = TEST.replace("watch_interval: 5m", "watch_interval: 2h\n    service: another")
    town = ExperimentTown(
        text.replace("look_interval: 20m", "look_interval: 90m"), rates=HARM, config=CRITERIA
    )
    ring(town, alarm_name())
    assert town.test().status == "running"
