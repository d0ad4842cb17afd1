"""One local cloud for each process, with the real templates, functions and workflows under load.

It goes from test to test, each of which finds it at rest and leaves it so. A test that changes the
templates or adds to them is marked `own_cloud`; after it, and after a test that failed, the next
one gets a new cloud.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from greenlane.deployments.model import DeploymentRequest, HistoryEvent, Record, Slot
from greenlane.deployments.phases import LEASED, Phase
from greenlane.deployments.reaching import traffic
from greenlane.local.cloud import LocalCloud
from greenlane.local.loadgen import LoadGenerator, Snapshot
from greenlane.local.stage import SERVICE, Stage, set_stage
from tests.scenarios.waiting import PATIENCE_SECONDS, changes

TIME_SCALE = 60.0
OWN_CLOUD = "own_cloud"
LONGEST = ("test_stickiness.py", "test_business_regression.py", "test_bad_versions.py")
_FAILED = pytest.StashKey[bool]()

# Minutes instead of hours; everything else is as production has it.
QUICK: dict[str, Any] = {
    "strategy": "canary",
    "steps": [10, 50, 100],
    "bake": "1m",
    "final_bake": "0s",
    "watch": "2m",
    "extended_watch": "30m",
    "propagation": "10s",
    "max_hold": "10m",
    "max_duration": "72h",
}


@dataclass
class Scenario:
    """The stage with what a test needs to drive it and to look at it.

    `versions` is how many were pushed; `rolled_back_by` has the deployment that an execution's
    input names, by the execution's ARN, for those that were looked at.
    """

    stage: Stage
    load: LoadGenerator
    versions: int = 1
    rolled_back_by: dict[str, str | None] = field(default_factory=dict)

    @property
    def cloud(self) -> LocalCloud:
        return self.stage.cloud

    def configure(self, *, deployment: dict[str, Any] | None = None, **sections: Any) -> None:
        """Apply the quick configuration with these changes."""
        body = {
            "name": SERVICE,
            "deployment": QUICK | (deployment or {}),
            "judge": {"min_requests": 5},
        }
        text = yaml.safe_dump({"service": body | sections})
        self.stage.greenlane.apply(text, by="a test")

    def deploy(self, behaviour: str = "good", **request: Any) -> str:
        """Push the next version and deploy it; the deployment's id."""
        self.versions += 1
        version = f"t{self.versions}"
        self.stage.push(version, behaviour)
        self.load.phase(version)
        asked = DeploymentRequest(
            service=SERVICE, version=version, requested_by="a test", **request
        )
        return self.stage.greenlane.deploy(asked).deployment_id

    def record(self) -> Record:
        record = self.stage.greenlane.store.record(SERVICE)
        assert record is not None
        return record

    def until(self, reached: Callable[[Record], bool], what: str) -> Record:
        """Wait, in real time, until the record has it."""
        found: list[Record] = []

        def look() -> bool:
            record = self.stage.greenlane.store.record(SERVICE)
            if record is None or not reached(record):
                return False
            found.append(record)
            return True

        assert changes.come_to_table(look), (
            f"not within {PATIENCE_SECONDS} s: {what}; {self.record()}"
        )
        return found[0]

    def until_phase(self, deployment_id: str, *phases: Phase) -> Record:
        names = ", ".join(phases)
        return self.until(
            lambda r: r.deployment_id == deployment_id and r.phase in phases, f"phase {names}"
        )

    def outcome(self, deployment_id: str) -> str:
        """Wait for the deployment's outcome: succeeded, rolled_back, held, refused or failed."""
        names: list[str] = []

        def look() -> bool:
            found = self.stage.greenlane.outcome(SERVICE, deployment_id)
            names.extend([found.name] if found is not None else [])
            return bool(names)

        assert changes.come_to_table(look), f"{deployment_id} has no outcome; {self.record()}"
        return names[0]

    def rest(self) -> None:
        """Wait until no lease is held and what follows a deployment is over; quieten the alarms."""
        record = self.stage.greenlane.store.record(SERVICE)
        if record is not None and record.phase in LEASED:
            record = self.until(lambda r: r.phase not in LEASED, "no deployment in flight")
        if record is not None and record.phase in (Phase.WATCHING, Phase.RETIRED):
            self.until(lambda r: r.success_told and not r.scaling_rests, "all is told and let go")
        cloudwatch = self.cloud.client("cloudwatch")
        for alarm in cloudwatch.describe_alarms()["MetricAlarms"]:
            if alarm["StateValue"] == "ALARM":
                cloudwatch.set_alarm_state(
                    AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="between tests"
                )

    def percent(self) -> dict[Slot, int] | None:
        """Live weights by slot, as the rule has them."""
        rule = traffic.read_rule(self.cloud.client("elbv2"), self.stage.workload.listener_rule_arn)
        return rule.percent(self.stage.workload)

    def history(self, deployment_id: str) -> list[HistoryEvent]:
        return self.stage.greenlane.history(deployment_id)

    def kinds(self, deployment_id: str) -> list[str]:
        return [event.kind for event in self.history(deployment_id)]

    def requests(self) -> Snapshot:
        return self.load.snapshot()

    def lost(self, version: str) -> int:
        """Client requests that failed while that version's phase was on; each is printed."""
        failed = [c for c in self.requests().counts if c.phase == version and not c.ok]
        for count in failed:
            print(f"lost: {count}")
        return sum(count.count for count in failed)

    def raise_alarm(self, slot: Slot, kind: str = "error-rate") -> str:
        """Turn an alarm red by hand; its event goes out as CloudWatch's does."""
        name = f"{SERVICE}-{slot}-{kind}"
        self.cloud.client("cloudwatch").set_alarm_state(
            AlarmName=name, StateValue="ALARM", StateReason="a test says so"
        )
        return name

    def modify_rule_calls(self, since: float) -> list[str]:
        """Who called ModifyRule since a real Unix time."""
        calls = self.cloud.context.calls
        return [c.caller for c in calls if c.operation == "ModifyRule" and c.at >= since]


