"""Whatever the store asks, `tests.table` answers as moto's DynamoDB does."""

import re
from datetime import timedelta
from itertools import count
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from greenlane.deployments.model import (
    DeploymentSummary,
    HistoryEvent,
    Judgement,
    Record,
    Signal,
    Trigger,
)
from greenlane.deployments.phases import FREE, REVERSIBLE, Phase
from greenlane.deployments.storing import store as store_module
from greenlane.deployments.storing.store import DynamoStore
from greenlane.errors import GreenlaneError
from greenlane.rollback.election import NotElected, begin, take_over
from greenlane.rollback.model import RollbackRequest
from tests.builders import NOW, SERVICE, plan, record, service_config, verdict
from tests.fakes import client
from tests.table import Table

NUMBERS = count(1)
ALARM = "green-errors"


@pytest.fixture(scope="module")
def dynamodb():
    """moto's, with a table on demand."""
    with mock_aws():
        yield client("dynamodb")


def new_table(dynamodb):
    """The same empty table in both worlds."""
    name = f"table-{next(NUMBERS)}"
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return name, Table(name)


def outcome(do, *arguments, **named):
    """What a call gives or raises, as far as a caller can tell."""
    try:
        return do(*arguments, **named)
    except ClientError as error:
        members = ("Item", "CancellationReasons")
        found = {name: part for name, part in error.response.items() if name in members}
        return type(error), error.response["Error"]["Code"], error.operation_name, found
    except (GreenlaneError, NotElected) as error:
        return type(error), str(error), getattr(error, "record", None)


class Blind(DynamoStore):
    """A store that has not seen what another one wrote just now."""

    def _get(self, pk, sk):
        return None


def current(store):
    return store.record(SERVICE) or record()


class Calls:
    """The calls of deployments and rollbacks; each says what it does in terms of the record."""

    def acquire(self, store, deployment_id, ahead, phase, seconds):
        held = store.record(SERVICE)
        epoch = (held.epoch if held else 0) + ahead
        given = record(deployment_id=deployment_id, epoch=epoch, phase=phase)
        seen = None
        if held and seconds is not None:
            seen = held.updated_at + timedelta(seconds=seconds)
        return store.acquire(given.model_copy(update={"trigger_alarms": (ALARM,)}), seen=seen)

    def update(self, store, changes, phases, fields, wrong, stale):
        held = current(store)
        where = {name: getattr(held, name) for name in fields} | wrong
        return store.update(
            held.model_copy(update=stale), changes, phases=phases, where=where or None
        )

    def begin(self, store, kind, name, owner, minutes):
        at = None if minutes is None else NOW + timedelta(minutes=minutes)
        asked = RollbackRequest(
            service=SERVICE,
            deployment_id=owner,
            trigger=Trigger(kind=kind, name=name, at=at),
            **({"listener_rule_arn": "arn", "target_groups": {}} if kind == "alarm" else {}),
        )
        return begin(store, SERVICE, asked, "r-1", NOW)

    def take_over(self, store, stale):
        return take_over(store, current(store).model_copy(update=stale), "r-2", NOW)

    def configure(self, store, bake, blind):
        kind = Blind if blind else DynamoStore
        config = service_config(deployment={"strategy": "canary", "steps": [10, 100], "bake": bake})
        return kind(store.client, store.table).put_config(config, source="a.yaml", by="ada", at=NOW)

    def append(self, store, deployment_id, seconds, number):
        event = HistoryEvent(
            at=NOW + timedelta(seconds=seconds), kind="k", actor="a", detail={"number": number}
        )
        store.append(deployment_id, event)

    def summarise(self, store, deployment_id, minutes, phase):
        store.put_summary(
            DeploymentSummary(
                deployment_id=deployment_id,
                service=SERVICE,
                phase=phase,
                strategy="canary",
                started_at=NOW + timedelta(minutes=minutes),
            )
        )

    def look(self, store, deployment_id, name):
        store.put_look(deployment_id, Judgement(at=NOW, step=0, verdict=verdict(name)))
        return store.last_look(deployment_id)

    def plan(self, store, deployment_id):
        store.put_plan(plan(deployment_id=deployment_id))

    def read(self, store, deployment_id, limit):
        return [
            outcome(store.services),
            outcome(store.get_config, SERVICE),
            outcome(store.record, SERVICE),
            outcome(store.plan, deployment_id),
            outcome(store.history, deployment_id),
            outcome(store.last_look, deployment_id),
            outcome(store.deployments, SERVICE, limit),
        ]


