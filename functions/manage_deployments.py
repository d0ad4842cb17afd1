"""Answer what people and pipelines do with deployments over the HTTP API.

Without the decorator of the other functions: what goes wrong here is an answer, not an error.
"""

import functools
from typing import Any

from greenlane.deployments.http.deployments_api import DeploymentsApi


@functools.cache
def _api() -> DeploymentsApi:
    return DeploymentsApi.from_environment()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request."""
    return _api().answer(event)
