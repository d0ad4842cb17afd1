"""A service whose users meet a flag, in virtual time: ramps run by the real state machine.

What the service's numbers are follows from the level that the flag has in each minute. Any call to
AWS can be made to fail, and any process to end.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest

from greenlane.deployments.stepping.judging import Tick
from greenlane.deployments.storing.store import DynamoStore
from greenlane.flags.names import TABLE as FLAGS_TABLE
from greenlane.flags.ramps import ticking
from greenlane.flags.ramps.ramp import RampRun
from greenlane.flags.ramps.ramping import judge_ramp, raise_ramp
from greenlane.flags.ramps.runtime import FlagRuntime
from greenlane.flags.ramps.stopping import RedFlagAlarm, stop_flags
from greenlane.flags.ramps.ticking import tick_flags
from greenlane.flags.storing import keeping
from greenlane.flags.storing.ramp_records import level
from greenlane.flags.storing.state import FlagState, Ramp, StoredFlags
from greenlane.flags.storing.store import DynamoFlagStore
from greenlane.runtime import Settings
from tests.begun import set_up_once
from tests.builders import NOW, SERVICE, service_config
from tests.fakes import REGION, STATES, Spy, Topic, error, timeout
from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run, load
from tests.flag_metrics import Metrics
from tests.flag_store import flags_from
from tests.kept_alarms import AlarmClient
from tests.table import Table

DEPLOYMENTS = "greenlane-deployments"
MACHINE = f"{STATES}:stateMachine:greenlane-flag-rollout"
VARIANT_METRIC = {
    "checkout_failures": {
        "namespace": "Shop",
        "metric": "CheckoutFailed",
        "dimensions": {"Flag": "{flag}", "Variant": "{variant}"},
        "shape": "proportion",
        "worse": "up",
    }
}
FLAG = """
feature_flags:
  checkout:
    environments: [production]
    percentage: 0
    service: claude-manager
    rollback_conditions: ["error_rate > 0.05"]
