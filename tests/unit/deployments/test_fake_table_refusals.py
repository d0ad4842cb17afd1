"""What DynamoDB refuses, `tests.table` refuses; what it answers, nobody else holds."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from greenlane.deployments.phases import Phase
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import DeploymentInFlight
from tests.builders import SERVICE, record
from tests.table import Table

KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}
ITEM = KEY | {"digits": {"N": "10"}, "word": {"S": "plum"}, "entries": {"L": [{"S": "plum"}]}}
VALUES = {
    ":nine": {"N": "9"},
    ":ten": {"N": "10"},
    ":plum": {"S": "plum"},
    ":p": {"S": "p"},
    ":s": {"S": "s"},
}
NAMES = {"#word": "word", "#digits": "digits"}


def placeholders(text):
    """The names and values that an expression uses, as parameters."""
    used = set(re.findall(r"[#:]\w+", text))
    given = {
        "ExpressionAttributeNames": {name: NAMES[name] for name in used & NAMES.keys()},
        "ExpressionAttributeValues": {name: VALUES[name] for name in used & VALUES.keys()},
    }
    return {name: content for name, content in given.items() if content}


def update(table, text):
    given = {"TableName": "t", "Key": KEY, "UpdateExpression": text, "ReturnValues": "ALL_NEW"}
    return table.update_item(**given, **placeholders(text))["Attributes"]


def query(table, text, **more):
    given = {"TableName": "t", "KeyConditionExpression": text}
    return table.query(**given, **placeholders(text), **more)


VALUE = {"ExpressionAttributeValues": {":x": {"S": "x"}}}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"ConditionExpression": "name = :x"} | VALUE, "reserved keyword: name"),
        ({"ConditionExpression": "attribute_exists(Status)"}, "reserved keyword: Status"),
        ({"ConditionExpression": "size(word) = :x"} | VALUE, "name; function: size"),
        ({"ConditionExpression": "if_not_exists(word, :x)"} | VALUE, "function: if_not_exists"),
        ({"ConditionExpression": "word = contains(word, :x)"} | VALUE, "Syntax error"),
        ({"ConditionExpression": "attribute_exists(:x)"} | VALUE, "requires a document path"),
        ({"ConditionExpression": "contains(word)"}, "Incorrect number of operands"),
        ({"ConditionExpression": "word = :x AND"} | VALUE, 'Syntax error; token: "<EOF>"'),
        ({"ConditionExpression": "(word = :x"} | VALUE, "Syntax error"),
        ({"ConditionExpression": "word = :x)"} | VALUE, "Syntax error"),
        ({"ConditionExpression": "((word = :x))"} | VALUE, "redundant parentheses"),
        ({"ConditionExpression": "word == :x"} | VALUE, "Syntax error"),
        ({"ConditionExpression": "word != :x"} | VALUE, "Syntax error"),
        ({"ConditionExpression": "word = 'x'"}, "Syntax error"),
        ({"ConditionExpression": "map.word = :x"} | VALUE, "Syntax error"),
        ({"ConditionExpression": "word BETWEEN :x AND :x"} | VALUE, "Syntax error"),
        ({"ConditionExpression": ""}, "can not be empty"),
        ({"ConditionExpression": "word = :y"} | VALUE, r"not defined: \[':y'\]"),
        ({"ConditionExpression": "#word = :x"} | VALUE, r"not defined: \['#word'\]"),
        ({"ConditionExpression": "attribute_exists(pk)"} | VALUE, "unused in .*: keys: {:x}"),
        (VALUE, "unused in expressions"),
        ({"ExpressionAttributeNames": {"#x": "x"}}, "unused in expressions"),
        ({"ExpressionAttributeValues": {}}, "must not be empty"),
        ({"ReturnValues": "UPDATED_NEW"}, "Return values"),
        ({"ReturnValuesOnConditionCheckFailure": "ALL_NEW"}, "invalid value"),
        ({"Item": {"pk": {"S": "p"}}}, "Missing the key sk"),
        ({"Item": KEY | {"sk": {"N": "1"}}}, "Type mismatch for key sk"),
        ({"Item": KEY | {"sk": {"S": ""}}}, "empty string value. Key: sk"),
        ({"Item": KEY | {"word": {"N": "one"}}}, "converted to a numeric value: one"),
        ({"Item": KEY | {"word": {"S": 1}}}, "is no S"),
        ({"Item": KEY | {"word": {"L": ["x"]}}}, "AttributeValue"),
        ({"Item": KEY | {"word": {"S": "x" * 410_000}}}, "Item size has exceeded"),
    ],
)
def test_what_dynamodb_refuses_is_refused(said, problem):
    table = Table("t")
    with pytest.raises(ClientError, match=problem) as refused:
        table.put_item(**{"TableName": "t", "Item": ITEM} | said)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert table.items() == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "can not be empty"),
        ("word = :nine", "Syntax error"),
        ("SET word = :nine,", "Syntax error"),
        ("SET word", "Syntax error"),
        ("SET word = :nine :ten", "Syntax error"),
        ("SET word = :nine SET entries = :ten", '"SET" section can only be used once'),
        ("SET amount = :nine + :plum", "Incorrect operand type .*operand type: S"),
        ("SET entries = list_append(entries, :plum)", "function: list_append"),
        ("SET count = :nine", "reserved keyword: count"),
        ("DELETE amount :nine", "Syntax error"),
        ("ADD amount", "Syntax error"),
        ("ADD amount word", "Syntax error"),
        ("ADD amount :plum", "Incorrect operand type .*operand type: S"),
        ("REMOVE word SET #word = :nine", "paths overlap"),
        ("REMOVE sk", "part of the key"),
    ],
)
def test_an_update_that_dynamodb_refuses_is_refused(text, problem):
    table = Table("t")
    with pytest.raises(ClientError, match=problem):
        update(table, text)
    assert table.items() == []


def test_all_that_an_update_sets_comes_from_the_item_as_it_was():
    table = Table("t")
    table.put_item(TableName="t", Item=ITEM)
    found = update(table, "SET word = #digits, digits = #word, copy_of = entries REMOVE entries")
    swapped = {"word": ITEM["digits"], "digits": ITEM["word"], "copy_of": ITEM["entries"]}
    assert found == KEY | swapped


@pytest.mark.parametrize(
    ("text", "more", "problem"),
    [
        ("pk = :p OR sk = :s", {}, "not supported"),
        ("pk = :p AND pk = :s", {}, "not supported"),
        ("pk = :p AND word = :s", {}, "not supported"),
        ("pk = :p AND contains(sk, :s)", {}, "Invalid function name"),
        ("begins_with(pk, :p)", {}, "not supported"),
        ("pk <> :p", {}, "not supported"),
        ("pk = :p", {"ProjectionExpression": "body, data"}, "reserved keyword: data"),
        ("pk = :p", {"ProjectionExpression": "body sk"}, "Syntax error"),
        ("pk = :p", {"Limit": 0}, "Limit must"),
        ("pk = :p", {"ExclusiveStartKey": {"pk": {"S": "p"}}}, "does not match the schema"),
        ("pk = :p", {"ExclusiveStartKey": KEY | {"pk": {"S": "q"}}}, "outside query boundaries"),
    ],
)
def test_a_query_that_dynamodb_refuses_is_refused(text, more, problem):
    table = Table("t")
    table.put_item(TableName="t", Item=ITEM)
    with pytest.raises(ClientError, match=problem):
        query(table, text, **more)


@pytest.mark.parametrize(
    "call",
    [
        lambda table: table.get_item(TableName="t", Key=KEY, AttributesToGet=["pk"]),
        lambda table: table.put_item(TableName="t", Item=ITEM, Expected={}),
        lambda table: table.put_item(TableName="t", Item=ITEM, ConditionalExpression="x"),
        lambda table: table.update_item(TableName="t", Key=KEY),
        lambda table: table.query(TableName="t", IndexName="i", KeyConditionExpression="pk = :p"),
        lambda table: table.transact_write_items(TransactItems=[{"Check": {}}]),
        lambda table: table.transact_write_items(TransactItems=[], ReturnConsumedCapacity="TOTAL"),
    ],
)
def test_parameters_it_does_not_know_are_never_ignored(call):
    with pytest.raises(TypeError):
        call(Table("t"))


def test_another_table_is_not_found():
    with pytest.raises(ClientError) as refused:
        Table("t").get_item(TableName="u", Key=KEY)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_pages_go_on_where_the_one_before_ended_whatever_ends_them():
    table = Table("t")
    for number in range(5):
        item = {"pk": {"S": "p"}, "sk": {"S": f"{number}"}, "body": {"S": "x" * 300_000}}
        table.put_item(TableName="t", Item=item)
    for limit, sizes in ((None, [3, 2]), (2, [2, 2, 1]), (5, [3, 2]), (1, [1, 1, 1, 1, 1, 0])):
        asked = {"ScanIndexForward": False, "ProjectionExpression": "sk", "Limit": limit}
        found = []
        while True:
            answer = query(table, "pk = :p", **asked)
            found.append([item["sk"]["S"] for item in answer["Items"]])
            if "LastEvaluatedKey" not in answer:
                break
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        assert [len(page) for page in found] == sizes
        assert "".join(sk for page in found for sk in page) == "43210"


def test_nobody_else_holds_what_is_stored():
    table = Table("t")
    given = KEY | {"entries": {"L": [{"S": "plum"}]}}
    table.put_item(TableName="t", Item=given)
    kept = table.items()

    def refused():
        with pytest.raises(ClientError) as found:
            table.put_item(
                TableName="t",
                Item=KEY,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        return dict(found.value.response)["Item"]

    for answer in (
        lambda: given,
        lambda: table.get_item(TableName="t", Key=KEY)["Item"],
        lambda: query(table, "pk = :p")["Items"][0],
        lambda: update(table, "SET entries = entries"),
        refused,
        lambda: table.items()[0],
    ):
        answer()["entries"]["L"].append({"S": "more"})
        assert table.items() == kept


def test_what_an_update_copies_is_a_copy():
    table = Table("t")
    table.put_item(TableName="t", Item=ITEM)
    update(table, "SET again = entries")["again"]["L"].clear()
    assert table.items()[0]["again"] == ITEM["entries"]


@pytest.fixture
def hasty_threads():
    """Threads that take turns so often that they come between a check and its write."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_of_all_that_ask_at_once_one_gets_the_lease():
    store = DynamoStore(Table("t"), "t")

    def ask(number):
        try:
            return store.acquire(record(deployment_id=f"d-{number}", phase=Phase.PLANNING))
        except DeploymentInFlight:
            return None

    with ThreadPoolExecutor(max_workers=8) as pool:
        won = [found for found in pool.map(ask, range(200)) if found is not None]
    assert won == [store.record(SERVICE)]


