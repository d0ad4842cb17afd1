"""Findings of a review: what made good versions fail, or let a step pass without evidence."""

from decimal import Decimal

import pytest

from greenlane.health.criteria import Criteria, MetricRules
from greenlane.health.verdicts import judge
from tests.observations import (
    CANDIDATE,
    LIVE,
    baseline,
    check,
    criteria,
    criterion,
    errors,
    flow,
    gauge,
    observed,
    requests,
    series,
    slow,
)

LIMIT = criterion("error_rate", "0.01")
FIVE = [(10, 5)]
SILENT = {"r": 1_000.0}


def error_rate(*minutes, weight=10):
    given = [
        series("error_rate", CANDIDATE, minutes),
        series("response_time_p95", CANDIDATE, [{"r": 1_000, "p": 0.2}] * len(minutes)),
    ]
    return judge(observed(*given, steps=[(weight, len(minutes))]), criteria(LIMIT))


GOOD = [requests(1_000, 1)] * 4
PARTLY = {"r": 1_000.0, "c2": 900.0}


def test_a_last_minute_that_is_published_in_part_fails_nothing():
    found = error_rate(*GOOD, PARTLY)

    assert found.verdict == "hold"
    assert "not answered yet" in found.reason
    assert error_rate(PARTLY).verdict == "hold"
    assert error_rate(*GOOD, {"r": 1_000.0, "c2": 990.0}).verdict == "pass"


def test_requests_without_an_answer_count_when_the_next_minute_is_there():
    assert error_rate(*GOOD, PARTLY, requests(1_000, 1)).verdict == "fail"
    assert error_rate(*GOOD, PARTLY, PARTLY).verdict == "fail"


def test_an_answer_that_came_late_is_taken_back_by_the_last_minute():
    assert error_rate(*GOOD, PARTLY, {"r": 1_000.0, "c2": 1_100.0}).verdict == "pass"


def test_5xx_and_refused_connections_of_the_last_minute_count_at_once():
    assert error_rate(*GOOD, requests(1_000, 300)).verdict == "fail"
    assert error_rate(*GOOD, {"r": 1_000.0, "c2": 700.0, "k": 300.0}).verdict == "fail"


@pytest.mark.parametrize("late", [1, 2])
def test_answers_that_are_some_minutes_late_hold(late):
    found = error_rate(*GOOD, *[SILENT] * late)

    assert found.verdict == "hold"
    assert check(found, "error_rate").value == Decimal("0.001")
    assert "no answer of the last minute" in found.reason
    assert error_rate(*GOOD, PARTLY, *[SILENT] * late).verdict == "hold"


def test_a_version_that_hangs_for_good_fails_one_minute_later():
    assert error_rate(SILENT, SILENT).verdict == "hold"
    assert error_rate(SILENT, SILENT, SILENT).verdict == "fail"
    assert error_rate(*GOOD, PARTLY, SILENT, SILENT, SILENT).verdict == "fail"


def test_late_answers_of_the_step_before_fail_nothing():
    minutes = [*GOOD, SILENT, SILENT]
    given = observed(series("error_rate", CANDIDATE, minutes), steps=[(10, 5), (25, 1)])
    assert judge(given, criteria(LIMIT)).verdict == "hold"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [({}, "hold"), ({"critical": False}, "pass"), ({"dry_run": True}, "pass")],
)
def test_a_step_needs_evidence_of_errors_though_no_criterion_of_the_phase_names_it(rule, expected):
    later = criterion("error_rate", "0.01", phases=("post",))
    asked = Criteria(
        criteria=(criterion("cpu_usage", 80), later), rules={"error_rate": MetricRules(**rule)}
    )
    given = observed(*errors(1, 9), *gauge("cpu_usage", [50] * 5), steps=FIVE)
    assert judge(given, asked).verdict == expected


def test_what_nobody_declared_never_fails_against_the_time_before():
    ours = [requests(60_000)] * 4 + [requests(60_000, 60)]
    before = (baseline("error_rate", 0, samples=300_000, events=0),)
    given = observed(series("error_rate", CANDIDATE, ours), steps=[(100, 5)], baseline=before)
    declared = criterion("error_rate", "0.5", "live")

    found = judge(given, criteria(LIMIT, declared.model_copy(update={"optional": True})))

    assert found.verdict == "pass"
    assert "60 of 300000 requests failed" in check(found, "error_rate against live").reason
    assert judge(given, criteria(LIMIT, declared)).verdict == "fail"


def test_what_nobody_declared_still_fails_against_the_live_slot():
    asked = criterion("error_rate", "0.5", "live", optional=True)
    assert judge(observed(*errors(8, 9), steps=FIVE), criteria(LIMIT, asked)).verdict == "fail"


