from dataclasses import replace
from datetime import timedelta

import pytest

from greenlane.health.catalogue import CATALOGUE
from greenlane.health.evaluate import evaluate, m_of_n
from greenlane.health.expressions import parse
from greenlane.health.observed import Minute, Series
from greenlane.health.rules import expand, metrics_of, without_data
from tests.unit.health.condition_data import END


def series(metric, *minutes, complete=True):
    """The last minutes of a metric, oldest first; None is a minute without data."""
    known = [
        Minute(at=END - timedelta(minutes=age), parts=parts)
        for age, parts in zip(range(len(minutes), 0, -1), minutes, strict=True)
        if parts is not None
    ]
    return Series(metric=metric, slot="green", minutes=tuple(known), complete=complete)


def found(text, **minutes):
    tree = parse(text)
    given = {name: series(name, *parts) for name, parts in minutes.items()}
    for name in metrics_of(expand(tree)):
        given.setdefault(name, series(name))
    if "error_rate" in minutes:
        del given["certain_error_rate"]
    return evaluate(tree, given, END)


def failed(count, of=100):
    return {"r": of, "c2": of - count, "c5": count}


def hung(count, of=100):
    return {"r": of, "c2": of - count}


def cpu(*percent):
    return [None if one is None else {"u": one, "v": 100.0} for one in percent]


@pytest.mark.parametrize(
    ("points", "matched", "minutes", "red"),
    [
        # X breaches, 0 does not, - is missing; the first two are the spare ones.
        ("00 X", 1, 1, True),
        ("XX 0", 1, 1, False),
        ("00 XX", 2, 2, True),
        ("00 0X", 2, 2, False),
        ("00 XX0", 2, 3, True),
        ("XX X00", 2, 3, False),
        ("0X --", 1, 2, True),
        ("X0 --", 1, 1, False),
        ("0X --", 2, 2, False),
        ("XX --", 2, 2, True),
        ("X- -X", 2, 2, True),
        ("-- --", 1, 2, False),
        ("0- X-X", 2, 3, True),
    ],
)
def test_m_of_the_last_n_that_exist(points, matched, minutes, red):
    row = [{"0": False, "X": True, "-": None}[one] for one in points.replace(" ", "")]
    assert m_of_n(row, matched, minutes) is red


@pytest.mark.parametrize(
    ("text", "minutes", "true"),
    [
        ("cpu_usage > 90", [91], True),
        ("cpu_usage > 90", [90], False),
        ("cpu_usage >= 90", [90], True),
        ("cpu_usage < 5", [4], True),
        ("cpu_usage > 90 for 2/3", [91, 50, 91], True),
        ("cpu_usage > 90 for 2/3", [91, 50, 50], False),
        ("cpu_usage > 90", [91, None, None], True),
        ("cpu_usage > 90", [91, None, None, None], False),
        ("cpu_usage > 90", [], False),
        ("not cpu_usage > 90", [91], False),
        ("not cpu_usage > 90", [], True),
        ("cpu_usage > 90 and cpu_usage < 95", [93], True),
        ("cpu_usage > 90 or cpu_usage < 5", [50], False),
        ("not (cpu_usage > 90 or cpu_usage < 5)", [50], True),
    ],
)
def test_comparisons_over_minutes(text, minutes, true):
    assert found(text, cpu_usage=cpu(*minutes)).true is true


@pytest.mark.parametrize(
    ("minutes", "true"),
    [
        ([failed(6)], True),
        ([failed(5)], False),
        ([hung(6)], False),
        ([hung(6), hung(6)], True),
        ([hung(6), failed(0), hung(6)], False),
        ([hung(3), {"r": 100, "c2": 94, "c5": 3}], False),
        ([{"r": 100, "c2": 100, "k": 6}], True),
        ([failed(19, of=19)], False),
        ([failed(2, of=20)], True),
        ([], False),
    ],
)
def test_errors_count_at_once_where_they_are_certain_else_in_two_minutes(minutes, true):
    assert found("error_rate > 0.05", error_rate=minutes).true is true


