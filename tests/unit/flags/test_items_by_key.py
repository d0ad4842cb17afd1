"""Items beside the snapshots, as both clients read them from moto's server."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from greenlane.flags.reading.dynamo_http import StdlibSource, StoreUnreadable
from greenlane.flags.reading.sources import BotoSource

TABLE = "greenlane-experiments"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
USERS = [(f"user#checkout#1#{number:032x}", "user") for number in range(100)]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def client(endpoint: str) -> Any:
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
    for number, (pk, sk) in enumerate(USERS):
        if number % 3 == 0:
            item = {"pk": {"S": pk}, "sk": {"S": sk}, "variant": {"S": f"v{number}"}}
            made.put_item(TableName=TABLE, Item=item)
    return made


@pytest.fixture(params=["stdlib", "botocore"])
def source(request: pytest.FixtureRequest, endpoint: str, client: Any) -> Any:
    if request.param == "botocore":
        return BotoSource(client, TABLE)
    environ = KEYS | {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": endpoint}
    # Time is not what is promised here, and a busy machine may be late.
    return StdlibSource(TABLE, environ=environ, connect_seconds=60, read_seconds=60)


@pytest.mark.parametrize("count", [1, 2, 100])
def test_items_come_in_the_order_of_their_keys_and_none_for_what_is_not_there(
    source: Any, count: int
) -> None:
    keys = list(reversed(USERS[:count]))

    found = source.items(keys)

    variants = [None if one is None else one["variant"]["S"] for one in found]
    numbers = list(reversed(range(count)))
    assert variants == [f"v{number}" if number % 3 == 0 else None for number in numbers]


def test_what_was_not_read_is_not_taken_for_not_there(
    endpoint: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    partly = {"Responses": {TABLE: []}, "UnprocessedKeys": {TABLE: {"Keys": [{}]}}}
    stdlib = StdlibSource(TABLE, environ=KEYS | {"AWS_REGION": "eu-west-1"})
    monkeypatch.setattr(StdlibSource, "_ask", lambda *_, **__: partly)
    monkeypatch.setattr(client, "batch_get_item", lambda **_: partly)

    with pytest.raises(StoreUnreadable):
        stdlib.items(USERS[:2])
    with pytest.raises(LookupError):
        BotoSource(client, TABLE).items(USERS[:2])