class Clouds:
    """The scenario that runs in this process, if one does."""

    def __init__(self, directories: pytest.TempPathFactory) -> None:
        self._directories = directories
        self._stack = ExitStack()
        self._scenario: Scenario | None = None

    def scenario(self) -> Scenario:
        """The one that runs, or a new one."""
        if self._scenario is None:
            directory = self._directories.mktemp("cloud") / "local"
            with ExitStack() as stack:
                cloud = stack.enter_context(LocalCloud(directory, time_scale=TIME_SCALE))
                stage = set_stage(cloud)
                cloud.server.after.append(changes.note)
                load = LoadGenerator(stage.url, requests_per_second=60, clients=20)
                load.start(directory / "load.log")
                stack.callback(load.stop)
                self._stack = stack.pop_all()
            self._scenario = Scenario(stage, load)
        return self._scenario

    def end(self) -> None:
        """Stop it; the next test gets a new one."""
        self._scenario = None
        self._stack.close()


@pytest.fixture(scope="session")
def _clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    clouds = Clouds(tmp_path_factory)
    yield clouds
    clouds.end()


@pytest.fixture
def scenario(_clouds: Clouds, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """The cloud with the quick configuration, at rest before and after each test."""
    alone = request.node.get_closest_marker(OWN_CLOUD) is not None
    if alone:
        _clouds.end()
    scenario, fit_for_others = _clouds.scenario(), False
    try:
        scenario.configure()
        scenario.rest()
        yield scenario
        if not request.node.stash.get(_FAILED, False):
            scenario.rest()
            fit_for_others = not alone
    finally:
        if not fit_for_others:
            _clouds.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for its fixtures to see."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", f"{OWN_CLOUD}: a scenario that gets a cloud to itself")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the scenarios that take longest, or one process would end long after the others.

    Those with a cloud to themselves come first.
    """

    def rank(item: pytest.Item) -> tuple[bool, bool]:
        alone = item.get_closest_marker(OWN_CLOUD) is not None
        return not alone, item.path.name not in LONGEST

    ours = [number for number, item in enumerate(items) if "scenario" in _fixtures(item)]
    ordered = sorted((items[number] for number in ours), key=rank)
    for number, item in zip(ours, ordered, strict=True):
        items[number] = item


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])
