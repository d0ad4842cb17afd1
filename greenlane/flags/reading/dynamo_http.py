"""Reads snapshots from DynamoDB with the standard library alone.

A lookup function must start fast, and boto3 takes longer to import than everything else that it
does (ADR 0025). What is needed of DynamoDB are three calls, `GetItem`, `BatchGetItem` for several
users' items of A/B tests and, to note which flags are used, `UpdateItem`: over one kept connection,
signed with the credentials that Lambda puts into the environment.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import time
from binascii import a2b_base64
from threading import Lock
from urllib.parse import urlsplit

from greenlane.flags.reading.sources import as_key, in_order

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from greenlane.flags.reading.sources import Item

CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS = 1.0, 2.0
IDLE_SECONDS = 5.0
"""A connection that no write used for longer is not trusted with one."""

PAUSE_SECONDS = 0.05
"""Before the second try after an answer that says to come back later."""

_SERVICE = "dynamodb"
_API = "DynamoDB_20120810"
_CONTENT_TYPE = "application/x-amz-json-1.0"
_COME_BACK = {
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
}


class StoreUnreadable(Exception):
    """DynamoDB could not be read; nothing is known of the flags there."""


class StdlibSource:
    """Snapshots out of the flags' table; see `greenlane.flags.reading.sources.Source`.

    Reads are strongly consistent: a reader is told of a flag's end by the first read after it.
    Any number of threads may use it, one after the other.

    Args:
        table: its name.
        environ: where region, credentials and endpoint come from: `AWS_REGION`,
            `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
            `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`. Credentials are
            looked up at each read.
        clock: Unix seconds, for signatures.
        sleep: waits so many seconds.
        connect_seconds: how long a connection may take.
        read_seconds: how long an answer may take.

    Raises:
        InvalidInput: no region, or an endpoint that is no plain `http(s)://host:port`.
    """

    def __init__(
        self,
        table: str,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        connect_seconds: float = CONNECT_TIMEOUT_SECONDS,
        read_seconds: float = READ_TIMEOUT_SECONDS,
    ) -> None:
        """See the class."""
        self._table, self._environ = table, environ
        self._clock, self._sleep = clock, sleep
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        self._written = 0.0
        self._region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
        self._https, self._name, self._port = _endpoint(environ, self._region)
        standard = self._port in (None, 443 if self._https else 80)
        host = f"[{self._name}]" if ":" in self._name else self._name
        self._host = host if standard else f"{host}:{self._port}"
        self._lock, self._process = Lock(), os.getpid()
        self._connection: http.client.HTTPConnection | None = None
        self._trust: Any = None

    def version(self, environment: str) -> int | None:
        """The version of an environment's snapshot; None when it has none.

        Raises:
            StoreUnreadable: with what DynamoDB said, or how the connection broke.
        """
        item = self._item(environment, "version")
        return None if item is None else _number(item)

    def snapshot(self, environment: str) -> tuple[int, bytes] | None:
        """Version and body of an environment's snapshot; None when it has none.

        Raises:
            StoreUnreadable: with what DynamoDB said, or how the connection broke.
        """
        item = self._item(environment, "snapshot")
        if item is None:
            return None
        try:
            return _number(item), a2b_base64(item["body"]["B"])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreUnreadable(f"the snapshot of {environment} has no body") from error

    def update(self, parameters: Mapping[str, Any]) -> None:
        """Send one `UpdateItem`, once: what got lost on the way is not known to be undone.

        Args:
            parameters: of the call, but for the table's name.

        Raises:
            StoreUnreadable: with what DynamoDB said, or how the connection broke.
        """
        with self._own_lock():
            if self._clock() - self._written > IDLE_SECONDS:
                # The other side may have closed what nobody used, and there is no second try.
                self._drop()
            self._written = self._clock()
            self._ask("UpdateItem", {"TableName": self._table, **parameters}, tries=1)

    def close(self) -> None:
        """Close the connection; the next read opens another."""
        with self._own_lock():
            self._drop()

    def items(self, keys: Sequence[tuple[str, str]]) -> list[Item | None]:
        """Other items, in the order of their keys; None for what is not there.

        Args:
            keys: partition and sort key of each: all different, 1 to 100.

        Raises:
            StoreUnreadable: with what DynamoDB said, or how the connection broke.
        """
        if len(keys) == 1:
            return [self._get(keys[0])]
        wanted = {"Keys": [as_key(one) for one in keys], "ConsistentRead": True}
        with self._own_lock():
            answer = self._ask("BatchGetItem", {"RequestItems": {self._table: wanted}}, tries=2)
        if answer.get("UnprocessedKeys"):
            raise StoreUnreadable("DynamoDB did not read all of the items that were asked for")
        try:
            return in_order(keys, answer["Responses"].get(self._table, []))
        except (AttributeError, LookupError, TypeError) as error:
            raise StoreUnreadable("DynamoDB's answer has no items in it") from error

    def _item(self, environment: str, sort_key: str) -> Item | None:
        return self._get((f"snapshot#{environment}", sort_key))

    def _get(self, key: tuple[str, str]) -> Item | None:
        asked = {"TableName": self._table, "Key": as_key(key), "ConsistentRead": True}
        with self._own_lock():
            # A read changes nothing, so it may be asked for twice.
            answer = self._ask("GetItem", asked, tries=2)
        item = answer.get("Item")
        if item is not None and not isinstance(item, dict):
            raise StoreUnreadable("DynamoDB's answer has no item in it")
        return item

    def _own_lock(self) -> Lock:
        if self._process != os.getpid():
            # Whoever held the lock when this process was forked is not here to release it, and the
            # connection is the other process's too; what is closed here stays open there.
            self._lock, self._process = Lock(), os.getpid()
            self._drop()
        return self._lock

    def _ask(self, operation: str, asked: dict[str, Any], *, tries: int) -> dict[str, Any]:
        """One answer that is good."""
        body = json.dumps(asked, separators=(",", ":")).encode()
        for number in range(1, tries + 1):
            last = number == tries
            try:
                status, content = self._exchange(operation, body)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if last or _untrusted(error):
                    raise StoreUnreadable(
                        f"{self._host}: {type(error).__name__}: {error}"
                    ) from error
                continue
            answer = _parsed(content)
            if status == 200 and answer is not None:
                return answer
            code, message = _told(answer)
            chance = answer is None or status >= 500 or status == 429 or code in _COME_BACK
            if last or not chance:
                raise StoreUnreadable(f"DynamoDB answered {status} {code}: {message}")
            self._sleep(PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")

    def _exchange(self, operation: str, body: bytes) -> tuple[int, bytes]:
        connection = self._connected()
        headers = signed(
            self._host,
            f"{_API}.{operation}",
            body,
            region=self._region,
            credentials=_credentials(self._environ),
            at=self._clock(),
        )
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _connected(self) -> http.client.HTTPConnection:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._new()
        if connection.sock is None:
            connection.timeout = self._connect_seconds
            connection.connect()
            opened: Any = connection.sock
            opened.settimeout(self._read_seconds)
        return connection

    def _new(self) -> http.client.HTTPConnection:
        if not self._https:
            return http.client.HTTPConnection(self._name, self._port)
        import ssl

        if self._trust is None:
            # Loading the system's certificates takes some 20 ms: once, and not at import.
            bundle = self._environ.get("AWS_CA_BUNDLE") or None
            self._trust = ssl.create_default_context(cafile=bundle)
        return http.client.HTTPSConnection(self._name, self._port, context=self._trust)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def signed(
    host: str,
    target: str,
    body: bytes,
    *,
    region: str,
    credentials: tuple[str, str, str | None],
    at: float,
) -> dict[str, str]:
    """The headers of a signed `POST /` (AWS Signature Version 4).

    Args:
        host: as the `Host` header has it.
        target: DynamoDB's version and operation.
        body: what is posted.
        region: of the endpoint.
        credentials: access key id, secret key, session token or None.
        at: Unix seconds.
    """
    key_id, secret, token = credentials
    instant = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    headers = {
        "content-type": _CONTENT_TYPE,
        "host": host,
        "x-amz-date": instant,
        "x-amz-target": target,
    }
    if token:
        headers["x-amz-security-token"] = token
    names = sorted(headers)
    listed = ";".join(names)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    request = f"POST\n/\n\n{lines}\n{listed}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{instant[:8]}/{region}/{_SERVICE}/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{instant}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={listed}, "
        f"Signature={key.hex()}"
    )
    return headers


def _credentials(environ: Mapping[str, str]) -> tuple[str, str, str | None]:
    try:
        key_id, secret = environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]
    except KeyError as missing:
        raise StoreUnreadable(
            f"{missing.args[0]} is not in the environment; set FLAGS_CLIENT=botocore where "
            "credentials come from elsewhere"
        ) from None
    return key_id, secret, environ.get("AWS_SESSION_TOKEN") or None


def _endpoint(environ: Mapping[str, str], region: str) -> tuple[bool, str, int | None]:
    """Whether by TLS, the host's name and the port."""
    if not region:
        raise _refused("AWS_REGION", "", "name the region of the flags' table")
    field, url = _configured(environ)
    if not url:
        end = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return True, f"{_SERVICE}.{region}.{end}", None
    way_out = "give http(s)://host or http(s)://host:port, or set FLAGS_CLIENT=botocore"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused(field, url, way_out) from None
    plain = parts.path in ("", "/") and not parts.query and "@" not in parts.netloc
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise _refused(field, url, way_out)
    return parts.scheme == "https", parts.hostname, port


def _refused(field: str, value: object, way_out: str) -> Exception:
    from greenlane.errors import InvalidInput  # not on the way of a lookup

    return InvalidInput(field, value, way_out)


def _configured(environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable that names an endpoint, and what it says; as botocore chooses."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return "", ""
    for name in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"):
        if environ.get(name):
            return name, environ[name]
    return "", ""


def _untrusted(error: Exception) -> bool:
    """Whether the other side's certificate is not trusted: asking again would not help."""
    return type(error).__name__ == "SSLCertVerificationError"


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _told(answer: dict[str, Any] | None) -> tuple[str, str]:
    """Code and text of an error, as DynamoDB writes them."""
    if answer is None:
        return "", "no JSON"
    code = str(answer.get("__type", "")).rpartition("#")[2]
    return code, str(answer.get("message") or answer.get("Message") or "")


def _number(item: dict[str, Any]) -> int:
    try:
        return int(item["version"]["N"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreUnreadable("an item of the snapshot has no version") from error
