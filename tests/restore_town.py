"""A database that is restored in virtual time: the real state machine and functions, moto's RDS.

What moto's RDS lacks is added in `tests/restored_databases.py`. The look into the two databases is
a stand-in here; `tests/workflows/test_restore_on_postgres.py` has real ones. People answer as a
test says. Any call to AWS can be made to fail, and any process to end, as in
`tests/migration_town.py`.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from greenlane.errors import GreenlaneError
from greenlane.migrations.guarding.backups import Backup
from greenlane.migrations.guarding.dead import Died
from greenlane.migrations.guarding.model import Published, RunRecord
from greenlane.migrations.restoring.answering import answer_restore
from greenlane.migrations.restoring.asking import AskEvent, ask_about_restore, heed_restore
from greenlane.migrations.restoring.cutting_over import cut_over_restore, prepare_cutover
from greenlane.migrations.restoring.dead import tell_dead_restore
from greenlane.migrations.restoring.deciding import after_look
from greenlane.migrations.restoring.finishing import finish_restore, tell_restore
from greenlane.migrations.restoring.making import restore_database
from greenlane.migrations.restoring.model import Looked, Question, RestoreRequest, RestoreRun
from greenlane.migrations.restoring.planning import offer_of
from greenlane.migrations.restoring.records import Restores
from greenlane.migrations.restoring.runtime import RestoreRuntime
from greenlane.migrations.restoring.taking import TakeRestoreEvent, take_restore
from greenlane.runtime import Settings
from tests.builders import NOW, SERVICE
from tests.fakes import REGION, STATES, Spy, error
from tests.faults.machine import Execution, load
from tests.migrated import ACCOUNT, BUCKET, DATABASE, SHA
from tests.migration_town import MACHINE, TABLE, MigrationTown
from tests.remembered_account import RememberedAccount
from tests.restored_databases import OLD, SECRET, RestorableRds, described_file

RESTORE_MACHINE = f"{STATES}:stateMachine:greenlane-restore"
RESTORE, RUN = "fix-1", "rename-contract"
ENDPOINT = f"/greenlane/databases/{DATABASE}/endpoint"
STANDS = f"/greenlane/databases/{DATABASE}"
BEGAN = NOW - timedelta(minutes=30)
"""When the migration began that is gone back before."""

LOOKED = {
    "migration": "0000_before",
    "phase": "migrate",
    "plan_sha": "b" * 64,
    "then": [
        {
            "name": "public.people",
            "rows": 100,
            "columns": [{"name": "id", "type": "bigint"}, {"name": "name", "type": "text"}],
            "key": ["id"],
        }
    ],
    "now": [
        {
            "name": "public.people",
            "rows": 40,
            "columns": [{"name": "id", "type": "bigint"}, {"name": "full_name", "type": "text"}],
            "key": ["id"],
        }
    ],
    "wal_bytes": 5000,
}


class RestoreTown(MigrationTown):
    """See the module.

    Args:
        kind: what the old database is: `cluster` or `instance`.
        members: instances of a cluster.
        asks: further parts of the request.
    """

    rds: RestorableRds  # type: ignore[assignment]

    def __init__(self, kind: str = "cluster", members: int = 2, **asks: Any) -> None:
        self._account = RememberedAccount()
        self.kind, self.members = kind, members
        super().__init__(described=described_file(kind))
        self.given: dict[str, Any] = {
            "restore": RESTORE,
            "database": DATABASE,
            "run": RUN,
            "mode": "cutover",
            "tables": ["public.people"],
            "requested_by": "ada",
            "reason": "names were lost",
        } | asks
        self.looked: dict[str, Any] = dict(LOOKED)
        self.says: dict[Question, str] = {"approve": "approve", "writers": "stopped"}
        """What people answer, by the question; what is left out they do not answer."""
        self.thinks = 90.0
        """Seconds after which people look at what they are asked."""
        self.restores = Restores(self.table, TABLE)
        self.began(RUN)

    def _runtime(self) -> RestoreRuntime:
        self.rds = RestorableRds(self.kernel, self._account.client("rds"), self.kind, self.members)
        self.secrets = self._account.client("secretsmanager")
        self.secrets.create_secret(
            Name=SECRET,
            SecretString=json.dumps(
                {"username": "g", "password": "old", "host": OLD, "port": 5432}
            ),
        )
        settings = Settings(
            table=TABLE,
            topic_arn=f"arn:aws:sns:{REGION}:{ACCOUNT}:greenlane-notifications",
            deployment_machine_arn="",
            rollback_machine_arn="",
            migrations_bucket=BUCKET,
            migration_machine_arn=MACHINE,
        )
        runtime = RestoreRuntime(settings=settings, actor="test", clock=self.kernel)
        migrations = super()._runtime()
        for name in (
            "cloudwatch",
            "ecs",
            "s3",
            "sns",
            "stepfunctions",
            "migrations_table",
            "store",
        ):
            runtime.__dict__[name] = migrations.__dict__[name]
        runtime.__dict__["rds"] = Spy(self, "rds", self.rds)
        runtime.__dict__["ssm"] = Spy(self, "ssm", self)
        runtime.__dict__["secretsmanager"] = Spy(self, "secretsmanager", self.secrets)
        return runtime

    # What a test does and looks at.

    def began(self, run: str, **changes: Any) -> None:
        """Put a run of a migration on record, which has kept a backup."""
        at = changes.pop("at", BEGAN)
        line: dict[str, Any] = {
            "run": run,
            "database": DATABASE,
            "service": SERVICE,
            "phase": "contract",
            "plan_sha": SHA,
            "standing": "succeeded",
            "backup": Backup(kind="marker", at=at, lsn="0/3000060"),
            "started_at": at,
            "updated_at": at + timedelta(minutes=2),
        }
        self.runs.begin(RunRecord.model_validate(line | changes))
        if self.runs.published(DATABASE) is None:
            self.runs.keep_published(
                Published(
                    database=DATABASE,
                    phase="contract",
                    migration="0003_contract_name",
                    min_app="2.4.0",
                    plan_sha=SHA,
                    run=run,
                    epoch=0,
                    at=at,
                )
            )

    def ask_for(self, number: int = 1, **asks: Any) -> str:
        """Start a restore, as the command line does; the ARN of its execution."""
        given = RestoreRequest.model_validate(self.given | asks)
        name = given.restore if number == 1 else f"{given.restore}-{number}"
        body = json.dumps({"request": given.model_dump(mode="json")})
        arn = str(self.start_execution(RESTORE_MACHINE, name, body)["executionArn"])
        self.kernel.after(self.thinks, self._people)
        return arn

    def restore(self, number: int = 1, hours: float = 12, **asks: Any) -> Execution:
        """Start a restore and let it end."""
        execution = self.executions[self.ask_for(number, **asks)]
        self.run(hours, done=self.quiet)
        return execution

    def _people(self) -> None:
        """Answer what is asked, perhaps of one that is dead by now, and look again later."""
        for question, says in self.says.items():
            asked = self.restores.asked(RESTORE, question)
            if asked is not None and asked.answer is None:
                quietly(partial(self.answer, says, asked.offer))
        if not self.quiet():
            self.kernel.after(self.thinks, self._people)

    def answer(self, says: Any, offer: str, **more: Any) -> None:
        """What the command line does."""
        given: dict[str, Any] = {"by": "grace", "reason": "too many are gone"} | more
        answer_restore(
            self.restores, self, self.kernel, restore=RESTORE, says=says, offer=offer, **given
        )

    @property
    def new(self) -> str:
        """The name of the new database."""
        return f"greenlane-{DATABASE}-{RESTORE}"

    def state(self) -> RestoreRun:
        """The restore as it is kept."""
        found = self.restores.restore(RESTORE).state
        assert found is not None
        return found

    def host_in_secret(self) -> str:
        """Where the secret sends clients."""
        found = self.secrets.get_secret_value(SecretId=SECRET, VersionStage="AWSCURRENT")
        return str(json.loads(found["SecretString"])["host"])

    def endpoint(self) -> dict[str, Any]:
        """Where the parameter sends clients; empty while it was never written."""
        written = self.objects.parameters.get(ENDPOINT, ["{}"])
        found: dict[str, Any] = json.loads(written[-1])
        return found

    def host_described(self) -> str:
        """Where the next migration would run."""
        return self.runtime.databases.database(DATABASE).database.endpoint.host

    def untouched(self) -> bool:
        """Whether nothing sends anybody to the new database."""
        hosts = {self.host_in_secret(), self.host_described()}
        return not self.objects.parameters.get(ENDPOINT) and hosts == {OLD}

    def told(self, kind: str) -> str:
        """The last message of a kind, whole."""
        found = [
            one["Message"]
            for one in self.topic.published
            if one["MessageAttributes"]["kind"]["StringValue"] == kind
        ]
        return str(json.loads(found[-1])["default"])

    def close(self) -> None:
        """End what runs."""
        self.kernel.close()
        self._account.close()

    # AWS, as the product's code meets it.

    @property
    def _functions(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        runtime: Any = self.runtime

        def step(act: Callable[[RestoreRun, Any], RestoreRun]) -> Any:
            return lambda event: act(RestoreRun.model_validate(event), runtime).model_dump(
                mode="json"
            )

        def take(event: dict[str, Any]) -> Any:
            taken = take_restore(TakeRestoreEvent.model_validate(event), runtime)
            return taken.model_dump(mode="json")

        return super()._functions | {
            "take_restore": take,
            "restore_database": step(restore_database),
            "verify_restore": step(lambda run, _: self._look(run)),
            "ask_about_restore": lambda event: ask_about_restore(
                AskEvent.model_validate(event), runtime
            ),
            "heed_restore": step(heed_restore),
            "prepare_cutover": step(prepare_cutover),
            "cut_over_restore": step(cut_over_restore),
            "finish_restore": step(finish_restore),
            "tell_restore": step(tell_restore),
            "tell_dead_restore": lambda event: tell_dead_restore(
                Died.model_validate(event), runtime
            ),
        }

    def _look(self, run: RestoreRun) -> RestoreRun:
        """The look into both, which can be struck like a call of AWS."""
        self.calls.append(("postgres", "look"))
        before, after = self.faults_of("postgres", "look")
        if before is not None:
            raise before
        assert run.restored is not None
        found = Looked.model_validate({"at": self.kernel.now()} | self.looked)
        if after is not None:
            raise after
        return after_look(run, found)

    def put_parameter(self, *, Name: str, **more: Any) -> None:  # noqa: N803
        """SSM's; that nobody is sent anywhere unasked is looked at with each write."""
        run = self.state()
        for question in self.says if Name == ENDPOINT else ():
            asked = self.restores.asked(RESTORE, question)
            assert asked is not None, question
            assert asked.answer is not None, question
            assert asked.answer.says in ("approve", "stopped", "left_running"), question
            assert asked.answer.offer == offer_of(run), question
        self.objects.put_parameter(Name=Name, **more)

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803
        del output
        execution = self.executions[taskToken.partition("#")[0]]
        if not execution.answer(taskToken, None):
            raise error("TaskTimedOut")

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: N803
        if stateMachineArn != RESTORE_MACHINE:
            return super().start_execution(stateMachineArn, name, input)
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        before = self.executions.get(arn)
        if before is not None:
            if before.status != "RUNNING" or before.given != json.loads(input):
                raise error("ExecutionAlreadyExists")
            return {"executionArn": arn}
        assert len(name) <= 80
        given = json.loads(input)
        execution = Execution(
            self.kernel, arn, load("restore"), given, calls=self.call, start=lambda *_: ""
        )
        self.executions[arn] = execution

        def died() -> None:
            if execution.status in ("FAILED", "ABORTED"):
                self.call("tell_dead_restore", {"execution": arn, "status": execution.status})

        execution.then.append(died)
        execution.begin()
        return {"executionArn": arn}


def quietly(act: Callable[[], object]) -> None:
    """What is refused is no matter."""
    try:
        act()
    except GreenlaneError:
        return


Make = Callable[..., RestoreTown]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes towns, which end with the test."""
    made: list[RestoreTown] = []

    def town(kind: str = "cluster", **asks: Any) -> RestoreTown:
        made.append(RestoreTown(kind, **asks))
        return made[-1]

    yield town
    for one in made:
        one.close()