IDS = st.sampled_from(["d-1", "d-2"])
SOON = st.integers(-2, 2)
PHASES = st.one_of(
    st.sampled_from(sorted(Phase)), st.sampled_from(sorted(REVERSIBLE)), st.just(Phase.RETIRED)
)
FIELDS = {
    "phase": PHASES,
    "step": st.integers(0, 12),
    "paused": st.booleans(),
    "reason": st.none() | st.text(max_size=4),
    "trigger_alarms": st.lists(st.sampled_from([ALARM, "other"]), max_size=2),
    "watch_until": st.none() | SOON.map(lambda n: NOW + timedelta(minutes=n)),
    "settled_by": st.none() | st.just(NOW),
    "signal": st.none() | st.just(Signal(name="abort", step=1, by="ada", at=NOW)),
    "deployment_id": IDS,
    "epoch": st.integers(1, 11),
}
MOSTLY_RIGHT = st.sampled_from([{}, {}, {}, {}, {"epoch": 99}, {"deployment_id": "d-9"}])
FIRST = st.tuples(st.just("acquire"), IDS, st.just(1), st.sampled_from(sorted(Phase)), st.none())
UPDATE = st.tuples(
    st.just("update"),
    st.fixed_dictionaries({"weight": st.integers(0, 100)}, optional=FIELDS),
    st.sampled_from([None, None, set(Phase), set(FREE), set(REVERSIBLE)]),
    st.lists(st.sampled_from(sorted(Record.model_fields)), max_size=3),
    st.sampled_from([{}, {}, {}, {"step": 77}, {"signal": None}, {"reason": "x"}]),
    MOSTLY_RIGHT,
)
BEGIN = st.tuples(
    st.just("begin"),
    st.sampled_from(["alarm", "alarm", "execution", "failure", "person", "reconciler"]),
    st.sampled_from([ALARM, ALARM, "JudgedBad"]),
    st.none() | IDS,
    st.none() | SOON,
)
OTHERS = (
    st.tuples(
        st.just("acquire"), IDS, st.sampled_from([1, 1, 0]), PHASES, st.sampled_from([None, 0, 1])
    ),
    st.tuples(st.just("take_over"), MOSTLY_RIGHT),
    st.tuples(st.just("configure"), st.sampled_from(["3m", "5m"]), st.booleans()),
    st.tuples(st.just("append"), st.just("d-1"), st.integers(0, 2), st.integers(0, 9)),
    st.tuples(st.just("summarise"), IDS, SOON, PHASES),
    st.tuples(st.just("look"), IDS, st.sampled_from(["pass", "hold"])),
    st.tuples(st.just("plan"), IDS),
    st.tuples(st.just("read"), IDS, st.integers(1, 3)),
)
CALLS = st.lists(st.one_of(UPDATE, UPDATE, UPDATE, BEGIN, BEGIN, *OTHERS), min_size=8, max_size=25)


@settings(max_examples=20, deadline=None)
@given(first=FIRST, more=CALLS)
def test_the_store_cannot_tell_the_table_from_motos(dynamodb, first, more):
    name, table = new_table(dynamodb)
    theirs, ours = DynamoStore(dynamodb, name), DynamoStore(table, name)
    with pytest.MonkeyPatch.context() as patch:
        # With one nonce for all, both stores write the same keys, and a second line is refused.
        patch.setattr(store_module, "secrets", SimpleNamespace(token_hex=lambda _: "nonce"))
        for call, *arguments in [first, *more]:
            do = getattr(Calls(), call)
            assert outcome(do, ours, *arguments) == outcome(do, theirs, *arguments)
    stored = dynamodb.scan(TableName=name, ConsistentRead=True)["Items"]
    assert table.items() == sorted(stored, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}
ITEM = KEY | {
    "number": {"N": "10"},
    "word": {"S": "plum"},
    "entries": {"L": [{"S": "plum"}, {"N": "9"}]},
    "flag": {"BOOL": False},
}
NAMES = {f"#{name}": name for name in ("number", "word", "entries", "flag", "absent")}
VALUES = {
    ":ten": {"N": "10.0"},
    ":nine": {"N": "9"},
    ":plum": {"S": "plum"},
    ":pl": {"S": "pl"},
    ":no": {"BOOL": False},
}
PRESENT = st.sampled_from(["#number", "#word", "#entries", "#flag", *VALUES])
SIGNS = st.sampled_from(["<", "<=", ">", ">="])


def words(*parts):
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map(
        " ".join
    )


SIMPLE = st.one_of(
    words(PRESENT, st.sampled_from(["=", "<>"]), PRESENT),
    words("#absent", st.sampled_from(["=", "<>"]), PRESENT),
    words(st.sampled_from(["#number", "#absent"]), SIGNS, st.sampled_from([":ten", ":nine"])),
    words(st.sampled_from(["#word", "#absent"]), SIGNS, st.sampled_from([":pl", ":plum"])),
    words(PRESENT, "IN (", PRESENT, ",", PRESENT, ")"),
    words(st.sampled_from(["attribute_exists(", "attribute_not_exists ("]), "#absent )"),
    words(st.sampled_from(["attribute_exists(", "attribute_not_exists ("]), "#entries )"),
    words("contains( #entries ,", st.sampled_from(list(VALUES)), ")"),
    words("contains( #word ,", st.sampled_from([":pl", ":plum", "#word"]), ")"),
    words("begins_with( #word ,", st.sampled_from([":pl", ":plum"]), ")"),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda part: st.one_of(
        words(part, st.sampled_from(["AND", "and", "OR"]), part),
        words("NOT (", part, ") AND (", part, ")"),
        words("NOT", SIMPLE, "OR", part),
    ),
    max_leaves=6,
)


