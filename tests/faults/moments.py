"""When something else happens in a run, and what people and others do then."""

from collections.abc import Callable
from typing import Any

import boto3

from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import Connection
from greenlane.deployments.model import SignalName
from greenlane.deployments.phases import Phase
from greenlane.errors import GreenlaneError
from tests.builders import GROUPS, NEW_IMAGE, RULE_ARN, SERVICE
from tests.fakes import REGION, STATES
from tests.faults.account import Account

Act = Callable[[], Any]


class ByHand(Connection):
    """What a person's command reaches; no fault strikes it."""

    def __init__(self, account: Account) -> None:
        super().__init__(
            boto3.Session("testing", "testing", region_name=REGION), clock=account.kernel
        )
        self._reached = {
            "dynamodb": account.table,
            "ecs": account.fleet,
            "stepfunctions": account.stepfunctions,
        }

    def client(self, name: str) -> Any:
        return self._reached[name]

    def arn(self, kind: str, name: str) -> str:
        return f"{STATES}:{kind}:{name}"


def _once(account: Account, holds: Callable[[str, str], bool], act: Act, after: float) -> None:
    """Act a while after the first effect for which `holds` says so."""
    done: list[bool] = []

    def look(caller: str, operation: str, sent: float) -> None:
        del sent
        if not done and holds(caller, operation):
            done.append(True)
            account.kernel.after(after, act)

    account.looks.append(look)


def at_phase(account: Account, phase: Phase, act: Act, *, after: float = 0.0) -> None:
    """When the record has reached that phase."""

    def holds(_: str, operation: str) -> bool:
        if operation not in ("put_item", "update_item"):
            return False
        record = account.record()
        return record is not None and record.phase is phase

    _once(account, holds, act, after)


def at_weight(account: Account, percent: int, act: Act, *, after: float = 0.0) -> None:
    """When the rule gives that much to the new version."""

    def holds(_: str, operation: str) -> bool:
        return operation == "modify_rule" and account.weights()["green"] == percent

    _once(account, holds, act, after)


def at_effect(account: Account, caller: str, operation: str, act: Act, *, after: float) -> None:
    """When a function has had that effect."""
    _once(account, lambda who, what: (who, what) == (caller, operation), act, after)


def at_alarm(account: Account, act: Act) -> None:
    """When the first alarm rings, before anybody hears it."""
    rang, done = account.watch.rang, list[bool]()

    def ring(alarm: dict[str, Any]) -> None:
        if not done:
            done.append(True)
            act()
        rang(alarm)

    account.watch.rang = ring


# What people do


def _said(command: Callable[[], Any]) -> None:
    try:
        command()
    except GreenlaneError:
        return  # it does nothing any more, and the person is told why


def signal(account: Account, name: SignalName) -> Act:
    """`greenlane pause`, `abort` and so on."""
    return lambda: _said(lambda: Greenlane(ByHand(account)).signal(SERVICE, name, by="ada"))


def roll_back(account: Account) -> Act:
    """`greenlane rollback`."""
    reason = "wrong prices"
    return lambda: _said(
        lambda: Greenlane(ByHand(account)).rollback(SERVICE, reason=reason, by="ada")
    )


def undo(account: Account) -> Act:
    """`greenlane undo`."""
    reason = "wrong prices"
    return lambda: _said(lambda: Greenlane(ByHand(account)).undo(SERVICE, reason=reason, by="ada"))


# What goes wrong beside it


def stop(account: Account, machine: str) -> Act:
    """Somebody stops the machine's execution that runs."""

    def act() -> None:
        for arn, execution in list(account.executions.items()):
            if f"greenlane-{machine}:" in arn and execution.status == "RUNNING":
                execution.stop("Killed", "by a person in the console")
                return

    return act


def ring(account: Account, slot: str = "green", kind: str = "error-rate") -> Act:
    """An alarm of a slot turns red; `p95` stays red, as nothing here evaluates it again."""
    return lambda: account.watch.ring(f"{SERVICE}-{slot}-{kind}")


def unheard(account: Account) -> Act:
    """An alarm turns red for good, and its event gets lost."""

    def act() -> None:
        rang, account.watch.rang = account.watch.rang, lambda alarm: None
        account.watch.ring(f"{SERVICE}-green-p95")
        account.watch.rang = rang

    return act


def resize(account: Account, slot: str, tasks: int) -> Act:
    """Somebody, or auto scaling, sets a slot's count; if it shrinks, no drain is waited for."""
    return lambda: account.fleet.resize_by_hand(slot, tasks)


def sicken(account: Account, slot: str) -> Act:
    """All tasks of a slot fail their health checks from now on."""

    def act() -> None:
        account.traffic.settle()
        for task in account.fleet.all[slot]:
            task.state = "unhealthy"

    return act


def turn_bad(account: Account, error_ratio: float) -> Act:
    """The new version begins to answer that part of its requests with errors."""

    def act() -> None:
        account.traffic.settle()
        account.traffic.error_ratio = error_ratio
        account.fleet.bad.add(NEW_IMAGE)

    return act


def write_weights(account: Account, blue: int) -> Act:
    """Somebody writes the rule by hand."""
    return lambda: account.hands.write_weights({"blue": blue, "green": 100 - blue})


def late_write(account: Account, blue: int) -> Act:
    """A forward write that hung lands after all."""

    def act() -> None:
        weights = {"blue": blue, "green": 100 - blue}
        groups = [{"TargetGroupArn": GROUPS[slot], "Weight": weights[slot]} for slot in GROUPS]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        account.balancer.modify_rule(RuleArn=RULE_ARN, Actions=[action])

    return act


def no_metrics(account: Account, seconds: float) -> Act:
    """CloudWatch knows of no minute for a while."""

    def act() -> None:
        end, answered = account.kernel.seconds + seconds, account.watch.get_metric_data

        def answer(**arguments: Any) -> dict[str, Any]:
            found = answered(**arguments)
            if account.kernel.seconds < end:
                found["MetricDataResults"] = [
                    one | {"Timestamps": [], "Values": []} for one in found["MetricDataResults"]
                ]
            return found

        account.watch.__dict__["get_metric_data"] = answer

    return act
