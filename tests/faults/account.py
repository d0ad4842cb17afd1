"""One simulated account: the real functions and machines over a table, a balancer and a fleet."""

import importlib
import json
import random
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from greenlane import entrypoint
from greenlane.deployments import every_service, validation
from greenlane.deployments.model import DeploymentRequest, Record
from greenlane.deployments.store import DynamoStore
from greenlane.logs import logger
from greenlane.runtime import Runtime, Settings
from tests.balancer import Balancer
from tests.builders import GROUPS, NEW_IMAGE, RULE_ARN, SERVICE, service_config, workload
from tests.fakes import REGION, STATES, Scaling, Topic, client, error
from tests.faults.edge import Edge
from tests.faults.faults import Faults
from tests.faults.fleet import Fleet
from tests.faults.kernel import Kernel, Killed
from tests.faults.machine import Execution, Failed, Run, load
from tests.faults.traffic import NODES, Traffic
from tests.faults.watch import Watch
from tests.table import Table

TABLE = "greenlane-deployments"
COLD_START_SECONDS = 0.4
EVENT_SECONDS = 0.5
TIMEOUTS = {"shift_traffic": 15, "take_traffic_back": 30, "run_pre_traffic": 300}
TIMEOUTS |= {"validate_slot": 300, "judge_step": 300, "report_incident": 180}
ENDED_BADLY = ("FAILED", "ABORTED", "TIMED_OUT")
_MACHINES = {name: load(name) for name in ("deployment", "rollback")}


class Inline:
    """Stands for a thread pool: virtual time knows no threads but its actors."""

    def __init__(self, max_workers: int) -> None:
        del max_workers

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def map(self, function: Any, items: Any) -> list[Any]:
        return [function(item) for item in items]

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


