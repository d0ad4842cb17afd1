from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.health.metrics import MinuteOfTraffic
from greenlane.incidents.report_timeline import milestones
from greenlane.incidents.report_traffic import affected, minutes_of, phases, window
from tests.builders import NOW
from tests.unit.incidents.cases import abandoned, by_alarm, nothing_readable
from tests.unit.incidents.pieces import at, traffic_of


def minute(number, requests, errors=0, answered=None, **values):
    return MinuteOfTraffic(
        at=at(number),
        requests=requests,
        answered=requests if answered is None else answered,
        server_errors=errors,
        **values,
    )


def found(**traffic):
    evidence = by_alarm(traffic={slot: tuple(minutes) for slot, minutes in traffic.items()})
    return affected(evidence, milestones(evidence))


@pytest.mark.parametrize(
    ("ended", "now", "start", "end"),
    [
        (at(10, 30), at(11, 20), at(-30), at(11)),
        (at(10, 30), at(90), at(-30), at(25)),
        (None, at(4, 59), at(-30), at(4)),
        (at(60 * 30), at(60 * 40), at(60 * 30 + 15) - timedelta(hours=24), at(60 * 30 + 15)),
    ],
)
def test_the_window_is_half_an_hour_before_to_a_quarter_after_and_a_day_at_most(
    ended, now, start, end
):
    assert window(NOW, ended, now) == (start, end)


def test_each_phase_has_both_versions_numbers():
    evidence = by_alarm()
    before, during, after = phases(evidence, milestones(evidence))
    assert (before.start, before.end) == (at(-30), at(1))
    assert (during.start, during.end) == (at(1), at(11))
    assert (after.start, after.end) == (at(11), at(12))
    assert [numbers.slot for numbers in during.slots] == ["blue", "green"]
    assert before.slots[1].requests == 0
    rates = {numbers.slot: numbers.error_rate or 0.0 for numbers in during.slots}
    assert rates["green"] > 0.05
    assert 0 < rates["blue"] < 0.003
    everything = sum(m.requests for slot in (evidence.traffic or {}).values() for m in slot)
    assert everything == sum(n.requests for p in (before, during, after) for n in p.slots)


def test_without_traffic_for_the_new_version_everything_is_before():
    evidence = abandoned()
    (only,) = phases(evidence, milestones(evidence))
    assert only.name == "before"


def test_affected_is_requests_times_the_excess_of_errors():
    result = found(
        blue=[minute(n, 900, 9) for n in range(2, 10)],
        green=[minute(n, 100, 11) for n in range(2, 10)],
    )
    assert result.requests == 80  # 800 requests, 11 percent less 1 percent
    assert "800 requests" in result.formula
    assert "11 %" in result.formula
    assert "not people" in result.formula


def test_the_old_versions_time_before_counts_when_it_has_no_traffic_meanwhile():
    result = found(
        blue=[minute(n, 100, 2) for n in range(-10, 0)],
        green=[minute(n, 100, 12) for n in range(2, 10)],
    )
    assert (result.requests, result.reference_error_rate) == (80, 0.02)
    assert "before" in result.formula


def test_a_better_version_affected_nobody():
    result = found(
        blue=[minute(n, 100, 5) for n in range(2, 10)], green=[minute(n, 100) for n in range(2, 10)]
    )
    assert result.requests == 0


def test_requests_that_nobody_answered_count_over_the_phase():
    result = found(
        blue=[minute(n, 100) for n in range(2, 10)],
        green=[minute(n, 100, answered=50) for n in range(2, 10)],
    )
    assert result.requests == 400


def test_a_last_minute_of_which_nothing_is_published_yet_is_no_evidence():
    result = found(
        blue=[minute(n, 100) for n in range(2, 10)],
        green=[minute(2, 100), minute(3, 100, answered=0)],
    )
    assert (result.requests, result.candidate_requests) == (0, 100)


def test_unknown_metrics_are_not_nobody():
    evidence = nothing_readable()
    assert affected(evidence, milestones(evidence)) is None


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), min_size=1, max_size=12),
    st.integers(0, 2000),
)
def test_never_more_are_affected_than_failed(green, blue_errors):
    result = found(
        blue=[minute(2, 2000, blue_errors)],
        green=[
            minute(3 + n, requests, min(errors, requests))
            for n, (requests, errors) in enumerate(green)
        ],
    )
    assert 0 <= result.requests <= result.candidate_errors <= result.candidate_requests


def test_minutes_of_both_slots_are_one_list_the_old_version_first():
    evidence = by_alarm(traffic=traffic_of(11))
    found = minutes_of(evidence)
    assert [entry.at for entry in found] == sorted(entry.at for entry in found)
    same = [entry.slot for entry in found if entry.at == at(5)]
    assert same == ["blue", "green"]
