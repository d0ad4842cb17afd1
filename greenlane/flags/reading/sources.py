"""Where snapshots come from: the table, by either client, or a file.

Imports nothing heavy: the lookup function chooses its source here.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Protocol

    Item = dict[str, Any]

    class Source(Protocol):
        """What a `Reader` reads. Each call may raise whatever it meets."""

        def version(self, environment: str) -> int | None:
            """The version of an environment's snapshot; None when it has none."""
            ...

        def snapshot(self, environment: str) -> tuple[int, bytes] | None:
            """Version and body of a snapshot, JSON that may be gzipped; None without one."""
            ...


FLAGS_TABLE = "FLAGS_TABLE"
"""The variable that names the table of flags."""

STDLIB, BOTOCORE = "stdlib", "botocore"
"""What `FLAGS_CLIENT` may say."""

_NEEDS_BOTOCORE = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")
_PROXIES = ("HTTPS_PROXY", "https_proxy")


def chosen_source(environ: Mapping[str, str] = os.environ, *, named: str = FLAGS_TABLE) -> Source:
    """The source that the environment asks for.

    The variable `named` has the table's name. `FLAGS_CLIENT` is `stdlib` or `botocore`; without it
    the light client is taken where it can do the work: credentials are in the environment, as
    Lambda puts them there, with a Region of the usual partitions, and neither a proxy nor FIPS or
    dual-stack endpoints are asked for.

    Raises:
        InvalidInput: no table, or another client.
    """
    table, client = _asked(environ, named)
    if client == STDLIB:
        from greenlane.flags.reading.dynamo_http import StdlibSource

        return StdlibSource(table, environ=environ)
    from greenlane import aws

    made = aws.client("dynamodb", connect_timeout_seconds=1.0, read_timeout_seconds=2.0, attempts=2)
    return BotoSource(made, table)


def chosen_writer(
    environ: Mapping[str, str] = os.environ,
    *,
    connect_seconds: float = 0.2,
    read_seconds: float = 0.3,
) -> Callable[[Mapping[str, Any]], object]:
    """What sends the updates of `lifecycle.seen`: once, and given up after half a second.

    Args:
        environ: where table, client and credentials are named.
        connect_seconds: how long a connection may take.
        read_seconds: how long an answer may take.

    Raises:
        InvalidInput: as `chosen_source`.
    """
    table, client = _asked(environ, FLAGS_TABLE)
    if client == STDLIB:
        from greenlane.flags.reading.dynamo_http import StdlibSource

        source = StdlibSource(
            table, environ=environ, connect_seconds=connect_seconds, read_seconds=read_seconds
        )
        return source.update
    from greenlane import aws
    from greenlane.flags.lifecycle.seen import boto_writer

    hasty = aws.client(
        "dynamodb",
        connect_timeout_seconds=connect_seconds,
        read_timeout_seconds=read_seconds,
        attempts=1,
    )
    return boto_writer(hasty, table)


def _asked(environ: Mapping[str, str], named: str) -> tuple[str, str]:
    """Table and client."""
    table, client = environ.get(named, ""), environ.get("FLAGS_CLIENT", "")
    if not table:
        raise _refused(named, table, "name the table, such as greenlane-flags")
    if client not in ("", STDLIB, BOTOCORE):
        raise _refused("FLAGS_CLIENT", client, f"use {STDLIB} or {BOTOCORE}")
    return table, client or _able(environ)


def _able(environ: Mapping[str, str]) -> str:
    """The light client, unless the environment asks for what only botocore can do."""
    keys = environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    # Partitions whose endpoints have other names.
    elsewhere = not region or "-iso" in region or region.startswith("eusc-")
    special = any(environ.get(name, "").lower() == "true" for name in _NEEDS_BOTOCORE)
    proxied = any(environ.get(name) for name in _PROXIES)
    return BOTOCORE if not keys or elsewhere or special or proxied else STDLIB


