from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.deployments.api import BlueGreenDeployment, CanaryDeployment, RollbackManager
from greenlane.deployments.connection import Started
from greenlane.deployments.declaring.config import DeploymentConfig, ServiceConfig
from greenlane.deployments.declaring.document import read_document
from greenlane.deployments.looking.status import Outcome
from greenlane.deployments.storing.store import StoredConfig
from greenlane.errors import InvalidInput, Refused

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class FakeStore:
    def __init__(self):
        self.config = ServiceConfig(name="claude-manager")
        self.latest = SimpleNamespace(deployment_id="d-1", live="blue", candidate="green")

    def get_config(self, service):
        return StoredConfig(
            service=service,
            version=1,
            config=self.config,
            source="{}",
            applied_by="jo",
            applied_at=NOW,
        )

    def put_config(self, config, *, source, by, at):
        self.config = config

    def record(self, service):
        return self.latest


class Recorder:
    def __init__(self, outcome="succeeded"):
        self.store = FakeStore()
        self.connection = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW))
        self.ended = Outcome(deployment_id="d-1", name=outcome)
        self.requests = []
        self.applied = []
        self.rollbacks = []

    def apply(self, document, *, service, by):
        self.applied.append(read_document(document))

    def deploy(self, request):
        self.requests.append(request)
        return Started(service=request.service, deployment_id="d-1", execution_arn="arn")

    def wait(self, service, deployment_id):
        return self.ended

    def rollback(self, service, **values):
        self.rollbacks.append(values)
        return Started(service=service, deployment_id="d-1", execution_arn="arn")

    def wait_for_rollback(self, started):
        return self.ended


def fake_client(outcome="succeeded") -> Any:
    return Recorder(outcome)


@dataclass
class Environment:
    name: str


def weights(request):
    return [step.weight for step in request.steps]


def test_a_canary_goes_the_steps_of_the_specification():
    client = fake_client()
    assert CanaryDeployment("claude-manager", client=client).execute_canary("1.4.2")
    (request,) = client.requests
    assert (request.strategy, request.version) == ("canary", "1.4.2")
    assert weights(request) == [1, 5, 10, 25, 50, 100]
    assert request.bake == timedelta(minutes=5)


def test_a_blue_green_deployment_goes_the_steps_of_the_specification():
    client = fake_client()
    assert BlueGreenDeployment("claude-manager", client).deploy("claude-manager:42")
    (request,) = client.requests
    assert request.task_definition == "claude-manager:42"
    assert request.steps is None, "blue/green is the service's own strategy, with these defaults"

    client.store.config = ServiceConfig(
        name="claude-manager", deployment=DeploymentConfig(strategy="canary")
    )
    BlueGreenDeployment("claude-manager", client).deploy("claude-manager:42")
    assert weights(client.requests[1]) == [10, 25, 50, 75, 100]
    assert client.requests[1].bake == timedelta(minutes=2)


def test_a_canary_that_the_service_declares_is_kept():
    client = fake_client()
    client.store.config = ServiceConfig(
        name="claude-manager", deployment=DeploymentConfig(strategy="canary", steps=(50, 100))
    )
    CanaryDeployment("claude-manager", client=client).execute_canary("1.4.2")
    assert client.requests[0].steps is None


def test_a_canary_configuration_is_applied_before():
    client = fake_client()
    config = {"traffic_policy": {"stages": [20, 100], "stage_duration": "1m"}}
    CanaryDeployment("claude-manager", config, client).execute_canary("1.4.2")
    (checked,) = client.applied
    assert [step.weight for step in checked.canary.traffic_policy.stages] == [20, 100]


@pytest.mark.parametrize("outcome", ["rolled_back", "held", "refused", "failed"])
def test_anything_but_success_is_false(outcome):
    client = fake_client(outcome)
    assert not CanaryDeployment("claude-manager", client=client).execute_canary("1.4.2")
    assert not BlueGreenDeployment("claude-manager", client).deploy("claude-manager:42")


def test_validation_tests_are_this_deployments_own():
    client = fake_client()
    deployment = BlueGreenDeployment("claude-manager", client)
    deployment.deploy("claude-manager:42", [{"name": "up", "path": "/health"}])
    (asked,) = client.requests
    assert [test.path for test in asked.validation] == ["/health"]


def test_a_wrong_validation_test_starts_nothing():
    client = fake_client()
    with pytest.raises(InvalidInput, match=r"validation\.0\.pth.*did you mean path"):
        BlueGreenDeployment("claude-manager", client).deploy("x:1", [{"name": "a", "pth": "/"}])
    assert client.requests == []


def test_a_rollback_goes_from_the_new_slot_to_the_old_one():
    client = fake_client("rolled_back")
    manager = RollbackManager(BlueGreenDeployment("claude-manager", client))
    assert manager.automated_rollback("error rate", Environment("green"), "blue")
    (asked,) = client.rollbacks
    assert (asked["reason"], asked["deployment_id"]) == ("error rate", "d-1")


@pytest.mark.parametrize(
    ("slots", "field"), [(("blue", "green"), "from_env"), (("green", "green"), "to_env")]
)
def test_a_rollback_with_its_slots_swapped_changes_nothing(slots, field):
    client = fake_client()
    manager = RollbackManager(BlueGreenDeployment("claude-manager", client))
    with pytest.raises(InvalidInput, match="goes back from green to blue") as caught:
        manager.automated_rollback("error rate", *slots)
    assert caught.value.field == field
    assert client.rollbacks == []


def test_a_rollback_of_what_was_never_deployed_is_refused():
    client = fake_client()
    client.store.latest = None
    manager = RollbackManager(CanaryDeployment("claude-manager", client=client))
    with pytest.raises(Refused):
        manager.automated_rollback("error rate", "green", "blue")
