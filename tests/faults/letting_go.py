"""The old slot is let go, and at a chosen moment of that somebody else needs it.

`UpdateService` may hang and land after the traffic went back, and ECS stops tasks seconds after it
has answered: see docs/adr/0029.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from greenlane.deployments.phases import Phase
from tests.faults import moments
from tests.faults.account import Account
from tests.faults.conditions import Conditions
from tests.faults.disturbances import DISTURBANCES, Disturbance, Ends
from tests.faults.faults import Faults, Kind, Site, one
from tests.faults.following import Following
from tests.faults.scenes import Scene

NAME = "the old slot is let go"


@dataclass(frozen=True)
class LetGo:
    """Who lets the old slot go, down to how many tasks, and the phase that it is in then."""

    by: str
    floor: int
    phase: Phase
    deployment: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.by} to {self.floor}"


WAYS = (
    LetGo("finish_deployment", 0, Phase.RETIRED, {"warm_floor": 0}),
    LetGo("finish_deployment", 1, Phase.WATCHING),
    LetGo("reconcile", 0, Phase.RETIRED),
)


def rollbacks(
    way: LetGo, fault: Kind | None, stops_after: float, moment: Iterable[float], within: float
) -> list[str]:
    """What a person's rollback breaks that begins so many seconds after the phase has moved.

    Args:
        way: how the slot is let go.
        fault: of the call that asks for fewer tasks.
        stops_after: how many seconds ECS takes to stop them.
        moment: when the rollbacks begin, one in each run.
        within: in how many seconds all of the traffic must be back.
    """
    broken = []
    for after in moment:
        back: list[float] = []

        def begin(account: Account, after: float = after, back: list[float] = back) -> None:
            moments.at_phase(account, way.phase, moments.roll_back(account), after=after)
            _time(account, back)

        found, _ = _play(way, fault, begin, "back", stops_after=stops_after)
        took = back[-1] - back[0]
        if took > within:
            found.append(f"all of the traffic was back after {took:.0f} s")
        broken += [f"after {after} s: {words}" for words in found]
    return broken


def next_deployments(way: LetGo, fault: Kind | None, moment: Iterable[float]) -> list[str]:
    """What a next deployment breaks that begins then; it moves all traffic in its one step."""
    broken = []
    for after in moment:

        def begin(account: Account, after: float = after) -> None:
            following = Following(account)
            act = lambda: following.start("d-2", "c", bad=False)  # noqa: E731
            moments.at_phase(account, way.phase, act, after=after)

        found, account = _play(way, fault, begin, "promoted", strategy="all_at_once")
        record = account.record()
        if record is None or record.deployment_id != "d-2":
            found.append("it did not begin")
        broken += [f"after {after} s: {words}" for words in found]
    return broken


def _play(
    way: LetGo,
    fault: Kind | None,
    begin: Callable[[Account], None],
    ends: Ends,
    *,
    strategy: str = "canary",
    stops_after: float = 0.0,
) -> tuple[list[str], Account]:
    """One run: what it broke, and the account."""
    faults = one(Site(way.by, "ecs", "update_service", 1), fault) if fault else Faults()
    conditions = Conditions(scale_in_seconds=stops_after)
    disturbance = Disturbance(begin, ends, deployment=way.deployment)
    with patch.dict(DISTURBANCES, {NAME: disturbance}):
        scene = Scene(strategy, disturbance=NAME, conditions=conditions)
        verdict, account = scene.play(faults)
    wanted = "rolled_back" if ends == "back" else "retired"
    wrong = [] if verdict.outcome == wanted else [f"it ended {verdict.outcome}"]
    return verdict.broken + wrong, account


def _time(account: Account, back: list[float]) -> None:
    """When the rollback began, and then when all of the traffic was back."""

    def look(caller: str, operation: str, sent: float) -> None:
        del caller, sent
        record = account.record()
        began = record is not None and record.phase is Phase.ROLLING_BACK
        whole = operation == "modify_rule" and account.weights()["blue"] == 100
        if (began and not back) or (whole and len(back) == 1):
            back.append(account.kernel.seconds)

    account.looks.append(look)
