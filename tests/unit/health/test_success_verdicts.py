from datetime import timedelta
from decimal import Decimal

import pytest

from benchmarks.judgement.ten_metrics import TEN, ten_metrics
from greenlane.deployments.model import CheckResult
from greenlane.health.catalogue import CATALOGUE
from greenlane.health.findings import joined
from greenlane.health.judge import worst
from greenlane.health.verdicts import ALPHA, judge, levels_of
from tests.observations import (
    CANDIDATE,
    LIVE,
    baseline,
    check,
    criteria,
    criterion,
    each,
    errors,
    flow,
    gauge,
    observed,
    requests,
    series,
    slow,
)

LIMIT = criterion("error_rate", "0.01", source="greenlane.yaml")
TO_LIVE = criterion("error_rate", "0.5", "live")
FIVE = [(10, 5)]


def test_a_healthy_version_passes_with_its_numbers():
    verdict = judge(observed(*errors(1, 9), steps=FIVE), criteria(LIMIT, TO_LIVE))

    assert verdict.verdict == "pass"
    assert verdict.requests == 5_000
    found = check(verdict, "error_rate")
    assert (found.value, found.limit) == (Decimal("0.001"), Decimal("0.01"))
    assert (found.source, found.role, found.standing) == ("greenlane.yaml", "success", "ok")


def test_a_broken_limit_fails_and_says_why():
    verdict = judge(observed(*errors(50, 9), steps=FIVE), criteria(LIMIT))

    assert verdict.verdict == "fail"
    assert "250 of 5000 requests failed" in verdict.reason
    assert check(verdict, "error_rate").standing == "breached"


def test_a_rate_above_the_limit_that_may_be_chance_holds():
    given = errors(1, 9, count=60, live_count=540)
    assert judge(observed(*given, steps=FIVE), criteria(LIMIT)).verdict == "hold"


def test_more_errors_than_the_live_slot_fail_far_below_the_limit():
    given = observed(*errors(8, 9), steps=FIVE)

    assert judge(given, criteria(LIMIT)).verdict == "pass"
    assert judge(given, criteria(LIMIT, TO_LIVE)).verdict == "fail"


def test_the_tests_share_one_level():
    asked = criteria(
        LIMIT,
        TO_LIVE,
        criterion("response_time_p95", 2000),
        criterion("revenue", 0, "live"),
        criterion("cpu_usage", 80),
        criterion("memory_usage", "0.1", "live"),
        rules={"memory_usage": {"dry_run": True}},
    )

    parts = levels_of(asked, CATALOGUE)

    assert parts == {
        "error_rate": ALPHA / 4,
        "response_time_p95": ALPHA / 4,
        "revenue": ALPHA / 4,
    }
    assert levels_of(criteria(LIMIT), CATALOGUE) == {"error_rate": ALPHA}


def test_a_request_in_flight_is_no_error_and_a_hanging_one_is():
    """ADR 0012: in one minute it is missing, in the next one too much."""
    late = [requests(100, hung=3 if number % 2 == 0 else -3) for number in range(4)]
    late += [requests(100, hung=3)]
    times = each(5, lambda _: {"r": 100, "p": 2.0})
    fine = [series("error_rate", CANDIDATE, late), series("response_time_p95", CANDIDATE, times)]
    hangs = [
        series("error_rate", CANDIDATE, each(5, lambda _: requests(100, hung=10))),
        series("response_time_p95", CANDIDATE, times),
    ]

    verdict = judge(observed(*fine, steps=FIVE), criteria(LIMIT))

    assert verdict.verdict == "pass"
    assert check(verdict, "error_rate").value == 0
    assert judge(observed(*hangs, steps=FIVE), criteria(LIMIT)).verdict == "fail"


def test_refused_connections_are_errors():
    refused = each(5, lambda _: {"r": 100.0, "c2": 100.0, "k": 10.0})
    assert judge(
        observed(series("error_rate", CANDIDATE, refused), steps=FIVE), criteria(LIMIT)
    ).verdict == ("fail")


def test_a_last_minute_without_answers_is_left_out_and_holds():
    given = [*each(4, lambda _: requests(1_000, 1)), {"r": 1_000.0}]

    verdict = judge(observed(series("error_rate", CANDIDATE, given), steps=FIVE), criteria(LIMIT))

    assert verdict.verdict == "hold"
    assert check(verdict, "error_rate").value == Decimal("0.001")
    assert "no answer of the last minute" in verdict.reason


