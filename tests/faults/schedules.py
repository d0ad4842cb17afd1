"""Random schedules: faults, kills, duplicated calls, people and lost events at random times."""

import random
from functools import partial

from greenlane.deployments.model import SignalName
from greenlane.deployments.signals import send_signal
from greenlane.errors import GreenlaneError
from tests.builders import SERVICE
from tests.faults.account import Account
from tests.faults.check import Verdict
from tests.faults.faults import Random
from tests.faults.scenes import STRATEGIES, Scene
from tests.faults.traffic import SLOTS

SIGNALS: tuple[SignalName, ...] = ("pause", "resume", "promote", "promote_all", "abort")


def play(seed: int) -> Verdict:
    """One schedule, wholly decided by its seed."""
    dice = random.Random(seed)
    scene = Scene(
        strategy=dice.choice(sorted(STRATEGIES)),
        bad=dice.random() < 0.5,
        seed=seed,
        propagation_seconds=dice.choice((0.0, 5.0, 25.0, 115.0)),
        lose_events=dice.random() < 0.3,
        sticky=dice.random() < 0.3,
    )
    faults = Random(seed, chance=dice.choice((0.0, 0.005, 0.02)), most=dice.randint(0, 4)).faults()
    verdict, _ = scene.play(faults, also=lambda account: _disturb(account, dice))
    return verdict


def _disturb(account: Account, dice: random.Random) -> None:
    """Other actors: each does one thing, once, at a random time or in the middle of a call."""
    for _ in range(dice.randint(0, 3)):
        kind = dice.choice(("signal", "rollback", "stop", "twice", "alarm", "kill", "task"))
        if kind == "twice":
            account.repeats.add(dice.randint(1, 40))
            continue
        act = partial(_act, account, kind, dice.choice(SIGNALS), dice.choice(SLOTS))
        if dice.random() < 0.5:
            account.kernel.after(dice.uniform(1, 1500), act)
        else:
            begin = partial(account.kernel.after, 0.0, act)
            account.faults.at_call[dice.randint(5, 250)] = begin


def _act(account: Account, kind: str, name: SignalName, slot: str) -> None:
    match kind:
        case "signal":
            _signal(account, name)
        case "rollback":
            _rollback(account)
        case "stop":
            _stop(account, "greenlane-deployment")
        case "kill":
            _stop(account, "greenlane-rollback")
        case "task":
            account.fleet.lose_task(slot)
        case "alarm":
            account.watch.ring(f"{SERVICE}-{slot}-error-rate")


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
