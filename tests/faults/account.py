"""One simulated account: the real functions and machines over a table, a balancer and a fleet."""

import random
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from functions import notify_people, post_alerts
from greenlane import entrypoint
from greenlane.deployments.model import DeploymentRequest, Record
from greenlane.deployments.stepping import every_service, validation
from greenlane.deployments.storing.items import Item, record_from, record_key
from greenlane.deployments.storing.store import DynamoStore
from greenlane.health import prometheus
from greenlane.logs import logger
from greenlane.people import notifying, vault
from greenlane.runtime import Runtime
from tests.balancer import Balancer
from tests.begun import set_up_once
from tests.builders import GROUPS, NEW_IMAGE, RULE_ARN, SERVICE, service_config, workload
from tests.fakes import Scaling, client
from tests.faults.conditions import BEST, Conditions
from tests.faults.deliveries import Deliveries, News
from tests.faults.faults import Faults
from tests.faults.fleet import Fleet
from tests.faults.hands import Hands
from tests.faults.invocations import Invocations, Relay
from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Run
from tests.faults.orchestration import Orchestration
from tests.faults.outside import PEOPLE, Bucket, Systems, Wire, ask_prometheus
from tests.faults.throttling import Buckets
from tests.faults.traffic import NODES, Traffic
from tests.faults.watch import Watch
from tests.faults.wiring import TABLE, runtime_of
from tests.hooks import Hooks
from tests.table import Table


class Inline:
    """Stands for a thread pool: virtual time knows no threads but its actors."""

    def __init__(self, max_workers: int) -> None:
        del max_workers

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def map(self, function: Any, items: Any) -> list[Any]:
        return [function(item) for item in items]

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


