"""Requests to the functions of the HTTP API, as API Gateway hands them over."""

import json
from typing import Any, NamedTuple, Protocol

ADA = "arn:aws:iam::123456789012:user/ada"


class Answers(Protocol):
    """A part of the HTTP API."""

    def answer(self, event: dict[str, Any]) -> dict[str, Any]: ...


class Answer(NamedTuple):
    status: int
    json: Any
    headers: dict[str, str]


class Asking:
    """Sends requests to one part of the HTTP API.

    Args:
        api: which.
    """

    def __init__(self, api: Any) -> None:
        self.api: Answers = api

    def __call__(
        self,
        method: str,
        resource: str,
        content: Any = None,
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        by: str | None = ADA,
        **path: str,
    ) -> Answer:
        found = self.api.answer(
            {
                "httpMethod": method,
                "resource": resource,
                "pathParameters": path or None,
                "queryStringParameters": query,
                "headers": headers,
                "body": None if content is None else json.dumps(content),
                "requestContext": {
                    "stage": "production",
                    "domainName": "api.example.com",
                    "identity": {"userArn": by},
                },
            }
        )
        body = json.loads(found["body"]) if found["body"] else None
        return Answer(found["statusCode"], body, found["headers"])


def refused(found: Answer, status: int, said: str = "") -> Any:
    """The problem that an answer has to be."""
    assert found.status == status, found.json
    assert found.headers["content-type"] == "application/problem+json"
    assert said in found.json["detail"], found.json
    return found.json
