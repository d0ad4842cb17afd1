"""Whose fault a condition is: the candidate's, both slots', or nobody's."""

from types import SimpleNamespace

import pytest

from greenlane.health.candidate import Asked, conditions_of
from tests.builders import service_config
from tests.observations import CANDIDATE, LIVE, observed, requests, series

QUEUE = {"queue": {"promql": "max(queue)", "unit": "count", "worse": "up"}}


def told(trigger, *given, steps=((10, 5),), **more):
    """The verdict on one trigger, and why."""
    declared = service_config(rollback_triggers=[trigger], metrics=QUEUE)
    asked = Asked(SimpleNamespace(config=declared, baseline=()))
    (check,) = conditions_of(observed(*given, steps=steps, **more), asked)
    return check.verdict, check.reason


def counted(slot, each):
    return series("user_complaints", slot, [{"b": each, "n": 1.0}] * 5)


def failing(slot, errors):
    return series("error_rate", slot, [requests(100, errors)] * 5)


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
