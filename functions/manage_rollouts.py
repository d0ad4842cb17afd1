"""Answer what people and pipelines do with rollouts through several Regions over the HTTP API.

Without the decorator of the other functions: what goes wrong here is an answer, not an error.
"""

import functools
from typing import Any

from greenlane.regions.http.rollouts_api import RolloutsApi


@functools.cache
def _api() -> RolloutsApi:
    return RolloutsApi.from_environment()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request."""
    return _api().answer(event)
