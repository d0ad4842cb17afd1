"""Assign variants of A/B tests over the HTTP API, and record what users saw and did.

Without the decorator of the other functions: what goes wrong here is an answer, not an error.
"""

import functools
from typing import Any

from greenlane.experiments.http.recording_api import RecordingApi


@functools.cache
def _api() -> RecordingApi:
    return RecordingApi.from_environment()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request."""
    return _api().answer(event)
