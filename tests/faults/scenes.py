"""What is deployed in a run: strategies, good and bad versions, and what goes wrong in them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.account import Account, in_simulation
from tests.faults.check import Invariants, Verdict, judge, settle
from tests.faults.faults import Faults

QUICK: dict[str, Any] = {
    "bake": "2m",
    "watch": "2m",
    "extended_watch": "10m",
    "propagation": "30s",
    "max_hold": "10m",
    "max_duration": "1h",
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "canary": QUICK | {"strategy": "canary", "steps": [10, 50, 100]},
    "blue_green": QUICK | {"strategy": "blue_green", "steps": [50, 100], "final_bake": "2m"},
    "linear": QUICK | {"strategy": "linear", "linear_step": 50, "final_bake": "2m"},
    "all_at_once": QUICK | {"strategy": "all_at_once"},
}


@dataclass(frozen=True)
class Scene:
    """One deployment.

    Args:
        strategy: a key of `STRATEGIES`.
        bad: the new version answers a quarter of its requests with errors.
        seed: of what varies by itself.
        propagation_seconds: the most that a node takes to learn weights.
        lose_events: whether events of ended executions get lost.
        sticky: whether the rule pins clients.
    """

    strategy: str = "canary"
    bad: bool = False
    seed: int = 1
    propagation_seconds: float = 20.0
    lose_events: bool = False
    sticky: bool = False

    @property
    def name(self) -> str:
        """As the matrix calls it."""
        return f"{self.strategy}, {'bad' if self.bad else 'good'} version"

    def play(
        self,
        faults: Faults | None = None,
        *,
        may_hold: bool = False,
        also: Callable[[Account], None] | None = None,
    ) -> tuple[Verdict, Account]:
        """Run it to its end; `also` puts more on the agenda."""
        declared = STRATEGIES[self.strategy]
        if self.propagation_seconds > 25:  # what a user of so slow a balancer would declare
            declared = declared | {"propagation": "2m", "max_duration": "2h"}
        account = Account(
            self.seed,
            faults,
            bad=self.bad,
            deployment=declared,
            propagation_seconds=self.propagation_seconds,
            lose_events=self.lose_events,
            sticky=self.sticky,
        )
        invariants = Invariants(account)
        with in_simulation(account):
            account.deploy()
            if also is not None:
                also(account)
            settle(account)
            return judge(account, invariants, may_hold=may_hold), account
