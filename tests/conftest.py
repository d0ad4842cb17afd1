"""For all tests."""

import functools
import os
import sys
from typing import Any

from botocore.loaders import JSONFileLoader
from hypothesis import settings

# Two busy cores pause any test for longer than hypothesis's 200 milliseconds.
settings.register_profile("greenlane", deadline=None)
settings.load_profile("greenlane")

# moto would otherwise make hundreds of machine images for each account that a test begins with.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def _read_once() -> None:
    """A session parses its services' models again: most of what a new client costs.

    Not so for S3, whose model botocore changes when it makes a client.
    """
    read, known = JSONFileLoader.load_file, dict[str, Any]()

    def load_file(loader: JSONFileLoader, file_path: str) -> Any:
        if os.sep + "s3" + os.sep in file_path:
            return read(loader, file_path)
        if file_path not in known:
            known[file_path] = read(loader, file_path)
        return known[file_path]

    JSONFileLoader.load_file = load_file  # type: ignore[method-assign, assignment]


_read_once()


def pytest_collection_finish() -> None:
    """Let moto make its 1,600 answers for the library `requests` once, not for each test."""
    models: Any = sys.modules.get("moto.core.models")
    if models is not None:
        models.CallbackResponse = functools.cache(models.CallbackResponse)