def test_a_transaction_of_the_same_token_happens_once_and_another_under_it_is_refused():
    table = Table("t")
    put = {"TableName": "t", "Item": ITEM, "ConditionExpression": "attribute_not_exists(pk)"}
    for _ in range(2):
        table.transact_write_items(TransactItems=[{"Put": put}], ClientRequestToken="x")
    other = {"TableName": "t", "Item": ITEM | {"more": {"B": b"1"}}}
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        table.transact_write_items(TransactItems=[{"Put": other}], ClientRequestToken="x")
    assert table.items() == [ITEM]


def adding(number):
    return {
        "TableName": "t",
        "Key": KEY,
        "UpdateExpression": "ADD amount :number",
        "ExpressionAttributeValues": {":number": {"N": str(number)}},
    }


def test_a_sum_is_exact_up_to_38_digits_and_refused_beyond():
    table = Table("t")
    table.update_item(**adding(10**38 - 2))
    table.update_item(**adding(1))
    (item,) = table.items()
    assert item["amount"] == {"N": "9" * 38}

    with pytest.raises(ClientError, match="Number overflow") as alone:
        table.update_item(**adding(2))
    with pytest.raises(ClientError) as together:
        table.transact_write_items(TransactItems=[{"Update": adding(2)}])

    assert alone.value.response["Error"]["Code"] == "ValidationException"
    assert together.value.response["Error"]["Code"] == "TransactionCanceledException"
    # As the reference of TransactWriteItems lists it among its cancellation reasons.
    (reason,) = together.value.response["CancellationReasons"]
    assert reason["Code"] == "ValidationError"
    assert table.items() == [item]
