"""The routes of deployments on an account in moto: what API Gateway hands over, and the answer."""

import json
from typing import Any

from greenlane.deployments.client import Greenlane
from greenlane.deployments.connection import TABLE
from greenlane.deployments.http.deployments_api import DeploymentsApi
from greenlane.pipelines.book import Book

ADA = "arn:aws:iam::123456789012:user/ada"


class Door:
    """Asks one API; `by` is who signed."""

    def __init__(self, greenlane: Greenlane) -> None:
        self.greenlane = greenlane
        book = Book(greenlane.connection.client("dynamodb"), TABLE)
        self.api = DeploymentsApi(greenlane, book)

    def __call__(
        self,
        method: str,
        resource: str,
        content: Any = None,
        *,
        key: str | None = None,
        query: dict[str, str] | None = None,
        by: str | None = ADA,
        **path: str,
    ) -> tuple[int, Any]:
        answer = self.answer(method, resource, content, key=key, query=query, by=by, **path)
        return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None

    def answer(
        self,
        method: str,
        resource: str,
        content: Any = None,
        *,
        key: str | None = None,
        query: dict[str, str] | None = None,
        by: str | None = ADA,
        **path: str,
    ) -> dict[str, Any]:
        """All of an answer."""
        return self.api.answer(
            {
                "httpMethod": method,
                "resource": f"/v1{resource}",
                "pathParameters": path or None,
                "queryStringParameters": query,
                "headers": {} if key is None else {"Idempotency-Key": key},
                "body": None if content is None else json.dumps(content),
                "requestContext": {
                    "stage": "production",
                    "domainName": "api.example.com",
                    "identity": {"userArn": by},
                },
            }
        )


def problem_in(found: tuple[int, Any], status: int) -> dict[str, Any]:
    """A problem document of that status, in which all that is wrong names its way out."""
    assert found[0] == status, found
    told: dict[str, Any] = found[1]
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    for one in told["problems"]:
        assert one["field"]
        assert one["way_out"]
    return told
