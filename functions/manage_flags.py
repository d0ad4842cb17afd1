"""Answer what people and pipelines do with feature flags over the HTTP API.

Without the decorator of the other functions: what goes wrong here is an answer, not an error.
"""

import functools
from typing import Any

from greenlane.flags.http.admin_api import FlagsApi


@functools.cache
def _api() -> FlagsApi:
    return FlagsApi.from_environment()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request."""
    return _api().answer(event)