def test_of_more_minutes_those_in_a_row_count_for_what_went_unanswered():
    split = [hung(6), failed(0), hung(6), failed(0), hung(6)]
    assert not found("error_rate > 0.05 for 3/5", error_rate=split).true
    assert found("error_rate > 0.05 for 3/5", error_rate=[hung(6)] * 3).true
    certain = [failed(6), failed(0), failed(6), failed(0), failed(6)]
    assert found("error_rate > 0.05 for 3/5", error_rate=certain).true


@pytest.mark.parametrize("minutes", [[failed(6)], [failed(5)], [hung(6)], [hung(6)] * 2])
@pytest.mark.parametrize("often", ["", " for 2/2"])
def test_low_errors_are_high_errors_denied(minutes, often):
    minutes = minutes * 2 if often and len(minutes) == 1 else minutes
    low = found(f"error_rate <= 0.05{often}", error_rate=minutes).true
    high = found(f"error_rate > 0.05{often}", error_rate=minutes).true
    assert low is not high


@pytest.mark.parametrize(
    ("healthy", "requests", "true"),
    [
        ([2, 2], [100, 100], False),
        ([2, 0], [100, 100], True),
        ([2, 0], [100, None], True),
        ([0, 0, 0, 0, 0, 0, 0, 0], [None] * 8, False),
        ([0] * 10, [100, *[None] * 9], False),
        ([2, None], [100, 100], False),
    ],
)
def test_a_slot_without_healthy_targets_is_missed_only_where_requests_came(healthy, requests, true):
    hosts = [None if count is None else {"h": count} for count in healthy]
    flow = [None if count is None else {"r": count, "c2": count} for count in requests]
    assert found("system_unavailable", most_healthy_hosts=hosts, throughput=flow).true is true


def test_every_request_failing_is_unavailable():
    assert found("system_unavailable", error_rate=[failed(100)]).true
    assert not found("system_unavailable", error_rate=[failed(99)]).true
    assert found("system_unavailable", error_rate=[hung(100)] * 2).true


def test_complaints_count_since_the_first_traffic():
    minutes = [{"b": 4.0, "n": 1.0}, None, {"b": 6.0, "n": 1.0}]
    assert not found("user_complaints > 10", user_complaints=minutes).true
    more = found("user_complaints > 10", user_complaints=[*minutes, {"b": 1.0, "n": 1.0}])
    assert more.true
    assert more.reason == "user_complaints > 10 (11 so far)"


def test_a_minute_after_the_end_is_not_looked_at():
    tree = parse("cpu_usage > 90")
    late = series("cpu_usage", *cpu(91))
    assert evaluate(tree, {"cpu_usage": late}, END).true
    assert not evaluate(tree, {"cpu_usage": late}, END - timedelta(minutes=1)).true


def test_numbers_that_are_none_are_missing():
    assert not found("cpu_usage > 90", cpu_usage=cpu(float("nan"))).true
    assert not found("cpu_usage > 90", cpu_usage=cpu(float("inf"))).true
    assert not found("cpu_usage < 90", cpu_usage=cpu(float("nan"))).true


def test_the_reason_names_what_is_red_with_its_values():
    minutes = cpu(91, 50, 92.5)
    said = found("cpu_usage > 90 for 2/3 or cpu_usage < 5", cpu_usage=minutes)
    assert said.reason == "cpu_usage > 90 for 2/3 (91, 50, 92.5)"


def test_what_was_not_read_whole_makes_it_incomplete():
    tree = parse("cpu_usage > 90 and memory_usage > 90")
    partly = series("cpu_usage", *cpu(91), complete=False)
    said = evaluate(tree, {"cpu_usage": partly}, END)
    assert not said.complete
    assert said.reason == "cpu_usage: read in part; memory_usage: not read"


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("error_rate > 0.05", False),
        ("error_rate < 0.05", False),
        ("system_unavailable", False),
        ("not cpu_usage > 90", True),
        ("not system_unavailable", True),
        ("not cpu_usage > 90 and throughput > 5", False),
        ("not not cpu_usage > 90", False),
    ],
)
def test_what_is_true_without_data(text, true):
    assert without_data(expand(parse(text))) is true
    assert found(text).true is true


def test_a_declared_error_rate_is_one_watch_in_minutes_in_a_row():
    own = {**CATALOGUE, "error_rate": replace(CATALOGUE["error_rate"])}
    rule = expand(parse("error_rate > 0.05", own), own)
    assert rule.text == "error_rate > 0.05 for 2/2"
