"""Both clients against moto's server, and files."""

import gzip
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto.server import ThreadedMotoServer

from greenlane.errors import InvalidInput
from greenlane.flags import FeatureFlagManager
from greenlane.flags.lifecycle.seen import update_of
from greenlane.flags.reading.dynamo_http import StdlibSource, StoreUnreadable
from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.sources import BotoSource, FileSource, chosen_source, chosen_writer
from greenlane.problems import InvalidDocument
from tests.flag_store import put
from tests.unit.flags.reading import body

if TYPE_CHECKING:
    from greenlane.flags.reading.sources import Source

ROOT = Path(__file__).resolve().parents[3]
TABLE = "greenlane-flags"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
REGION = {"AWS_REGION": "eu-west-1", "FLAGS_TABLE": TABLE}
YAML = "feature_flags:\n  f: {environments: [production]}\n"
USER = {"targetingKey": "user-1"}
PATIENCE: Any = {"connect_seconds": 60, "read_seconds": 60}
"""Where not the time is what is promised: a busy machine may be late."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def client(endpoint: str) -> Iterator[Any]:
    made: Any = boto3.client(
        "dynamodb",
        region_name="eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    made.create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for sort_key, more in (("version", {}), ("snapshot", {"body": {"B": body(7)}})):
        item = {"pk": {"S": "snapshot#production"}, "sk": {"S": sort_key}, "version": {"N": "7"}}
        made.put_item(TableName=TABLE, Item=item | more)
    yield made
    made.close()


@pytest.fixture(params=["stdlib", "botocore"])
def source(request: Any, client: Any, endpoint: str) -> "Iterator[Source]":
    if request.param == "botocore":
        yield BotoSource(client, TABLE)
        return
    environ = KEYS | REGION | {"AWS_ENDPOINT_URL": endpoint}
    made = StdlibSource(TABLE, environ=environ, **PATIENCE)
    yield made
    made.close()


def test_both_clients_read_the_same(source: "Source") -> None:
    assert source.version("production") == 7
    assert source.snapshot("production") == (7, body_of(7))
    assert source.version("qa") is None
    assert source.snapshot("qa") is None


@pytest.mark.parametrize("kind", ["stdlib", "botocore"])
def test_both_clients_write_down_which_flags_are_used(
    client: Any, endpoint: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = KEYS | REGION | {"AWS_ENDPOINT_URL": endpoint, "FLAGS_CLIENT": kind}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    write = chosen_writer(environ, **PATIENCE)

    for _ in range(2):
        write(update_of(kind, "f", {"on": 2}, "2026-11-24T13"))

    key = {"pk": {"S": f"seen#{kind}"}, "sk": {"S": "f"}}
    item = client.get_item(TableName=TABLE, Key=key)["Item"]
    assert item["count"] == {"N": "4"}
    assert (item["last"], item["variant:on"]) == ({"S": "2026-11-24T13"}, {"S": "2026-11-24"})


@pytest.mark.parametrize(
    ("kind", "failure"), [("stdlib", StoreUnreadable), ("botocore", ReadTimeoutError)]
)
def test_both_clients_send_a_use_once_and_give_up_soon_where_nobody_answers(
    kind: str, failure: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ = KEYS | REGION | {"AWS_ENDPOINT_URL": url, "FLAGS_CLIENT": kind}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        write, at = chosen_writer(environ), "2026-11-24T13"
        with pytest.raises(failure):
            write(update_of(kind, "f", {"on": 2}, at))

        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def body_of(version: int) -> Any:
    """Equal to a stored body with the same snapshot in it: gzip writes the time beside it."""

    class Same(bytes):
        def __eq__(self, other: object) -> bool:
            assert isinstance(other, bytes)
            return gzip.decompress(other) == gzip.decompress(bytes(self))

        __hash__ = bytes.__hash__

    return Same(body(version))


def test_flags_are_looked_up_out_of_the_table(source: "Source") -> None:
    reader = Reader(source, "production")

    assert reader.evaluate("f", USER).value is True
    engine, stale = reader.engine()
    assert engine is not None
    assert (engine.version, stale) == (7, False)


def test_a_manager_connects_to_the_table_and_changes_flags_in_it(
    client: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    manager = FeatureFlagManager.connect(
        "staging", region="eu-west-1", endpoint_url=endpoint, sampled=1, by="ada"
    )
    store: Any = manager.store
    put(store, "feature_flags: {g: {percentage: 0, environments: [staging]}}")
    assert manager.is_feature_enabled("g", USER) is False

    manager.update_flag("g", {"percentage": 100}, reason="now")

    assert manager.is_feature_enabled("g", USER) is True


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        (KEYS, StdlibSource),
        (KEYS | {"FLAGS_CLIENT": "botocore"}, BotoSource),
        (KEYS | {"FLAGS_CLIENT": "stdlib", "HTTPS_PROXY": "http://proxy"}, StdlibSource),
        (KEYS | {"HTTPS_PROXY": "http://proxy"}, BotoSource),
        (KEYS | {"AWS_USE_FIPS_ENDPOINT": "true"}, BotoSource),
        (KEYS | {"AWS_REGION": "us-iso-east-1"}, BotoSource),
        ({}, BotoSource),
    ],
)
def test_the_light_client_is_taken_where_it_can_do_the_work(
    environ: dict[str, str], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")

    assert type(chosen_source(REGION | environ)) is kind


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"FLAGS_TABLE": ""}, "FLAGS_TABLE"),
        ({"FLAGS_TABLE": "t", "FLAGS_CLIENT": "boto"}, "FLAGS_CLIENT"),
    ],
)
def test_an_environment_that_names_no_source_is_refused(
    environ: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        chosen_source(environ)

    assert refused.value.field == field


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_a_file_of_definitions_serves_each_environment(tmp_path: Path, environment: str) -> None:
    file = tmp_path / "feature-flags.yaml"
    file.write_text(YAML)

    found = Reader(FileSource(file), environment).evaluate("f", USER)

    assert found.value is (True if environment == "production" else None)
    assert found.error is None


def test_a_file_that_changes_is_read_again_and_a_mistake_leaves_the_flags(tmp_path: Path) -> None:
    file = tmp_path / "feature-flags.yaml"
    file.write_text(YAML)
    reader = Reader(FileSource(file), "production", ttl_seconds=0)
    assert reader.evaluate("f", USER).value is True

    file.write_text("feature_flags: {f: {enabld: false}}")
    assert reader.evaluate("f", USER).reason == "STALE"
    assert isinstance(reader.failure, InvalidDocument)

    file.write_text("feature_flags:\n  f: {enabled: false}\n")
    assert reader.evaluate("f", USER).value is None


def test_a_compiled_snapshot_is_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "snapshot.json"
    file.write_bytes(gzip.decompress(body(3)))

    engine, _ = Reader(FileSource(str(file)), "qa").engine()

    assert engine is not None
    assert (engine.version, engine.environment) == (3, "qa")


def test_a_file_that_is_not_there_leaves_the_defaults(tmp_path: Path) -> None:
    found = Reader(FileSource(tmp_path / "none.yaml"), "production").evaluate("f", USER)

    assert (found.value, found.error) == (None, "GENERAL")


HEAVY = [
    "boto3",
    "botocore",
    "pydantic",
    "typing",
    "dataclasses",
    "yaml",
    "aws_lambda_powertools",
    "difflib",
]
LOOKUP = """
import json, sys
import greenlane.flags.evaluating.engine
import greenlane.flags.reading.reader, greenlane.flags.reading.sources
import greenlane.flags.reading.dynamo_http, greenlane.flags.reading.telemetry
import greenlane.flags
greenlane.flags.reading.sources.chosen_source(
    dict.fromkeys(
        ["FLAGS_TABLE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "x"
    )
)
print(json.dumps(sorted(sys.modules)))
"""


def test_the_lookup_path_imports_nothing_heavy() -> None:
    # -S: what site-packages' own .pth files import is not ours.
    done = subprocess.run(
        [sys.executable, "-S", "-c", LOOKUP],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(json.loads(done.stdout))

    assert loaded & set(HEAVY) == set()
    assert "greenlane.flags.reading.reader" in loaded
