"""Start the way back for the webhooks of Alertmanager, Grafana and others, over the HTTP API.

Without the decorator of the other functions: what goes wrong here is an answer, not an error.
"""

import functools
from typing import Any

from greenlane.rollback.http.webhook_api import WebhooksApi


@functools.cache
def _api() -> WebhooksApi:
    return WebhooksApi.from_environment()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request."""
    return _api().answer(event)
