"""Deploying in one call that waits for the end: blue/green, canary, rollback.

>>> BlueGreenDeployment("claude-manager").deploy("claude-manager:42", validation_tests=[])
True
>>> CanaryDeployment("claude-manager").execute_canary("1.4.2")
True

Each call is the same deployment as `greenlane deploy --watch`: it runs in AWS, and goes on there
if this process ends. True means that it succeeded; why it did not is in its history.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

import yaml
from pydantic import ValidationError

from greenlane.deployments.client import Greenlane
from greenlane.deployments.declaring.config import (
    ServiceConfig,
    StepConfig,
    Strategy,
    ValidationTest,
)
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.plan import BLUE_GREEN_WEIGHTS, CANARY_WEIGHTS
from greenlane.errors import InvalidInput, Refused
from greenlane.problems import as_error, explain

BLUE_GREEN_BAKE = timedelta(minutes=2)
CANARY_BAKE = timedelta(minutes=5)


class Named(Protocol):
    """Anything with a name, such as an environment called `blue`."""

    name: str


class BlueGreenDeployment:
    """Blue/green deployments of one service: 10/25/50/75/100 percent, 2 minutes each.

    A service whose own configuration says `strategy: blue_green` is deployed as that says.

    Args:
        service: its name, as it was applied.
        client: the account and Region; the ones of your AWS configuration when left out.
        by: who is recorded as having asked.
    """

    def __init__(
        self, service: str, client: Greenlane | None = None, *, by: str = "python"
    ) -> None:
        """See the class."""
        self.service = service
        self.client = client or Greenlane.connect()
        self.by = by

    def deploy(
        self,
        task_definition: str,
        validation_tests: Sequence[Mapping[str, Any] | ValidationTest] | None = None,
    ) -> bool:
        """Deploy a task definition and wait for the end.

        Args:
            task_definition: `family:revision` or an ARN.
            validation_tests: each as under `service.validation`, for this deployment; the
                configuration's own when left out.

        Raises:
            UnknownService: the service was never applied.
            InvalidInput: a test is wrong; nothing was changed.
            DeploymentInFlight: another deployment holds the service; nothing was changed.
        """
        asked: dict[str, Any] = {"task_definition": task_definition}
        if validation_tests is not None:
            asked["validation"] = _tests(validation_tests)
        return _deploy(
            self.client,
            asked | {"service": self.service, "requested_by": self.by},
            "blue_green",
            BLUE_GREEN_WEIGHTS,
            BLUE_GREEN_BAKE,
        )


def _tests(tests: Sequence[Mapping[str, Any] | ValidationTest]) -> tuple[ValidationTest, ...]:
    given = [test if isinstance(test, ValidationTest) else dict(test) for test in tests]
    try:
        checked = ServiceConfig.model_validate({"name": "any-service", "validation": given})
    except ValidationError as error:
        problems = explain(error, ServiceConfig, {"validation": given})
        raise as_error(problems, "validation_tests") from None
    return checked.validation


class CanaryDeployment:
    """Canary deployments of one service: 1/5/10/25/50/100 percent, 5 minutes each.

    A service whose own configuration says `strategy: canary` is deployed as that says.

    Args:
        service: its name, as it was applied.
        config: what a file says under `canary:`; it is applied before the deployment.
        client: the account and Region; the ones of your AWS configuration when left out.
        by: who is recorded as having asked.
    """

    def __init__(
        self,
        service: str,
        config: Mapping[str, Any] | None = None,
        client: Greenlane | None = None,
        *,
        by: str = "python",
    ) -> None:
        """See the class."""
        self.service = service
        self.config = config
        self.client = client or Greenlane.connect()
        self.by = by

    def execute_canary(self, version: str) -> bool:
        """Deploy a version (a tag in the service's image repository) and wait for the end.

        Raises:
            UnknownService: the service was never applied.
            InvalidDocument: `config` is wrong; nothing was changed.
            DeploymentInFlight: another deployment holds the service; nothing was started.
        """
        if self.config is not None:
            document = yaml.safe_dump({"canary": dict(self.config)}, sort_keys=False)
            self.client.apply(document, service=self.service, by=self.by)
        asked = {"version": version, "service": self.service, "requested_by": self.by}
        return _deploy(self.client, asked, "canary", CANARY_WEIGHTS, CANARY_BAKE)


class RollbackManager:
    """Takes deployments back.

    Args:
        deployments: whose service and client are used.
    """

    def __init__(self, deployments: BlueGreenDeployment | CanaryDeployment) -> None:
        """See the class."""
        self.service = deployments.service
        self.client = deployments.client
        self.by = deployments.by

    def automated_rollback(self, trigger: str, from_env: str | Named, to_env: str | Named) -> bool:
        """Move all traffic from the new version's slot back to the old one's, and wait.

        Args:
            trigger: why, for the history.
            from_env: the slot of the new version, `blue` or `green`.
            to_env: the slot of the version before it.

        Raises:
            InvalidInput: the slots are not those of the latest deployment, or the wrong way
                round; nothing was changed.
            Refused: there is nothing to take back; nothing was changed.
        """
        record = self.client.store.record(self.service)
        if record is None:
            raise Refused(f"{self.service} was never deployed; there is nothing to take back")
        for field, given, expected in (
            ("from_env", from_env, record.candidate),
            ("to_env", to_env, record.live),
        ):
            name = given if isinstance(given, str) else given.name
            if name != expected:
                raise InvalidInput(
                    field,
                    name,
                    f"{record.deployment_id} goes back from {record.candidate} to {record.live}",
                )
        started = self.client.rollback(
            self.service, reason=trigger, by=self.by, deployment_id=record.deployment_id
        )
        return self.client.wait_for_rollback(started).name == "rolled_back"


def _deploy(
    client: Greenlane,
    asked: Mapping[str, Any],
    strategy: Strategy,
    weights: Sequence[int],
    bake: timedelta,
) -> bool:
    """Deploy with the service's own steps if they are of this strategy, else with the given."""
    request = DeploymentRequest(strategy=strategy, **asked)
    if client.store.get_config(request.service).config.deployment.strategy != strategy:
        steps = tuple(StepConfig(weight=weight) for weight in weights)
        request = request.model_copy(update={"steps": steps, "bake": bake})
    started = client.deploy(request)
    return client.wait(request.service, started.deployment_id).name == "succeeded"
