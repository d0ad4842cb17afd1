"""What is not known never promotes: each way to lack data, with its declared outcome."""

import math

import pytest

from greenlane.health.observed import Segment
from greenlane.health.verdicts import judge
from tests.observations import (
    CANDIDATE,
    LIVE,
    at,
    criteria,
    criterion,
    each,
    observed,
    requests,
    series,
)

NAN = math.nan
ASKED = criteria(
    criterion("error_rate", "0.01"),
    criterion("error_rate", "0.5", "live"),
    criterion("response_time_p95", 2000),
    criterion("cpu_usage", 80),
)
FIVE = [(10, 5)]


def given(errors, *, minutes=5, times=True, **more):
    """The candidate's errors as told; everything else is healthy."""
    found = [
        series("error_rate", CANDIDATE, errors, **more),
        series("error_rate", LIVE, each(minutes, lambda _: requests(9_000, 9))),
        series("cpu_usage", CANDIDATE, each(minutes, lambda _: {"u": 50.0, "v": 100.0})),
    ]
    if times:
        slow = each(minutes, lambda _: {"r": 1_000, "p": 0.2})
        found.append(series("response_time_p95", CANDIDATE, slow))
        none = each(minutes, lambda _: {"n": 1_000, "s": 0.0})
        found.append(series("slower_than_2000ms", CANDIDATE, none))
    return found


def verdict(errors, **more):
    return judge(observed(*given(errors, **more), steps=FIVE), ASKED)


def test_with_all_of_it_the_step_passes():
    assert verdict(each(5, lambda _: requests(1_000, 1))).verdict == "pass"


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        pytest.param([None] * 5, "no data", id="zero-traffic-absent"),
        pytest.param([{"r": 0.0}] * 5, "no data", id="zero-traffic-zeros"),
        pytest.param([requests(1)] + [None] * 4, "1 of 20", id="one-request"),
        pytest.param([requests(1, 1)] + [None] * 4, "1 of 20", id="one-request-that-fails"),
        pytest.param([{"r": NAN, "c2": NAN}] * 5, "no data", id="all-nan"),
        pytest.param([{"r": math.inf, "c2": 1.0}] * 5, "no data", id="infinite"),
        pytest.param([requests(1_000, 1)] + [None] * 4, "minutes ago", id="late"),
    ],
)
def test_what_is_not_there_holds(errors, reason):
    found = verdict(errors)

    assert found.verdict == "hold"
    assert reason in found.reason


@pytest.mark.parametrize("trouble", ["Throttling: Rate exceeded", ""])
def test_what_came_in_part_or_was_throttled_holds(trouble):
    found = verdict(each(5, lambda _: requests(1_000, 1)), complete=False, trouble=trouble)

    assert found.verdict == "hold"
    assert f"not read: {trouble or 'read in part'}" in found.reason


def test_a_part_of_bad_news_holds_too():
    found = verdict(each(5, lambda _: requests(1_000, 500)), complete=False)
    assert found.verdict == "hold"


def test_a_part_of_the_live_slots_minutes_holds_the_comparison():
    parts = given(each(5, lambda _: requests(1_000, 1)))
    parts[1] = parts[1].model_copy(update={"complete": False})

    found = judge(observed(*parts, steps=FIVE), ASKED)

    assert found.verdict == "hold"
    assert found.reason.startswith("error_rate against live: not read")


def test_counts_of_slow_requests_that_came_in_part_hold():
    parts = given(each(5, lambda _: requests(1_000, 1)))
    parts[-1] = parts[-1].model_copy(update={"complete": False, "trouble": "Throttling"})
    assert judge(observed(*parts, steps=FIVE), ASKED).verdict == "hold"


def test_a_series_that_nobody_read_holds():
    assert judge(observed(steps=FIVE), ASKED).verdict == "hold"


def test_no_minute_at_all_holds():
    nothing = observed(steps=FIVE).model_copy(update={"segments": ()})
    assert judge(nothing, ASKED).verdict == "hold"


def test_a_step_without_a_whole_minute_holds_however_good_the_last_one_was():
    whole = observed(*given(each(5, lambda _: requests(1_000, 1))), steps=FIVE)
    empty = Segment(start=at(5), end=at(5), weight=25)

    found = judge(whole.model_copy(update={"segments": (*whole.segments, empty)}), ASKED)

    assert found.verdict == "hold"


def test_no_criteria_hold():
    assert judge(observed(*given([requests(1_000)] * 5), steps=FIVE), criteria()).verdict == "hold"


def test_an_unknown_metric_holds():
    asked = criteria(criterion("error_rate", "0.01"), criterion("no_such_metric", 1))
    found = judge(observed(*given([requests(1_000)] * 5), steps=FIVE), asked)
    assert found.verdict == "hold"


@pytest.mark.parametrize(
    ("rule", "expected"), [("hold", "hold"), ("pass", "pass"), ("fail", "fail")]
)
def test_a_rule_says_what_a_metric_without_data_means(rule, expected):
    asked = criteria(
        criterion("error_rate", "0.01"),
        criterion("memory_usage", 85),
        rules={"memory_usage": {"on_no_data": rule}},
    )
    found = judge(observed(*given([requests(1_000)] * 5), steps=FIVE), asked)
    assert found.verdict == expected


def test_a_critical_metric_needs_evidence_though_its_rule_would_pass_without():
    asked = criteria(
        criterion("error_rate", "0.01"),
        criterion("memory_usage", 85),
        rules={"memory_usage": {"on_no_data": "pass", "critical": True}},
    )
    found = judge(observed(*given([requests(1_000)] * 5), steps=FIVE), asked)

    assert found.verdict == "hold"
    assert "it is critical" in found.reason


def test_metrics_that_all_pass_without_data_promote_nothing():
    asked = criteria(
        criterion("memory_usage", 85),
        criterion("disk_usage", 90),
        rules={name: {"on_no_data": "pass"} for name in ("memory_usage", "disk_usage")},
    )
    found = judge(observed(steps=FIVE), asked)

    assert (found.verdict, found.reason) == ("hold", "evidence: nothing was judged")


def test_a_score_of_metrics_without_data_holds():
    asked = criteria(criterion("memory_usage", 85), criterion("disk_usage", 90), pass_score=50)
    assert judge(observed(steps=FIVE), asked).verdict == "hold"


def test_the_error_rate_is_critical_unless_a_rule_says_otherwise():
    rules: dict[str, dict[str, object]] = {"error_rate": {"on_no_data": "pass"}}
    asked = criteria(criterion("error_rate", "0.01"), criterion("cpu_usage", 80), rules=rules)
    assert judge(observed(*given([None] * 5), steps=FIVE), asked).verdict == "hold"

    rules["error_rate"]["critical"] = False
    asked = criteria(criterion("error_rate", "0.01"), criterion("cpu_usage", 80), rules=rules)
    assert judge(observed(*given([None] * 5), steps=FIVE), asked).verdict == "pass"


@pytest.mark.parametrize("least", [50, 1_001])
def test_min_samples_is_asked_in_the_step_itself(least):
    ours = [requests(10_000)] * 5 + [requests(10)] * 5
    parts = [series("error_rate", CANDIDATE, ours)]
    asked = criteria(criterion("error_rate", "0.01"), rules={"error_rate": {"min_samples": least}})
    found = judge(observed(*parts, steps=[(10, 5), (25, 5)]), asked)
    assert found.verdict == ("pass" if least <= 50 else "hold")