class Account:
    """Blue runs a good version on two tasks; green is empty.

    Args:
        seed: of everything that varies by itself: propagation, event delays.
        faults: what goes wrong with which call.
        bad: whether the new version answers a quarter of its requests with errors.
        deployment: the service's `deployment:` section.
        propagation_seconds: the most that a node takes to learn weights.
        lose_events: whether events of ended executions get lost.
        sticky: whether the user's rule pins clients, for ten minutes.
    """

    def __init__(
        self,
        seed: int = 0,
        faults: Faults | None = None,
        *,
        bad: bool = False,
        deployment: dict[str, Any] | None = None,
        propagation_seconds: float = 20.0,
        lose_events: bool = False,
        sticky: bool = False,
    ) -> None:
        self.kernel, self.faults = Kernel(), faults or Faults()
        self.random = random.Random(seed)
        self._propagation, self._lose_events = propagation_seconds, lose_events
        self.traffic = Traffic(self.kernel, lambda slot: self.fleet.healthy(slot))
        image = NEW_IMAGE if bad else None
        self.fleet = Fleet(self.kernel, self.traffic.settle, bad=image)
        self.watch = Watch(self.kernel, self.traffic, self._alarm_event)
        self.balancer, self.table = _Balancer(self), Table(TABLE)
        self.scaling, self.topic, self.bucket = Scaling(), Topic(), Bucket()
        self.executions: dict[str, Execution] = {}
        self.looks: list[Any] = []
        self.repeats: set[int] = set()
        self.stepfunctions = _StepFunctions(self)
        self._invocations = 0
        self._runtimes: dict[str, Runtime] = {}
        self.store = DynamoStore(self.table, TABLE)
        if sticky:
            self._pin_clients()
        self._configure(deployment or {})
        for tick in ("judge_tick", "reconcile"):
            self._begin_ticking(tick)

    def _pin_clients(self) -> None:
        (action,) = self.balancer.describe_rules(RuleArns=[RULE_ARN])["Rules"][0]["Actions"]
        pinned = {"Enabled": True, "DurationSeconds": 600}
        action["ForwardConfig"]["TargetGroupStickinessConfig"] = pinned
        self.balancer.modify_rule(RuleArn=RULE_ARN, Actions=[action])

    def _begin_ticking(self, module: str) -> None:
        self.kernel.after(self.random.uniform(1, 60), lambda: self._every_minute(module))

    @property
    def targets(self) -> dict[str, dict[str, str]]:
        """For the balancer."""
        return self.fleet.targets

    def _configure(self, deployment: dict[str, Any]) -> None:
        config = service_config(workload=workload(), deployment=deployment, warm_up={"requests": 0})
        self.store.put_config(
            config, source="sim.yaml", by="ada", at=self.kernel.now(), workload_declared=True
        )

    def record(self) -> Record | None:
        """The service's record now."""
        return self.store.record(SERVICE)

    def weights(self) -> dict[str, int]:
        """The rule's own weights by slot."""
        (action,) = self.balancer.describe_rules(RuleArns=[RULE_ARN])["Rules"][0]["Actions"]
        found = {g["TargetGroupArn"]: g["Weight"] for g in action["ForwardConfig"]["TargetGroups"]}
        return {slot: found[arn] for slot, arn in GROUPS.items()}

    def sticky(self) -> bool:
        """Whether the rule pins clients to a slot."""
        (action,) = self.balancer.describe_rules(RuleArns=[RULE_ARN])["Rules"][0]["Actions"]
        return bool(action["ForwardConfig"]["TargetGroupStickinessConfig"]["Enabled"])

    def deploy(self, deployment_id: str = "d-1", **asked: Any) -> Execution:
        """What `greenlane deploy` starts."""
        request = DeploymentRequest(service=SERVICE, image=NEW_IMAGE, requested_by="ada", **asked)
        given = {
            "deployment": {"deployment_id": deployment_id, "service": SERVICE},
            "request": request.model_dump(mode="json", exclude_none=True),
        }
        return self.executions[self.start("deployment", given, deployment_id)]

    # Step Functions

    def start(self, machine: str, given: dict[str, Any], name: str = "") -> str:
        """Start an execution, or find the one of that name."""
        name = name or f"e-{len(self.executions)}"
        arn = f"{STATES}:execution:greenlane-{machine}:{name}"
        if arn in self.executions:
            if self.executions[arn].given != given:
                raise error("ExecutionAlreadyExists", "StartExecution")
            return arn
        execution = Execution(
            self.kernel,
            arn,
            _MACHINES[machine],
            given,
            calls=self.invoke,
            start=lambda _, given: self.start("rollback", given),
        )
        self.executions[arn] = execution
        execution.begin()
        if machine == "deployment":
            self.kernel.spawn(f"watch {name}", lambda: self._status_event(execution, name))
        return arn

    def _status_event(self, execution: Execution, name: str) -> None:
        """EventBridge's rule on ended deployments; these events are best effort."""
        while not self.kernel.wait(execution.ended, 1e6):
            continue
        self.kernel.sleep(EVENT_SECONDS)
        if execution.status in ENDED_BADLY and not self._lose_events:
            trigger = {
                "kind": "execution",
                "name": execution.status,
                "reason": "the deployment's execution ended",
                "at": self.kernel.now().isoformat(),
            }
            self.start("rollback", {"trigger": trigger, "deployment_id": name})

    def _alarm_event(self, alarm: dict[str, Any]) -> None:
        """EventBridge's rule on alarms: at least once, a little later."""
        given = {
            "trigger": {
                "kind": "alarm",
                "name": alarm["AlarmName"],
                "reason": alarm["StateReason"],
                "at": alarm["StateTransitionedTimestamp"].isoformat(),
            },
            "service": SERVICE,
            "listener_rule_arn": RULE_ARN,
            "target_groups": GROUPS,
            "configuration": {"metrics": [{"dimensions": alarm["AlarmName"]}]},
        }
        self.kernel.after(EVENT_SECONDS, lambda: self.start("rollback", given))
        if self.random.random() < 0.3:
            self.kernel.after(self.random.uniform(0, 90), lambda: self.start("rollback", given))

    # Lambda

    def _every_minute(self, module: str) -> None:
        self.kernel.after(60, lambda: self._every_minute(module))
        self.invoke(module, {})

    def invoke(self, module: str, event: dict[str, Any]) -> Run:
        """Run a function's real handler; some runs are duplicated, as Lambda may do."""
        self._invocations += 1
        if self._invocations in self.repeats:
            self.kernel.after(self.random.uniform(0, 30), lambda: self._run(module, event))
        return self._run(module, event)

    def _run(self, module: str, event: dict[str, Any]) -> Run:
        run, handler = Run(), importlib.import_module(f"functions.{module}").handler
        text = json.dumps(event)

        def body() -> None:
            try:
                self.kernel.sleep(COLD_START_SECONDS * self.random.random())
                answer = handler(json.loads(text), None)
            except Killed:
                run.end(self.kernel, failure=Failed("Runtime.ExitError"))
                raise
            except Exception as raised:
                name = type(raised).__name__
                cause = json.dumps({"errorMessage": str(raised), "errorType": name})
                run.end(self.kernel, failure=Failed(name, cause))
            else:
                run.end(self.kernel, answer=json.loads(json.dumps(answer)))

        actor = self.kernel.spawn(module, body)

        def time_out() -> None:
            if not actor.ended:
                actor.kill()
                run.end(self.kernel, failure=Failed("Sandbox.Timedout"))

        self.kernel.after(TIMEOUTS.get(module, 60), time_out)
        return run

    def runtime(self, actor: str) -> Runtime:
        """What `greenlane.entrypoint` gives to a function's handler."""
        if actor not in self._runtimes:
            settings = Settings(
                table=TABLE,
                topic_arn=f"arn:aws:sns:{REGION}:123456789012:greenlane-notifications",
                deployment_machine_arn=f"{STATES}:stateMachine:greenlane-deployment",
                rollback_machine_arn=f"{STATES}:stateMachine:greenlane-rollback",
                incidents_bucket="greenlane-incidents",
            )
            made = Runtime(settings=settings, actor=actor, clock=self.kernel)
            for name, service, target in (
                ("elbv2", "elbv2", self.balancer),
                ("elbv2_once", "elbv2", self.balancer),
                ("elbv2_back", "elbv2", self.balancer),
                ("ecs", "ecs", self.fleet),
                ("cloudwatch", "cloudwatch", self.watch),
                ("autoscaling", "application-autoscaling", self.scaling),
                ("stepfunctions", "stepfunctions", self.stepfunctions),
                ("sns", "sns", self.topic),
                ("s3", "s3", self.bucket),
                ("logs", "logs", _Logs()),
                ("ecr", "ecr", client("ecr")),
                ("ssm", "ssm", client("ssm")),
            ):
                made.__dict__[name] = self._edge(actor, name, service, target)
            for name in ("store", "hasty_store"):
                table = self._edge(actor, name, "dynamodb", self.table)
                made.__dict__[name] = DynamoStore(table, TABLE)
            self._runtimes[actor] = made
        return self._runtimes[actor]

    def _edge(self, caller: str, name: str, service: str, target: Any) -> Edge:
        return Edge(self.kernel, self.faults, caller, name, service, target, self._looked)

    def _looked(self, caller: str, operation: str, sent: float) -> None:
        for look in self.looks:
            look(caller, operation, sent)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.kernel.seconds + seconds
        self.kernel.run(end, lambda: False)
        self.kernel.seconds = end
        self.traffic.settle()


