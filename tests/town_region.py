"""One Region of a town: its table, its alarms, and a deployment that goes by minutes.

Its planning asks the real fence. The rest of its state machine is tested elsewhere.
"""

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.phases import Phase
from greenlane.deployments.storing.items import record_item
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import GreenlaneError
from greenlane.regions.coordinating.admitting import refuse_overtaken
from greenlane.regions.coordinating.remote import RUNS_ALREADY
from greenlane.runtime import Runtime, Settings
from tests.begun import set_up_once
from tests.builders import NOW, SERVICE, plan, record, service_config
from tests.fakes import error
from tests.migrated import Alarms
from tests.table import Table

if TYPE_CHECKING:
    from tests.region_town import RegionTown

ACCOUNT = "123456789012"
TABLE = "greenlane-deployments"
HOME, STANDBY = "eu-west-1", "us-east-1"
DEPLOYS, WATCHES, GOES_BACK = 20 * 60, 30 * 60, 45
REQUESTS = 30_000
"""Of a Region, in each period that is asked for, times its percent."""


def machine(region: str, name: str) -> str:
    return f"arn:aws:states:{region}:{ACCOUNT}:stateMachine:greenlane-{name}"


def settings_in(region: str, regions: tuple[str, ...] = ()) -> Settings:
    return Settings(
        table=TABLE,
        topic_arn=f"arn:aws:sns:{region}:{ACCOUNT}:greenlane-notifications",
        deployment_machine_arn=machine(region, "deployment"),
        rollback_machine_arn=machine(region, "rollback"),
        regions_machine_arn=machine(region, "regions"),
        standby_region=STANDBY,
        regions=regions,
    )


