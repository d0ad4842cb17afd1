"""Several Regions in virtual time: rollouts run by the real state machine and the real functions.

Each Region has a table of its own and a deployment that goes by minutes; its planning asks the real
fence. Any call to AWS can be made to fail, any process to end, any Region to be cut off.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import pytest

from greenlane.deployments.stepping.judging import Tick
from greenlane.regions.coordinating.beginning import record_of
from greenlane.regions.coordinating.model import Asked, Rollout
from greenlane.regions.coordinating.requesting import as_json
from greenlane.regions.coordinating.running import (
    RolloutRun,
    TakeRollout,
    WaitEvent,
    coordinate_regions,
    hand_over_rollout,
    take_rollout,
    wait_for_regions,
)
from greenlane.regions.coordinating.runtime import RegionsRuntime
from greenlane.regions.coordinating.store import Kept, KeptPlan, Rollouts
from greenlane.regions.coordinating.tending import (
    RegionEvent,
    hear_region,
    tend_rollouts,
)
from greenlane.regions.declaring.document import read_regions
from greenlane.regions.planning.planner import plan_regions
from tests.builders import SERVICE, request
from tests.fakes import Spy, Topic, error, timeout
from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run, load
from tests.flag_town import Gone, Kind
from tests.town_region import HOME, STANDBY, TABLE, TownRegion, machine, settings_in

# A file is read once for all towns that have it.
_read = cache(read_regions)


@cache
def _as_json(text: str) -> str:
    return as_json(text, "test")


class Site:
    """The coordinator of one Region: its functions, and the executions of its machine."""

    def __init__(self, town: "RegionTown", region: str) -> None:
        self.town, self.region = town, region
        self.executions: dict[str, Execution] = {}
        self.runtime = RegionsRuntime(
            settings=settings_in(region, tuple(town.regions)), actor="test", clock=town.kernel
        )
        own = self.runtime.__dict__
        own["rollouts"] = Rollouts(Spy(town, "dynamodb", town.regions[region].table), TABLE)
        own["stepfunctions"] = Spy(town, "stepfunctions", self)
        own["sns"] = Spy(town, "sns", town.topic)
        own["at_once"] = lambda calls: {name: call() for name, call in calls.items()}
        own["client_of"] = self._client_of
        # The tests' own view, which is not struck.
        self.rollouts = Rollouts(town.regions[region].table, TABLE)

    def _client_of(self, region: str) -> Callable[[str], Any]:
        town = self.town

        def client(service: str) -> Any:
            there = town.regions[region]
            target = there.table if service == "dynamodb" else there
            return Reach(Spy(town, service, target), town, self.region, region)

        return client

    @property
    def kept(self) -> Kept:
        kept = self.rollouts.kept(SERVICE)
        assert kept is not None
        return kept

    @property
    def record(self) -> Rollout:
        return self.kept.record

    def call(self, module: str, event: dict[str, Any]) -> Run:
        """Run a function in a process of its own."""
        run = Run()

        def body() -> None:
            try:
                run.end(self.town.kernel, answer=self._functions[module](event))
            except Gone:
                run.end(self.town.kernel, failure=Failed("Runtime.ExitError", "gone"))
            except Exception as problem:
                run.end(self.town.kernel, failure=Failed(type(problem).__name__, str(problem)))

        self.town.latest = lambda: self.call(module, event)
        self.town.kernel.spawn(module, body)
        return run

    @property
    def _functions(self) -> Mapping[str, Callable[[dict[str, Any]], Any]]:
        runtime = self.runtime
        return {
            "take_rollout": lambda event: _json(
                take_rollout(TakeRollout.model_validate(event), runtime)
            ),
            "coordinate_regions": lambda event: _json(
                coordinate_regions(RolloutRun.model_validate(event), runtime)
            ),
            "wait_for_regions": lambda event: wait_for_regions(
                WaitEvent.model_validate(event), runtime
            ),
            "hand_over_rollout": lambda event: _json(
                hand_over_rollout(RolloutRun.model_validate(event), runtime)
            ),
            "hear_region": lambda event: hear_region(RegionEvent.model_validate(event), runtime),
            "tend_rollouts": lambda event: tend_rollouts(Tick.model_validate(event), runtime),
        }

    # Step Functions of this Region, for the machine of rollouts

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: N803
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        before = self.executions.get(arn)
        if before is not None:
            if before.status != "RUNNING" or before.given != json.loads(input):
                raise error("ExecutionAlreadyExists")
            return {"executionArn": arn}
        assert len(name) <= 80
        execution = Execution(
            self.town.kernel,
            arn,
            load("global_deployment"),
            json.loads(input),
            calls=self.call,
            start=lambda *_: "",
        )
        self.executions[arn] = execution
        execution.begin()
        return {"executionArn": arn}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        if executionArn not in self.executions:
            raise error("ExecutionDoesNotExist")
        return {"status": self.executions[executionArn].status}

    def send_task_success(self, taskToken: str, output: str) -> dict[str, Any]:  # noqa: N803
        json.loads(output)
        execution = self.executions.get(taskToken.rsplit("#", 1)[0])
        if execution is None or not execution.answer(taskToken, None):
            raise error("TaskTimedOut")
        return {}

    def ask(self, name: str, reason: str = "") -> None:
        """A person's wish, as the command line sends it."""
        wish = Asked(name=name, number=0, by="ada", reason=reason, at=self.town.kernel.now())
        kept = self.rollouts.ask(SERVICE, self.record.rollout_id, wish)
        if kept.token is not None:
            execution = self.executions.get(kept.token.rsplit("#", 1)[0])
            if execution is not None:
                execution.answer(kept.token, None)


