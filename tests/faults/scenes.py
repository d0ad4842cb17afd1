"""What is deployed in a run: strategies, good and bad versions, and what goes wrong in them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from greenlane.deployments.phases import LEASED, Phase
from tests.builders import service_config, workload
from tests.faults.account import Account, in_simulation
from tests.faults.check import Invariants, Verdict, judge, settle
from tests.faults.conditions import BEST, Conditions
from tests.faults.disturbances import DISTURBANCES, Disturbance, Ends
from tests.faults.exposure import unheard_of, woken_by
from tests.faults.faults import Faults
from tests.faults.outside import PEOPLE

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
COOKIES_END_SECONDS = 900.0
TOLD_AGAIN_SECONDS = 900.0
"""A page that the topic did not take is told again by the reconciler, minutes later."""

FAILURES_OF_THE_ALARM, WINDOW_SECONDS = 3, 900.0
"""So many failures of the reconciler in a quarter of an hour turn Greenlane's own alarm red."""

OUTCOMES: dict[Ends, tuple[str, ...]] = {
    "promoted": ("retired", "rolled_back", "refused", "nothing began"),
    "back": ("rolled_back", "refused", "nothing began"),
    "held": ("held", "rolled_back", "refused", "nothing began"),
    "refused": ("nothing began", "refused", "rolled_back"),
}
"""How each scene ends without a fault, and then what a fault that stays may make of it besides;
and one that passes only where `published.GOES_BACK` says so."""


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
        disturbance: a key of `DISTURBANCES`, which then says all of this but the seed.
        conditions: how AWS behaves otherwise.
    """

    strategy: str = "canary"
    bad: bool = False
    seed: int = 1
    propagation_seconds: float = 20.0
    lose_events: bool = False
    sticky: bool = False
    disturbance: str = ""
    conditions: Conditions = BEST

    @property
    def name(self) -> str:
        """As the matrix calls it."""
        version = f"{self.strategy}, {'bad' if self.bad else 'good'} version"
        return self.disturbance or version

    @property
    def what(self) -> Disturbance:
        """What is different from a plain deployment."""
        if self.disturbance:
            return DISTURBANCES[self.disturbance]
        return Disturbance(
            lambda account: None,
            "back" if self.bad else "promoted",
            bad=self.bad,
            sticky=self.sticky,
            lose_events=self.lose_events,
        )

    def play(
        self,
        faults: Faults | None = None,
        *,
        may_hold: bool = False,
        may_leave: bool = False,
        also: Callable[[Account], None] | None = None,
        then: Callable[[Account], list[str]] | None = None,
    ) -> tuple[Verdict, Account]:
        """Run it to its end; `also` puts more on the agenda, `then` says what else is broken."""
        what = self.what
        declared = STRATEGIES[self.strategy] | dict(what.deployment)
        if self.propagation_seconds > 25:  # what a user of so slow a balancer would declare
            declared = declared | {"propagation": "2m", "max_duration": "2h"}
        account = Account(
            self.seed,
            faults,
            bad=what.bad,
            deployment=declared,
            propagation_seconds=self.propagation_seconds,
            lose_events=what.lose_events,
            sticky=what.sticky,
            conditions=self.conditions,
        )
        invariants = Invariants(account)
        with in_simulation(account):
            if what.config or not what.declared:
                _configure(account, what, declared)
            account.deploy(**what.asked)
            what.begin(account)
            if also is not None:
                also(account)
            settle(account)
            if unheard_of(account):
                account.run(TOLD_AGAIN_SECONDS)
            if what.sticky:
                account.run(COOKIES_END_SECONDS)
                settle(account)  # somebody may have begun something meanwhile
            if rings(account.failed["reconcile"]):
                account.topic.told.append("PAGE: greenlane-reconcile-fails")
            held = what.ends == "held"
            verdict = judge(
                account,
                invariants,
                may_hold=may_hold or held,
                may_leave=may_leave,
                may_stay=held,
            )
            if self.disturbance:
                open_end = verdict.outcome == Phase.HELD or verdict.outcome in LEASED
                verdict.broken += self._not_as_declared(account, may_leave=may_leave or open_end)
            verdict.broken += unheard_of(account)
            if then is not None:
                verdict.broken += then(account)
            return verdict, account

    def _not_as_declared(self, account: Account, *, may_leave: bool) -> list[str]:
        """What a scene asks for beside the invariants that all of them share."""
        broken = [] if may_leave else self.what.after(account)
        paged = any(subject.startswith("PAGE") for subject in woken_by(account))
        if self.what.paged and not paged:
            broken.append("nobody was paged on the way")
        return broken


def rings(failures: list[float]) -> bool:
    """Whether enough failures came within one window."""
    last = failures[FAILURES_OF_THE_ALARM - 1 :]
    return any(end - first < WINDOW_SECONDS for first, end in zip(failures, last, strict=False))


def _configure(account: Account, what: Disturbance, deployment: dict[str, Any]) -> None:
    config = service_config(
        workload=workload(),
        deployment=deployment,
        warm_up={"requests": 0},
        **(PEOPLE | dict(what.config)),
    )
    account.store.put_config(
        config,
        source="sim.yaml",
        by="ada",
        at=account.kernel.now(),
        workload_declared=what.declared,
    )