@pytest.mark.parametrize(
    ("minutes", "samples", "expected"),
    [(5, 5_000, "fail"), (2, 5_000, "hold"), (5, 60, "hold")],
)
@pytest.mark.parametrize("counted", [True, False])
def test_a_baseline_of_few_response_times_fails_nothing(minutes, samples, expected, counted):
    asked = criteria(criterion("response_time_p95", "0.05", "baseline"))
    times = [{"r": 1_000, "p": 0.9 + 0.001 * number} for number in range(8)]
    given = [series("response_time_p95", CANDIDATE, times)]
    if counted:
        given += [slow(each, CANDIDATE, 60.0, minutes=8) for each in (420, 500)]
    before = (baseline("response_time_p95", 400, minutes=minutes, samples=samples),)
    seen = observed(*given, steps=[(100, 8)], baseline=before)
    assert judge(seen, asked).verdict == expected


LOAD = [1_000, 1_010, 990, 1_005, 995, 1_002, 998, 1_000]
EIGHT = [(10, 8)]


def both(level=1.0, share=1.0, metric="throughput", part="r"):
    """Both slots of a service of `LOAD`, the candidate with 10 percent of it."""
    ours = flow(CANDIDATE, [0.1 * level * share * load for load in LOAD], metric, part)
    return [ours, flow(LIVE, [0.9 * level * load for load in LOAD], metric, part)]


@pytest.mark.parametrize(("level", "expected"), [(1.0, "pass"), (0.3, "hold")])
def test_a_lowest_throughput_is_that_of_the_whole_service(level, expected):
    asked = criteria(criterion("throughput", 500))
    assert judge(observed(*both(level), steps=EIGHT), asked).verdict == expected


def test_a_service_that_falls_below_its_lowest_throughput_by_the_candidate_fails():
    asked = criteria(criterion("throughput", 950))
    assert judge(observed(*both(share=0.1), steps=EIGHT), asked).verdict == "fail"


def test_a_lowest_revenue_is_that_of_the_whole_service():
    given = []
    for slot, share in ((CANDIDATE, 0.1), (LIVE, 0.9)):
        given.append(series("revenue", slot, [{"b": share * load, "n": 50} for load in LOAD]))
    asked = criteria(criterion("revenue", 500))
    assert judge(observed(*given, steps=EIGHT), asked).verdict == "pass"


def test_a_lowest_throughput_alone_at_100_percent():
    asked = criteria(criterion("throughput", 500))
    for share, expected in ((1.0, "pass"), (0.3, "fail")):
        ours = flow(CANDIDATE, [share * load for load in LOAD])
        assert judge(observed(ours, steps=[(100, 8)]), asked).verdict == expected


@pytest.mark.parametrize(("minutes", "expected"), [(1, "hold"), (2, "hold"), (3, "fail")])
def test_the_first_minutes_of_a_step_fail_no_gauge(minutes, expected):
    asked = criteria(criterion("cpu_usage", 80))
    given = gauge("cpu_usage", [50] * 4 + [81] * minutes)
    assert judge(observed(*given, steps=[(10, 4), (50, minutes)]), asked).verdict == expected


BASELINE = criteria(criterion("throughput", "0.05", "baseline"))
BEFORE = (baseline("throughput", 1_000),)


def test_a_live_slot_that_was_read_in_part_fails_no_rate_against_the_time_before():
    ours, theirs = both()
    part = theirs.model_copy(update={"minutes": theirs.minutes[:3], "complete": False})
    for asked in (BASELINE, criteria(criterion("throughput", 500))):
        found = judge(observed(ours, part, steps=EIGHT, baseline=BEFORE), asked)
        assert found.verdict == "hold"
        assert "not read" in found.reason


def test_minutes_that_the_live_slot_lacks_are_left_out():
    ours, theirs = both()
    fewer = theirs.model_copy(update={"minutes": theirs.minutes[3:]})
    found = judge(observed(ours, fewer, steps=EIGHT, baseline=BEFORE), BASELINE)
    assert found.verdict == "pass"


def test_a_quieter_hour_of_both_slots_passes_where_the_candidate_serves_its_share():
    found = judge(observed(*both(0.9), steps=EIGHT, baseline=BEFORE), BASELINE)

    assert found.verdict == "pass"
    assert "live slot" in check(found, "throughput against baseline").reason


def test_a_candidate_that_serves_less_than_its_share_of_a_quieter_hour_fails():
    given = observed(*both(0.9, share=0.5), steps=EIGHT, baseline=BEFORE)
    assert judge(given, BASELINE).verdict == "fail"


def test_complaints_that_nobody_could_make_are_no_evidence():
    asked = criteria(criterion("user_complaints", 10))
    reported = series("user_complaints", LIVE, [{"b": 1.0, "n": 1.0}] * 5)
    none = series("user_complaints", CANDIDATE, [])

    idle = judge(observed(none, reported, steps=FIVE), asked)
    served = judge(observed(none, reported, *errors(0), steps=FIVE), asked)

    assert (idle.verdict, served.verdict) == ("hold", "pass")
    early = judge(observed(none, reported, *errors(0), steps=[(10, 5), (25, 1)]), asked)
    assert early.verdict == "hold"
