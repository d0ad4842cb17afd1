"""The edges of rollouts: fences and records in DynamoDB, Regions by their own endpoints."""

import itertools
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.phases import Phase
from greenlane.deployments.signals import send_signal
from greenlane.errors import FenceLost, Refused, SignalRefused, UnknownDeployment
from greenlane.regions.coordinating.fences import Fences
from greenlane.regions.coordinating.fencing import (
    Fence,
    OrderName,
    admits,
    after,
    may_run,
    next_epoch,
)
from greenlane.regions.coordinating.measuring import requests_in
from greenlane.regions.coordinating.model import Asked
from greenlane.regions.coordinating.realm import AwsRealm
from greenlane.regions.coordinating.remote import RUNS_ALREADY
from greenlane.regions.coordinating.requesting import as_json
from greenlane.regions.coordinating.runtime import RegionsRuntime
from greenlane.regions.coordinating.store import Rollouts
from greenlane.regions.declaring.document import read_regions
from greenlane.regions.declaring.model import RegionsDocument
from greenlane.runtime import Settings
from tests.builders import NOW, OLD_IMAGE, SERVICE, workload
from tests.region_town import RegionTown, regions_file
from tests.table import Table
from tests.town_region import HOME, TABLE, settings_in
from tests.unit.deployments.conftest import world as world
from tests.unit.regions.region_files import document
from tests.unit.regions.simulated_regions import shop

ORDERS: tuple[OrderName, ...] = ("claim", "go", "back")
BEFORE = [
    Fence(),
    *(
        Fence(epoch=epoch, rollout_id=rollout, order=order)
        for epoch, rollout, order in itertools.product((2, 3, 4), ("r-1", "r-2"), ("go", "back"))
    ),
]


def kept(fence):
    """A table with a fence in it, written as the edge itself writes."""
    fences = Fences(Table(TABLE), TABLE)
    if fence.epoch:
        assert fences.order(SERVICE, fence.order, fence.epoch, fence.rollout_id)
    assert fences.read(SERVICE) == fence
    return fences


@pytest.mark.parametrize("fence", BEFORE, ids=str)
def test_a_fence_in_the_table_keeps_the_rules_that_the_simulation_runs_by(fence):
    for order, epoch, rollout in itertools.product(ORDERS, (2, 3, 4), ("r-1", "r-2")):
        fences = kept(fence)
        taken = fences.order(SERVICE, order, epoch, rollout)
        assert taken == admits(fence, order, epoch, rollout), (order, epoch, rollout)
        expected = after(fence, order, epoch, rollout) if taken else fence
        assert fences.read(SERVICE) == expected, (order, epoch, rollout)


def test_a_claim_before_any_order_leaves_a_fence_that_takes_the_way_back():
    fences = kept(Fence())
    assert fences.order(SERVICE, "claim", 3, "r-1")
    assert fences.order(SERVICE, "back", 2, "r-1")
    assert fences.read(SERVICE) == Fence(epoch=3, rollout_id="r-1", order="back")


def test_home_has_even_epochs_and_the_standby_odd_ones():
    for above in range(9):
        home, standby = next_epoch(above, standby=False), next_epoch(above, standby=True)
        assert (home % 2, standby % 2) == (0, 1)
        assert above < min(home, standby)
        assert max(home, standby) <= above + 2


@pytest.mark.parametrize(
    ("fence", "runs"),
    [
        (Fence(epoch=2, rollout_id="d-1", order="go"), True),
        (Fence(epoch=3, rollout_id="d-1", order="go"), False),
        (Fence(epoch=2, rollout_id="d-1", order="back"), False),
        (Fence(epoch=2, rollout_id="d-2", order="go"), False),
    ],
)
def test_a_regions_own_planning_asks_its_fence_once_it_has_the_lease(world, fence, runs):
    assert may_run(fence, 2, "d-1") is runs
    fences = Fences(world.store.client, world.store.table)
    assert fences.order(SERVICE, fence.order, fence.epoch, fence.rollout_id)
    if runs:
        assert world.planned(rollout_epoch=2, deployment_id="d-1").epoch == 1
        assert world.record.phase is Phase.PLANNING
        return
    with pytest.raises(Refused, match="may not start here any more"):
        world.planned(rollout_epoch=2, deployment_id="d-1")
    assert world.record.phase is Phase.REFUSED
    assert world.writes() == []


