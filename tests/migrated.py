"""What a migration meets, in memory: a database, the plan's bucket, alarms, and tasks."""

import io
import json
from typing import Any

from greenlane.errors import FenceLost
from greenlane.migrations.guarding.model import MigrationRun
from greenlane.migrations.running.model import CheckResult, Failure, Progress, SliceResult
from tests.builders import SERVICE
from tests.fakes import REGION, error
from tests.faults.kernel import Kernel

ACCOUNT = "123456789012"
BUCKET = f"greenlane-migrations-{ACCOUNT}-{REGION}"
FAMILY = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{SERVICE}"
DATABASE = "orders"
SHA = "a" * 64
PLAN = {
    "manifest": {
        "database": DATABASE,
        "owner": "team-orders",
        "files": [
            {"file": "0001_expand_name.sql", "phase": "expand"},
            {"file": "0002_fill_name.sql", "phase": "migrate"},
            {"file": "0003_contract_name.sql", "phase": "contract", "min_app": "2.4.0"},
        ],
    },
    "sources": [],
}


class FakeDatabase:
    """PostgreSQL as a slice sees it: a fence, and statements of which each runs once.

    Args:
        kernel: the time.
        statements: of the phase.
    """

    def __init__(self, kernel: Kernel, statements: int = 3) -> None:
        self.kernel, self.statements = kernel, statements
        self.fence = 0
        self.done: list[int] = []
        self.undone: list[int] = []
        self.epochs: list[int] = []
        self.locked = 0
        """So many next slices do not get their lock."""
        self.busy = 0
        """So many next checks have to wait."""
        self.refusal = ""
        self.fails_at: int | None = None
        self.undo_fails = False

    def check(self, run: MigrationRun) -> CheckResult:
        self._enter(run)
        if self.refusal:
            return CheckResult(outcome="refused", reasons=(self.refusal,))
        if self.busy:
            self.busy -= 1
            return CheckResult(outcome="waiting", wait_seconds=20, reasons=("an old transaction",))
        return CheckResult(outcome="ready", at=self.kernel.now(), lsn="0/3000060")

    def slice(self, run: MigrationRun) -> SliceResult:
        self._enter(run)
        number = len(self.done)
        if self.locked and number < self.statements:
            self.locked -= 1
            return SliceResult(outcome="waiting", wait_seconds=5, progress=self._at(number, "lock"))
        if number == self.fails_at:
            failure = Failure(error="UniqueViolation", message="two alike", statement=number)
            return SliceResult(outcome="failed", progress=self._at(number), failure=failure)
        if number < self.statements:
            self.done.append(number)
            self.epochs.append(run.epoch)
            return SliceResult(outcome="again", progress=self._at(number))
        return SliceResult(outcome="done", progress=self._at(number))

    def undo(self, run: MigrationRun) -> SliceResult:
        self._enter(run)
        if self.undo_fails:
            failure = Failure(error="DependentObjects", message="a view", statement=0)
            return SliceResult(outcome="failed", progress=self._at(0), failure=failure)
        if not self.done:
            return SliceResult(outcome="done", progress=self._at(0))
        self.undone.append(self.done.pop())
        return SliceResult(outcome="again", progress=self._at(self.undone[-1]))

    def _enter(self, run: MigrationRun) -> None:
        if run.fence < self.fence:
            raise FenceLost(f"{self.fence} wrote here, not {run.fence}")
        self.fence = run.fence

    def _at(self, number: int, detail: str = "") -> Progress:
        name, of = "0001_expand_name", self.statements
        return Progress(migration=name, statement=number, of=of, detail=detail)


class Objects:
    """S3 and SSM: what is kept by name."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {f"plans/{SHA}.json": json.dumps(PLAN)}
        self.parameters: dict[str, list[str]] = {}

    def get_object(self, *, Bucket: str, Key: str, ExpectedBucketOwner: str) -> dict[str, Any]:  # noqa: N803
        assert (Bucket, ExpectedBucketOwner) == (BUCKET, ACCOUNT)
        if Key not in self.objects:
            raise error("AccessDenied")
        return {"Body": io.BytesIO(self.objects[Key].encode())}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **more: Any) -> None:  # noqa: N803
        assert (Bucket, more["ExpectedBucketOwner"]) == (BUCKET, ACCOUNT)
        self.objects[Key] = Body.decode()

    def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool) -> None:  # noqa: N803
        assert (Type, Overwrite) == ("String", True)
        self.parameters.setdefault(Name, []).append(Value)


class Alarms:
    """CloudWatch: which alarms are red."""

    def __init__(self) -> None:
        self.red: set[str] = set()

    def describe_alarms(self, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        states = {name: "ALARM" if name in self.red else "OK" for name in AlarmNames}
        alarms = [{"AlarmName": name, "StateValue": state} for name, state in states.items()]
        return {"MetricAlarms": alarms}


class Ecs:
    """ECS: tasks by their task definition, each slot's own, and the revisions that can start."""

    def __init__(self) -> None:
        self.tasks: list[tuple[int, str]] = [(2, "RUNNING")]
        self.slots = {f"{SERVICE}-blue": 1, f"{SERVICE}-green": 2}
        self.active = {1, 2}

    def describe_services(self, cluster: str, services: list[str]) -> dict[str, Any]:
        assert cluster == SERVICE
        found = [
            {"serviceName": name, "taskDefinition": f"{FAMILY}:{self.slots[name]}"}
            for name in services
        ]
        return {"services": found}

    def list_tasks(self, cluster: str, family: str, desiredStatus: str) -> dict[str, Any]:  # noqa: N803
        assert (cluster, family) == (SERVICE, SERVICE)
        wanted = desiredStatus == "RUNNING"
        numbers = [n for n, (_, last) in enumerate(self.tasks) if (last == "RUNNING") == wanted]
        return {"taskArns": [str(number) for number in numbers]}

    def describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        assert cluster == SERVICE
        chosen = [self.tasks[int(arn)] for arn in tasks]
        found = [{"taskDefinitionArn": f"{FAMILY}:{n}", "lastStatus": last} for n, last in chosen]
        return {"tasks": found}

    def list_task_definitions(self, familyPrefix: str, status: str) -> dict[str, Any]:  # noqa: N803
        assert (familyPrefix, status) == (SERVICE, "ACTIVE")
        return {"taskDefinitionArns": [f"{FAMILY}:{number}" for number in sorted(self.active)]}