def placeholders(text):
    """The names and values that an expression uses, as parameters."""
    used = set(re.findall(r"[#:]\w+", text))
    names = {name: NAMES[name] for name in used & NAMES.keys()}
    values = {name: VALUES[name] for name in used & VALUES.keys()}
    given = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return {name: content for name, content in given.items() if content}


@pytest.fixture(scope="module")
def both(dynamodb):
    """One item in both worlds."""
    name, table = new_table(dynamodb)
    for side in (dynamodb, table):
        side.put_item(TableName=name, Item=ITEM)
    return name, table


@settings(max_examples=150, deadline=None)
@given(text=CONDITIONS)
def test_a_condition_holds_as_it_does_in_moto(dynamodb, both, text):
    name, table = both
    asked = {"TableName": name, "Item": ITEM, "ConditionExpression": text} | placeholders(text)
    found = [isinstance(outcome(side.put_item, **asked), tuple) for side in (table, dynamodb)]
    assert found[0] == found[1]


def put(item=ITEM, **more):
    text = more.get("ConditionExpression", "")
    return "put_item", {"Item": item, "ReturnValues": "ALL_OLD"} | placeholders(text) | more


def update(text, **more):
    given = {"Key": KEY, "UpdateExpression": text, "ReturnValues": "ALL_NEW"}
    return "update_item", given | placeholders(text) | more


def query(text, **more):
    values = {":p": {"S": "p"}, ":s": {"S": "s"}}
    used = {name: values[name] for name in re.findall(r":\w", text)}
    asked = {"KeyConditionExpression": text, "ExpressionAttributeValues": used}
    return "query", asked | more


def transaction(*entries):
    return "transact_write_items", {"TransactItems": list(entries)}


ELSEWHERE = KEY | {"sk": {"S": "t"}}
NEW = {"ConditionExpression": "attribute_not_exists(pk)"}
SHOWN = NEW | {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
SEQUENCE = [
    ("get_item", {"Key": KEY}),
    put(),
    put(),
    put(**NEW),
    put(**SHOWN),
    update("SET amount = #number + :nine REMOVE flag"),
    update("SET amount = amount - :nine, again = #number"),
    update("SET again = if_not_exists(again, :nine), fresh = if_not_exists(fresh, :nine)"),
    update("ADD amount :nine, other :ten"),
    update("SET again = :ten REMOVE other ADD amount :ten"),
    update("ADD amount :nine SET amount = :ten"),
    update("ADD #word :nine"),
    update("ADD amount :plum"),
    update("SET amount = nowhere"),
    update("SET amount = #word + :nine"),
    update("SET amount = :nine, amount = :ten"),
    update("SET pk = :plum"),
    update("REMOVE nowhere, again", ReturnValues="ALL_OLD"),
    update("SET amount = :nine", **SHOWN),
    update("SET amount = :nine", Key=ELSEWHERE | {"sk": {"S": "u"}}),
    ("get_item", {"Key": KEY}),
    transaction({"Put": {"Item": ELSEWHERE}}, {"Delete": {"Key": KEY} | SHOWN}),
    transaction({"Put": {"Item": ELSEWHERE} | NEW}, {"Delete": {"Key": KEY}}),
    transaction({"Update": {"Key": KEY, "UpdateExpression": "REMOVE nowhere"}}),
    transaction({"Put": {"Item": KEY}}, {"Delete": {"Key": KEY}}),
    transaction(
        {
            "Update": {
                "Key": ELSEWHERE,
                "UpdateExpression": "ADD #number :nine",
                "ExpressionAttributeNames": {"#number": NAMES["#number"]},
                "ExpressionAttributeValues": {":nine": VALUES[":nine"]},
            }
        }
    ),
    query("pk = :p"),
    query("pk = :p", ScanIndexForward=False, ProjectionExpression="sk, nowhere"),
    query("pk = :p AND sk > :s"),
    query("pk = :p AND begins_with(sk, :s)", Limit=5),
    query("pk = :p", ExclusiveStartKey=KEY),
    query("sk = :s"),
    query("pk = :p", Limit=1),
    ("delete_item", {"Key": ELSEWHERE, "ReturnValues": "ALL_OLD"}),
    ("delete_item", {"Key": ELSEWHERE, "ReturnValues": "ALL_OLD"}),
]


def addressed(name, arguments):
    entries = arguments.get("TransactItems")
    if entries is None:
        return arguments | {"TableName": name}
    named = [{kind: body | {"TableName": name} for kind, body in one.items()} for one in entries]
    return {"TransactItems": named}


def told(answer):
    """An answer without what moto adds of headers and capacity."""
    if not isinstance(answer, dict):
        return answer
    names = ("Item", "Attributes", "Items", "Count", "ScannedCount", "LastEvaluatedKey")
    return {name: answer[name] for name in names if name in answer}


def test_writes_and_reads_answer_as_motos_do(dynamodb):
    name, table = new_table(dynamodb)
    for operation, arguments in SEQUENCE:
        given = addressed(name, arguments)
        ours, theirs = (
            told(outcome(getattr(side, operation), **given)) for side in (table, dynamodb)
        )
        assert ours == theirs, (operation, given)
