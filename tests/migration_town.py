"""A database that is migrated in virtual time: the real state machine and the real functions.

The database itself stands in for PostgreSQL: it knows the highest epoch that wrote in it, and each
statement that ran. Any call to AWS or to it can be made to fail, and any process to end.
"""

import io
import json
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from greenlane.deployments.items import record_item
from greenlane.deployments.model import DeploymentSummary, Plan, Record
from greenlane.deployments.phases import Phase as DeploymentPhase
from greenlane.deployments.store import DynamoStore
from greenlane.errors import FenceLost, GreenlaneError
from greenlane.migrations.databases.document import read_databases
from greenlane.migrations.databases.store import DatabaseStore
from greenlane.migrations.guarding.backing_up import back_up_database
from greenlane.migrations.guarding.dead import Died, tell_dead_migration
from greenlane.migrations.guarding.deciding import after_check, after_slice, after_undo
from greenlane.migrations.guarding.handing_over import hand_over_migration
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.guarding.model import MigrationRequest, MigrationRun
from greenlane.migrations.guarding.publishing import publish_migration
from greenlane.migrations.guarding.records import Runs
from greenlane.migrations.guarding.releasing import release_migration, tell_migration
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.guarding.taking import TakeEvent, take_migration
from greenlane.migrations.guarding.watching import watch_migration
from greenlane.migrations.running.model import CheckResult, Failure, Progress, SliceResult
from greenlane.runtime import Settings
from tests.builders import NOW, SERVICE, plan, record, request, service_config
from tests.fakes import REGION, STATES, Spy, Topic, error, timeout
from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run, load
from tests.flag_town import Gone, Kind
from tests.managed_databases import FakeRds
from tests.table import Table

TABLE = "greenlane-deployments"
ACCOUNT = "123456789012"
BUCKET = f"greenlane-migrations-{ACCOUNT}-{REGION}"
MACHINE = f"{STATES}:stateMachine:greenlane-migration"
FAMILY = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{SERVICE}"
DATABASE = "orders"
SHA = "a" * 64
DESCRIBED = f"""
databases:
  orders:
    service: {SERVICE}
    engine: postgres
    instance: orders-1
    endpoint: {{host: db.example, dbname: orders, user: greenlane}}
    alarms: [orders-cpu]
"""
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


