"""One hundred events of one incident, mixed and doubled: one rollback, one report, one page.

What comes is shuffled and doubled. A part of it is foreign, stale or over; what is true comes in
every shape that starts a rollback, before, during and after the one that acts.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from tests.builders import GROUPS, RULE_ARN, SERVICE
from tests.faults.account import Account
from tests.faults.check import Verdict
from tests.faults.faults import Faults, Kind, Site
from tests.faults.machine import Execution
from tests.faults.scenes import Scene
from tests.unit.rollback.documents import (
    alarm_action,
    alarm_event,
    alarm_message,
    alert,
    configuration,
    ecs_event,
    sns,
    webhook,
)

BEGINS_SECONDS = 130.0
"""The first step bakes, so both slots have traffic; the version is good, so nothing else rings."""

EVENTS, TRUE_SHARE = 100, 0.6
Document = dict[str, Any]


def red(slot: str = "green", **more: Any) -> Document:
    """What an event rule makes of an alarm's event: it reaches the machine itself."""
    at: datetime = more.pop("at")
    trigger = {"kind": "alarm", "name": f"{SERVICE}-{slot}-error-rate", "at": at.isoformat()}
    return {
        "trigger": trigger | more,
        "service": SERVICE,
        "listener_rule_arn": RULE_ARN,
        "target_groups": GROUPS,
        "configuration": configuration(slot),
    }


def named(kind: str, name: str, deployment_id: str = "d-1") -> Document:
    """A trigger that names its deployment: somebody's, or the end of an execution."""
    given = {"trigger": {"kind": kind, "name": name, "reason": "too many errors"}}
    return given | {"deployment_id": deployment_id, "service": SERVICE}


def ended(deployment_id: str = "d-1") -> Document:
    """The status event of a forward execution knows no service."""
    return {"trigger": {"kind": "execution", "name": "FAILED"}, "deployment_id": deployment_id}


def true_ones(account: Account) -> list[Callable[[], Any]]:
    """Each shape in which this incident is told; the function that each comes by."""
    now = account.kernel.now()
    primary = account.fleet.services[f"{SERVICE}-green"]["deployments"][0]["id"]
    direct = [red(at=now), ended(), named("person", "ada"), named("reconciler", "died")]
    normalised = [
        alarm_event(at=now),
        alarm_action(at=now),
        sns(alarm_message(at=now)),
        webhook(alert(at=now)),
        ecs_event(at=now, deployment=primary),
    ]
    return _sent(account, direct, normalised)


def false_ones(account: Account) -> list[Callable[[], Any]]:
    """What is another service's, another account's, the live slot's, too old, or all clear."""
    now = account.kernel.now()
    before = now - timedelta(minutes=5)
    direct = [
        red(at=before),
        red("blue", at=now),
        red(at=now, name="other-green-error-rate"),
        ended("d-0"),
        named("failure", "JudgedBad", "d-0"),
    ]
    normalised = [
        alarm_event(at=before),
        alarm_event("other-green-error-rate", at=now),
        alarm_action(at=now, account="999999999999"),
        alarm_action(at=now, value="OK"),
        sns(alarm_message(at=before)),
        sns("no JSON"),
        webhook(alert("checkout", at=now)),
        webhook(alert(at=now, slot="blue")),
        webhook(alert(at=now, status="resolved")),
        ecs_event("blue", at=now),
        ecs_event(at=now, deployment="green-0"),
    ]
    return _sent(account, direct, normalised)


def _sent(
    account: Account, direct: list[Document], normalised: list[Document]
) -> list[Callable[[], Any]]:
    return [
        *(partial(account.start, "rollback", given) for given in direct),
        *(partial(account.invoke, "normalise_trigger", document) for document in normalised),
    ]


@dataclass
class Storm:
    """The events of one run, and what they came to.

    Args:
        seed: of their mixture, their order and the time of each.
        true_share: the share that tells of the incident.
        choose: what goes wrong with which call.
    """

    seed: int
    true_share: float = TRUE_SHARE
    choose: Callable[[Site], Kind | None] = lambda _: None
    writes: list[dict[str, int]] = field(default_factory=list)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    def play(self) -> tuple[Verdict, Account]:
        """Run it to its end."""
        return Scene(seed=self.seed).play(Faults(self.choose), also=self.prepare)

    def prepare(self, account: Account) -> None:
        self.writes = [account.weights()]

        def look(caller: str, operation: str, sent: float) -> None:
            del sent
            self.calls[caller, operation] += 1
            if operation == "modify_rule" and account.weights() != self.writes[-1]:
                self.writes.append(account.weights())

        account.looks.append(look)
        account.kernel.after(BEGINS_SECONDS, lambda: self._begin(account))

    def _begin(self, account: Account) -> None:
        dice = random.Random(self.seed)
        true, false = true_ones(account), false_ones(account)
        for number in range(EVENTS):
            event = dice.choice(true if dice.random() < self.true_share else false)
            # The first tenth at once; the rest while it goes back, and after that.
            late = 0.0 if number < EVENTS // 10 else dice.choice((5.0, 60.0, 600.0))
            account.kernel.after(dice.uniform(0, late), event)


