import gzip
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from greenlane.errors import InvalidInput
from greenlane.flags.reading import dynamo_http
from greenlane.flags.reading.dynamo_http import StdlibSource, StoreUnreadable, signed

KEYS = {
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
}
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80)
WORD = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9 +/=-]{0,60}[A-Za-z0-9=])?", fullmatch=True)
PATIENCE: Any = {"connect_seconds": 60, "read_seconds": 60}
"""Where not the time is what is promised: a busy machine may be late."""


@given(
    host=st.from_regex(r"[a-z0-9.-]{1,40}(:[1-9][0-9]{1,4})?", fullmatch=True),
    target=st.from_regex(r"[A-Za-z0-9_.]{1,40}", fullmatch=True),
    body=st.binary(max_size=300),
    region=st.from_regex(r"[a-z]{2}(-[a-z]+)+-[1-9]", fullmatch=True),
    key_id=st.from_regex(r"[A-Z0-9]{16,20}", fullmatch=True),
    secret=PRINTABLE,
    token=st.none() | WORD,
    at=st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),
)
def test_requests_are_signed_as_botocore_signs_them(
    host: str,
    target: str,
    body: bytes,
    region: str,
    key_id: str,
    secret: str,
    token: str | None,
    at: datetime,
) -> None:
    ours = signed(
        host,
        target,
        body,
        region=region,
        credentials=(key_id, secret, token),
        at=at.replace(tzinfo=UTC).timestamp(),
    )

    request = AWSRequest(
        "POST",
        f"http://{host}/",
        headers={"Content-Type": ours["content-type"], "X-Amz-Target": target, "Host": host},
        data=body,
    )
    signer = SigV4Auth(Credentials(key_id, secret, token), "dynamodb", region)
    with patch("botocore.auth.get_current_datetime", return_value=at, autospec=True):
        signer.add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    assert ours == theirs


