"""For all tests."""

import functools
import gc
import os
import sys
from collections.abc import Generator
from typing import Any

import pytest
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


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage only in what tests leave.

    What is imported and collected stays to the end: some 600 MB of it, which Python would walk
    through again and again, for a third of the time that collecting takes and a tenth of the rest.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 10)
        gc.enable()


def pytest_collection_finish() -> None:
    """Let moto and what it uses find out once what they find out at each call.

    Its 1,600 answers for the library `requests`, the names of a service's operations, and whether
    the name of an element of XML is one: together a fifth of what a call to it takes.
    """
    models: Any = sys.modules.get("moto.core.models")
    if models is None:
        return
    models.CallbackResponse = functools.cache(models.CallbackResponse)
    responses: Any = sys.modules["moto.core.responses"]
    find_names = functools.cache(lambda service, _: names_of(service))
    names_of = responses.method_names_from_class

    def method_names_from_class(service: type) -> Any:
        # The local cloud adds operations to some services.
        return find_names(service, tuple(len(vars(one)) for one in service.__mro__))

    responses.method_names_from_class = method_names_from_class
    xml: Any = sys.modules["xmltodict"]
    xml._validate_name = functools.cache(xml._validate_name)
