"""Tables that several Regions have: late, last writer wins, and nothing over a cut line."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from greenlane.local.regions.world import LocalWorld
from greenlane.local.resources import Site, type_of
from tests.unit.local.conftest import Account

ONE, TWO, THREE = "eu-west-1", "eu-central-1", "us-east-1"
SCALE = 10.0


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorld]:
    folder = tmp_path_factory.mktemp("world")
    with LocalWorld(folder, (ONE, TWO, THREE), time_scale=SCALE, parts=()) as world:
        make(world, "shared", TWO, THREE)
        yield world


@pytest.fixture
def world(whole_world: LocalWorld) -> Iterator[LocalWorld]:
    whole_world.set_lag(0.5)
    yield whole_world
    whole_world.heal()


def make(world: LocalWorld, name: str, *others: str) -> Any:
    client = world[ONE].client("dynamodb")
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    if others:
        replicate(client, name, *others)
    return client


def replicate(client: Any, name: str, *others: str) -> None:
    updates = [{"Create": {"RegionName": region}} for region in others]
    client.update_table(TableName=name, ReplicaUpdates=updates)


def put(world: LocalWorld, region: str, key: str, value: str) -> None:
    item = {"pk": {"S": key}, "sk": {"N": "1"}, "value": {"S": value}}
    world[region].client("dynamodb").put_item(TableName="shared", Item=item)


def value(world: LocalWorld, region: str, key: str) -> str | None:
    found = (
        world[region]
        .client("dynamodb")
        .get_item(TableName="shared", Key={"pk": {"S": key}, "sk": {"N": "1"}})
    )
    return found["Item"]["value"]["S"] if "Item" in found else None


def values(world: LocalWorld, key: str) -> list[str | None]:
    return [value(world, region, key) for region in (ONE, TWO, THREE)]


def test_a_write_is_seen_everywhere_after_the_lag_and_not_before(world: LocalWorld) -> None:
    world.set_lag(10.0)
    began = time.monotonic()
    put(world, TWO, "late", "a")
    assert values(world, "late") == [None, "a", None]
    Account.wait_until(lambda: values(world, "late") == ["a", "a", "a"])
    assert time.monotonic() - began >= 10.0 / SCALE


def test_a_lag_that_is_changed_holds_for_what_is_under_way(world: LocalWorld) -> None:
    world.set_lag(3600.0)
    put(world, ONE, "stuck", "a")
    time.sleep(0.3)
    assert value(world, TWO, "stuck") is None
    world.set_lag(0.0)
    Account.wait_until(lambda: values(world, "stuck") == ["a", "a", "a"], 5)


def test_updates_deletes_batches_and_transactions_are_carried_over(world: LocalWorld) -> None:
    client = world[THREE].client("dynamodb")
    for name in ("updated", "deleted", "batch", "cancelled"):
        put(world, THREE, name, "old")
    key = {"pk": {"S": "updated"}, "sk": {"N": "1"}}
    client.update_item(
        TableName="shared",
        Key=key,
        UpdateExpression="SET #v = :v",
        ExpressionAttributeNames={"#v": "value"},
        ExpressionAttributeValues={":v": {"S": "new"}},
    )
    client.delete_item(TableName="shared", Key=key | {"pk": {"S": "deleted"}})
    client.batch_write_item(
        RequestItems={"shared": [{"DeleteRequest": {"Key": key | {"pk": {"S": "batch"}}}}]}
    )
    written = {"pk": {"S": "transacted"}, "sk": {"N": "1"}, "value": {"S": "both"}}
    client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "shared", "Item": written}},
            {"Delete": {"TableName": "shared", "Key": key | {"pk": {"S": "cancelled"}}}},
        ]
    )
    expected = {
        "updated": "new", "deleted": None, "batch": None, "transacted": "both", "cancelled": None
    }  # fmt: skip
    Account.wait_until(
        lambda: (
            {name: values(world, name) for name in expected}
            == {name: [wanted] * 3 for name, wanted in expected.items()}
        )
    )


def test_a_write_that_was_refused_is_carried_nowhere(world: LocalWorld) -> None:
    client = world[ONE].client("dynamodb")
    put(world, ONE, "kept", "first")
    Account.wait_until(lambda: values(world, "kept") == ["first"] * 3)
    put(world, TWO, "kept", "second")
    Account.wait_until(lambda: values(world, "kept") == ["second"] * 3)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        client.put_item(
            TableName="shared",
            Item={"pk": {"S": "kept"}, "sk": {"N": "1"}, "value": {"S": "third"}},
            ConditionExpression="attribute_not_exists(pk)",
        )
    time.sleep(0.3)
    assert values(world, "kept") == ["second"] * 3


def test_of_two_writes_at_the_same_time_the_later_one_wins_everywhere(world: LocalWorld) -> None:
    world.set_lag(5.0)
    put(world, ONE, "raced", "earlier")
    put(world, THREE, "raced", "later")
    assert values(world, "raced") == ["earlier", None, "later"]
    Account.wait_until(lambda: values(world, "raced") == ["later"] * 3)
    time.sleep(2 * 5.0 / SCALE)
    assert values(world, "raced") == ["later"] * 3


def test_a_delete_beats_an_earlier_write_that_comes_late(world: LocalWorld) -> None:
    put(world, ONE, "gone", "a")
    Account.wait_until(lambda: values(world, "gone") == ["a"] * 3)
    world.partition(ONE, TWO)
    put(world, ONE, "gone", "b")
    client = world[TWO].client("dynamodb")
    client.delete_item(TableName="shared", Key={"pk": {"S": "gone"}, "sk": {"N": "1"}})
    world.heal()
    Account.wait_until(lambda: values(world, "gone") == [None] * 3)
    time.sleep(0.3)
    assert values(world, "gone") == [None] * 3


def test_a_partition_holds_writes_up_and_loses_none(world: LocalWorld) -> None:
    world.partition(ONE, THREE)
    for number in range(5):
        put(world, ONE, f"held-{number}", f"{number}")
    Account.wait_until(lambda: value(world, TWO, "held-4") == "4")
    time.sleep(0.3)
    assert [value(world, THREE, f"held-{n}") for n in range(5)] == [None] * 5
    world.heal(ONE, THREE)
    Account.wait_until(lambda: value(world, THREE, "held-4") == "4")
    assert [value(world, THREE, f"held-{n}") for n in range(5)] == [f"{n}" for n in range(5)]


def test_a_replica_begins_with_what_there_is_and_is_named(world: LocalWorld) -> None:
    client = make(world, "older")
    item = {"pk": {"S": "a"}, "sk": {"N": "1"}, "value": {"S": "x"}}
    client.put_item(TableName="older", Item=item)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        world[TWO].client("dynamodb").describe_table(TableName="older")
    replicate(client, "older", TWO)
    there = world[TWO].client("dynamodb")
    assert there.scan(TableName="older")["Items"] == [item]
    assert there.describe_table(TableName="older")["Table"]["Replicas"][0]["RegionName"] == ONE
    there.delete_item(TableName="older", Key={key: item[key] for key in ("pk", "sk")})
    Account.wait_until(lambda: client.scan(TableName="older")["Items"] == [])


def test_a_replica_where_there_is_no_region_or_a_table_already_is_refused(
    world: LocalWorld,
) -> None:
    client = make(world, "single")
    with pytest.raises(ClientError, match="no replica can be in eu-west-9"):
        replicate(client, "single", "eu-west-9")
    world[TWO].client("dynamodb").create_table(
        TableName="single",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(ClientError, match="already exists"):
        replicate(client, "single", TWO)


def test_a_region_that_is_not_of_the_world_is_nobodys_replica(world: LocalWorld) -> None:
    elsewhere = world[ONE].client("dynamodb", region_name="sa-east-1")
    elsewhere.create_table(
        TableName="shared",
        KeySchema=[{"AttributeName": "other", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "other", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    elsewhere.put_item(TableName="shared", Item={"other": {"S": "a"}})
    assert "Replicas" not in elsewhere.describe_table(TableName="shared")["Table"]


def test_other_tables_stay_in_their_region(world: LocalWorld) -> None:
    client = make(world, "alone")
    client.put_item(TableName="alone", Item={"pk": {"S": "a"}, "sk": {"N": "1"}})
    time.sleep(0.3)
    assert "alone" not in world[THREE].client("dynamodb").list_tables()["TableNames"]


class NoCustomResources:
    """No template of these tests has any."""

    def request(self, service_token: str, request: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError(service_token)


def test_a_templates_global_table_is_made_in_each_of_its_regions(world: LocalWorld) -> None:
    site = Site(world[ONE].client, NoCustomResources(), ONE, "Stack", "id", "Flags")
    kind = type_of("AWS::DynamoDB::GlobalTable")
    assert kind is not None
    live = kind.create(
        site,
        {
            "TableName": "global",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "Replicas": [{"Region": TWO, "DeletionProtectionEnabled": True}, {"Region": ONE}],
        },
    )
    assert live.physical_id == "global"
    item = {"pk": {"S": "a"}}
    world[TWO].client("dynamodb").put_item(TableName="global", Item=item)
    client = world[ONE].client("dynamodb")
    Account.wait_until(lambda: client.scan(TableName="global")["Items"] == [item])
    assert "global" not in world[THREE].client("dynamodb").list_tables()["TableNames"]
