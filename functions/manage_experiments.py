"""Answer what people and pipelines do with A/B tests over the HTTP API.

Without the decorator of the other functions: what goes wrong here is an answer, not an error.
"""

import functools
from typing import Any

from greenlane.experiments.http.managing_api import ExperimentsApi


@functools.cache
def _api() -> ExperimentsApi:
    return ExperimentsApi.from_environment()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request."""
    return _api().answer(event)
