"""Webhooks of monitoring: who shows the secret may start the way back, by the election's leave.

Of a body only names are logged: of alerts and services. The secret never is.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane import aws
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import InvalidInput
from greenlane.http.rest import Handler, Request, Response, respond, told
from greenlane.http.rooms import NoQuery
from greenlane.logs import logger
from greenlane.problems import Excerpt, InvalidDocument
from greenlane.rollback.http.webhook_routes import MOST_BYTES, ROUTES
from greenlane.rollback.http.webhook_secret import NAME, SecretUnknown, WebhookSecret
from greenlane.rollback.normalise import Ignored
from greenlane.rollback.shapes import AlertmanagerBody, Webhook
from greenlane.rollback.triggers import TriggerDocument, Triggered, start_rollbacks
from greenlane.runtime import Runtime, Settings

_SCHEME = re.compile(r"bearer +", re.IGNORECASE)

Start = Callable[[TriggerDocument, Runtime], Triggered]


class WebhooksApi:
    """The handlers of the routes that begin with `/v1/triggers`.

    Args:
        runtime: the table of deployments and the machine that goes back.
        secret: what senders must show.
    """

    def __init__(self, runtime: Runtime, secret: WebhookSecret) -> None:
        """See the class."""
        self._runtime, self._secret = runtime, secret
        self.handlers: Mapping[str, Handler] = {
            "hearAlertmanager": self._if_known(self.hear_alertmanager),
            "hearWebhook": self._if_known(self.hear_webhook),
        }

    @classmethod
    def from_environment(cls) -> "WebhooksApi":
        """As its template has it: `DEPLOYMENTS_TABLE`, `ROLLBACK_MACHINE_ARN`, `WEBHOOKS_SECRET`.

        All that hangs together ends within API Gateway's 29 seconds.

        Raises:
            KeyError: the template did not set one of the first two.
        """
        settings = Settings(
            table=os.environ["DEPLOYMENTS_TABLE"],
            topic_arn="",
            deployment_machine_arn="",
            rollback_machine_arn=os.environ["ROLLBACK_MACHINE_ARN"],
        )
        runtime = Runtime(settings=settings, actor="hear_webhooks")
        dynamodb = aws.client("dynamodb", read_timeout_seconds=3.0, attempts=2)
        runtime.store = DynamoStore(dynamodb, settings.table)
        runtime.stepfunctions = runtime.stepfunctions_back
        client = aws.client("secretsmanager", read_timeout_seconds=2.0, attempts=2)
        return cls(runtime, WebhookSecret(client, os.environ.get("WEBHOOKS_SECRET", NAME)))

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """One request, as API Gateway sends it, to its answer."""
        return respond(event, ROUTES, self.handlers, private=True)

    def hear_alertmanager(self, request: Request) -> Response:
        """Alerts by the group; each that can be read counts."""
        body = request.json(AlertmanagerBody)
        # Nothing else of the document: a key of another shape must not make it that shape's.
        document = {"version": body.version, "alerts": list(body.alerts)}
        return self._start(TriggerDocument(document))

    def hear_webhook(self, request: Request) -> Response:
        """That something is wrong with a service."""
        body = request.json(Webhook)
        return self._start(TriggerDocument(body.model_dump(mode="json", exclude_none=True)))

    def _start(self, document: TriggerDocument) -> Response:
        try:
            found = start_rollbacks(document, self._runtime)
        except (BotoCoreError, ClientError) as error:
            # Whatever it is, the sender is to try again: another attempt is harmless.
            logger.error(str(error), error=type(error).__name__)
            later = "the table or Step Functions did not answer; send it again"
            return told(503, "NotStarted", later, retry=True)
        logger.info("heard", started=found.started, ignored=len(found.ignored))
        if not found.started and found.ignored and all(one.field for one in found.ignored):
            raise InvalidDocument("body", [_unreadable(one) for one in found.ignored])
        return Response(content=found)

    def _if_known(self, handler: Handler) -> Handler:
        """The handler, for those who show the secret; the others' bodies are not looked at."""

        def checked(request: Request) -> Response:
            shown = request.headers.get("authorization", "")
            scheme = _SCHEME.match(shown)
            try:
                known = scheme and self._secret.matches(shown[scheme.end() :].strip())
            except SecretUnknown:
                later = "Secrets Manager did not tell the secret of webhooks; send it again"
                return told(503, "SecretUnknown", later, retry=True)
            if not known:
                return _refused()
            request.parameters(NoQuery)
            if len(request.body) > MOST_BYTES:
                said = f"body: it is longer than {MOST_BYTES} bytes; send fewer alerts at once"
                return told(413, "TooLong", said)
            return handler(request)

        return checked


def _refused() -> Response:
    said = f"show the secret {NAME} of Secrets Manager: Authorization: Bearer SECRET"
    answer = told(401, "SecretRefused", said)
    return Response(
        answer.status,
        answer.content,
        {**answer.headers, "www-authenticate": 'Bearer realm="greenlane"'},
        answer.media,
    )


def _unreadable(one: Ignored) -> InvalidInput:
    field = one.field or "document"
    return InvalidInput(field, Excerpt("it"), one.reason.removeprefix(f"{field}: "))
