"""What a function's process has from the template that forked it, as if it had got it by itself.

Used by `function_process`, and like it loaded by its path, apart from the greenlane package. What
the processes of an asset import of it, and which of botocore's files they read, is written down
beside the asset, one a line: `module <name>`, `file <path>`.
"""

import contextlib
import functools
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_read: dict[str, Any] = {}
"""Botocore's files by their paths without the ending, as they were read."""


class Asked:
    """What modules asked of the environment while they were imported, and what it answered.

    Args:
        given: the environment.
    """

    def __init__(self, given: dict[str, str]) -> None:
        """See the class."""
        self.given = given
        self.values: dict[str, str | None] = {}
        self.presence: dict[str, bool] = {}
        self.everything = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note what is asked meanwhile."""
        asked = self

        class Listening(os._Environ[str]):
            """The environment, which tells what it was asked."""

            def __getitem__(self, name: str) -> str:
                asked.values.setdefault(name, asked.given.get(name))
                return str(super().__getitem__(name))

            def __contains__(self, name: object) -> bool:
                return asked.presence.setdefault(str(name), name in asked.given)

            def __iter__(self) -> Iterator[str]:
                asked.everything = True
                return super().__iter__()

        os.environ.__class__ = Listening
        try:
            yield
        finally:
            os.environ.__class__ = os._Environ

    def same_for(self, environ: dict[str, str]) -> bool:
        """Whether this environment would have given the same answers."""
        return (
            not self.everything
            and all(environ.get(name) == value for name, value in self.values.items())
            and all((name in environ) == found for name, found in self.presence.items())
        )


class Imports:
    """What the functions of one asset import, on both sides of the fork.

    Args:
        directory: the asset's.
        environ: the environment of the process in which this is made.
    """

    def __init__(self, directory: str, environ: dict[str, str]) -> None:
        """See the class."""
        self._directory = directory
        self._path = Path(directory + ".imports")
        self._asked = Asked(environ)
        self._known: set[str] = set()

    def learn(self) -> bool:
        """In a template: import and read what processes have told since; false if that is none."""
        try:
            *whole, _ = self._path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return False
        lines = set(whole)
        new = sorted(lines - self._known)
        self._known |= lines
        for kind, _, name in (line.partition(" ") for line in new):
            if kind == "file":
                _loader().load_file(name)
                continue
            # What cannot be imported here fails where it is needed.
            with self._asked.listening(), contextlib.suppress(Exception):
                importlib.import_module(name)
        return bool(new)

    def take(self, environ: dict[str, str]) -> None:
        """In a process: let go of the asset's modules if its environment answers otherwise."""
        if not self._asked.same_for(environ):
            for name in self._modules():
                del sys.modules[name]

    def tell(self, handler: str) -> None:
        """In a process: tell what it imported and read; the handler's module is its own.

        Modules are not told while there are threads, which they may have started: a fork does not
        take those along.
        """
        lines = {f"file {path}" for path in _read}
        if threading.active_count() == 1:
            own = handler.rpartition(".")[0].replace("/", ".")
            lines |= {f"module {name}" for name in self._modules() if name != own}
        new = sorted(lines - self._known)
        self._known.update(new)
        if new:
            # In one piece: others append at the same time.
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(file, "".join(f"{line}\n" for line in new).encode())
            finally:
                os.close(file)

    def _modules(self) -> list[str]:
        """The names of the modules that came out of the directory."""
        inside = self._directory + os.sep
        found = []
        for name, module in list(sys.modules.items()):
            # A package without a file of its own has folders.
            places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
            if any(str(place).startswith(inside) for place in places):
                found.append(name)
        return found


def keep_what_botocore_reads() -> None:
    """Let each file be read once: most of what a new client costs.

    Not so for S3, whose model botocore changes when it makes a client.
    """
    from botocore.loaders import JSONFileLoader, Loader

    load, services = JSONFileLoader.load_file, Loader.list_available_services

    def load_file(loader: JSONFileLoader, file_path: str) -> Any:
        if os.sep + "s3" + os.sep in file_path:
            return load(loader, file_path)
        if file_path not in _read:
            _read[file_path] = load(loader, file_path)
        return _read[file_path]

    @functools.cache
    def listed(paths: tuple[str, ...], type_name: str) -> list[str]:
        return list(services(Loader(list(paths), include_default_search_paths=False), type_name))

    def list_available_services(loader: Loader, type_name: str) -> list[str]:
        return list(listed(tuple(loader.search_paths), type_name))

    JSONFileLoader.load_file = load_file  # type: ignore[assignment, method-assign]
    Loader.list_available_services = list_available_services  # type: ignore[assignment, method-assign]
    # For all processes: making a client asks for these.
    for type_name in ("service-2", "endpoint-rule-set-1"):
        Loader().list_available_services(type_name)


def _loader() -> Any:
    from botocore.loaders import JSONFileLoader

    return JSONFileLoader()