def test_both_slots_in_the_same_storm_hold_and_the_environment_is_blamed():
    storm = observed(
        *errors(50, 450), steps=FIVE, baseline=(baseline("error_rate", 0.001, samples=50_000),)
    )

    verdict = judge(storm, criteria(LIMIT, TO_LIVE))

    assert verdict.verdict == "hold"
    assert "the environment is to blame" in check(verdict, "error_rate").reason
    assert "the environment is to blame" in check(verdict, "error_rate against live").reason


def test_a_candidate_that_is_worse_in_the_storm_fails_all_the_same():
    storm = observed(*errors(200, 450), steps=FIVE, baseline=(baseline("error_rate", 0.001),))
    assert judge(storm, criteria(LIMIT, TO_LIVE)).verdict == "fail"


def test_a_shared_database_that_was_full_before_is_not_the_candidates_doing():
    metric = CATALOGUE["memory_usage"]
    full = series("memory_usage", None, [{"u": 95.0, "v": 100.0}] * 5)
    asked = criteria(criterion(metric.name, 80))

    before = observed(full, steps=FIVE, baseline=(baseline(metric.name, 93),))
    since = observed(full, steps=FIVE, baseline=(baseline(metric.name, 60),))

    assert judge(before, asked).verdict == "hold"
    assert judge(since, asked).verdict == "fail"


def test_at_100_percent_the_comparison_of_the_earlier_steps_stands():
    ours = series("error_rate", CANDIDATE, each(8, lambda _: requests(1_000, 1)))
    theirs = series("error_rate", LIVE, [requests(1_000, 1) if n < 4 else None for n in range(8)])
    given = observed(ours, theirs, steps=[(50, 4), (100, 4)])

    assert judge(given, criteria(TO_LIVE)).verdict == "pass"


def test_all_at_once_is_compared_with_the_time_before():
    def verdict(bad):
        ours = series("error_rate", CANDIDATE, each(5, lambda _: requests(1_000, bad)))
        before = (baseline("error_rate", 0.002, samples=5_000, events=10),)
        return judge(observed(ours, steps=[(100, 5)], baseline=before), criteria(TO_LIVE)).verdict

    assert verdict(2) == "pass"
    assert verdict(30) == "fail"


@pytest.mark.parametrize(
    ("phase", "share", "expected"),
    [
        ("post", 0.85, "pass"),
        ("post", 0.4, "fail"),
        ("extended", 0.4, "hold"),
    ],
)
def test_less_traffic_without_a_slot_to_compare_with_may_be_the_time_of_day(phase, share, expected):
    load = [1_000, 1_010, 990, 1_005, 995, 1_002, 998, 1_000]
    given = observed(
        flow(CANDIDATE, [value * share for value in load]),
        steps=[(100, 8)],
        phase=phase,
        baseline=(baseline("throughput", 1_000),),
    )
    assert judge(given, criteria(criterion("throughput", "0.05", "live"))).verdict == expected


def test_slower_answers_at_100_percent_must_be_clearly_slower():
    asked = criteria(criterion("response_time_p95", "0.05", "baseline"))

    def verdict(share):
        times = series("response_time_p95", CANDIDATE, [{"r": 1_000, "p": 0.43}] * 5)
        given = [times, *(slow(each_ms, CANDIDATE, share) for each_ms in (420, 500))]
        before = (baseline("response_time_p95", 400),)
        return judge(observed(*given, steps=[(100, 5)], baseline=before), asked).verdict

    assert verdict(3.0) == "pass"
    assert verdict(15.0) == "fail"


def test_a_dry_run_is_shown_and_decides_nothing():
    asked = criteria(LIMIT, criterion("cpu_usage", 80), rules={"cpu_usage": {"dry_run": True}})
    verdict = judge(observed(*errors(1, 9), *gauge("cpu_usage", [95] * 5), steps=FIVE), asked)

    assert verdict.verdict == "pass"
    assert worst(verdict.checks).verdict == "pass"
    assert check(verdict, "cpu_usage").reason.startswith("runs dry, would fail")


@pytest.mark.parametrize(
    ("memory", "score", "expected"),
    [(50, 70, "pass"), (95, 70, "fail"), (95, 40, "pass")],
)
def test_a_score_weighs_what_is_not_critical(memory, score, expected):
    asked = criteria(
        LIMIT,
        criterion("cpu_usage", 80),
        criterion("memory_usage", 85),
        rules={"memory_usage": {"weight": 1}, "cpu_usage": {"weight": 1}},
        pass_score=Decimal(score),
    )
    given = observed(
        *errors(1, 9),
        *gauge("cpu_usage", [50] * 5),
        *gauge("memory_usage", [memory] * 5),
        steps=FIVE,
    )
    assert judge(given, asked).verdict == expected