class Reach:
    """A client of another Region, unless that is cut off."""

    def __init__(self, target: Any, town: "RegionTown", site: str, region: str) -> None:
        self._target, self._town, self._way = target, town, (site, region)
        self.meta = target.meta

    def __getattr__(self, operation: str) -> Any:
        if self._way in self._town.cut or self._way[1] in self._town.down:
            self._town.kernel.sleep(4)
            raise timeout()
        return getattr(self._target, operation)


class RegionTown:
    """See the module.

    Args:
        text: the file of Regions.
        events: whether Regions' events arrive.
    """

    def __init__(self, text: str, *, events: bool = True) -> None:
        self.kernel, self.topic = Kernel(), Topic()
        self.calls: list[tuple[str, str]] = []
        self.strikes: dict[int, Kind] = {}
        self.acts: dict[int, Callable[[], object]] = {}
        self.log: list[tuple[str, str]] = []
        self.cut: set[tuple[str, str]] = set()
        self.down: set[str] = set()
        self.events = events
        self.latest: Callable[[], object] = lambda: None
        self.tended_until = 0.0
        self.document = _read(text)
        self.regions = {
            name: TownRegion(self, name, float(one.traffic_percentage or 0))
            for name, one in self.document.regions.items()
        }
        for extra in (HOME, STANDBY):
            self.regions.setdefault(extra, TownRegion(self, extra, 0))
        self.home, self.standby = Site(self, HOME), Site(self, STANDBY)
        self.text = text

    def begin(self, rollout: str = "shop-1", **asks: Any) -> Rollout:
        """Put a rollout on record and start it, as the command line does."""
        now = self.kernel.now()
        planned = plan_regions(self.document, now=now)
        asked = request(**{"image": None, "version": "1.4.2"} | asks)
        begun = record_of(
            planned,
            self.document,
            asked,
            rollout_id=rollout,
            home=HOME,
            now=now,
        )
        self.home.rollouts.put_plan(rollout, KeptPlan(document=_as_json(self.text), plan=planned))
        before = self.home.rollouts.kept(SERVICE)
        assert self.home.rollouts.begin(begun, None if before is None else before.record)
        given = {"rollout_id": rollout, "service": SERVICE}
        self.home.start_execution(machine(HOME, "regions"), f"{rollout}-v0", json.dumps(given))
        return begun

    def run(self, hours: float = 48, *, done: Callable[[], bool] | None = None) -> None:
        """Let time pass until no execution lives, or so long."""
        self.kernel.run(self.kernel.seconds + hours * 3600, done or self.quiet)

    def quiet(self) -> bool:
        if self.kernel.seconds < self.tended_until:
            return False
        sites = (self.home, self.standby)
        return all(one.status != "RUNNING" for site in sites for one in site.executions.values())

    def tend(self, *sites: Site, times: int = 1, every: float = 300) -> None:
        """The schedule of `tend_rollouts`, so many times from now on."""
        self.tended_until = self.kernel.seconds + times * every
        for site in sites:
            for number in range(times):
                self.kernel.after(number * every, partial(site.call, "tend_rollouts", {}))

    def heard(self, region: str) -> None:
        """A Region's event on its way to home and standby."""
        if not self.events:
            return
        for site in (self.home, self.standby):
            if site.region not in self.down and region not in self.down:
                self.kernel.after(2, partial(site.call, "hear_region", {"region": region}))

    @property
    def started(self) -> list[str]:
        """The Regions whose deployment ran, in order."""
        return [name for what, name in self.log if what == "runs"]

    def kinds(self) -> list[str]:
        """What people were told, by kind."""
        told = [one["MessageAttributes"]["kind"] for one in self.topic.published]
        return [str(kind["StringValue"]) for kind in told]

    def faults_of(self, service: str, operation: str) -> tuple[Any, Any]:
        del service, operation
        number = len(self.calls)
        if number in self.acts:
            self.acts.pop(number)()
        kind = self.strikes.get(number)
        if kind is None:
            return None, None
        if kind == "aborted":
            for one in (*self.home.executions.values(), *self.standby.executions.values()):
                one.stop("Killed", "by the test")
        if kind == "repeated":
            self.kernel.after(7, self.latest)
        before = {"before": error("ThrottlingException"), "timeout": timeout(), "gone": Gone()}
        after = {"after": timeout(), "gone_after": Gone()}
        return before.get(kind), after.get(kind)


def _json(answer: RolloutRun) -> dict[str, Any]:
    return answer.model_dump(mode="json")


def regions_file(count: int, **strategy: Any) -> str:
    """So many Regions with equal traffic; home and standby among them."""
    names = [HOME, STANDBY, *(f"ap-south-{number}" for number in range(1, count - 1))][:count]
    shares = [100 // count] * count
    shares[0] += 100 - sum(shares)
    regions = {
        name: {"traffic_percentage": share} for name, share in zip(names, shares, strict=True)
    }
    return json.dumps({"regions": regions, "deployment_strategy": strategy})


@pytest.fixture
def town():
    """Makes towns, and ends them."""
    made = []

    def make(text: str = regions_file(3), **options: Any) -> RegionTown:
        made.append(RegionTown(text, **options))
        return made[-1]

    yield make
    for one in made:
        one.kernel.close()


def only(site: Site) -> Execution:
    """The one execution of a coordinator."""
    (execution,) = site.executions.values()
    return execution