class TownRegion:
    """A Region: its table, its alarms, its executions.

    `fails` is after how many seconds the candidate turns bad, `back` how its way back ends.
    """

    def __init__(self, town: "RegionTown", name: str, percent: float) -> None:
        self.town, self.name, self.percent = town, name, percent
        self.table, self.alarms = Table(TABLE), Alarms()
        self.fails: float | None = None
        self.back = Phase.ROLLED_BACK
        self.has_it, self.error_rate, self.digest = False, 0.0, "a" * 64
        self.executions: dict[str, dict[str, Any]] = {}
        self.epoch = 0
        set_up_once(
            "a Region",
            [self.table],
            lambda: self.store.put_config(
                service_config(), source="test.yaml", by="ada", at=NOW, workload_declared=True
            ),
        )

    @property
    def store(self) -> DynamoStore:
        return DynamoStore(self.table, TABLE)

    @property
    def phase(self) -> Phase | None:
        kept = self.store.record(SERVICE)
        return kept.phase if kept is not None else None

    def alarm(self) -> None:
        """An alarm rings: the Region's own rule starts its own way back."""
        kept = self.store.record(SERVICE)
        assert kept is not None
        given = {
            "service": SERVICE,
            "deployment_id": kept.deployment_id,
            "trigger": {"kind": "alarm", "name": "p95", "reason": "p95 is red"},
        }
        self.start_execution(machine(self.name, "rollback"), "by-alarm", json.dumps(given))

    # CloudWatch

    def describe_alarms(self, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        return self.alarms.describe_alarms(AlarmNames)

    def get_metric_data(
        self,
        MetricDataQueries: list[Any],  # noqa: N803
        EndTime: datetime,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        def value(query: dict[str, Any]) -> float:
            requests = REQUESTS * self.percent / 100
            share = {"bad5": self.error_rate, "ok2": 1 - self.error_rate, "requests": 1.0}
            return requests * share.get(query["Id"].split("_")[0], 0.0)

        at = [EndTime - timedelta(minutes=1)]
        found = [
            {"Id": one["Id"], "Values": [value(one)], "Timestamps": at, "StatusCode": "Complete"}
            for one in MetricDataQueries
        ]
        return {"MetricDataResults": found}

    # Step Functions

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: N803
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        assert len(name) <= 80
        assert f":{self.name}:" in arn
        if arn in self.executions:
            if json.loads(self.executions[arn]["input"]) != json.loads(input):
                raise error("ExecutionAlreadyExists")
            return {"executionArn": arn}
        self.executions[arn] = {"status": "RUNNING", "input": input}
        what = self._goes_back if "rollback" in stateMachineArn else self._deploys
        self.town.kernel.spawn(arn, lambda: what(arn, json.loads(input)))
        if "rollback" in stateMachineArn:
            self.town.heard(self.name)
        return {"executionArn": arn}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        if executionArn not in self.executions:
            raise error("ExecutionDoesNotExist")
        return self.executions[executionArn]

    def _ends(self, arn: str, status: str, name: str = "", cause: str = "") -> None:
        self.executions[arn] |= {"status": status, "error": name, "cause": cause}
        self.town.heard(self.name)

    def _is(self, phase: Phase, given: dict[str, Any], **changes: Any) -> None:
        kept = record(
            deployment_id=given["deployment"]["deployment_id"],
            phase=phase,
            epoch=self.epoch,
            started_at=self.town.kernel.now(),
            **changes,
        )
        self.table.put_item(TableName=TABLE, Item=record_item(kept))

    def _deploys(self, arn: str, given: dict[str, Any]) -> None:
        """The Region's own state machine: the lease, then the fence, then its minutes."""
        kernel = self.town.kernel
        if self.has_it:
            kernel.sleep(3)
            self._ends(arn, "FAILED", "Refused", f"image: x {RUNS_ALREADY} in blue")
            return
        asked = DeploymentRequest.model_validate(given["request"])
        kernel.sleep(3)
        self.epoch += 1
        owned = self.epoch
        image = f"shop@sha256:{self.digest}"
        planned = plan(deployment_id=asked.deployment_id, request=asked, image=image)
        self.store.put_plan(planned)
        self._is(Phase.PLANNING, given)
        runtime = Runtime(settings=settings_in(self.name), actor="plan_deployment", clock=kernel)
        runtime.__dict__["store"] = self.store
        try:
            refuse_overtaken(runtime, planned)
        except GreenlaneError as refused:
            self._is(Phase.REFUSED, given, reason=str(refused))
            self._ends(arn, "FAILED", "Refused", str(refused))
            return
        self.town.log.append(("runs", self.name))
        began = kernel.seconds
        for phase, at in (
            (Phase.SHIFTING, 60),
            (Phase.PROMOTED, DEPLOYS),
            (Phase.WATCHING, DEPLOYS + WATCHES),
        ):
            until = began + at
            if self.fails is not None and began + self.fails < until:
                kernel.sleep(max(began + self.fails - kernel.seconds, 0))
                if self.epoch == owned:
                    self._ends(arn, "FAILED", "JudgedBad", "the numbers are bad")
                    self._returns(given, "judged bad")
                return
            kernel.sleep(until - kernel.seconds)
            if self.epoch != owned:
                self.executions[arn]["status"] = "ABORTED"
                return
            promoted = kernel.now() if at >= DEPLOYS else None
            self._is(phase, given, promoted_at=promoted)
        self._ends(arn, "SUCCEEDED")
        if self.fails is not None:
            kernel.sleep(max(began + self.fails - kernel.seconds, 0))
            if self.epoch == owned:
                self._returns(given, "an alarm in the extended watch")

    def _goes_back(self, arn: str, given: dict[str, Any]) -> None:
        kept = self.store.record(given["service"])
        if kept is None or kept.deployment_id != given["deployment_id"]:
            self._ends(arn, "SUCCEEDED")
            return
        if kept.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.REFUSED):
            self._ends(arn, "SUCCEEDED")
            return
        self._returns({"deployment": given}, given["trigger"]["reason"])
        self._ends(arn, "SUCCEEDED")

    def _returns(self, given: dict[str, Any], why: str) -> None:
        """Back to the version that it had: with nothing but what is in this Region."""
        self.epoch += 1
        self._is(Phase.ROLLING_BACK, given, reason=why)
        self.town.log.append(("goes back", self.name))
        self.town.kernel.sleep(GOES_BACK)
        self._is(self.back, given, reason=why)
        self.town.heard(self.name)
