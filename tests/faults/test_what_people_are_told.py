"""Whatever becomes of telling people and of other triggers, the traffic is the same."""

from collections.abc import Callable
from functools import cache, partial

import pytest

from tests.builders import SERVICE
from tests.faults.account import Account
from tests.faults.cells import disturbed_scenes
from tests.faults.check import Verdict
from tests.faults.exposure import too_many_pages
from tests.faults.faults import KINDS, Faults, Kind, Site
from tests.faults.scenes import Scene, rings

TELLING = frozenset({"notify_people", "post_alerts"})
BAD = Scene(strategy="all_at_once", bad=True)
Writes = list[tuple[float, dict[str, int]]]


def played(
    scene: Scene, choose: Callable[[Site], Kind | None], also: Callable[[Account], None]
) -> tuple[Verdict, Account, Writes]:
    """A run, and every write of the rule in it."""
    writes: Writes = []

    def watch(account: Account) -> None:
        def look(caller: str, operation: str, sent: float) -> None:
            if operation == "modify_rule":
                writes.append((sent, account.weights()))

        account.looks.append(look)
        also(account)

    verdict, account = scene.play(Faults(choose), also=watch)
    return verdict, account, writes


def nothing(_: object) -> None:
    """No fault, or no other actor."""
    return


@cache
def without_a_fault(
    scene: Scene, also: Callable[[Account], None]
) -> tuple[frozenset[Site], Writes]:
    """The calls of a run in which nothing fails, and its writes."""
    _, account, writes = played(scene, nothing, also)
    return frozenset(account.faults.sites), writes


def test_people_are_told_by_every_channel_of_the_account() -> None:
    verdict, account, _ = played(BAD, nothing, nothing)
    assert verdict.broken == []
    hosts = [host for host, _ in account.received]
    assert sorted(hosts) == ["alertmanager:9093", "events.pagerduty.com"]
    assert len(account.systems.items) == 1
    assert {site.caller for site in account.faults.sites} > TELLING


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("always", [True, False])
def test_a_fault_at_a_call_that_tells_people_changes_no_traffic(kind: Kind, always: bool) -> None:
    _, before = without_a_fault(BAD, nothing)

    def choose(site: Site) -> Kind | None:
        return kind if site.caller in TELLING and (always or site.number == 1) else None

    verdict, account, after = played(BAD, choose, nothing)
    assert account.faults.struck
    assert after == before
    assert (verdict.outcome, verdict.broken) == ("rolled_back", [])


def test_a_page_that_a_fault_held_up_comes_later() -> None:
    claim = Site("notify_people", "dynamodb", "put_item", 1)

    def choose(site: Site) -> Kind | None:
        return "killed_after" if site == claim else None

    verdict, account, _ = played(BAD, choose, nothing)
    assert verdict.broken == []
    assert "events.pagerduty.com" in [host for host, _ in account.received]


HELD = next(scene for scene in disturbed_scenes() if scene.what.ends == "held")


def test_a_page_that_no_topic_takes_reaches_the_pager_past_it() -> None:
    def choose(site: Site) -> Kind | None:
        return "before" if site.operation == "publish" else None

    verdict, account, _ = played(HELD, choose, nothing)
    assert (verdict.outcome, account.topic.published) == ("held", [])
    pages = [document for host, document in account.received if host == "events.pagerduty.com"]
    assert [page["event_action"] for page in pages] == ["trigger"]
    assert too_many_pages(account) == []


def test_a_page_that_is_published_time_and_again_breaks_a_run() -> None:
    _, account, _ = played(HELD, nothing, nothing)
    assert too_many_pages(account) == []
    (page,) = [one for one in account.topic.published if one["Subject"].startswith("PAGE")]
    account.topic.published.append(page)
    assert too_many_pages(account) == []
    account.topic.published.append(page)
    site = Site("reconcile", "dynamodb", "put_item", 1)
    account.faults.struck += [(site._replace(number=n), "late") for n in range(9)]
    found = too_many_pages(account)
    assert any("was published 3 times" in line for line in found)
    account.topic.published.append(page)
    assert any(line.startswith("paged 4 times") for line in too_many_pages(account))


def test_the_alarm_on_the_reconciler_forgets_what_failed_long_ago() -> None:
    assert not rings([0, 60])
    assert rings([0, 60, 120])
    assert rings([0, 2000, 2060, 2120])
    assert not rings([0, 60, 1000, 2000])


def at(where: Site, kind: Kind, site: Site) -> Kind | None:
    """This call fails so."""
    return kind if site == where else None


def ring_by_sns(account: Account) -> None:
    """The candidate's alarm rings by SNS alone: its event is lost."""

    def ring() -> None:
        name = f"{SERVICE}-green-p95"
        account.watch.set_state(name, "ALARM")
        account.deliveries.alarm_message(account.watch.states[name])

    account.kernel.after(130, ring)


def fail_in_ecs(account: Account) -> None:
    """ECS gives up the deployment of the candidate's tasks, long after it was stable."""

    def fail() -> None:
        service = account.fleet.services[f"{SERVICE}-green"]
        account.deliveries.ecs_failed(service["serviceArn"], service["deployments"][0]["id"])

    account.kernel.after(130, fail)


@pytest.mark.parametrize("trigger", [ring_by_sns, fail_in_ecs])
def test_a_trigger_through_the_normaliser_takes_the_traffic_back(
    trigger: Callable[[Account], None],
) -> None:
    verdict, account, writes = played(Scene(), nothing, trigger)
    assert (verdict.outcome, verdict.broken) == ("rolled_back", [])
    back = [sent for sent, weights in writes if not weights["green"] and sent > 130]
    assert back[0] < 130 + 10
    assert "normalise_trigger" in {site.caller for site in account.faults.sites}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "denied"])
@pytest.mark.parametrize("trigger", [ring_by_sns, fail_in_ecs])
def test_a_fault_at_a_call_of_the_normaliser_costs_minutes_at_most(
    trigger: Callable[[Account], None], kind: Kind
) -> None:
    sites, _ = without_a_fault(Scene(), trigger)
    calls = {site.call for site in sites if site.caller == "normalise_trigger"}
    for call in calls:
        verdict, _, writes = played(Scene(), partial(at, Site(*call, 1), kind), trigger)
        assert (verdict.outcome, verdict.broken) == ("rolled_back", []), call
        back = [sent for sent, weights in writes if not weights["green"] and sent > 130]
        assert back[0] < 130 + 200


@pytest.mark.parametrize("name", ["table down from the alarm on", "table down in a step"])
def test_a_rollback_that_keeps_trying_without_the_table_tells_people_once(name: str) -> None:
    """No note of the page can be kept, so the state that pages must not be repeated in vain."""
    (scene,) = (scene for scene in disturbed_scenes() if scene.name == name)
    verdict, account, _ = played(scene, nothing, nothing)
    assert verdict.broken == []
    told = [subject for subject in account.topic.told if "keeps trying" in subject]
    entered = [one.entered.count("PageWhileTrying") for one in account.executions.values()]
    assert len(told) == sum(entered) == 1