def test_a_deployment_of_one_region_alone_asks_no_fence(world):
    Fences(world.store.client, world.store.table).order(SERVICE, "back", 8, "d-1")
    assert world.planned().epoch == 1


def test_planning_says_of_a_version_that_runs_already_what_coordinators_look_for(world):
    with pytest.raises(Refused, match=RUNS_ALREADY):
        world.planned(image=OLD_IMAGE)


def store():
    rollouts = Rollouts(Table(TABLE), TABLE)
    assert rollouts.begin(shop({"eu-west-1": 100}), None)
    return rollouts


def test_a_record_is_written_over_the_version_that_was_read_and_no_other():
    rollouts = store()
    first = rollouts.read(SERVICE).record
    second = rollouts.write(first.model_copy(update={"phase": "held"}))
    assert second.version == first.version + 1
    assert rollouts.read(SERVICE).record == second
    with pytest.raises(FenceLost, match="moved on"):
        rollouts.write(first.model_copy(update={"phase": "advancing"}))
    assert rollouts.read(SERVICE).record == second


def test_of_two_rollouts_that_begin_at_once_one_does():
    rollouts = store()
    before = rollouts.read(SERVICE).record
    one, other = (before.model_copy(update={"rollout_id": name}) for name in ("r-2", "r-3"))
    assert rollouts.begin(one, before)
    assert not rollouts.begin(other, before)
    assert not rollouts.begin(other, None)
    assert rollouts.read(SERVICE).record.rollout_id == "r-2"
    assert rollouts.services() == [SERVICE]


def test_wishes_have_rising_numbers_and_survive_writes_of_the_record():
    rollouts = store()
    wish = Asked(name="hold", number=0, by="ada", at=NOW)
    assert rollouts.ask(SERVICE, "r-1", wish).asked.number == 1
    rollouts.write(rollouts.read(SERVICE).record.model_copy(update={"heeded": 1}))
    found = rollouts.ask(SERVICE, "r-1", wish.model_copy(update={"name": "resume"}))
    assert (found.asked.name, found.asked.number, found.record.heeded) == ("resume", 2, 1)
    with pytest.raises(UnknownDeployment):
        rollouts.ask(SERVICE, "r-9", wish)


def test_who_waits_leaves_a_token_and_who_has_news_finds_it():
    rollouts = store()
    assert rollouts.hear(SERVICE).token is None
    assert rollouts.wait(SERVICE, "r-1", 2, "token", due_at=NOW).heard == 1
    assert rollouts.hear(SERVICE).token == "token"
    assert rollouts.hear("another") is None
    with pytest.raises(FenceLost):
        rollouts.wait(SERVICE, "r-1", 4, "of an overtaken one", due_at=NOW)
    kept = rollouts.kept(SERVICE)
    assert (kept.token, kept.due_at) == ("token", NOW)


def test_the_standbys_copy_is_never_replaced_by_an_older_one():
    rollouts = store()
    record = rollouts.read(SERVICE).record.model_copy(update={"version": 5})
    rollouts.put_copy(record)
    assert [rollouts.miss(SERVICE), rollouts.miss(SERVICE)] == [1, 2]
    rollouts.put_copy(record.model_copy(update={"version": 4, "phase": "held"}))
    assert rollouts.copy(SERVICE) == record
    rollouts.answered(SERVICE)
    assert rollouts.miss(SERVICE) == 1
    newer = record.model_copy(update={"version": 6})
    rollouts.put_copy(newer)
    assert (rollouts.copy(SERVICE), rollouts.miss(SERVICE)) == (newer, 1)


def test_a_rollouts_history_is_in_order():
    rollouts = store()
    for number in (2, 1, 3):
        at = NOW + timedelta(seconds=number)
        rollouts.append("r-1", HistoryEvent(at=at, kind=f"k{number}", actor="a"))
    assert [event.kind for event in rollouts.history("r-1")] == ["k1", "k2", "k3"]