def _refused(field: str, value: object, way_out: str) -> Exception:
    from greenlane.errors import InvalidInput  # not on the way of a lookup

    return InvalidInput(field, value, way_out)


def as_key(key: tuple[str, str]) -> Item:
    """Partition and sort key, as DynamoDB has them."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def in_order(keys: Sequence[tuple[str, str]], items: Iterable[Item]) -> list[Item | None]:
    """The items of an answer in the order of the keys that were asked for; None is not there."""
    found = {(one["pk"]["S"], one["sk"]["S"]): one for one in items}
    return [found.get(key) for key in keys]


class BotoSource:
    """Snapshots out of the flags' table, by boto3.

    Args:
        client: a `dynamodb` client of boto3.
        table: its name.
    """

    def __init__(self, client: Any, table: str) -> None:
        """See the class."""
        self._client, self._table = client, table

    def version(self, environment: str) -> int | None:
        """The version of an environment's snapshot; None when it has none.

        Raises:
            ClientError, BotoCoreError: what boto3 met.
        """
        item = self._item(environment, "version")
        return None if item is None else int(item["version"]["N"])

    def snapshot(self, environment: str) -> tuple[int, bytes] | None:
        """Version and body of an environment's snapshot; None when it has none.

        Raises:
            ClientError, BotoCoreError: what boto3 met.
        """
        item = self._item(environment, "snapshot")
        return None if item is None else (int(item["version"]["N"]), bytes(item["body"]["B"]))

    def items(self, keys: Sequence[tuple[str, str]]) -> list[Item | None]:
        """Other items by their keys; see `dynamo_http.StdlibSource.items`.

        Raises:
            ClientError, BotoCoreError: what boto3 met.
            LookupError: DynamoDB did not read all of them.
        """
        if len(keys) == 1:
            return [self._get(as_key(keys[0]))]
        asked = {self._table: {"Keys": [as_key(one) for one in keys], "ConsistentRead": True}}
        answer = self._client.batch_get_item(RequestItems=asked)
        if answer.get("UnprocessedKeys"):
            raise LookupError("DynamoDB did not read all of the items that were asked for")
        return in_order(keys, answer["Responses"].get(self._table, []))

    def _item(self, environment: str, sort_key: str) -> Item | None:
        return self._get(as_key((f"snapshot#{environment}", sort_key)))

    def _get(self, key: Item) -> Item | None:
        answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        found: Item | None = answer.get("Item")
        return found


class FileSource:
    """Flags out of a file, without a cloud: for tests, for laptops, for a start without network.

    Either definitions (YAML, as for `greenlane apply`), or one compiled snapshot (JSON, which
    loads without YAML or pydantic and is for whatever environment asks). A file that changes is
    read again; each change is a new version.

    Args:
        path: the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """See the class."""
        self._path = os.fspath(path)
        self._stamp: tuple[int, int, int] | None = None
        self._version = 0

    def version(self, environment: str) -> int | None:
        """How often the file was seen to have changed.

        Raises:
            OSError: it cannot be read.
        """
        found = os.stat(self._path)  # noqa: PTH116 (pathlib takes 5 ms to import)
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._stamp:
            self._stamp, self._version = stamp, self._version + 1
        return self._version

    def snapshot(self, environment: str) -> tuple[int, bytes] | None:
        """The file as the snapshot of an environment.

        Raises:
            OSError: it cannot be read.
            InvalidDocument: everything that is wrong with the definitions, by line.
            ValueError: it is no snapshot.
        """
        version = self.version(environment) or 0
        with open(self._path, encoding="utf-8") as file:  # noqa: PTH123
            text = file.read()
        if self._path.endswith(".json"):
            return version, text.encode()
        from greenlane.flags.definitions.compiling import compile_snapshot
        from greenlane.flags.definitions.document import read_flags

        compiled = compile_snapshot(read_flags(text, self._path), environment, version=version)
        return version, json.dumps(compiled).encode()