class Stub:
    """An HTTP server that answers as it is told, in turn, and writes down what it is asked."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[tuple[dict[str, str], Any]] = []
        self.connections = 0
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                stub.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                stub.asked.append((dict(self.headers.items()), json.loads(body)))
                answer = stub.answers.pop(0)
                if answer is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                status, content = answer
                content = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()
    yield made
    made.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def source(stub: Stub, pauses: list[float]) -> Iterator[StdlibSource]:
    environ = KEYS | {"AWS_ENDPOINT_URL": stub.url}
    made = StdlibSource("greenlane-flags", environ=environ, sleep=pauses.append, **PATIENCE)
    yield made
    made.close()


VERSION = (200, {"Item": {"version": {"N": "7"}, "digest": {"S": "d"}}})
THROTTLED = (400, {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"})


def test_one_connection_serves_all_reads(stub: Stub, source: StdlibSource) -> None:
    stub.answers = [VERSION] * 5

    assert [source.version("production") for _ in range(5)] == [7] * 5

    assert stub.connections == 1
    headers, asked = stub.asked[0]
    assert headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert headers["x-amz-security-token"] == "token"
    assert asked == {
        "TableName": "greenlane-flags",
        "Key": {"pk": {"S": "snapshot#production"}, "sk": {"S": "version"}},
        "ConsistentRead": True,
    }


def test_what_is_not_there_is_none(stub: Stub, source: StdlibSource) -> None:
    stub.answers = [(200, {}), (200, {})]

    assert source.version("production") is None
    assert source.snapshot("production") is None


@pytest.mark.parametrize("broken", [None, (500, b"oh"), (503, {}), (429, {}), THROTTLED])
def test_a_read_that_fails_by_chance_is_tried_once_more(
    stub: Stub, source: StdlibSource, pauses: list[float], broken: Any
) -> None:
    stub.answers = [broken, VERSION]

    assert source.version("production") == 7
    assert pauses == ([] if broken is None else [0.05])


@pytest.mark.parametrize("broken", [None, (500, b"oh"), THROTTLED, (200, b"[]"), (200, b"no")])
def test_a_second_failure_is_told(stub: Stub, source: StdlibSource, broken: Any) -> None:
    stub.answers = [broken, broken, VERSION]

    with pytest.raises(StoreUnreadable):
        source.version("production")
    # And the next read goes its way, on a connection of its own where the last one broke.
    assert source.version("production") == 7


def test_a_connection_that_was_closed_in_between_is_opened_again(
    stub: Stub, source: StdlibSource
) -> None:
    stub.answers = [VERSION, None, VERSION]

    assert [source.version("production"), source.version("production")] == [7, 7]
    assert stub.connections == 2


def test_a_refusal_is_not_repeated_and_says_what_dynamodb_says(
    stub: Stub, source: StdlibSource
) -> None:
    code = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"
    stub.answers = [(400, {"__type": code, "message": "no table"})]

    with pytest.raises(StoreUnreadable, match="400 ResourceNotFoundException: no table"):
        source.version("production")
    assert len(stub.asked) == 1


@pytest.mark.parametrize("item", [{}, {"version": {"S": "1"}}, {"version": {"N": "x"}}, 7])
def test_an_item_of_another_shape_is_told(stub: Stub, source: StdlibSource, item: Any) -> None:
    stub.answers = [(200, {"Item": item})]

    with pytest.raises(StoreUnreadable):
        source.version("production")


def test_a_snapshot_without_a_body_is_told(stub: Stub, source: StdlibSource) -> None:
    stub.answers = [(200, {"Item": {"version": {"N": "1"}}})]

    with pytest.raises(StoreUnreadable, match="the snapshot of production has no body"):
        source.snapshot("production")


def test_a_store_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        source = StdlibSource("t", environ=KEYS | {"AWS_ENDPOINT_URL": url}, read_seconds=0.05)
        with pytest.raises(StoreUnreadable, match="TimeoutError"):
            source.version("production")


def test_timeouts_are_short_enough_for_a_lookup() -> None:
    assert (dynamo_http.CONNECT_TIMEOUT_SECONDS, dynamo_http.READ_TIMEOUT_SECONDS) == (1.0, 2.0)


def test_credentials_are_looked_up_at_each_read(stub: Stub) -> None:
    environ = KEYS | {"AWS_ENDPOINT_URL_DYNAMODB": stub.url, "AWS_ENDPOINT_URL": "http://wrong"}
    source = StdlibSource("t", environ=environ, **PATIENCE)
    stub.answers = [VERSION, VERSION]
    source.version("production")
    environ["AWS_ACCESS_KEY_ID"] = "AKIDANOTHER"
    source.version("production")
    del environ["AWS_SECRET_ACCESS_KEY"]

    with pytest.raises(StoreUnreadable, match="AWS_SECRET_ACCESS_KEY is not in the environment"):
        source.version("production")
    source.close()
    used = [headers["authorization"].split("/")[0] for headers, _ in stub.asked]
    assert [one.rpartition("=")[2] for one in used] == ["AKIDEXAMPLE", "AKIDANOTHER"]


def test_a_forked_process_opens_a_connection_of_its_own(stub: Stub, source: StdlibSource) -> None:
    stub.answers = [VERSION, VERSION]
    source.version("production")
    with patch("os.getpid", return_value=-1):
        source.version("production")

    assert stub.connections == 2


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "dynamodb.eu-west-1.amazonaws.com"),
        ("cn-north-1", "dynamodb.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_without_an_endpoint_it_is_the_regions(region: str, host: str) -> None:
    ignored = {"AWS_ENDPOINT_URL": "http://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    environ = KEYS | {"AWS_REGION": region} | ignored

    assert StdlibSource("t", environ=environ)._host == host


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"AWS_REGION": ""}, "AWS_REGION"),
        ({"AWS_ENDPOINT_URL": "ftp://host"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "http://host:port"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "http://host/path"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://me@host"}, "AWS_ENDPOINT_URL_DYNAMODB"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "host:80"}, "AWS_ENDPOINT_URL_DYNAMODB"),
    ],
)
def test_what_it_cannot_use_is_refused_by_name(environ: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        StdlibSource("t", environ=KEYS | environ)

    assert refused.value.field == field


def test_a_body_is_given_as_it_is_stored(stub: Stub, source: StdlibSource) -> None:
    import base64

    stored = gzip.compress(b"{}")
    content = base64.b64encode(stored).decode()
    stub.answers = [(200, {"Item": {"version": {"N": "3"}, "body": {"B": content}}})]

    assert source.snapshot("production") == (3, stored)
