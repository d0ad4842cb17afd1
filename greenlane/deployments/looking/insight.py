"""The part of the Python API that looks ahead, and back: it reads and decides nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from greenlane.deployments.connection import Connection
from greenlane.deployments.declaring.config import StepConfig, Strategy
from greenlane.deployments.looking.foreseeing import DAYS, Foresight, foresee
from greenlane.deployments.looking.replaying import Past, plan_of, read_again
from greenlane.deployments.model import DeploymentRequest
from greenlane.health.foresight import SEES
from greenlane.problems import as_error, explain


class Insight:
    """What `Greenlane` knows of a deployment before it begins, and after it has ended."""

    connection: Connection

    def foresee(
        self,
        service: str,
        *,
        strategy: Strategy | None = None,
        steps: Sequence[StepConfig] | None = None,
        bake: timedelta | None = None,
        days: int = DAYS,
        at: datetime | None = None,
        sees: float = SEES,
    ) -> Foresight:
        """What a deployment's steps will see, by the traffic of the last days; nothing is written.

        Args:
            service: its name.
            strategy: instead of the configured one, as in a request.
            steps: instead of the configured ones.
            bake: of each step that says none.
            days: of traffic to look at, 1 to 63.
            at: when the first weight would be written; now when left out.
            sees: the error rate, a ratio, that a step should see; one that cannot is blind.

        Raises:
            UnknownService: the service was never applied.
            InvalidInput: the steps or durations do not make a plan.
        """
        asked = {"strategy": strategy, "steps": steps, "bake": bake}
        given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        given |= {"service": service, "version": "any"}
        try:
            request = DeploymentRequest.model_validate(given)
        except ValidationError as error:
            problems = explain(error, DeploymentRequest, given)
            raise as_error(problems, "the request") from None
        return foresee(self.connection, service, request, days=days, at=at, sees=sees)

    def observed(
        self, service: str, deployment_id: str = "latest", *, criteria: Path | str | None = None
    ) -> Past:
        """The minutes of a deployment, read again, and what is asked of them.

        `greenlane.health.replay.replay` judges them; nothing acts.

        Args:
            service: its name.
            deployment_id: one of its deployments of the last 15 days.
            criteria: a file (or, from a str, its text) that is asked instead.

        Raises:
            UnknownDeployment: the service has no deployment of that id.
            InvalidInput: it had no traffic, or CloudWatch has forgotten its minutes.
            InvalidDocument: the file is wrong.
        """
        found = plan_of(self.connection, service, deployment_id)
        return read_again(self.connection, found, criteria)
