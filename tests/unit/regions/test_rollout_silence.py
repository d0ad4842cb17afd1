"""What becomes of a Region that was lost and answers again."""

from datetime import timedelta

import pytest

from greenlane.deployments.phases import Phase
from greenlane.regions.coordinating.deciding import decide
from greenlane.regions.coordinating.model import SILENT, RegionSeen, Seen
from greenlane.regions.coordinating.taking_in import SILENCE
from tests.unit.regions.region_files import MONDAY
from tests.unit.regions.simulated_regions import shop

FOUR = {"eu-west-1": 10, "eu-west-2": 20, "eu-west-3": 30, "us-east-1": 40}


def lost(state, ordered=MONDAY):
    """A rollout whose home was cut off from most Regions for longer than `SILENCE`."""
    record = shop(FOUR)
    one = record.at("eu-west-1").model_copy(update={"state": state, "ordered_at": ordered})
    record = record.model_copy(update={"regions": record.regions | {"eu-west-1": one}})
    for minutes in (0, 11):
        now = MONDAY + timedelta(minutes=minutes)
        record = decide(record, Seen(regions={name: SILENT for name in FOUR}), now).record
    assert record.at("eu-west-1").state == "unknown"
    assert record.phase == "advancing"
    return record


def after(record, seen, minutes=12):
    others = {name: RegionSeen(red=(), opens_at=None, closed_for="shut") for name in FOUR}
    looks = Seen(regions=others | {"eu-west-1": seen})
    return decide(record, looks, MONDAY + timedelta(minutes=minutes)).record


@pytest.mark.parametrize(
    ("before", "seen", "state"),
    [
        ("succeeded", RegionSeen(phase=Phase.WATCHING, promoted_at=MONDAY), "baking"),
        ("succeeded", RegionSeen(execution="succeeded", latest="a-hotfix"), "succeeded"),
        ("deploying", RegionSeen(phase=Phase.SHIFTING), "deploying"),
        ("starting", RegionSeen(execution="running"), "starting"),
    ],
)
def test_a_region_that_answers_again_after_most_were_lost_takes_nothing_back(before, seen, state):
    found = after(lost(before), seen)
    assert (found.phase, found.at("eu-west-1").state) == ("advancing", state)


def test_one_that_never_started_meanwhile_says_so_when_it_takes_all_back():
    found = after(lost("starting"), RegionSeen())
    assert found.phase == "rolling_back" or found.phase == "rolled_back"
    assert found.cause == "eu-west-1: it was told to start, and nothing started"
    young = after(lost("starting", ordered=MONDAY + timedelta(minutes=5)), RegionSeen())
    assert (young.phase, young.at("eu-west-1").state) == ("advancing", "starting")


def test_a_region_that_does_not_answer_is_asked_often_enough_to_know_that_it_is_silent():
    record = shop(FOUR)
    one = record.at("eu-west-1").model_copy(update={"state": "succeeded"})
    record = record.model_copy(update={"regions": record.regions | {"eu-west-1": one}})
    others = {name: RegionSeen(red=(), opens_at=None, closed_for="shut") for name in FOUR}
    now, looks = MONDAY, 0
    while record.phase == "advancing":
        decided = decide(record, Seen(regions=others | {"eu-west-1": SILENT}), now)
        record, looks = decided.record, looks + 1
        assert decided.wake_at is not None or record.phase != "advancing"
        now = decided.wake_at or now
    assert record.cause_region == "eu-west-1"
    assert looks >= 5
    assert record.at("eu-west-1").silent_since + SILENCE <= record.updated_at
