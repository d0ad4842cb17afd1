"""A database that is migrated in virtual time: the real state machine and the real functions.

The database itself stands in for PostgreSQL: it knows the highest epoch that wrote in it, and each
statement that ran. Any call to AWS or to it can be made to fail, and any process to end.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from greenlane.deployments.model import DeploymentSummary, Plan, Record
from greenlane.deployments.phases import Phase as DeploymentPhase
from greenlane.deployments.storing.items import record_item
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import GreenlaneError
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
from greenlane.runtime import Settings
from tests.begun import set_up_once
from tests.builders import NOW, SERVICE, plan, record, request, service_config
from tests.fakes import REGION, STATES, Spy, Topic, error, timeout
from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run, load
from tests.flag_town import Gone, Kind
from tests.managed_databases import FakeRds
from tests.migrated import (
    ACCOUNT,
    BUCKET,
    DATABASE,
    FAMILY,
    SHA,
    Alarms,
    Ecs,
    FakeDatabase,
    Objects,
)
from tests.table import Table

TABLE = "greenlane-deployments"
MACHINE = f"{STATES}:stateMachine:greenlane-migration"
DESCRIBED = f"""
databases:
  orders:
    service: {SERVICE}
    engine: postgres
    instance: orders-1
    endpoint: {{host: db.example, dbname: orders, user: greenlane}}
    alarms: [orders-cpu]
"""


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

        def set_up() -> None:
            self.deployments.put_config(
                service_config(), source="test.yaml", by="ada", at=NOW, workload_declared=True
            )
            databases = DatabaseStore(self.table, TABLE)
            for name, one in read_databases(described).databases.items():
                databases.put(name, one, by="ada", at=NOW)

        set_up_once(("databases", described), [self.table], set_up)

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
        if kind is None:
            return None, None
        if kind == "aborted":
            for one in self.executions.values():
                one.stop("Killed", "by the test")
        if kind == "repeated":
            module, event = self._latest
            self.kernel.after(7, lambda: self.call(module, event))
        before = {"before": error("ThrottlingException"), "timeout": timeout(), "gone": Gone()}
        after = {"after": timeout(), "gone_after": Gone()}
        return before.get(kind), after.get(kind)

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
