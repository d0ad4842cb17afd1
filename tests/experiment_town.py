"""A service whose users are in an A/B test, in virtual time: run by the real state machine.

How many users there are and what they do follows from the time alone, so it does not matter when
anybody looks. Any call to AWS can be made to fail, and any process to end.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from greenlane.deployments.stepping.judging import Tick
from greenlane.deployments.storing.store import DynamoStore
from greenlane.experiments.counting.recording import Recorder
from greenlane.experiments.names import TABLE
from greenlane.experiments.records import Look
from greenlane.experiments.running.alarming import RedAlarm, stop_experiments
from greenlane.experiments.running.ending import conclude_experiment
from greenlane.experiments.running.looking_after import judge_experiment
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.ticking import tick_experiments
from greenlane.experiments.running.timing import ExperimentRun
from greenlane.experiments.statistics.moments import UNIT
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.apply import apply_experiments
from greenlane.experiments.storing.state import StoredTest, owed
from greenlane.experiments.storing.store import DynamoExperimentStore
from greenlane.flags.names import TABLE as FLAGS_TABLE
from greenlane.flags.storing.store import DynamoFlagStore
from greenlane.runtime import Settings
from tests.begun import set_up_once
from tests.builders import NOW, service_config
from tests.fakes import REGION, STATES, Spy, Topic, error, timeout
from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run, load
from tests.flag_store import flags_from
from tests.flag_town import Gone, Kind
from tests.kept_alarms import AlarmClient
from tests.table import Table

DEPLOYMENTS = "greenlane-deployments"
MACHINE = f"{STATES}:stateMachine:greenlane-experiment"
BUCKET = "greenlane-incidents-123456789012-eu-west-1"
ACCOUNT = "123456789012"
NAME = "checkout"
TEST = """
ab_tests:
  checkout:
    variants: {control: 50, treatment: 50}
    metrics: [conversion_rate]
    success_criteria: {conversion_rate: {minimum_lift: 0.05}}
    guardrail_metrics: [error_rate < 0.05]
    minimum_sample_size: 300
    whole_weeks: false
    maximum_duration: 3h
    look_interval: 20m
    watch_interval: 5m
"""
WITH_FLAG = (
    TEST
    + """
    winner_flag: {name: new_checkout, environment: production, increment: 25, interval: 10m}
