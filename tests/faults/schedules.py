"""Random schedules: faults, kills, duplicated calls, people and lost events at random times.

Each also has a next deployment at its end, which must be admitted.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from greenlane.deployments.model import SignalName
from greenlane.deployments.phases import FREE
from greenlane.deployments.signals import send_signal
from greenlane.errors import GreenlaneError
from tests.builders import SERVICE
from tests.faults.account import Account
from tests.faults.check import Verdict
from tests.faults.conditions import Conditions
from tests.faults.exposure import Exposure, too_many_pages
from tests.faults.faults import Random
from tests.faults.following import Following, next_is_admitted
from tests.faults.scenes import STRATEGIES, Scene
from tests.faults.traffic import SLOTS

SIGNALS: tuple[SignalName, ...] = ("pause", "resume", "promote", "promote_all", "abort")
OLD_KINDS = ("signal", "rollback", "stop", "twice", "alarm", "kill", "task")
NEW_KINDS = ("next", "next", "weights", "resize", "ecs", "message", "action", "alert")
WEIGHTS = (0, 10, 50, 100)


class Actors:
    """Everybody else in a schedule: each does one thing, once.

    Args:
        account: where they act.
        propagation_seconds: the most that a node takes to learn weights.
        dice: decides who, when and what.
    """

    def __init__(self, account: Account, propagation_seconds: float, dice: random.Random) -> None:
        self.account, self._dice = account, dice
        self.following = Following(account)
        self.exposure = Exposure(account, propagation_seconds)
        self.exposure.disturbed = account.buckets is not None

    def broken(self) -> list[str]:
        """What is broken beside the invariants that every run has."""
        found = self.following.broken + self.exposure.broken + too_many_pages(self.account)
        return found + next_is_admitted(self.account)

    def disturb(self, kinds: tuple[str, ...], most: int, dice: random.Random) -> None:
        """Put some of them on the agenda, at a random time or in the middle of a call."""
        for _ in range(dice.randint(0, most)):
            kind = dice.choice(kinds)
            if kind == "twice":
                self.account.repeats.add(dice.randint(1, 40))
                self.exposure.disturbed = True
                continue
            act = partial(self._act, kind, dice.choice(SIGNALS), dice.choice(SLOTS))
            if dice.random() < 0.5:
                self.account.kernel.after(dice.uniform(1, 1500), act)
            else:
                begin = partial(self.account.kernel.after, 0.0, act)
                self.account.faults.at_call[dice.randint(5, 250)] = begin

    def _act(self, kind: str, name: SignalName, slot: str) -> None:
        account = self.account
        acts: dict[str, Callable[[], None]] = {
            "signal": lambda: _signal(account, name),
            "rollback": lambda: _rollback(account),
            "stop": lambda: _stop(account, "greenlane-deployment"),
            "kill": lambda: self._kill(),
            "task": lambda: self._lose_task(slot),
            "alarm": lambda: account.watch.ring(f"{SERVICE}-{slot}-error-rate"),
            "next": self._next,
            "weights": self._write_weights,
            "resize": lambda: self._resize(slot),
            "ecs": lambda: _ecs_gives_up(account, slot),
            "message": lambda: _ring_elsewhere(account, slot, account.deliveries.alarm_message),
            "action": lambda: _ring_elsewhere(account, slot, account.deliveries.alarm_action),
            "alert": lambda: account.deliveries.alerts(
                greenlane_service=SERVICE, greenlane_slot=slot
            ),
        }
        acts[kind]()

    def _kill(self) -> None:
        self.exposure.killed = True
        _stop(self.account, "greenlane-rollback")

    def _lose_task(self, slot: str) -> None:
        self.exposure.disturbed = True
        self.account.fleet.lose_task(slot)

    def _next(self) -> None:
        """At this moment, or as soon as a deployment may begin."""
        start = partial(self.following.start, "d-2", "c", bad=self._dice.random() < 0.3)
        if self._dice.random() < 0.5:
            start()
            return
        done: list[bool] = []
        later = self._dice.uniform(0, 90)

        def look(caller: str, operation: str, sent: float) -> None:
            del caller, sent
            record = self.account.record()
            if operation == "update_item" and not done and record and record.phase in FREE:
                done.append(True)
                self.account.kernel.after(later, start)

        self.account.looks.append(look)

    def _write_weights(self) -> None:
        """A person moves traffic, but not to a slot that has nothing to serve it."""
        blue = self._dice.choice(WEIGHTS)
        weights = {"blue": blue, "green": 100 - blue}
        counted = self.account.fleet.counted
        if all(counted(slot) for slot in SLOTS if weights[slot]):
            self.exposure.disturbed = True
            self.account.hands.write_weights(weights)

    def _resize(self, slot: str) -> None:
        self.exposure.disturbed = True
        self.account.hands.resize(slot, self._dice.randint(1, 4))


def conditions(dice: random.Random) -> Conditions:
    """How AWS behaves in one schedule."""
    return Conditions(
        alarm_delay_seconds=dice.choice((0.5, 0.5, 30.0, 120.0)),
        alarms_lost=dice.choice((0.0, 0.0, 0.5)),
        alarms_by_sns=dice.random() < 0.3,
        unknown_seconds=dice.choice((0.0, 1.0)),
        stale_seconds=dice.choice((0.0, 0.0, 3.0)),
        health_lag_seconds=dice.choice((0.0, 25.0)),
        calls_per_second=dice.choice((0.0, 0.0, 0.0, 0.0, 2.0)),
    )


def how_soon(seed: int) -> float:
    """After how many seconds ECS stops what is too many."""
    return random.Random(f"{seed} scale-in").choice((0.0, 5.0, 20.0))


def play(seed: int) -> Verdict:
    """One schedule, wholly decided by its seed."""
    dice, more = random.Random(seed), random.Random(f"{seed} more")
    scene = Scene(
        strategy=dice.choice(sorted(STRATEGIES)),
        bad=dice.random() < 0.5,
        seed=seed,
        propagation_seconds=dice.choice((0.0, 5.0, 25.0, 115.0)),
        lose_events=dice.random() < 0.3,
        sticky=dice.random() < 0.3,
        conditions=replace(conditions(more), scale_in_seconds=how_soon(seed)),
    )
    faults = Random(seed, chance=dice.choice((0.0, 0.005, 0.02)), most=dice.randint(0, 4)).faults()
    present: list[Actors] = []

    def begin(account: Account) -> None:
        actors = Actors(account, scene.propagation_seconds, more)
        actors.disturb(OLD_KINDS, 3, dice)
        actors.disturb(NEW_KINDS, 2, more)
        present.append(actors)

    verdict, _ = scene.play(faults, also=begin, then=lambda _: present[0].broken())
    return verdict


def _signal(account: Account, name: SignalName) -> None:
    try:
        send_signal(
            account.store,
            account.stepfunctions,
            account.kernel,
            service=SERVICE,
            name=name,
            by="ada",
        )
    except GreenlaneError:
        return  # a person is told that it does nothing


def _rollback(account: Account) -> None:
    record = account.record()
    if record is not None:
        trigger = {"kind": "person", "name": "ada", "reason": "wrong prices"}
        account.start(
            "rollback",
            {"trigger": trigger, "service": SERVICE, "deployment_id": record.deployment_id},
        )


def _stop(account: Account, machine: str) -> None:
    for arn, execution in list(account.executions.items()):
        if machine in arn and execution.status == "RUNNING":
            execution.stop("Killed", "by a person in the console")
            return


def _ecs_gives_up(account: Account, slot: str) -> None:
    """ECS says that the deployment of a slot's tasks failed; it may be of long ago."""
    service = account.fleet.services[f"{SERVICE}-{slot}"]
    account.deliveries.ecs_failed(service["serviceArn"], service["deployments"][0]["id"])


def _ring_elsewhere(account: Account, slot: str, tell: Callable[[dict[str, object]], None]) -> None:
    """An alarm that only the function hears of."""
    name = f"{SERVICE}-{slot}-error-rate"
    account.watch.set_state(name, "ALARM")
    tell(account.watch.states[name])