def test_a_critical_metric_decides_whatever_the_score_is():
    asked = criteria(
        LIMIT,
        criterion("cpu_usage", 80),
        criterion("memory_usage", 85),
        rules={"cpu_usage": {"critical": True}},
        pass_score=Decimal(1),
    )
    given = observed(
        *errors(1, 9), *gauge("cpu_usage", [95] * 5), *gauge("memory_usage", [50] * 5), steps=FIVE
    )
    assert judge(given, asked).verdict == "fail"


def test_conditions_join_the_verdict():
    given = observed(*errors(1, 9), steps=FIVE)
    red = CheckResult(name="error_rate > 0.05", verdict="fail", reason="it is red")

    verdict = judge(given, criteria(LIMIT), [red])

    assert (verdict.verdict, verdict.reason) == ("fail", "error_rate > 0.05: it is red")
    fine = CheckResult(name="cpu_usage > 90", verdict="pass")
    assert judge(given, criteria(LIMIT), [fine]).verdict == "pass"
    assert joined(verdict, [fine]).verdict == "fail"


def test_only_the_criteria_of_the_phase_are_asked():
    later = criterion("cpu_usage", 80, phases=("post",))
    given = observed(*errors(1, 9), *gauge("cpu_usage", [95] * 5), steps=FIVE)

    assert judge(given, criteria(LIMIT, later)).verdict == "pass"
    in_watch = given.model_copy(update={"phase": "post"})
    assert judge(in_watch, criteria(LIMIT, later)).verdict == "fail"


def test_a_fault_of_a_late_step_is_found_in_spite_of_good_earlier_ones():
    ours = [requests(10_000, 10)] * 10 + [requests(1_000, 60)] * 5
    given = observed(series("error_rate", CANDIDATE, ours), steps=[(10, 5), (25, 5), (50, 5)])
    assert judge(given, criteria(LIMIT)).verdict == "fail"


def test_the_same_observation_gives_the_same_verdict():
    given = observed(*errors(8, 9), steps=FIVE)
    again = type(given).model_validate_json(given.model_dump_json())
    assert judge(given, criteria(LIMIT, TO_LIVE)) == judge(again, criteria(LIMIT, TO_LIVE))


def test_ten_metrics_over_an_hour_are_judged_together():
    verdict = judge(ten_metrics(), TEN)

    assert verdict.verdict == "pass", verdict.reason
    assert len(verdict.checks) >= 10


def test_minutes_outside_of_the_steps_do_not_count():
    given = observed(*errors(1_000, 9, minutes=8), steps=FIVE)
    moved = given.model_copy(
        update={
            "segments": tuple(
                segment.model_copy(update={"end": segment.start + timedelta(seconds=90)})
                for segment in given.segments
            )
        }
    )
    assert judge(moved, criteria(LIMIT)).requests == 1_000


def test_alone_at_100_percent_the_comparison_of_the_steps_before_still_stands():
    """Minute by minute, as where no slow requests were counted."""
    times = [{"r": 600.0, "p": 0.1}] * 10
    live = series("response_time_p95", LIVE, [*times[:5], *[None] * 5])
    ours = series("response_time_p95", CANDIDATE, times)
    seen = observed(live, ours, steps=[(50, 5), (100, 5)])
    verdict = judge(seen, criteria(criterion("response_time_p95", 0.05, "live")))
    assert (verdict.verdict, verdict.reason) == ("pass", "")


def test_response_times_as_they_were_before_are_nobodys_fault():
    """The baseline of a percentile counts its requests, and none of them is an event."""
    times = [{"r": 600.0, "p": 0.1}] * 5
    seen = observed(
        series("response_time_p95", LIVE, times),
        series("response_time_p95", CANDIDATE, times),
        steps=[(50, 5)],
        baseline=(baseline("response_time_p95", 100, samples=1200),),
    )
    verdict = judge(seen, criteria(criterion("response_time_p95", 0.05, "live")))
    assert (verdict.verdict, verdict.reason) == ("pass", "")


def test_what_nobody_declared_says_nothing_where_there_is_nothing_to_compare_with():
    alone = observed(series("error_rate", CANDIDATE, [requests(600)] * 5), steps=[(100, 5)])
    asked = criterion("error_rate", 0.5, "live")
    assert judge(alone, criteria(asked)).verdict == "hold"
    limit = criterion("error_rate", 0.01)
    given = criteria(limit, asked.model_copy(update={"optional": True}))
    assert judge(alone, given).verdict == "pass"
