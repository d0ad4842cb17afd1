"""The core's surroundings for unit tests, in memory.

The table and the balancer's rule are compared with moto's; ECR and SSM are moto's; the rest is in
`tests.fakes`. The `World` begins with blue live on two healthy tasks and green empty.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from greenlane.deployments.model import Deployment, Plan, Record, Trigger
from greenlane.deployments.stepping.admission import PlanningEvent, plan_deployment
from greenlane.deployments.stepping.before_traffic import run_pre_traffic
from greenlane.deployments.stepping.finishing import promote
from greenlane.deployments.stepping.preparing import check_stability, prepare_slot
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.deployments.storing.items import record_from, record_key
from greenlane.deployments.storing.store import DynamoStore
from greenlane.rollback.model import RollbackEvent, RollbackRequest
from greenlane.runtime import Runtime, Settings
from tests.balancer import Balancer
from tests.builders import (
    GROUPS,
    RULE_ARN,
    SERVICE,
    SettableClock,
    request,
    service_config,
    workload,
)
from tests.fakes import (
    BACK,
    FORWARD,
    REGION,
    STATES,
    Containers,
    Machines,
    Scaling,
    Spy,
    Topic,
    Watch,
    client,
    clients,
    error,
)
from tests.hooks import Hooks
from tests.table import Table

TABLE = "greenlane-deployments"


class World:
    """One service, blue live with two healthy tasks; the test moves what it wants to move."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.calls: list[tuple[str, str]] = []
        self._faults: list[dict[str, Any]] = []
        self.ecs, self.scaling, self.watch = Containers(), Scaling(), Watch(self)
        self.machines, self.topic, self.hooks = Machines(), Topic(), Hooks()
        self.groups, self.rule_arn = dict(GROUPS), RULE_ARN
        self.targets = {"blue": {"10.0.0.1": "healthy", "10.0.0.2": "healthy"}, "green": {}}
        self.workload = workload(groups=self.groups, listener_rule_arn=self.rule_arn)
        for resources in self.workload.slots.values():
            for name in resources.alarms:
                self.alarm(name, "OK")
        self.table, self.balancer = Table(TABLE), Balancer(self)
        self.runtime = self._runtime("test")
        self.store = self.runtime.store
        self.configure()
        self.calls.clear()

    def _runtime(self, actor: str) -> Runtime:
        settings = Settings(
            table=TABLE,
            topic_arn=f"arn:aws:sns:{REGION}:123456789012:greenlane-notifications",
            deployment_machine_arn=f"{STATES}:stateMachine:greenlane-deployment",
            rollback_machine_arn=f"{STATES}:stateMachine:greenlane-rollback",
        )
        runtime = Runtime(settings=settings, actor=actor, clock=self.clock)
        for name, service, target in (
            ("elbv2", "elbv2", self.balancer),
            ("elbv2_once", "elbv2", self.balancer),
            ("elbv2_back", "elbv2", self.balancer),
            ("ecs", "ecs", self.ecs),
            ("ecs_back", "ecs", self.ecs),
            ("ecr", "ecr", client("ecr")),
            ("ecr_quick", "ecr", client("ecr")),
            ("ssm", "ssm", client("ssm")),
            ("cloudwatch", "cloudwatch", self.watch),
            ("cloudwatch_quick", "cloudwatch", self.watch),
            ("autoscaling", "application-autoscaling", self.scaling),
            ("autoscaling_back", "application-autoscaling", self.scaling),
            ("stepfunctions", "stepfunctions", self.machines),
            ("stepfunctions_back", "stepfunctions", self.machines),
            ("functions", "lambda", self.hooks),
            ("sns", "sns", self.topic),
        ):
            runtime.__dict__[name] = Spy(self, service, target)
        for name in ("store", "hasty_store"):
            made = DynamoStore(Spy(self, "dynamodb", self.table), TABLE)
            runtime.__dict__[name] = made
        return runtime

    def configure(self, **changes: Any) -> None:
        """Apply the service's configuration, with changes."""
        self.store.put_config(
            service_config(**{"workload": self.workload} | changes),
            source="test.yaml",
            by="ada",
            at=self.clock.now(),
            workload_declared=True,
        )

    def faults_of(self, service: str, operation: str) -> tuple[Exception | None, Exception | None]:
        for fault in self._faults:
            if fault["at"] in ((service, operation), (service, "*")) and fault["times"]:
                if fault["skip"]:
                    fault["skip"] -= 1
                    continue
                fault["times"] -= 1
                if fault["do"] is not None:
                    fault["do"]()
                    return None, None
                return (None, fault["error"]) if fault["after"] else (fault["error"], None)
        return None, None

    def fail(
        self,
        service: str,
        operation: str,
        what: Exception | str = "ThrottlingException",
        *,
        times: int = 1,
        skip: int = 0,
        after: bool = False,
    ) -> None:
        """Make the next calls fail, after their effect if `after`."""
        problem = error(what, operation) if isinstance(what, str) else what
        self._faults.append(
            {
                "at": (service, operation),
                "error": problem,
                "times": times,
                "skip": skip,
                "after": after,
                "do": None,
            }
        )

    def just_before(
        self, service: str, operation: str, do: Callable[[], Any], *, skip: int = 0
    ) -> None:
        """Let something else happen just before a call."""
        self._faults.append(
            {"at": (service, operation), "times": 1, "skip": skip, "after": False, "do": do}
        )

    def heal(self) -> None:
        """No more faults."""
        self._faults.clear()

    @contextmanager
    def untouched(self) -> Any:
        """Nothing that serves or decides changes inside."""
        before = self._state()
        yield
        assert self._state() == before

    def _state(self) -> Any:
        return (
            self.actions(),
            self.tags(),
            self.record_or_none(),
            {name: entry["desiredCount"] for name, entry in self.ecs.services.items()},
            list(self.ecs.definitions),
            {name: json.dumps(target) for name, target in self.scaling.targets.items()},
        )

    def alarm(self, name: str, state: str, *, ago: timedelta = timedelta(0)) -> None:
        self.watch.states[name] = {
            "AlarmName": name,
            "StateValue": state,
            "StateReason": f"{name} is {state}",
            "StateUpdatedTimestamp": self.clock.now() - ago,
        }

    def alarm_of(self, slot: str) -> str:
        return str(self.workload.slots[slot].alarms[0])  # type: ignore[index]

    def traffic(
        self, slot: str, *, requests: int, errors: int = 0, p95: float = 0.1, minutes: int = 5
    ) -> None:
        """What the balancer measured in the last whole minutes.

        While blue has weight beside green, it serves as much, and well: what green is compared to.
        """
        if slot == "green" and self.weights()[0]:
            self._measure("blue", requests=requests, errors=0, p95=0.1, minutes=minutes)
        self._measure(slot, requests=requests, errors=errors, p95=p95, minutes=minutes)

    def _measure(self, slot: str, *, requests: int, errors: int, p95: float, minutes: int) -> None:
        edge = self.clock.now().replace(second=0, microsecond=0)
        for number in range(1, minutes + 1):
            at = edge - timedelta(minutes=number)
            for name, value in (
                ("requests", requests),
                ("ok2", requests - errors),
                ("bad5", errors),
                ("p95", p95),
            ):
                if value:
                    self.watch.points.setdefault(f"{name}_{slot}", {})[at] = float(value)

    def serve(self, slot: str, count: int, *, sick: int = 0) -> None:
        """Let a slot run `count` healthy tasks of its service's revision, and `sick` others."""
        number = 0 if slot == "blue" else 1
        addresses = [f"10.0.{number}.{n}" for n in range(1, count + sick + 1)]
        self.targets[slot] = {
            address: "healthy" if n < count else "unhealthy" for n, address in enumerate(addresses)
        }
        service = self.ecs.services[f"{SERVICE}-{slot}"]
        service["runningCount"] = count + sick
        self.ecs.tasks[f"{SERVICE}-{slot}"] = dict.fromkeys(addresses, service["taskDefinition"])

    def desired(self, slot: str) -> int:
        return int(self.ecs.services[f"{SERVICE}-{slot}"]["desiredCount"])

    def actions(self) -> list[dict[str, Any]]:
        (rule,) = self.balancer.describe_rules(RuleArns=[self.rule_arn])["Rules"]
        found: list[dict[str, Any]] = rule["Actions"]
        return found

    def weights(self) -> tuple[int, int]:
        groups = self.actions()[-1]["ForwardConfig"]["TargetGroups"]
        found = {group["TargetGroupArn"]: group["Weight"] for group in groups}
        return found[self.groups["blue"]], found[self.groups["green"]]

    def set_weights(self, blue: int, green: int, **config: Any) -> None:
        groups = [
            {"TargetGroupArn": self.groups["blue"], "Weight": blue},
            {"TargetGroupArn": self.groups["green"], "Weight": green},
        ]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups, **config}}
        self.balancer.modify_rule(RuleArn=self.rule_arn, Actions=[action])

    def tags(self) -> dict[str, str]:
        answer = self.balancer.describe_tags(ResourceArns=[self.rule_arn])
        return {tag["Key"]: tag["Value"] for tag in answer["TagDescriptions"][0]["Tags"]}

    def record_or_none(self) -> Record | None:
        answer = self.table.get_item(TableName=TABLE, Key=record_key(SERVICE))
        return record_from(answer["Item"]) if "Item" in answer else None

    @property
    def record(self) -> Record:
        found = self.record_or_none()
        assert found is not None
        return found

    def change(self, **changes: Any) -> Record:
        """Write into the record, as somebody else would."""
        return self.store.update(self.record, changes)

    def kinds(self, deployment_id: str = "d-1") -> list[str]:
        return [event.kind for event in self.store.history(deployment_id)]

    def writes(self) -> list[str]:
        """The calls that changed the balancer or ECS, in order."""
        changing = ("modify_rule", "update_service", "register_task_definition", "add_tags")
        return [operation for _, operation in self.calls if operation in changing]

    def planning(self, deployment_id: str = "d-1", **asked: Any) -> PlanningEvent:
        handle = {"deployment_id": deployment_id, "service": SERVICE}
        execution = FORWARD.replace("d-1", deployment_id)
        self.machines.statuses.setdefault(execution, "RUNNING")
        return PlanningEvent.model_validate(
            {"deployment": handle, "request": request(**asked), "execution": execution}
        )

    def planned(self, deployment_id: str = "d-1", **asked: Any) -> Deployment:
        return plan_deployment(self.planning(deployment_id, **asked), self.runtime)

    def prepared(self, **asked: Any) -> Deployment:
        """Planned, and the slot is told to start."""
        return prepare_slot(self.planned(**asked), self.runtime)

    def stable(self, **asked: Any) -> Deployment:
        """Prepared, the tasks run, and the checks before traffic have passed."""
        state = self.prepared(**asked)
        self.serve("green", self.desired("green"))
        state = check_stability(state, self.runtime)
        return run_pre_traffic(state, self.runtime).model_copy(update={"probe": None})

    def shifted(self, step: int = 0, **asked: Any) -> Deployment:
        """Every step up to `step` has its weight."""
        state = self.stable(**asked)
        for number in range(step + 1):
            state = shift_traffic(state.model_copy(update={"step": number}), self.runtime)
        return state

    def promoted(self, **asked: Any) -> Deployment:
        """The candidate is live, the watch has begun."""
        state = self.shifted(step=2, **asked)
        return promote(state.model_copy(update={"step": 3, "next": "promote"}), self.runtime)

    def plan(self, deployment_id: str = "d-1") -> Plan:
        return self.store.plan(deployment_id)

    def back(self, kind: str = "alarm", *, execution: str = BACK, **changes: Any) -> RollbackEvent:
        """What a rollback begins with; by default an alarm of the candidate, as its event is."""
        self.machines.statuses.setdefault(execution, "RUNNING")
        trigger: dict[str, Any] = {"kind": kind, "name": "", "at": self.clock.now()}
        values: dict[str, Any] = {"trigger": trigger}
        if kind == "alarm":
            trigger["name"] = self.alarm_of("green")
            values |= {
                "service": SERVICE,
                "listener_rule_arn": self.rule_arn,
                "target_groups": self.groups,
            }
        elif kind == "execution":
            trigger["name"] = "ABORTED"
            values["deployment_id"] = "d-1"
        else:
            values |= {"service": SERVICE, "deployment_id": "d-1"}
            trigger["name"] = {"failure": "JudgedBad"}.get(kind, "ada")
        trigger |= changes.pop("trigger", {})
        given = RollbackRequest(**(values | changes | {"trigger": Trigger(**trigger)}))
        return RollbackEvent(request=given, execution=execution)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world of its own for each test; moto is for what the test keeps in ECR and SSM."""
    made = World()
    monkeypatch.setitem(clients, "elbv2", made.balancer)
    with mock_aws():
        yield made