class Bucket:
    """A boto3 `s3` client: reports by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self.objects[Key] = Body


class _Logs:
    """A boto3 `logs` client: nobody logged anything."""

    def start_query(self, **_: Any) -> dict[str, Any]:
        return {"queryId": "1"}

    def get_query_results(self, **_: Any) -> dict[str, Any]:
        return {"status": "Complete", "results": []}


class _Balancer(Balancer):
    """The rule, whose weights reach the nodes one by one."""

    def __init__(self, account: Account) -> None:
        self._account: Account | None = None
        super().__init__(account)
        self._account = account

    def modify_rule(self, **arguments: Any) -> Any:
        answer = super().modify_rule(**arguments)
        account = self._account
        if account is not None:
            most = account._propagation
            delays = [account.random.uniform(0, most) for _ in range(NODES)]
            account.traffic.write(account.weights(), delays, sticky=account.sticky())
        return answer


class _StepFunctions:
    """A boto3 `stepfunctions` client."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def _found(self, arn: str) -> Execution:
        if arn not in self._account.executions:
            raise error("ExecutionDoesNotExist", "DescribeExecution")
        return self._account.executions[arn]

    def start_execution(self, stateMachineArn: str, input: str, name: str = "") -> dict[str, Any]:  # noqa: N803, A002
        machine = stateMachineArn.rsplit("-", 1)[1]
        return {"executionArn": self._account.start(machine, json.loads(input), name)}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        found = self._found(executionArn)
        return {"status": found.status, "error": found.error, "cause": found.cause}

    def stop_execution(self, executionArn: str, error: str = "", cause: str = "") -> None:  # noqa: N803
        self._found(executionArn).stop(error, cause)

    def send_task_success(self, taskToken: str, output: str) -> None:  # noqa: N803
        del output
        self._answer(taskToken, None)

    def send_task_failure(self, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        self._answer(taskToken, Failed(error, cause))

    def _answer(self, token: str, failure: Failed | None) -> None:
        if not self._found(token.split("#")[0]).answer(token, failure):
            raise error("TaskTimedOut", "SendTaskSuccess")


@contextmanager
def in_simulation(account: Account) -> Iterator[None]:
    """Let the functions of this process work in the account, and end them afterwards."""
    for service in ("application-autoscaling", "cloudwatch", "dynamodb", "ecs", "logs", "s3"):
        client(service)
    level = logger.log_level
    logger.setLevel("CRITICAL")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entrypoint, "_runtime", account.runtime)
        patch.setattr(every_service, "ThreadPoolExecutor", Inline)
        patch.setattr(validation, "ThreadPoolExecutor", Inline)
        try:
            yield
        finally:
            account.kernel.close()
            logger.setLevel(level)