def rollbacks(account: Account) -> list[Execution]:
    return [one for arn, one in account.executions.items() if "greenlane-rollback" in arn]


def one_incident(storm: Storm, account: Account) -> None:
    """One rollback, one report, one page; the others end well and say nothing."""
    assert storm.writes[-2:] == [{"blue": 90, "green": 10}, {"blue": 100, "green": 0}]
    kinds = Counter(event.kind for event in account.store.history("d-1"))
    assert (kinds["rollback began"], kinds["rolled back"], kinds["report written"]) == (1, 1, 1)
    record = account.record()
    assert record is not None
    assert (record.epoch, record.phase.value) == (2, "rolled_back")
    ran = rollbacks(account)
    assert {one.status for one in ran} == {"SUCCEEDED"}
    (owner,) = [one for one in ran if "Close" in one.entered]
    assert record.rollback_execution == owner.arn
    pages = [state for one in ran for state in one.entered if state.startswith("Page")]
    assert pages == []
    place = f"incidents/{SERVICE}/d-1/report"
    assert sorted(account.bucket.objects) == [f"{place}.html", f"{place}.json", f"{place}.md"]
    assert storm.calls["report_incident", "put_object"] == 3
    # The topic has subscribers of its own, such as mail, so it is told once as well.
    assert account.topic.told == [f"Greenlane took {SERVICE} back"]
    assert record.trigger is not None
    hosts = Counter(host for host, _ in account.received)
    assert hosts["alertmanager:9093"] == 1
    # A person who asked for it knows of it and needs no page.
    paged = record.trigger.kind != "person"
    assert hosts["events.pagerduty.com"] == len(account.systems.items) == paged


@pytest.mark.parametrize("seed", range(6))
def test_100_mixed_duplicate_events_one_rollback_one_report_one_page(seed: int) -> None:
    storm = Storm(seed)
    verdict, account = storm.play()
    assert (verdict.outcome, verdict.broken) == ("rolled_back", [])
    one_incident(storm, account)
    losers = [one for one in rollbacks(account) if "Close" not in one.entered]
    assert len(losers) > EVENTS / 3
    assert {one.entered[-1] for one in losers} == {"NothingToDo"}
    assert storm.calls["take_traffic_back", "modify_rule"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_100_events_of_nothing_that_is_wrong_take_nothing_back_and_tell_nobody(seed: int) -> None:
    storm = Storm(seed, true_share=0.0)
    verdict, account = storm.play()
    assert (verdict.outcome, verdict.broken) == ("retired", [])
    assert {one.entered[-1] for one in rollbacks(account)} == {"NothingToDo"}
    assert storm.calls["take_traffic_back", "modify_rule"] == 0
    assert account.bucket.objects == {}
    assert account.systems.items == {}


@pytest.mark.parametrize("kind", ["denied", "timeout"])
def test_when_nobody_can_ask_whether_the_owner_lives_there_is_one_page_all_the_same(
    kind: Kind,
) -> None:
    def choose(site: Site) -> Kind | None:
        asks = site.call == ("take_traffic_back", "stepfunctions", "describe_execution")
        return kind if asks else None

    storm = Storm(1, choose=choose)
    verdict, account = storm.play()
    assert (verdict.outcome, verdict.broken) == ("rolled_back", [])
    assert account.faults.struck
    one_incident(storm, account)


def test_while_the_table_is_down_all_go_back_at_once_and_one_of_them_ends_it() -> None:
    down: list[float] = []

    def choose(site: Site) -> Kind | None:
        began = down and accounts[0].kernel.seconds < down[0] + 90
        return "timeout" if began and site.service == "dynamodb" else None

    storm, accounts = Storm(2, choose=choose), list[Account]()

    def prepare(account: Account) -> None:
        accounts.append(account)
        account.kernel.after(BEGINS_SECONDS, lambda: down.append(account.kernel.seconds))
        storm.prepare(account)

    verdict, account = Scene(seed=2).play(Faults(choose), also=prepare)
    assert (verdict.outcome, verdict.broken) == ("rolled_back", [])
    assert storm.writes[-2:] == [{"blue": 90, "green": 10}, {"blue": 100, "green": 0}]
    assert storm.calls["take_traffic_back", "modify_rule"] > 1
    assert len([one for one in rollbacks(account) if "Close" in one.entered]) == 1
    assert storm.calls["report_incident", "put_object"] == 3
    assert {one.status for one in rollbacks(account)} == {"SUCCEEDED"}
    # Those that know no way back without the table say so after a minute, each of them: without
    # the table nobody knows what was said before. It is one incident to whoever pages people.
    pages = [body for host, body in account.received if host == "events.pagerduty.com"]
    assert {page["dedup_key"] for page in pages} == {"d-1#eu-west-1"}
    assert len(account.systems.items) == 1
