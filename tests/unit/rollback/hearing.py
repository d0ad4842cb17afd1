"""Webhooks as API Gateway hands them to the function, and the secret that they show."""

import json
from typing import Any

from greenlane.rollback.http.webhook_api import WebhooksApi
from greenlane.rollback.http.webhook_secret import NAME, WebhookSecret
from tests.fakes import Spy, error
from tests.world import World

SECRET = "a-word-of-many-letters-0123"
ALERTMANAGER, WEBHOOK = "alertmanager", "webhook"


class Versions:
    """Secrets Manager: the versions of one secret by their stages."""

    def __init__(self, **stages: str) -> None:
        self.stages = stages or {"AWSCURRENT": SECRET}

    def rotate(self, word: str) -> None:
        self.stages = {"AWSCURRENT": word, "AWSPREVIOUS": self.stages["AWSCURRENT"]}

    def get_secret_value(self, SecretId: str, VersionStage: str) -> dict[str, Any]:  # noqa: N803
        assert SecretId == NAME
        if VersionStage not in self.stages:
            raise error("ResourceNotFoundException", "GetSecretValue")
        return {"SecretString": self.stages[VersionStage]}


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Door:
    """The function's handler in a world, and what came of each request."""

    def __init__(self, world: World) -> None:
        self.world, self.versions, self.ticks = world, Versions(), Ticks()
        secret = WebhookSecret(Spy(world, "secretsmanager", self.versions), NAME, self.ticks)
        self.api = WebhooksApi(world.runtime, secret)

    def asked(self) -> int:
        """How often Secrets Manager was."""
        return self.world.calls.count(("secretsmanager", "get_secret_value"))

    def post(self, path: str, content: Any, shown: str | None = f"Bearer {SECRET}") -> "Answer":
        body = content if isinstance(content, str) else json.dumps(content)
        return self.send(path, body=body, shown=shown)

    def send(self, path: str, *, shown: str | None = f"Bearer {SECRET}", **more: Any) -> "Answer":
        headers = {"Content-Type": "application/json"}
        if shown is not None:
            headers["Authorization"] = shown
        event = {
            "httpMethod": "POST",
            "resource": f"/v1/triggers/{path}",
            "headers": headers,
            "requestContext": {"stage": "production"},
            **more,
        }
        return Answer(self.api.answer(event))


class Answer:
    def __init__(self, told: dict[str, Any]) -> None:
        self.status: int = told["statusCode"]
        self.headers: dict[str, str] = told["headers"]
        self.json: Any = json.loads(told["body"])