def test_each_region_is_reached_by_its_own_endpoint_and_names():
    settings = Settings(
        table=TABLE,
        topic_arn="arn:aws:sns:eu-west-1:123456789012:t",
        deployment_machine_arn="arn:aws:states:eu-west-1:123456789012:stateMachine:d",
        rollback_machine_arn="arn:aws:states:eu-west-1:123456789012:stateMachine:r",
    )
    runtime = RegionsRuntime(settings=settings, actor="test")
    region = runtime.region_of("ap-south-1")
    assert region._machines.deployment == "arn:aws:states:ap-south-1:123456789012:stateMachine:d"
    client = region._client("dynamodb")
    assert client.meta.region_name == "ap-south-1"
    assert client.meta.endpoint_url == "https://dynamodb.ap-south-1.amazonaws.com"


def test_calls_are_made_at_the_same_time():
    barrier = Barrier(12, timeout=120)  # patience: they meet at once, or never
    runtime = RegionsRuntime(settings=settings_in(HOME), actor="test")
    calls = {str(number): barrier.wait for number in range(12)}
    assert sorted(runtime.at_once(calls).values()) == list(range(12))


def test_windows_and_freezes_are_asked_for_each_region_and_set_aside_when_somebody_said_so():
    described = document(
        {
            "eu-west-1": {"traffic_percentage": 50, "deployment_window": "02:00-04:00 UTC"},
            "eu-west-2": {"traffic_percentage": 50},
        },
        freezes=[{"name": "fair", "first_day": "2026-11-23", "last_day": "2026-11-24"}],
    )
    record = shop({"eu-west-1": 50, "eu-west-2": 50})
    town = RegionTown(regions_file(2))
    realm = AwsRealm(
        lambda _: town.home.runtime.region_of(HOME),
        described,
        lambda calls: {name: call() for name, call in calls.items()},
    )

    def opens(kept, now=NOW):
        return {
            name: (seen.opens_at, seen.closed_for) for name, seen in realm.look(kept, now).items()
        }

    found = opens(record)
    assert found["eu-west-1"][0] == NOW.replace(day=25, hour=2)
    assert found["eu-west-2"] == (NOW.replace(day=25, hour=0), "frozen by fair")
    aside = [{"what": "windows", "reason": "r", "by": "ada"}]
    aside += [{"what": "freezes", "reason": "r", "by": "ada"}]
    free = type(record).model_validate(record.model_dump() | {"overrides": aside})
    assert opens(free) == {"eu-west-1": (NOW, "open"), "eu-west-2": (NOW, "open")}
    town.kernel.close()


def test_requests_are_added_up_over_slots_periods_and_pages():
    asked = []

    class Pages:
        def get_metric_data(self, **arguments):
            asked.append(arguments)
            more = {"NextToken": "t"} if len(asked) == 1 else {}
            return {"MetricDataResults": [{"Id": "a", "Values": [1.0, 2.0]}], **more}

    at = NOW + timedelta(minutes=7, seconds=3)
    found = requests_in(
        Pages(), workload(), ("blue", "green"), start=at, end=at + timedelta(hours=1)
    )
    assert found == 6
    assert asked[0]["StartTime"] == NOW + timedelta(minutes=5)
    assert [query["Id"] for query in asked[0]["MetricDataQueries"]] == [
        "requests_blue",
        "requests_green",
    ]
    assert asked[1]["NextToken"] == "t"


def test_a_pause_that_comes_too_late_is_no_trouble():
    town = RegionTown(regions_file(2))
    begun = town.begin()
    town.run(8)
    region = town.regions[HOME]
    with pytest.raises(SignalRefused):
        send_signal(region.store, region, town.kernel, service=SERVICE, name="pause", by="a")
    town.home.runtime.region_of(HOME).signal(begun, "pause")
    town.kernel.close()


@pytest.mark.parametrize("name", ["spec", "docs"])
def test_what_the_coordinator_reads_is_the_file_that_was_checked(name):
    if name == "spec":
        text = Path("tests/data/spec/multi-region-config.yaml").read_text()
    else:
        page = Path("docs/regions.md").read_text()
        text = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    kept = RegionsDocument.model_validate_json(as_json(text, name))
    assert kept == read_regions(text, name)
