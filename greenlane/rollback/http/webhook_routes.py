"""The routes of the HTTP API by which monitoring starts the way back."""

from pydantic import BaseModel

from greenlane.http.replies import always, merged, ok, too_long
from greenlane.http.rooms import NoQuery
from greenlane.http.routes import Route
from greenlane.rollback.shapes import AlertmanagerBody, Webhook
from greenlane.rollback.triggers import Triggered

HEAR = "hear_webhooks"

MOST_BYTES = 256 * 1024
"""Of a request's body."""

_TOLD = (
    "What is sent twice, too late or of another deployment starts nothing, or a workflow that "
    "finds nothing to do: one incident is one rollback. 5xx means that it is to be sent again."
)


def _route(path: str, name: str, about: str, body: type[BaseModel]) -> Route:
    return Route(
        method="POST",
        path=f"/v1/triggers/{path}",
        name=name,
        about=about,
        function=HEAR,
        auth="secret",
        replies=merged(
            always("secret"),
            {413: too_long("The body is longer than 256 KiB.")},
            ok("The executions that were started, and why the rest was ignored.", Triggered),
        ),
        details=_TOLD,
        tag="Triggers",
        parameters=NoQuery,
        body=body,
    )


ROUTES = (
    _route(
        "alertmanager",
        "hearAlertmanager",
        "Alerts of Alertmanager or Grafana.",
        AlertmanagerBody,
    ),
    _route("webhook", "hearWebhook", "That something is wrong with a service.", Webhook),
)
