"""For all tests."""

import functools
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from typing import Any

import pytest
from botocore.hooks import EVENT_ALIASES, EventAliaser
from botocore.loaders import JSONFileLoader, Loader, create_loader
from botocore.session import Session
from hypothesis import settings

from greenlane.local.context import CODE

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


class _LoadedOnce(dict[Any, Any]):
    """What a loader has read: of S3 its own, of all else what any session's loader has."""

    def __init__(self, shared: dict[Any, Any]) -> None:
        super().__init__()
        self._shared = shared

    def _holder(self, key: tuple[Any, ...]) -> Any:
        own = any(part == "s3" or str(part).startswith("s3/") for part in key)
        return super() if own else self._shared

    def __contains__(self, key: Any) -> bool:
        return self._holder(key).__contains__(key)  # type: ignore[no-any-return]

    def __getitem__(self, key: Any) -> Any:
        return self._holder(key).__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._holder(key).__setitem__(key, value)


def _share_among_sessions() -> None:
    """Let sessions share what they work out of the models, and of the names of botocore's events.

    Clients of one session do. Each test with an account begins sessions of its own, and spent a
    third to a half of its time on putting the same models together again.
    """
    shared: dict[str | None, dict[Any, Any]] = {}

    def loader_of(path: str | None) -> Loader:
        loader = create_loader(path)
        loader._cache = _LoadedOnce(shared.setdefault(path, {}))  # type: ignore[attr-defined]
        return loader

    def register_data_loader(session: Any) -> None:
        path = functools.partial(session.get_config_variable, "data_path")
        session._components.lazy_register_component("data_loader", lambda: loader_of(path()))

    aliaser: Any = EventAliaser
    begin, names = aliaser.__init__, dict[str, str]()

    def __init__(self: Any, emitter: Any, aliases: Any = None) -> None:
        begin(self, emitter, aliases)
        if self._event_aliases == EVENT_ALIASES:
            self._alias_name_cache = names

    aliaser.__init__ = __init__
    Session._register_data_loader = register_data_loader  # type: ignore[attr-defined]


_share_among_sessions()


def pytest_configure(config: pytest.Config) -> None:
    """Let the local clouds of a run share the code of functions, and what Python compiles of it."""
    if CODE not in os.environ:
        folder = tempfile.mkdtemp(prefix="greenlane-code-")
        os.environ[CODE] = folder

        def remove() -> None:
            del os.environ[CODE]
            shutil.rmtree(folder, ignore_errors=True)

        config.add_cleanup(remove)


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
    """Let libraries find out once what they find out at each call."""
    _make_commands_once()
    _let_moto_remember()


def _make_commands_once() -> None:
    """The runner of commands makes all of them anew for each line: most of what one costs."""
    testing: Any = sys.modules.get("typer.testing")
    if testing is not None:
        testing._get_command = functools.cache(testing._get_command)


def _let_moto_remember() -> None:
    """What moto and what it uses find out at each call.

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
