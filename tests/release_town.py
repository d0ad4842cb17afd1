"""A release with migrations in virtual time: the real state machines and the real functions.

It is the account of the fault matrix, with a database beside it. Only what speaks to PostgreSQL is
stood in for: a database that knows the highest fence that wrote in it, and each statement that ran.
"""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

from greenlane.deployments.model import DeploymentSummary
from greenlane.deployments.phases import Phase
from greenlane.deployments.storing.items import instant
from greenlane.migrations.databases.document import read_databases
from greenlane.migrations.databases.store import DatabaseStore
from greenlane.migrations.guarding.deciding import after_check, after_slice, after_undo
from greenlane.migrations.guarding.lease import Leases
from greenlane.migrations.guarding.model import MigrationRun, Published, RunRecord
from greenlane.migrations.guarding.records import Runs
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.runtime import Runtime
from tests.builders import NEW_IMAGE, NOW, SERVICE, plan, request
from tests.fakes import STATES, client, error
from tests.faults.account import Account, in_simulation
from tests.faults.check import settle
from tests.faults.edge import Edge
from tests.faults.faults import Faults
from tests.faults.machine import Execution, Failed, Run, load
from tests.faults.outside import Bucket, Systems
from tests.faults.wiring import TABLE, runtime_of
from tests.managed_databases import FakeRds
from tests.migrated import BUCKET, DATABASE, PLAN, SHA, FakeDatabase

MACHINE = f"{STATES}:stateMachine:greenlane-migration"
DESCRIBED = f"""
databases:
  {DATABASE}:
    service: {SERVICE}
    engine: postgres
    instance: orders-1
    endpoint: {{host: db.example, dbname: orders, user: greenlane}}
  billing:
    service: another
    engine: postgres
    instance: orders-1
    endpoint: {{host: db.example, dbname: billing, user: greenlane}}
"""
QUICK: dict[str, Any] = {
    "strategy": "canary",
    "steps": [10, 100],
    "bake": "2m",
    "watch": "2m",
    "extended_watch": "10m",
    "propagation": "30s",
    "max_hold": "10m",
    "max_duration": "2h",
}
ASKED = {"database": DATABASE, "plan": SHA}
_INSIDE: dict[str, tuple[str, Any]] = {
    "check_migration": ("check", after_check),
    "run_migration": ("slice", after_slice),
    "undo_migration": ("undo", after_undo),
}


_read = cache(read_databases)


