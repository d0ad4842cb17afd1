"""What counts as an error of a window, wherever the edges of its minutes fall."""

import math
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.health.catalogue import CATALOGUE
from greenlane.health.judge import count_errors as errors_each
from greenlane.health.judge import without_late
from greenlane.health.metrics import MinuteOfTraffic
from greenlane.health.verdicts import judge
from greenlane.health.view import View
from tests.builders import NOW
from tests.observations import CANDIDATE, criteria, criterion, observed, series

HANGS = None


class Request(NamedTuple):
    """When it reached a target, in seconds, and how long the answer took; HANGS without one."""

    at: float
    seconds: float | None
    status: int = 200


def minute(requests, answered, *, at=0, errors=0, refused=0, p95=None):
    return MinuteOfTraffic(
        at=NOW + timedelta(minutes=at),
        requests=requests,
        answered=answered,
        server_errors=errors,
        connection_errors=refused,
        p95_ms=None if p95 is None else Decimal(p95),
    )


def measured(requests, *, minutes, shift=0.0, p95=None):
    """The window's minutes: a request counts when it is sent, its answer when it comes."""
    sent: Counter[float] = Counter()
    answered: Counter[float] = Counter()
    bad: Counter[float] = Counter()
    for request in requests:
        sent[(request.at - shift) // 60] += 1
        if request.seconds is not HANGS:
            came = (request.at + request.seconds - shift) // 60
            answered[came] += 1
            bad[came] += request.status >= 500
    return [minute(sent[at], answered[at], at=at, errors=bad[at], p95=p95) for at in range(minutes)]


def count_errors(minutes):
    """Of the whole stretch."""
    return sum(errors_each(minutes))


def in_flight(minutes):
    """At most so many requests are on their way at the end, by the last minute's and the p95."""
    p95 = max(float(one.p95_ms or 0) for one in minutes)
    return math.ceil(minutes[-1].requests * p95 / 60_000)


requests_seen = st.lists(
    st.builds(
        Request,
        at=st.floats(-60, 400),
        seconds=st.none() | st.floats(0, 90),
        status=st.sampled_from([200, 200, 404, 500]),
    ),
    max_size=60,
)


@given(requests=requests_seen, shift=st.floats(0, 60), minutes=st.integers(1, 5))
def test_edges_make_no_more_errors_than_the_truth_and_what_is_in_flight_at_the_end(
    requests, shift, minutes
):
    begin, end = shift, shift + 60 * minutes
    hung = sum(begin <= one.at < end and one.seconds is HANGS for one in requests)
    flying = sum(
        begin <= one.at < end <= one.at + one.seconds
        for one in requests
        if one.seconds is not HANGS
    )
    found = measured(requests, minutes=minutes, shift=shift)
    bad = sum(each.server_errors for each in found)
    assert bad <= count_errors(found) <= bad + hung + flying


@given(requests=requests_seen, shift=st.floats(0, 60), minutes=st.integers(1, 5))
def test_what_hangs_is_missed_only_for_what_flies_over_the_edges(requests, shift, minutes):
    begin, end = shift, shift + 60 * minutes
    hung = sum(begin <= one.at < end and one.seconds is HANGS for one in requests)
    before = sum(
        one.at < begin <= one.at + one.seconds < end for one in requests if one.seconds is not HANGS
    )
    found = measured(requests, minutes=minutes, shift=shift, p95=3000)
    bad = sum(each.server_errors for each in found)
    assert count_errors(found) >= bad + hung - before - in_flight(found)


@given(
    latency=st.floats(0.01, 30),
    every=st.floats(0.3, 3),
    shift=st.floats(0, 60),
    minutes=st.integers(1, 6),
    begun=st.sampled_from([-120.0, 0.0]),
)
def test_a_steady_stream_that_is_answered_has_no_errors(latency, every, shift, minutes, begun):
    count = int((480 - begun) / every)
    requests = [Request(begun + number * every, latency) for number in range(count)]
    found = measured(requests, minutes=minutes, shift=shift, p95=latency * 1000)
    # A minute holds one request more or less than its share.
    assert count_errors(found) <= 1


def test_an_answer_in_the_next_minute_is_no_error():
    found = [minute(60, 55), minute(60, 65, at=1), minute(60, 55, at=2), minute(60, 65, at=3)]
    assert count_errors(found) == 0


def test_requests_without_an_answer_are_errors():
    assert count_errors([minute(100, 70)]) == 30
    assert count_errors([minute(100, 90, errors=5), minute(100, 98, at=1)]) == 17
    assert count_errors([]) == 0


def test_refused_connections_count_at_once_and_not_twice():
    assert count_errors([minute(0, 0, refused=3)]) == 3
    assert count_errors([minute(100, 90, refused=4), minute(100, 94, at=1, refused=6)]) == 16
    assert count_errors([minute(100, 100, refused=4)]) == 4
    assert count_errors([minute(60, 55, refused=2, p95=5000)]) == 2


@pytest.mark.parametrize(
    ("requests", "p95", "flying"), [(60, 5000, 5), (600, 2000, 20), (60, 100, 1), (60, None, 0)]
)
def test_in_flight_at_the_end_are_the_last_minutes_requests_times_the_p95(requests, p95, flying):
    before = minute(9999, 9999, p95=p95)
    assert count_errors([before, minute(requests, requests - flying, at=1, p95=p95)]) == 0
    assert count_errors([before, minute(requests, requests - flying - 1, at=1, p95=p95)]) == 1


def test_each_error_is_told_in_its_minute_and_taken_back_by_a_late_answer():
    found = [minute(100, 90), minute(100, 106, at=1), minute(100, 98, at=2, errors=3)]
    assert errors_each(found) == (4, 0, 5)
    assert errors_each(found, still_open=True) == (4, 0, 3)


@given(requests=requests_seen, shift=st.floats(0, 60), minutes=st.integers(1, 5))
def test_the_report_counts_what_the_judge_counts(requests, shift, minutes):
    """One rule: a person who compares the two pages finds the same numbers."""
    found = [one for one in measured(requests, minutes=minutes, shift=shift, p95=200)]
    found = [one for one in found if one.requests]
    known = without_late(found)
    seen = observed(
        series("error_rate", CANDIDATE, [parts(one) for one in found]),
        series("response_time_p95", CANDIDATE, [{"r": 1.0, "p": 0.2} for _ in found]),
        steps=[(50, max(len(found), 1))],
    )
    counted = View(seen, CATALOGUE).counts(CATALOGUE["error_rate"], seen.candidate) or []
    still_open = any(one.answered or one.connection_errors for one in known[-1:])

    capped = [
        min(errors, one.requests)
        for errors, one in zip(errors_each(known, still_open=still_open), known, strict=True)
    ]
    assert [one.seen.events for one in counted] == capped


def parts(minute):
    """A minute as the metrics of the error rate have it."""
    answers = minute.answered - minute.server_errors
    known = {"r": minute.requests, "c2": answers, "c5": minute.server_errors}
    known |= {"k": minute.connection_errors}
    return {part: float(number) for part, number in known.items() if number}


def judged(*minutes):
    """By the error rate alone, with what the response times say of requests in flight."""
    times = [
        {"r": float(one.requests), "p": float(one.p95_ms) / 1000} if one.p95_ms else {}
        for one in minutes
    ]
    seen = observed(
        series("error_rate", CANDIDATE, [parts(one) for one in minutes]),
        series("response_time_p95", CANDIDATE, times),
        steps=[(50, len(minutes))],
    )
    return judge(seen, criteria(criterion("error_rate", 0.01)))


def error_rate(*minutes):
    (check,) = [check for check in judged(*minutes).checks if check.name == "error_rate"]
    return check


def test_a_slow_good_version_passes_at_one_request_a_second():
    slow = [Request(number * 1.0, 1.9) for number in range(-60, 400)]
    for shift in (0.0, 0.5, 1.5, 30.25):
        assert judged(*measured(slow, minutes=4, shift=shift, p95=1900)).verdict == "pass"


def test_a_last_minute_without_one_answer_is_not_judged_and_no_pass():
    good = [minute(60, 60, at=at, p95=50) for at in range(3)]
    silent = minute(60, 0, at=3)
    found = error_rate(*good, silent)
    assert (found.verdict, found.reason) == ("hold", "no answer of the last minute is known yet")
    assert error_rate(silent).verdict == "hold"


def test_a_silent_minute_counts_when_it_can_no_longer_be_late():
    hangs = [minute(60, 0, at=at) for at in range(3)]
    assert error_rate(*hangs[:2]).verdict == "hold"
    assert error_rate(*hangs).verdict == "fail"
    assert error_rate(minute(60, 0), minute(60, 60, at=1, p95=50)).verdict == "fail"


def test_a_silent_last_minute_hides_no_errors_of_those_before_nor_refused_connections():
    bad = minute(100, 100, errors=30, p95=50)
    assert error_rate(bad, minute(100, 0, at=1)).verdict == "fail"
    assert error_rate(minute(100, 0, refused=100)).verdict == "fail"


def test_an_idle_last_minute_is_not_silent():
    assert error_rate(minute(100, 100, p95=50), minute(0, 0, at=1)).verdict == "pass"