"""
)
FLAG = "feature_flags: {new_checkout: {environments: [production], percentage: 1}}"


class Bucket:
    """S3: what was written, newest last."""

    def __init__(self) -> None:
        self.objects: dict[str, list[str]] = {}

    def put_object(self, *, Key: str, Body: bytes, **more: Any) -> None:  # noqa: N803
        assert more["Bucket"] == BUCKET
        assert more["ExpectedBucketOwner"] == ACCOUNT
        self.objects.setdefault(Key, []).append(Body.decode())

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        if Key not in self.objects:
            raise error("NoSuchKey")
        return {"Body": _Body(self.objects[Key][-1].encode())}


class _Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self) -> bytes:
        return self._body


class ExperimentTown:
    """See the module.

    Args:
        text: the tests; the one called `checkout` is started at once.
        flags: the feature flags.
        rates: shares of users who do something, by metric and variant.
        per_minute: users of each variant.
        tick_seconds: between two ticks.
        config: of the service, changes.
        recorded: the sums are what `recorder` has recorded, and not what follows from the time.
    """

    def __init__(
        self,
        text: str = TEST,
        *,
        flags: str = FLAG,
        rates: dict[str, dict[str, float]] | None = None,
        per_minute: int = 40,
        tick_seconds: float = 60.0,
        config: dict[str, Any] | None = None,
        recorded: bool = False,
    ) -> None:
        self.kernel = Kernel()
        self.rates = rates or {
            "conversion_rate": {"control": 0.10, "treatment": 0.16},
            "error_rate": {"control": 0.01, "treatment": 0.01},
        }
        self.per_minute = dict.fromkeys(("control", "treatment"), per_minute)
        self.tick_seconds = tick_seconds
        self.silent: set[str] = set()
        """Metrics that nobody records."""
        self.calls: list[tuple[str, str]] = []
        self.strikes: dict[int, Kind] = {}
        self.acts: dict[int, Callable[[], object]] = {}
        self.executions: dict[str, Execution] = {}
        self.alarms, self.topic, self.bucket = AlarmClient(), Topic(), Bucket()
        self.alarms.alarms._clock = self.kernel
        self.table = Table(TABLE) if recorded else _Experiments(self)
        self.recorder = Recorder(self.table, TABLE, clock=self.kernel, known_seconds=0.0)
        self.store = DynamoExperimentStore(self.table, TABLE, sleep=lambda seconds: None)
        self.flags_table = Table(FLAGS_TABLE)
        self.flags = DynamoFlagStore(self.flags_table, FLAGS_TABLE, sleep=lambda seconds: None)
        self.deployments_table = Table(DEPLOYMENTS)
        self.runtime = self._runtime()
        self._over: tuple[int, bool] = (-1, False)

        def set_up() -> None:
            before = NOW - timedelta(hours=2)
            described = service_config(**(config or {}))
            self.runtime.store.put_config(
                described, source="test.yaml", by="ada", at=before, workload_declared=True
            )
            self.flags.change(flags_from(flags), by="ada", reason="", at=before)
            apply_experiments(self.store, text, by="ada", at=NOW, start=True)

        tables = [self.table, self.flags_table, self.deployments_table]
        set_up_once(("experiments", text, flags, config), tables, set_up)
        self.calls.clear()

    def _runtime(self) -> ExperimentRuntime:
        settings = Settings(
            table=DEPLOYMENTS,
            topic_arn=f"arn:aws:sns:{REGION}:{ACCOUNT}:greenlane-notifications",
            deployment_machine_arn="",
            rollback_machine_arn="",
            incidents_bucket=BUCKET,
            flags_table=FLAGS_TABLE,
            experiments_table=TABLE,
            experiment_machine_arn=MACHINE,
        )
        runtime = ExperimentRuntime(settings=settings, actor="test", clock=self.kernel)
        spied: tuple[tuple[str, str, Any], ...] = (
            ("cloudwatch", "cloudwatch", self.alarms),
            ("cloudwatch_quick", "cloudwatch", self.alarms),
            ("stepfunctions", "stepfunctions", self),
            ("sns", "sns", self.topic),
            ("s3", "s3", self.bucket),
            ("counts", "dynamodb", self.table),
        )
        for name, service, target in spied:
            runtime.__dict__[name] = Spy(self, service, target)
        runtime.__dict__["store"] = DynamoStore(
            Spy(self, "dynamodb", self.deployments_table), DEPLOYMENTS
        )

        def rest(seconds: float) -> None:
            del seconds

        runtime.__dict__["experiments"] = DynamoExperimentStore(
            Spy(self, "dynamodb", self.table), TABLE, sleep=rest
        )
        runtime.__dict__["flags"] = DynamoFlagStore(
            Spy(self, "dynamodb", self.flags_table), FLAGS_TABLE, sleep=rest
        )
        return runtime

    # What a test does and looks at.

    def test(self, name: str = NAME) -> StoredTest:
        return self.store.test(name)

    def looks(self, name: str = NAME) -> list[Look]:
        return self.store.looks(name, self.test(name).run)

    def run(self, hours: float = 4, *, done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, with a tick now and then."""
        until = self.kernel.seconds + hours * 3600
        self._tick_until(until)
        self.kernel.run(until, done)

    def over(self) -> bool:
        """Whether the test has ended, all that follows is done, and no execution lives."""
        if any(one.status == "RUNNING" for one in self.executions.values()):
            return False
        if self._over[0] != self.table.changes:  # else nobody has changed the test since
            test, changes = self.test(), self.table.changes
            self._over = changes, test.status == "concluded" and not owed(test)
        return self._over[1]

    def kinds(self) -> list[str]:
        """What people were told, by kind."""
        told = [one["MessageAttributes"]["kind"] for one in self.topic.published]
        return [str(kind["StringValue"]) for kind in told]

    def stop(self, reason: str = "a better idea", **more: Any) -> None:
        """A person stops the test."""
        keeping.stop(self.store, NAME, by="ada", reason=reason, at=self.kernel.now(), **more)

    def reports(self, run: int = 1) -> list[dict[str, Any]]:
        """The reports that were written, oldest first."""
        written = self.bucket.objects.get(f"experiments/{NAME}/{run}/report.json", [])
        return [json.loads(text) for text in written]

    # AWS, as the product's code meets it.

    def call(self, module: str, event: dict[str, Any]) -> Run:
        """Run a function in a process of its own."""
        run = Run()

        def body() -> None:
            try:
                run.end(self.kernel, answer=_FUNCTIONS[module](event, self.runtime))
            except Gone:
                run.end(self.kernel, failure=Failed("Runtime.ExitError", "gone"))
            except Exception as problem:
                run.end(self.kernel, failure=Failed(type(problem).__name__, str(problem)))

        self._latest = module, event
        self.kernel.spawn(module, body)
        return run

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

    def start_execution(
        self,
        stateMachineArn: str,  # noqa: N803
        name: str,
        input: str,
    ) -> dict[str, Any]:
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        before = self.executions.get(arn)
        if before is not None:
            if before.status != "RUNNING":
                raise error("ExecutionAlreadyExists")
            return {"executionArn": arn}
        assert len(name) <= 80
        execution = Execution(
            self.kernel,
            arn,
            load("experiment"),
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

    def stop_execution(self, executionArn: str, error: str, cause: str) -> None:  # noqa: N803
        self.executions[executionArn].stop(error, cause)

    def _tick_until(self, until: float) -> None:
        def tick() -> None:
            self.call("tick_experiments", {})
            if self.kernel.seconds + self.tick_seconds <= until:
                self.kernel.after(self.tick_seconds, tick)

        self.kernel.after(20, tick)

    # What users did.

    def counters(self, test: StoredTest, now: datetime) -> dict[str, dict[str, int]]:
        """The sums of all users who came until now, or until the test's end."""
        if test.started_at is None:
            return {}
        until = min(now, test.ended_at or now)
        found = {}
        for variant, each in self.per_minute.items():
            users = int((until - test.started_at).total_seconds() * each / 60)
            sums = {"n": users}
            for metric, by in self.rates.items():
                did = int(users * by.get(variant, 0.0))
                if did and metric not in self.silent:
                    parts = {"seen": did, "y": did * UNIT, "yy": did * UNIT**2}
                    sums |= {f"{metric}:{part}": value for part, value in parts.items()}
            found[f"0#{variant}"] = sums
            for segment in test.definition.segments:
                found[f"0#{variant}#s#{segment}"] = {name: n // 2 for name, n in sums.items()}
        return found


class _Experiments(Table):
    """The table of A/B tests; its counters are what the time has made them."""

    def __init__(self, town: ExperimentTown) -> None:
        super().__init__(TABLE)
        self._town = town

    def query(self, **arguments: Any) -> Any:
        asked = next(iter(arguments["ExpressionAttributeValues"].values()))["S"]
        kind, _, rest = asked.partition("#")
        if kind == "count" and rest.endswith("#0"):
            self._count(rest.split("#")[0], asked)
        return super().query(**arguments)

    def _count(self, name: str, place: str) -> None:
        town = self._town
        test = town.store.test(name)
        for key, sums in town.counters(test, town.kernel.now()).items():
            numbers = {part: {"N": str(value)} for part, value in sums.items()}
            item = {"pk": {"S": place}, "sk": {"S": key}, **numbers}
            self.put_item(TableName=TABLE, Item=item)


def _as_json(answer: ExperimentRun) -> dict[str, Any]:
    return answer.model_dump(mode="json")


_FUNCTIONS: dict[str, Callable[[dict[str, Any], ExperimentRuntime], Any]] = {
    "judge_experiment": lambda event, runtime: _as_json(
        judge_experiment(ExperimentRun.model_validate(event), runtime)
    ),
    "conclude_experiment": lambda event, runtime: _as_json(
        conclude_experiment(ExperimentRun.model_validate(event), runtime)
    ),
    "tick_experiments": lambda event, runtime: tick_experiments(Tick(), runtime),
    "stop_experiments": lambda event, runtime: stop_experiments(
        RedAlarm.model_validate(event), runtime
    ),
}


@cache
def calls_of(kind: str) -> int:
    """How many calls a test of a kind makes with which nothing is wrong."""
    town = make(kind)
    town.run(done=town.over)
    assert town.over(), kind
    town.kernel.close()
    return len(town.calls)


def make(kind: str) -> ExperimentTown:
    """A test that ships, or one that does harm."""
    rates = {
        "conversion_rate": {"control": 0.10, "treatment": 0.16},
        "error_rate": {"control": 0.01, "treatment": 0.01 if kind == "ships" else 0.2},
    }
    return ExperimentTown(WITH_FLAG, rates=rates, tick_seconds=300)