"""
Kind = Literal["before", "after", "timeout", "gone", "gone_after", "aborted", "repeated"]
KINDS: tuple[Kind, ...] = (
    *("before", "after", "timeout"),
    *("gone", "gone_after", "aborted", "repeated"),
)
"""An error without effect, no answer after the effect, no answer without, the process gone before
and after, the execution ended, and the same event delivered once more."""


class Gone(BaseException):
    """The process of a function is gone. No code under test catches it."""


class Town:
    """See the module.

    Args:
        text: the flags.
        harm: the share of requests that fail for those who have the flag.
        floor: the share that fails for everybody.
        config: of the service, changes.
    """

    def __init__(
        self,
        text: str = FLAG,
        *,
        harm: float = 0.0,
        floor: float = 0.0,
        requests: int = 2000,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.kernel = Kernel()
        self.harm, self.floor, self.requests = harm, floor, requests
        self.silent: Callable[[datetime], bool] = lambda at: False
        self.begun_minutes = False
        """Whether CloudWatch tells of the present minute too, which has a tenth of its counts."""
        self.harmful: Callable[[datetime], bool] = lambda at: True
        self.calls: list[tuple[str, str]] = []
        self.strikes: dict[int, Kind] = {}
        self.acts: dict[int, Callable[[], object]] = {}
        self.alarms, self.topic = AlarmClient(), Topic()
        self.alarms.alarms._clock = self.kernel
        self.executions: dict[str, Execution] = {}
        self.levels: list[tuple[datetime, dict[str, Decimal]]] = []
        self.running: list[Execution] = []
        self._table = _Flags(self)
        tables = {FLAGS_TABLE: self._table, DEPLOYMENTS: Table(DEPLOYMENTS)}
        settings = Settings(
            table=DEPLOYMENTS,
            topic_arn=f"arn:aws:sns:{REGION}:123456789012:greenlane-notifications",
            deployment_machine_arn="",
            rollback_machine_arn="",
            flags_table=FLAGS_TABLE,
            flag_machine_arn=MACHINE,
        )
        self.runtime = FlagRuntime(settings=settings, actor="test", clock=self.kernel)
        for name, service, target in (
            ("cloudwatch", "cloudwatch", Metrics(self)),
            ("cloudwatch_quick", "cloudwatch", Metrics(self)),
            ("stepfunctions", "stepfunctions", self),
            ("sns", "sns", self.topic),
        ):
            self.runtime.__dict__[name] = Spy(self, service, target)
        store = DynamoStore(Spy(self, "dynamodb", tables[DEPLOYMENTS]), DEPLOYMENTS)
        self.runtime.__dict__["store"] = store
        self.flags = DynamoFlagStore(tables[FLAGS_TABLE], FLAGS_TABLE, sleep=lambda seconds: None)
        self.runtime.__dict__["flags"] = DynamoFlagStore(
            Spy(self, "dynamodb", tables[FLAGS_TABLE]), FLAGS_TABLE, sleep=lambda seconds: None
        )
        self._read: tuple[int, StoredFlags] | None = None

        def set_up() -> None:
            # The flag was there a while before anything begins.
            before = NOW - timedelta(hours=2)
            described = service_config(**(config or {}))
            store.put_config(
                described, source="test.yaml", by="ada", at=before, workload_declared=True
            )
            self.flags.change(flags_from(text), by="ada", reason="", at=before)

        set_up_once(("flags", text, config), list(tables.values()), set_up)
        self.note_level()
        self.calls.clear()

    # What a test does and looks at.

    def ramp(self, target: int, increment: int, minutes: int = 5, flag: str = "checkout") -> str:
        """Record a ramp; its id."""
        kept = keeping.start_ramp(
            self.flags,
            flag,
            "production",
            Decimal(target),
            Decimal(increment),
            timedelta(minutes=minutes),
            "ada",
            at=self.kernel.now(),
        )
        stored = kept.flags[flag]
        assert stored is not None
        ramp = stored.state("production").ramp
        assert ramp is not None
        return ramp.id

    def stored(self) -> StoredFlags:
        """All flags as they are; read anew only if they were written since: all look at them."""
        if self._read is None or self._read[0] != self._table.changes:
            changes = self._table.changes
            self._read = changes, self.flags.read()
        return self._read[1]

    def state(self, flag: str = "checkout") -> FlagState:
        return self.stored().flags[flag].state("production")

    def ramp_of(self, flag: str = "checkout") -> Ramp:
        ramp = self.state(flag).ramp
        assert ramp is not None
        return ramp

    def level(self, flag: str = "checkout") -> Decimal:
        """How many percent have the flag now."""
        return level(self.stored().flags[flag], "production", self.kernel.now().timestamp())

    def run(self, hours: float = 6, *, done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, with a tick each minute."""
        until = self.kernel.seconds + hours * 3600
        self._tick_each_minute(until)
        self.kernel.run(until, done)

    def over(self, *flags: str) -> Callable[[], bool]:
        """Whether the ramps have ended, and the executions with them."""

        def ended() -> bool:
            going = [self.ramp_of(flag).status == "running" for flag in flags or ("checkout",)]
            alive = [one for one in self.executions.values() if one.status == "RUNNING"]
            return not any(going) and not alive

        return ended

    def told(self) -> Callable[[], bool]:
        """Whether the ramp has ended, and people know."""
        over = self.over()
        return lambda: over() and not self.state().owed

    def tick(self) -> Run:
        return self.call("tick_flags", {})

    def kinds(self) -> list[str]:
        """What people were told, by kind."""
        told = [one["MessageAttributes"]["kind"] for one in self.topic.published]
        return [str(kind["StringValue"]) for kind in told]

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
            load("flag_rollout"),
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

    def _tick_each_minute(self, until: float) -> None:
        def tick() -> None:
            self.tick()
            if self.kernel.seconds + 60 <= until:
                self.kernel.after(60, tick)

        self.kernel.after(20, tick)

    # What the service's numbers were.

    def note_level(self) -> None:
        """Keep which levels there are now; what was is looked up by the minute."""
        flags = self.stored()
        at = self.kernel.now()
        now = {key: level(one, "production", at.timestamp()) for key, one in flags.flags.items()}
        if not self.levels or self.levels[-1][1] != now:
            self.levels.append((at, now))

    def level_at(self, at: datetime, flag: str = "checkout") -> Decimal:
        found = [levels for moment, levels in self.levels if moment <= at]
        return found[-1].get(flag, Decimal(0)) if found else Decimal(0)


class _Flags(Table):
    """The table of flags; each change of a level is noted when it happens."""

    def __init__(self, town: Town) -> None:
        super().__init__(FLAGS_TABLE)
        self._town = town

    def transact_write_items(self, **arguments: Any) -> Any:
        answer = super().transact_write_items(**arguments)
        if hasattr(self._town, "_read"):
            self._town.note_level()
        return answer


def _judge(event: dict[str, Any], runtime: FlagRuntime) -> Any:
    return judge_ramp(RampRun.model_validate(event), runtime).model_dump(mode="json")


def _raise(event: dict[str, Any], runtime: FlagRuntime) -> Any:
    return raise_ramp(RampRun.model_validate(event), runtime).model_dump(mode="json")


_FUNCTIONS: dict[str, Callable[[dict[str, Any], FlagRuntime], Any]] = {
    "judge_flag": _judge,
    "raise_flag": _raise,
    "tick_flags": lambda event, runtime: tick_flags(Tick(), runtime),
    "stop_flags": lambda event, runtime: stop_flags(RedFlagAlarm.model_validate(event), runtime),
}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing alarms within CloudWatch's quota takes no real time."""
    monkeypatch.setattr(ticking, "wait", lambda seconds: None)


def red(town: Town, text: str = "error_rate > 0.05", slot: str = "blue", **more: Any) -> Any:
    """The event of a condition's alarm."""
    names = [
        name
        for name, alarm in town.alarms.alarms.alarms.items()
        if f".trigger.{slot}." in name and alarm.settings["AlarmDescription"].startswith(text)
    ]
    event = {"service": SERVICE, "name": names[0], "reason": "crossed", "at": town.kernel.now()}
    return event | more