class ReleaseTown:
    """See the module.

    Args:
        faults: what goes wrong with which call.
        statements: of each phase.
        more: see `Account`.
    """

    def __init__(self, faults: Faults | None = None, *, statements: int = 3, **more: Any) -> None:
        self.account = Account(3, faults, deployment=QUICK, **more)
        self.kernel, self.table = self.account.kernel, self.account.table
        self.databases = {
            "expand": FakeDatabase(self.kernel, statements),
            "migrate": FakeDatabase(self.kernel, statements),
        }
        self.rds, self.bucket, self.parameters = FakeRds(), _Bucket(), _Systems()
        self.rds.instance("orders-1", MultiAZ=True)
        self.fence = 0
        self.started: list[str] = []
        """Executions of migrations, in the order in which they began."""
        self.leases, self.runs = Leases(self.table, TABLE), Runs(self.table, TABLE)
        self.store = self.account.store
        databases = DatabaseStore(self.table, TABLE)
        for name, one in _read(DESCRIBED).databases.items():
            databases.put(name, one, by="ada", at=NOW)
        self._runtimes: dict[str, MigrationRuntime] = {}
        self._invoke = self.account.invoke
        self._start = self.account.stepfunctions.start
        # In the place of what an account without databases has.
        vars(self.account).update(runtime=self._runtime, invoke=self._call)
        vars(self.account.stepfunctions).update(start=self._begin)
        self.account._invocations.every_minute("tick_migrations", 17)

    @contextmanager
    def works(self) -> Iterator["ReleaseTown"]:
        """Let the functions of this process work here, and end them afterwards."""
        client("rds")
        with in_simulation(self.account):
            yield self

    # What a test does and looks at.

    def deploy(self, deployment_id: str = "d-1", **asked: Any) -> Execution:
        """Start a deployment that brings migrations along, unless it says otherwise."""
        return self.account.deploy(deployment_id, **({"migrations": ASKED} | asked))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.account.run(seconds)

    def until(self, true: Any, hours: float = 3) -> None:
        """Let time pass until something is so."""
        self.kernel.run(self.kernel.seconds + hours * 3600, true)
        assert true()

    def finish(self, execution: Execution, *, or_in: Phase | None = None) -> None:
        """Let time pass until a deployment has ended, or is in that phase."""
        self.until(
            lambda: execution.status != "RUNNING" or (or_in is not None and self.phase() is or_in)
        )

    def settle(self) -> None:
        """Let everything come to its end."""
        settle(self.account)

    def phase(self) -> Phase | None:
        """The phase of the service's deployment; None before the first."""
        record = self.account.record()
        return None if record is None else record.phase

    def standing(self, run: str) -> str:
        """Where a run stands."""
        return self.runs.run(run).standing

    def kinds(self, deployment_id: str = "d-1") -> list[str]:
        """The history of a deployment, by kind."""
        return [event.kind for event in self.store.history(deployment_id)]

    def publish(self, min_app: str) -> None:
        """A contract was run here."""
        found = Published(
            database=DATABASE,
            phase="contract",
            migration="0003_contract_name",
            min_app=min_app,
            plan_sha=SHA,
            run="c-1",
            epoch=1,
            at=NOW,
        )
        self.runs.keep_published(found)

    def shipped(self, version: str | None) -> str:
        """A deployment is on record that ended well; its task definition, which can be started.

        Args:
            version: what it was asked for by; None for its task definition.
        """
        fleet = self.account.fleet
        (running,) = fleet.definitions.values()
        body = {key: running["taskDefinition"][key] for key in ("family", "containerDefinitions")}
        image = NEW_IMAGE[:-1] + "e"
        body["containerDefinitions"] = [body["containerDefinitions"][0] | {"image": image}]
        made = fleet.register_task_definition(**body, tags=[])["taskDefinition"]
        revision = str(made["taskDefinitionArn"])
        asked = {"version": version} if version else {"task_definition": revision}
        kept = plan(deployment_id="s-1", request=request(**({"image": None} | asked)))
        self.store.put_plan(kept)
        line = {
            "deployment_id": "s-1",
            "service": SERVICE,
            "phase": Phase.RETIRED,
            "strategy": "canary",
            "image": image,
            "task_definition": revision,
            "started_at": instant(NOW),
        }
        self.store.put_summary(DeploymentSummary.model_validate(line))
        return revision

    def contract(self, run: str) -> None:
        """A contract has the database, and is on record."""
        now, execution = self.kernel.now(), f"arn:{run}"
        self.runs.begin(
            RunRecord(
                run=run,
                database=DATABASE,
                service=SERVICE,
                phase="contract",
                plan_sha=SHA,
                standing="running",
                execution=execution,
                started_at=now,
                updated_at=now,
            )
        )
        self.leases.take(
            DATABASE,
            execution=execution,
            run=run,
            phase="contract",
            now=now,
            lives=lambda _: True,
        )

    # AWS, as the product's code meets it.

    def _runtime(self, actor: str) -> Runtime:
        if actor in self._runtimes:
            return self._runtimes[actor]
        account = self.account
        found = runtime_of(account, actor)
        settings = replace(found.settings, migrations_bucket=BUCKET, migration_machine_arn=MACHINE)
        made = MigrationRuntime(settings=settings, actor=actor, clock=self.kernel)
        made.__dict__.update({k: v for k, v in vars(found).items() if k not in vars(made)})
        for name, service, target in (
            ("migrations_table", "dynamodb", self.table),
            ("rds", "rds", self.rds),
            ("s3", "s3", self.bucket),
            ("ssm", "ssm", self.parameters),
        ):
            made.__dict__[name] = Edge(
                self.kernel, account.faults, actor, name, service, target, account.looked
            )
        self._runtimes[actor] = made
        return made

    def _call(self, module: str, event: dict[str, Any]) -> Run:
        if module not in _INSIDE:
            return self._invoke(module, event)
        run, (what, after) = Run(), _INSIDE[module]

        def body() -> None:
            self.kernel.sleep(5)
            given = MigrationRun.model_validate(event)
            database = self.databases[given.phase]
            database.fence = self.fence
            try:
                answer = after(given, getattr(database, what)(given))
            except Exception as raised:
                run.end(self.kernel, failure=Failed(type(raised).__name__, str(raised)))
            else:
                run.end(self.kernel, answer=answer.model_dump(mode="json"))
            self.fence = max(self.fence, database.fence)

        self.kernel.spawn(module, body)
        return run

    def _begin(self, machine: str, given: dict[str, Any], name: str = "") -> str:
        if machine != "migration":
            return self._start(machine, given, name)
        executions, arn = self.account.executions, f"{STATES}:execution:greenlane-migration:{name}"
        before = executions.get(arn)
        if before is not None:
            if before.status != "RUNNING" or before.given != given:
                raise error("ExecutionAlreadyExists", "StartExecution")
            return arn
        execution = executions[arn] = Execution(
            self.kernel, arn, load("migration"), given, calls=self._call, start=lambda *_: ""
        )
        self.started.append(name)

        def died() -> None:
            if execution.status in ("FAILED", "ABORTED"):
                self._invoke("tell_dead_migration", {"execution": arn, "status": execution.status})

        execution.then.append(died)
        execution.begin()
        return arn


class _Bucket(Bucket):
    """S3: reports, and the plan."""

    def get_object(self, *, Bucket: str, Key: str, ExpectedBucketOwner: str) -> dict[str, Any]:  # noqa: N803
        assert (Bucket, ExpectedBucketOwner) == (BUCKET, BUCKET.split("-")[2])
        if Key != f"plans/{SHA}.json":
            raise error("AccessDenied")
        return {"Body": io.BytesIO(json.dumps(PLAN).encode())}


class _Systems(Systems):
    """SSM: the workload, and what applications find."""

    def put_parameter(self, **arguments: Any) -> None:
        self.items[arguments["Name"]] = arguments
