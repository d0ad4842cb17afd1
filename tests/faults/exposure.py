"""How long users stay on a bad version once its alarm has rung, and how often people are paged."""

import json
from collections import Counter
from typing import Any

from greenlane.deployments.phases import Phase
from greenlane.errors import Aborted
from tests.faults.account import Account
from tests.faults.watch import slot_of

PROMPT_SECONDS = 10.0
"""From the trigger to the last effect on the rule: a cold start, three calls, and the same again
for a rollback that another one had to be told to leave it to."""

OVERDUE_SECONDS = 60.0 + 60.0
"""An event that never came: the alarm is red for a minute, and the next look is a minute away."""

TROUBLED_SECONDS = 180.0
"""With faults on the way: each run of `take_traffic_back` ends within 30 seconds and is repeated
a second later, and a schedule has four faults at most."""

DEAD_SECONDS = 200.0
"""The rollback's own execution was stopped: two looks a minute apart, and the next one's start."""

WAY_BACK = frozenset({"take_traffic_back"})
FINDERS = frozenset({"reconcile"})
GOING_FORWARD = frozenset({Phase.SHIFTING, Phase.PROMOTED})
MOST_PAGES = 2
MOST_OF_ONE = 2
"""Whoever dies after publishing and before keeping the page publishes again, but not for ever."""


class Exposure:
    """Watches the bad version's traffic from its first alarm on.

    Args:
        account: the account.
        propagation_seconds: the most that a node takes to learn weights.
    """

    def __init__(self, account: Account, propagation_seconds: float) -> None:
        self._account, self._propagation = account, propagation_seconds
        self._slot: str | None = None
        self._rang_at = 0.0
        self._heard_at: float | None = None
        self.killed = self.disturbed = False
        self.broken: list[str] = []
        self.longest = 0.0
        heard = account.watch.rang

        def ring(alarm: dict[str, Any]) -> None:
            heard(alarm)
            self._ring(alarm["AlarmName"])

        account.watch.rang = ring
        account.traffic.learned = self._learned

    def _ring(self, alarm: str) -> None:
        slot, record = slot_of(alarm), self._account.record()
        _, bad = self._account.fleet.healthy(slot)
        counts = record is not None and record.phase in GOING_FORWARD and record.candidate == slot
        if not (counts and bad and self._account.traffic.share(slot)):
            return
        if self._heard_at is None or self._slot != slot:
            self._slot, self._rang_at = slot, self._account.kernel.seconds
            self._heard_at = self._account.deliveries.heard_at

    def _learned(self) -> None:
        if self._slot is None or self._account.traffic.share(self._slot):
            return
        now = self._account.kernel.seconds
        begun = self._rang_at if self._heard_at is None else min(self._heard_at, now)
        took, most = now - begun, self._most()
        self.longest = max(self.longest, took)
        if took > most:
            self.broken.append(
                f"{now:.1f} s: the bad version had traffic for {took:.0f} s after its alarm, "
                f"{most:.0f} s at most were due"
            )
        self._slot, self._heard_at = None, None

    def _most(self) -> float:
        """What is due after all that has happened until now."""
        struck = {site.caller for site, _ in self._account.faults.struck}
        most = self._propagation + PROMPT_SECONDS
        lost = self._heard_at is None
        if lost:
            most += OVERDUE_SECONDS
        if struck & (WAY_BACK | (FINDERS if lost else set())) or self.disturbed:
            most += TROUBLED_SECONDS
        if self.killed:
            most += DEAD_SECONDS
        return most


def too_many_pages(account: Account) -> list[str]:
    """Each occasion pages once, and a deployment has few of them."""
    found = []
    paged = [one for one in account.topic.published if one["Subject"].startswith("PAGE")]
    distinct = {(site.call, kind) for site, kind in account.faults.struck}
    most = MOST_PAGES + len(distinct)
    if any(kind == "denied" for _, kind in distinct):
        # Each rollback fails of it anew, and each pages once.
        most += sum("greenlane-rollback" in arn for arn in account.executions)
    if len(paged) > most:
        found.append(f"paged {len(paged)} times: {[one['Subject'] for one in paged]}")
    for announcement, times in Counter(_id_of(one) for one in paged).items():
        if times > MOST_OF_ONE:
            found.append(f"{announcement} was published {times} times")
    telling = {"notify_people", "close_rollback"}
    if any(site.caller in telling for site, _ in account.faults.struck) or account.repeats:
        return found  # whoever dies between the page and the note of it pages again
    occasions = Counter(one["Subject"] for one in _once_each(account) if _pages(one))
    triggers: Counter[str] = Counter()
    for host, document in account.received:
        if host == "events.pagerduty.com" and document["event_action"] == "trigger":
            triggers[document["payload"]["summary"]] += 1
    # Without the table a run does not know what the one before it sent; PagerDuty joins them.
    repeated = len(account.failed["notify_people"])
    for summary, times in triggers.items():
        if times > occasions[summary] + repeated:
            found.append(f"PagerDuty was called {times} times for {occasions[summary]}: {summary}")
    return found


def woken_by(account: Account) -> list[str]:
    """What woke people: critical news that the topic took, or that reached the pager past it."""
    news = [one["Subject"] for one in account.topic.published if _pages(one)]
    for host, document in account.received:
        if host == "events.pagerduty.com" and document["event_action"] == "trigger":
            news.append(document["payload"]["summary"])
    return news


def unheard_of(account: Account) -> list[str]:
    """An end that must wake people, whatever was struck: a hold, and a way back from traffic.

    Not one that a person asked for; nor before the new version had any traffic.
    """
    record = account.record()
    if record is None or record.phase not in (Phase.HELD, Phase.ROLLED_BACK):
        return []
    trigger = record.trigger
    by_person = trigger is not None and (
        trigger.kind == "person" or trigger.name == Aborted.__name__
    )
    if record.phase is Phase.ROLLED_BACK and (by_person or not record.shifts):
        return []
    if any(_says(record.phase, subject) for subject in woken_by(account)):
        return []
    return [f"it ended {record.phase.value}, and nobody was woken by that"]


def _says(phase: Phase, subject: str) -> bool:
    words = "holds" if phase is Phase.HELD else "took"
    return words in subject


def _id_of(published: dict[str, Any]) -> str:
    whole = json.loads(json.loads(published["Message"])["lambda"])
    return str(whole["id"])


def _once_each(account: Account) -> list[dict[str, Any]]:
    """What was published, without repetitions of the same announcement."""
    return list({one["Message"]: one for one in account.topic.published}.values())


def _pages(published: dict[str, Any]) -> bool:
    return bool(published["MessageAttributes"]["severity"]["StringValue"] == "critical")