class MigrationTown:
    """See the module.

    Args:
        phase: what is run.
        statements: of it.
        described: the file of databases.
        asks: further parts of the request.
    """

    def __init__(
        self, phase: str = "expand", *, statements: int = 3, described: str = DESCRIBED, **asks: Any
    ) -> None:
        self.kernel = Kernel()
        self.database = FakeDatabase(self.kernel, statements)
        self.calls: list[tuple[str, str]] = []
        self.strikes: dict[int, Kind] = {}
        self.acts: dict[int, Callable[[], object]] = {}
        self.executions: dict[str, Execution] = {}
        self.topic, self.objects = Topic(), Objects()
        self.alarms, self.ecs, self.rds = Alarms(), Ecs(), FakeRds()
        self.rds.instance("orders-1", MultiAZ=True)
        self.table = Table(TABLE)
        self.asks = {"phase": phase, "requested_by": "ada"} | asks
        self.runtime = self._runtime()
        # The tests' own view, which is not struck.
        self.leases, self.runs = Leases(self.table, TABLE), Runs(self.table, TABLE)
        self.deployments = DynamoStore(self.table, TABLE)
        self.deployments.put_config(
            service_config(), source="test.yaml", by="ada", at=NOW, workload_declared=True
        )
        databases = DatabaseStore(self.table, TABLE)
        for name, one in read_databases(described).databases.items():
            databases.put(name, one, by="ada", at=NOW)

    def _runtime(self) -> MigrationRuntime:
        settings = Settings(
            table=TABLE,
            topic_arn=f"arn:aws:sns:{REGION}:{ACCOUNT}:greenlane-notifications",
            deployment_machine_arn="",
            rollback_machine_arn="",
            migrations_bucket=BUCKET,
            migration_machine_arn=MACHINE,
        )
        runtime = MigrationRuntime(settings=settings, actor="test", clock=self.kernel)
        spied: tuple[tuple[str, str, Any], ...] = (
            ("cloudwatch", "cloudwatch", self.alarms),
            ("ecs", "ecs", self.ecs),
            ("rds", "rds", self.rds),
            ("s3", "s3", self.objects),
            ("ssm", "ssm", self.objects),
            ("sns", "sns", self.topic),
            ("stepfunctions", "stepfunctions", self),
            ("migrations_table", "dynamodb", self.table),
        )
        for name, service, target in spied:
            runtime.__dict__[name] = Spy(self, service, target)
        runtime.__dict__["store"] = DynamoStore(Spy(self, "dynamodb", self.table), TABLE)
        return runtime

    # What a test does and looks at.

    def begin(self, run: str = "m-1", **asks: Any) -> str:
        """Start a run, as the command line does; the ARN of its execution."""
        given = MigrationRequest.model_validate(
            {"run": run, "database": DATABASE, "plan_sha": SHA} | self.asks | asks
        )
        body = json.dumps({"request": given.model_dump(mode="json")})
        return str(self.start_execution(MACHINE, run, body)["executionArn"])

    def run(self, hours: float = 4, *, done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass."""
        self.kernel.run(self.kernel.seconds + hours * 3600, done)

    def migrate(self, run: str = "m-1", hours: float = 8, **asks: Any) -> Execution:
        """Start a run and let it end."""
        execution = self.executions[self.begin(run, **asks)]
        self.run(hours, done=self.quiet)
        return execution

    def quiet(self) -> bool:
        """Whether no execution lives."""
        return all(one.status != "RUNNING" for one in self.executions.values())

    def kinds(self) -> list[str]:
        """What people were told, by kind."""
        told = [one["MessageAttributes"]["kind"] for one in self.topic.published]
        return [str(kind["StringValue"]) for kind in told]

    def parameter(self) -> dict[str, Any]:
        """What applications find."""
        found: dict[str, Any] = json.loads(
            self.objects.parameters["/greenlane/databases/orders"][-1]
        )
        return found

    def ship(self, number: int, version: str | None, **changes: Any) -> None:
        """Put a deployment on record that ended well, with task definition `number`.

        Args:
            number: of the task definition, and of the deployment.
            version: what it was asked for by; None for a task definition.
            changes: to its line.
        """
        named = f"d-{number}"
        revision = f"{FAMILY}:{number}"
        ask = {"image": None, "version": version} if version else {"image": None}
        ask |= {} if version else {"task_definition": revision}
        kept: Plan = plan(deployment_id=named, request=request(**ask))
        self.deployments.put_plan(kept)
        line: dict[str, Any] = {
            "deployment_id": named,
            "service": SERVICE,
            "phase": DeploymentPhase.RETIRED,
            "strategy": "canary",
            "image": f"shop@sha256:{number:064d}",
            "task_definition": revision,
            "started_at": NOW - timedelta(days=30 - number),
        }
        self.deployments.put_summary(DeploymentSummary.model_validate(line | changes))

    def deployment(self, phase: DeploymentPhase, **changes: Any) -> Record:
        """Make this the service's record."""
        kept = record(phase=phase, **changes)
        self.table.put_item(TableName=TABLE, Item=record_item(kept))
        return kept

    # AWS, as the product's code meets it.

    def call(self, module: str, event: dict[str, Any]) -> Run:
        """Run a function in a process of its own."""
        run = Run()

        def body() -> None:
            try:
                run.end(self.kernel, answer=self._functions[module](event))
            except Gone:
                run.end(self.kernel, failure=Failed("Runtime.ExitError", "gone"))
            except GreenlaneError as problem:
                run.end(self.kernel, failure=Failed(type(problem).__name__, str(problem)))
            except Exception as problem:
                run.end(self.kernel, failure=Failed(type(problem).__name__, str(problem)))

        self._latest = module, event
        self.kernel.spawn(module, body)
        return run

    @property
    def _functions(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        def step(act: Callable[[MigrationRun, MigrationRuntime], MigrationRun]) -> Any:
            return lambda event: _as_json(act(MigrationRun.model_validate(event), self.runtime))

        def take(event: dict[str, Any]) -> Any:
            return _as_json(take_migration(TakeEvent.model_validate(event), self.runtime))

        return {
            "take_migration": take,
            "check_migration": step(lambda run, _: self._inside("check", run)),
            "back_up_database": step(back_up_database),
            "watch_migration": step(watch_migration),
            "run_migration": step(lambda run, _: self._inside("slice", run)),
            "undo_migration": step(lambda run, _: self._inside("undo", run)),
            "hand_over_migration": step(hand_over_migration),
            "publish_migration": step(publish_migration),
            "release_migration": step(release_migration),
            "tell_migration": step(tell_migration),
            "tell_dead_migration": lambda event: tell_dead_migration(
                Died.model_validate(event), self.runtime
            ),
        }

    def _inside(self, what: str, run: MigrationRun) -> MigrationRun:
        """A call of the database, which can be struck like one of AWS."""
        self.calls.append(("postgres", what))
        before, after = self.faults_of("postgres", what)
        if before is not None:
            raise before
        if what == "check":
            answer = after_check(run, self.database.check(run))
        elif what == "slice":
            answer = after_slice(run, self.database.slice(run))
        else:
            answer = after_undo(run, self.database.undo(run))
        if after is not None:
            raise after
        return answer

    def faults_of(self, service: str, operation: str) -> tuple[Any, Any]:
        del service, operation
        number = len(self.calls)
        if number in self.acts:
            self.acts.pop(number)()
        kind = self.strikes.get(number)
        if kind == "aborted":
            for one in self.executions.values():
                one.stop("Killed", "by the test")
        if kind == "repeated":
            module, event = self._latest
            self.kernel.after(7, lambda: self.call(module, event))
        before = {"before": error("ThrottlingException"), "timeout": timeout(), "gone": Gone()}
        after = {"after": timeout(), "gone_after": Gone()}
        return before.get(kind or ""), after.get(kind or "")

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: N803
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        before = self.executions.get(arn)
        if before is not None:
            if before.status != "RUNNING" or before.given != json.loads(input):
                raise error("ExecutionAlreadyExists")
            return {"executionArn": arn}
        assert len(name) <= 80
        states = load("migration")
        execution = Execution(
            self.kernel, arn, states, json.loads(input), calls=self.call, start=lambda *_: ""
        )
        self.executions[arn] = execution

        def died() -> None:
            if execution.status in ("FAILED", "ABORTED"):
                self.call("tell_dead_migration", {"execution": arn, "status": execution.status})

        execution.then.append(died)
        execution.begin()
        return {"executionArn": arn}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        if executionArn not in self.executions:
            raise error("ExecutionDoesNotExist")
        return {"status": self.executions[executionArn].status}


def _as_json(answer: MigrationRun) -> dict[str, Any]:
    return answer.model_dump(mode="json")


@cache
def calls_of(phase: str, fails_at: int | None = None) -> int:
    """How many calls a run makes with which nothing is wrong."""
    town = MigrationTown(phase)
    town.database.fails_at = fails_at
    town.migrate()
    town.kernel.close()
    return len(town.calls)