class Account:
    """Blue runs a good version on two tasks; green is empty.

    Args:
        seed: of everything that varies by itself: propagation, event delays.
        faults: what goes wrong with which call.
        bad: whether the new version answers a quarter of its requests with errors.
        deployment: the service's `deployment:` section.
        propagation_seconds: the most that a node takes to learn weights.
        lose_events: whether events of ended executions get lost.
        sticky: whether the user's rule pins clients, for ten minutes.
        conditions: how AWS behaves otherwise.
    """

    def __init__(
        self,
        seed: int = 0,
        faults: Faults | None = None,
        *,
        bad: bool = False,
        deployment: dict[str, Any] | None = None,
        propagation_seconds: float = 20.0,
        lose_events: bool = False,
        sticky: bool = False,
        conditions: Conditions = BEST,
    ) -> None:
        self.kernel, self.faults = Kernel(), faults or Faults()
        self.random = random.Random(seed)
        self._propagation = propagation_seconds
        self._invocations = Invocations(self.kernel, seed)
        self.invoke, self.repeats = self._invocations.invoke, self._invocations.repeats
        self.invoked, self.again = self._invocations.invoked, self._invocations.again
        self.failed = self._invocations.failed
        self.relay = Relay(self.kernel, self._invocations)
        self.deliveries = Deliveries(
            self.kernel,
            seed,
            conditions,
            start=lambda given: self.start("rollback", given),
            hand_over=self._invocations.hand_over,
            lose_events=lose_events,
        )
        self.stepfunctions = Orchestration(
            self.kernel,
            self._invoke,
            self.deliveries.ended,
            unknown_seconds=conditions.unknown_seconds,
            seed=seed,
        )
        self.start, self.executions = self.stepfunctions.start, self.stepfunctions.executions
        self.traffic = Traffic(self.kernel, lambda slot: self.fleet.serving(slot))
        self.fleet = Fleet(
            self.kernel,
            self.traffic.settle,
            bad={NEW_IMAGE} if bad else set(),
            stale_seconds=conditions.stale_seconds,
            health_lag_seconds=conditions.health_lag_seconds,
            scale_in_seconds=conditions.scale_in_seconds,
        )
        self.watch = Watch(self.kernel, self.traffic, self.deliveries.rang)
        rate = conditions.calls_per_second
        self.buckets = Buckets(self.kernel, rate, seed) if rate else None
        self.balancer, self.table = _Balancer(self), Table(TABLE)
        self.scaling, self.bucket, self.systems = Scaling(), Bucket(), Systems()
        self.topic = News(self.deliveries.told)
        self.received: list[tuple[str, Any]] = []
        self.hooks = Hooks()
        self.looks: list[Any] = []
        self.hands = Hands(self)
        self._runtimes: dict[str, Runtime] = {}
        self.store = DynamoStore(self.table, TABLE)
        self._read: tuple[Item | None, Record | None] = (None, None)
        if sticky:
            self._pin_clients()
        self._configure(deployment or {})
        for tick in ("judge_tick", "reconcile"):
            self._invocations.every_minute(tick, self.random.uniform(1, 60))

    def _invoke(self, module: str, event: dict[str, Any]) -> Run:
        """By its name, so that a test may put something in its place."""
        return self.invoke(module, event)

    def _pin_clients(self) -> None:
        (action,) = self.balancer.describe_rules(RuleArns=[RULE_ARN])["Rules"][0]["Actions"]
        pinned = {"Enabled": True, "DurationSeconds": 600}
        action["ForwardConfig"]["TargetGroupStickinessConfig"] = pinned
        self.balancer.modify_rule(RuleArn=RULE_ARN, Actions=[action])

    @property
    def targets(self) -> dict[str, dict[str, str]]:
        """For the balancer."""
        return self.fleet.targets

    def _configure(self, deployment: dict[str, Any]) -> None:
        def put() -> None:
            config = service_config(
                workload=workload(), deployment=deployment, warm_up={"requests": 0}, **PEOPLE
            )
            self.store.put_config(
                config, source="sim.yaml", by="ada", at=self.kernel.now(), workload_declared=True
            )

        set_up_once(("account", deployment), [self.table], put)

    def record(self) -> Record | None:
        """The service's record now; read anew only if it was written since: all look at it."""
        item = self.table.stored(_RECORD)
        if item is not self._read[0]:
            self._read = item, record_from(item) if item is not None else None
        return self._read[1]

    def weights(self) -> dict[str, int]:
        """The rule's own weights by slot."""
        (action,) = self.balancer.describe_rules(RuleArns=[RULE_ARN])["Rules"][0]["Actions"]
        found = {g["TargetGroupArn"]: g["Weight"] for g in action["ForwardConfig"]["TargetGroups"]}
        return {slot: found[arn] for slot, arn in GROUPS.items()}

    def sticky(self) -> bool:
        """Whether the rule pins clients to a slot."""
        (action,) = self.balancer.describe_rules(RuleArns=[RULE_ARN])["Rules"][0]["Actions"]
        return bool(action["ForwardConfig"]["TargetGroupStickinessConfig"]["Enabled"])

    def deploy(self, deployment_id: str = "d-1", **asked: Any) -> Execution:
        """What `greenlane deploy` starts."""
        asked = {"image": NEW_IMAGE, "requested_by": "ada"} | asked
        request = DeploymentRequest(service=SERVICE, **asked)
        given = {
            "deployment": {"deployment_id": deployment_id, "service": SERVICE},
            "request": request.model_dump(mode="json", exclude_none=True),
        }
        return self.executions[self.start("deployment", given, deployment_id)]

    def runtime(self, actor: str) -> Runtime:
        """What `greenlane.entrypoint` gives to a function's handler."""
        if actor not in self._runtimes:
            self._runtimes[actor] = runtime_of(self, actor)
        return self._runtimes[actor]

    def looked(self, caller: str, operation: str, sent: float) -> None:
        """For the edges: whoever looks on sees each effect."""
        for look in self.looks:
            look(caller, operation, sent)

    def wire(self, caller: str) -> Wire:
        """How a function reaches servers that are not AWS's."""
        return Wire(self.kernel, self.faults, caller, self.received)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.kernel.seconds + seconds
        self.kernel.run(end, lambda: False)
        self.kernel.seconds = end
        self.traffic.settle()


_RECORD = record_key(SERVICE)


class _Balancer(Balancer):
    """The rule, whose weights reach the nodes one by one."""

    def __init__(self, account: Account) -> None:
        self._account: Account | None = None
        super().__init__(account)
        self._account = account

    def modify_rule(self, **arguments: Any) -> Any:
        answer = super().modify_rule(**arguments)
        account = self._account
        if account is not None:
            most = account._propagation
            delays = [account.random.uniform(0, most) for _ in range(NODES)]
            account.traffic.write(account.weights(), delays, sticky=account.sticky())
        return answer


@contextmanager
def in_simulation(account: Account) -> Iterator[None]:
    """Let the functions of this process work in the account, and end them afterwards."""
    for service in ("application-autoscaling", "cloudwatch", "dynamodb", "ecs", "logs", "s3"):
        client(service)
    level = logger.log_level
    logger.setLevel("CRITICAL")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entrypoint, "_runtime", lambda actor, kind: account.runtime(actor))
        for module in (every_service, validation, notifying):
            patch.setattr(module, "ThreadPoolExecutor", Inline)
        for tells in (notify_people, post_alerts):
            name = tells.__name__.rpartition(".")[2]
            post = partial(getattr(tells, name), post=account.wire(name))
            patch.setattr(tells, name, post)
        patch.setattr(prometheus, "fetch", ask_prometheus)
        try:
            yield
        finally:
            account.kernel.close()
            vault.vault_of.cache_clear()
            logger.setLevel(level)
