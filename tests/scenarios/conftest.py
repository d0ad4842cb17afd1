"""One local cloud for each file, with the real templates, functions and workflows under load."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenlane.deployments import traffic
from greenlane.deployments.model import DeploymentRequest, HistoryEvent, Record, Slot
from greenlane.deployments.phases import LEASED, Phase
from greenlane.local.cloud import LocalCloud
from greenlane.local.loadgen import LoadGenerator, Snapshot
from greenlane.local.stage import SERVICE, Stage, set_stage

TIME_SCALE = 60.0
PATIENCE_SECONDS = 60.0

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
}


@dataclass
class Scenario:
    """The stage with what a test needs to drive it and to look at it."""

    stage: Stage
    load: LoadGenerator
    versions: int = 1

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
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            record = self.stage.greenlane.store.record(SERVICE)
            if record is not None and reached(record):
                return record
            time.sleep(0.02)
        raise AssertionError(f"not reached within {PATIENCE_SECONDS} s: {what}; {self.record()}")

    def until_phase(self, deployment_id: str, *phases: Phase) -> Record:
        names = ", ".join(phases)
        return self.until(
            lambda r: r.deployment_id == deployment_id and r.phase in phases, f"phase {names}"
        )

    def outcome(self, deployment_id: str) -> str:
        """Wait for the deployment's outcome: succeeded, rolled_back, held, refused or failed."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found = self.stage.greenlane.outcome(SERVICE, deployment_id)
            if found is not None:
                return found.name
            time.sleep(0.05)
        raise AssertionError(f"{deployment_id} has no outcome; {self.record()}")

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
        """Client requests that failed while that version's phase was on."""
        return sum(c.count for c in self.requests().counts if c.phase == version and not c.ok)

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


@pytest.fixture(scope="module")
def _scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    directory: Path = tmp_path_factory.mktemp("cloud") / "local"
    with LocalCloud(directory, time_scale=TIME_SCALE) as cloud:
        stage = set_stage(cloud)
        load = LoadGenerator(stage.url, requests_per_second=60, clients=20)
        load.start(directory / "load.log")
        try:
            yield Scenario(stage, load)
        finally:
            load.stop()


@pytest.fixture
def scenario(_scenario: Scenario) -> Iterator[Scenario]:
    """The cloud with the quick configuration, at rest before and after each test."""
    _scenario.configure()
    _at_rest(_scenario)
    yield _scenario
    _at_rest(_scenario)


def _at_rest(scenario: Scenario) -> None:
    """No lease, all weight on one healthy slot, every alarm quiet."""
    record = scenario.stage.greenlane.store.record(SERVICE)
    if record is not None and record.phase in LEASED:
        record = scenario.until(lambda r: r.phase not in LEASED, "no deployment in flight")
    if record is not None and record.phase in (Phase.WATCHING, Phase.RETIRED):
        scenario.until(lambda r: not r.scaling_rests, "the old slot let go")
    cloudwatch = scenario.cloud.client("cloudwatch")
    for alarm in cloudwatch.describe_alarms()["MetricAlarms"]:
        if alarm["StateValue"] == "ALARM":
            cloudwatch.set_alarm_state(
                AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="between tests"
            )
