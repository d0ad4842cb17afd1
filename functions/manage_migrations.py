"""Answer what people and pipelines do with migrations of databases and restores over the HTTP API.

Without the decorator of the other functions: what goes wrong here is an answer, not an error.
"""

import functools
from typing import Any

from greenlane.migrations.http.migrations_api import MigrationsApi


@functools.cache
def _api() -> MigrationsApi:
    return MigrationsApi.from_environment()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request."""
    return _api().answer(event)
