"""Custom resources: their function gets CloudFormation's request and answers it by a PUT.

See docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html for the shapes.
"""

import json
import queue
import uuid
from typing import Any

from greenlane.local.errors import DeploymentFailed
from greenlane.local.journal import Request
from greenlane.local.resolve import Live
from greenlane.local.resources.kinds import Properties, ResourceType, Site
from greenlane.local.server import HttpReply, LocalServer

_PATH = "/_cloudformation/"
# Real seconds: a function runs at its own speed, and here nobody waits for an hour.
_ANSWER_SECONDS = 60.0


class ResponseUrls:
    """Gives each request a ResponseURL of the local endpoint and waits for what is put there."""

    def __init__(self, server: LocalServer, lambda_client: Any) -> None:
        """See the class."""
        self._server = server
        self._lambda = lambda_client
        self._answers: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}
        server.routes[_PATH] = self._receive

    def request(self, service_token: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request to a function and wait for its answer.

        Raises:
            DeploymentFailed: there is no answer in time.
        """
        identifier = str(uuid.uuid4())
        waiting = self._answers[identifier] = queue.SimpleQueue()
        event = {
            **request,
            "RequestId": identifier,
            "ResponseURL": f"{self._server.url}{_PATH}{identifier}",
        }
        try:
            self._lambda.invoke(
                FunctionName=service_token, InvocationType="Event", Payload=json.dumps(event)
            )
            return waiting.get(timeout=_ANSWER_SECONDS)
        except queue.Empty as error:
            raise DeploymentFailed(
                f"{request['LogicalResourceId']}: {service_token} did not answer the "
                f"{request['RequestType']} request within {_ANSWER_SECONDS:.0f} s"
            ) from error
        finally:
            del self._answers[identifier]

    def _receive(self, request: Request) -> HttpReply:
        waiting = self._answers.get(request.path.removeprefix(_PATH))
        if request.method != "PUT" or waiting is None:
            return HttpReply(403)
        waiting.put(json.loads(request.body))
        return HttpReply(200)


def _ask(site: Site, kind: str, properties: Properties, **more: Any) -> Live:
    answer = site.custom.request(
        properties["ServiceToken"],
        {
            "RequestType": kind,
            "StackId": site.stack_id,
            "LogicalResourceId": site.logical_id,
            "ResourceType": site.type,
            "ResourceProperties": _as_text(properties),
            **more,
        },
    )
    if answer["Status"] != "SUCCESS":
        raise DeploymentFailed(
            f"{site.logical_id} ({site.type}): {kind} failed: {answer.get('Reason', 'no reason')}"
        )
    return Live(answer["PhysicalResourceId"], answer.get("Data") or {})


def _as_text(value: Any) -> Any:
    """CloudFormation sends every scalar as text."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _create(site: Site, properties: Properties) -> Live:
    return _ask(site, "Create", properties)


def _update(site: Site, live: Live, old: Properties, new: Properties) -> Live:
    return _ask(
        site,
        "Update",
        new,
        PhysicalResourceId=live.physical_id,
        OldResourceProperties=_as_text(old),
    )


def _delete(site: Site, live: Live, properties: Properties) -> None:
    _ask(site, "Delete", properties, PhysicalResourceId=live.physical_id)


CUSTOM = ResourceType(_create, _delete, _update, frozenset({"ServiceToken"}))
