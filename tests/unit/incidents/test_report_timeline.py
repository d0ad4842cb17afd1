from datetime import timedelta

import pytest

from greenlane.deployments.phases import Phase
from greenlane.incidents.report_actions import parts_done, rulings
from greenlane.incidents.report_timeline import describe, milestones, timeline
from tests.builders import NOW, record
from tests.unit.incidents.cases import abandoned, by_alarm, by_judge, held, succeeded
from tests.unit.incidents.pieces import (
    ID,
    alarm_trigger,
    at,
    event,
    first_steps,
    rolled_back,
    shift,
)


def times(**changes):
    return milestones(by_alarm(**changes))


def test_the_instants_of_a_rollback():
    found = times()
    assert found.outcome == "rolled_back"
    assert [entry.weight for entry in found.shifts] == [10, 50]
    assert found.traffic_from == at(1, 53.24)
    assert found.traffic_until == at(10, 4.4)
    assert found.ended_at == at(12, 14.1)
    assert found.most_weight == 50


@pytest.mark.parametrize(
    ("evidence", "outcome", "had_traffic", "lost_it"),
    [
        (abandoned, "rolled_back", False, False),
        (held, "held", True, False),
        (succeeded, "succeeded", True, False),
    ],
)
def test_how_it_ended_and_whether_it_had_traffic(evidence, outcome, had_traffic, lost_it):
    found = milestones(evidence())
    assert found.outcome == outcome
    assert (found.traffic_from is not None, found.traffic_until is not None) == (
        had_traffic,
        lost_it,
    )


def test_a_good_slot_that_grew_first_got_its_traffic_when_it_had_grown():
    lines = rolled_back(alarm_trigger())
    began = lines[0].model_copy(update={"detail": lines[0].detail | {"action": "raise"}})
    found = times(history=(*first_steps(), began, *lines[1:]))
    assert found.traffic_until == began.at + timedelta(seconds=46.2)


def test_a_rollback_that_was_taken_over_put_the_traffic_back_the_first_time():
    first = rolled_back(alarm_trigger())
    again = first[0].model_copy(update={"at": first[0].at + timedelta(minutes=1)})
    assert times(history=(*first_steps(), first[0], again, *first[1:])).traffic_until == first[0].at


def test_a_deployment_whose_record_goes_back_just_now_is_under_way():
    going = record(deployment_id=ID, phase=Phase.ROLLING_BACK)
    found = times(record=going, history=first_steps())
    assert (found.outcome, found.ended_at) == ("under_way", None)


def test_without_a_record_the_history_says_how_it_ended_and_why():
    found = times(record=None)
    assert (found.outcome, found.trigger.kind) == ("rolled_back", "alarm")
    assert times(record=None, history=first_steps()).outcome == "under_way"


def test_an_intent_and_its_outcome_are_one_line_with_the_time_in_between():
    lines = timeline(shift(at(1), 0, 0, 10), NOW)
    assert [(line.text, line.took_seconds) for line in lines] == [
        ("Shift from 0 to 10 percent", 0.64)
    ]


def test_an_intent_without_an_outcome_says_so():
    intent = shift(at(1), 0, 0, 10)[0]
    (line,) = timeline([intent], NOW)
    assert line.text.endswith("no outcome is on record")
    assert line.took_seconds is None


def test_an_intent_that_was_repeated_takes_the_outcome_of_its_own():
    lines = timeline([shift(at(1), 0, 0, 10)[0], *shift(at(2), 0, 0, 10)], NOW)
    assert [line.took_seconds for line in lines] == [None, 0.64]


def test_each_line_says_how_long_after_the_start_and_after_the_last():
    lines = timeline(by_alarm().history, NOW)
    assert (lines[0].since_start_seconds, lines[0].since_previous_seconds) == (2.1, 2.1)
    assert (lines[1].since_start_seconds, lines[1].since_previous_seconds) == (8.4, 6.3)


def test_a_kind_that_nobody_taught_says_what_it_carries():
    line = event(NOW, "drift found", "reconcile", what="weights\nmoved", arn="arn:aws:x:y:z:last")
    assert describe(line) == "Drift found: what=weights moved, arn=last"


def test_the_parts_of_a_rollback_are_told_in_order_with_their_seconds():
    assert [(part.name, part.seconds) for part in parts_done(by_alarm().history)] == [
        ("notice", 1.1),
        ("fence", 0.031),
        ("traffic", 0.212),
        ("settle", 46.2),
        ("drain", 81.8),
        ("scale down", 0.6),
        ("close", 0.4),
    ]


def test_an_end_that_says_no_seconds_is_measured_by_its_lines():
    lines = rolled_back(alarm_trigger())
    bare = lines[-1].model_copy(update={"detail": {"reason": "x"}})
    found = parts_done((*lines[:-1], bare))
    assert [(part.name, part.seconds) for part in found] == [("settle", 128.6), ("close", 1.1)]
    assert parts_done(first_steps()) == ()


def test_the_look_inside_a_bake_is_the_last_verdict():
    found = rulings(by_judge())
    assert [(ruling.step, ruling.weight, ruling.verdict) for ruling in found] == [
        (1, 10, "pass"),
        (2, 50, "fail"),
    ]
