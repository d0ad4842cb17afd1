"""A rollback's document keeps when each of its parts was done, for the report."""

from datetime import timedelta

from greenlane.deployments.model import Trigger
from greenlane.rollback.model import Rollback
from tests.builders import NOW, SERVICE


def rollback(at=NOW):
    trigger = Trigger(kind="person", name="ada", at=at)
    return Rollback(service=SERVICE, execution="arn", action="settle", trigger=trigger)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def test_each_part_took_from_the_mark_before_to_its_own():
    done = rollback().marked("asked", later(1)).marked("fenced", later(1.25))
    done = done.marked("written", later(2)).marked("settled", later(47))
    assert done.seconds() == {"notice": 1.0, "fence": 0.25, "traffic": 0.75, "settle": 45.0}


def test_a_part_that_was_passed_over_counts_with_the_next():
    done = rollback().marked("asked", later(0)).marked("settled", later(60))
    assert done.seconds() == {"notice": 0.0, "settle": 60.0}


def test_a_repeated_function_keeps_the_first_mark():
    assert rollback().marked("asked", later(1)).marked("asked", later(9)).seconds() == {"notice": 1}


def test_clocks_that_differ_a_little_give_no_negative_time():
    done = rollback().marked("asked", later(-2)).marked("fenced", later(-1))
    assert done.seconds() == {"notice": 0.0, "fence": 1.0}


def test_a_trigger_without_an_instant_or_without_its_zone_has_no_notice():
    for at in (None, NOW.replace(tzinfo=None)):
        done = rollback(at).marked("asked", later(1)).marked("fenced", later(2))
        assert done.seconds() == {"fence": 1.0}
    assert rollback().seconds() is None


def test_the_marks_travel_through_the_state_machine():
    done = rollback().marked("asked", later(1))
    assert Rollback.model_validate(done.model_dump(mode="json")) == done
