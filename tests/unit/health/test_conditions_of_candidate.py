"""Whose fault a condition is: the candidate's, both slots', or nobody's."""

from types import SimpleNamespace

import pytest

from greenlane.health.candidate import Asked, conditions_of
from tests.builders import service_config
from tests.observations import CANDIDATE, LIVE, gauge, observed, requests, series

QUEUE = {"queue": {"promql": "max(queue)", "unit": "count", "worse": "up"}}


def told(trigger, *given, steps=((10, 5),), **more):
    """The verdict on one trigger, and why."""
    declared = service_config(rollback_triggers=[trigger], metrics=QUEUE)
    asked = Asked(SimpleNamespace(config=declared, baseline=()))
    (check,) = conditions_of(observed(*given, steps=steps, **more), asked)
    return check.verdict, check.reason


def counted(slot, each):
    return series("user_complaints", slot, [{"b": each, "n": 1.0}] * 5)


def failing(slot, errors, minutes=5):
    return series("error_rate", slot, [requests(100, errors)] * minutes)


@pytest.mark.parametrize(("live", "verdict"), [(0, "fail"), (20, "hold")])
def test_what_is_true_of_both_slots_holds_and_of_the_candidate_alone_fails(live, verdict):
    found = told("error_rate > 0.05", failing(CANDIDATE, 20), failing(LIVE, live))
    assert found[0] == verdict


def test_alone_at_100_percent_the_live_slot_is_not_looked_at():
    given = failing(CANDIDATE, 20), failing(LIVE, 20)
    assert told("error_rate > 0.05", *given, steps=((100, 5),))[0] == "fail"


def test_a_metric_of_the_whole_service_counts_as_it_is():
    long = series("queue", None, [{"value": 5000.0}] * 5)
    assert told("queue > 100", long)[0] == "fail"


def test_what_adds_up_is_not_compared_with_the_live_slots_sum():
    given = counted(CANDIDATE, 200.0), counted(LIVE, 3.0)
    assert told("user_complaints > 10", *given)[0] == "fail"


def test_what_adds_up_over_a_day_is_no_reason():
    """One complaint an hour is more than ten by the evening."""
    verdict, reason = told("user_complaints > 10", counted(CANDIDATE, 3.0), phase="extended")
    assert (verdict, "adds up over a day" in reason) == ("hold", True)


@pytest.mark.parametrize(("ours", "live", "verdict"), [(60, 10, "fail"), (10, 60, "hold")])
def test_what_is_true_of_both_goes_back_when_the_live_slot_is_healthier(ours, live, verdict):
    found = told("error_rate > 0.05", failing(CANDIDATE, ours), failing(LIVE, live))
    assert found[0] == verdict
    assert ("the live slot is healthier in error_rate" in found[1]) == (verdict == "fail")


def test_worse_in_one_thing_and_better_in_another_is_not_healthier():
    trigger = "error_rate > 0.05 and cpu_usage > 90"
    fails = failing(CANDIDATE, 60, 20), failing(LIVE, 10, 20)
    busy = gauge("cpu_usage", [91.0, 92.0, 91.0, 93.0] * 5, [99.0, 98.0, 99.0, 97.0] * 5)
    alike = gauge("cpu_usage", [99.0, 98.0] * 10, [99.0, 98.0] * 10)

    assert told(trigger, *fails, *busy, steps=((10, 20),))[0] == "hold"
    assert told(trigger, *fails, *alike, steps=((10, 20),))[0] == "fail"


def test_an_outage_of_both_slots_holds_and_goes_back_once_the_live_one_serves_more():
    assert told("system_unavailable", *outage(100, 100))[0] == "hold"
    assert told("system_unavailable", *outage(100, 0))[0] == "fail"


def outage(ours, live):
    """So many of 100 requests fail, on targets of which none is healthy but where some serve."""
    for slot, bad in ((CANDIDATE, ours), (LIVE, live)):
        yield failing(slot, bad)
        yield series("throughput", slot, [{"r": 100.0}] * 5)
        yield series("most_healthy_hosts", slot, [{"h": 0.0 if bad == 100 else 2.0}] * 5)
