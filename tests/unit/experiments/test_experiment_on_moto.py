"""The whole way over a boto3 client: what is asked of DynamoDB is what it takes."""

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws

from greenlane.experiments.counting.events import Event, Exposure
from greenlane.experiments.counting.reading import read_snapshot
from greenlane.experiments.counting.recording import Recorder
from greenlane.experiments.dealing import Deals
from greenlane.experiments.names import TABLE
from greenlane.experiments.statistics.moments import UNIT
from greenlane.experiments.storing import keeping
from greenlane.experiments.storing.store import DynamoExperimentStore
from greenlane.flags.reading.sources import BotoSource
from tests.experiment_store import NOW, Hands, dealt, definition
from tests.fakes import client

METRICS = [
    "conversion_rate",
    {"name": "spend", "kind": "mean", "direction": "higher", "covariate": "before"},
    {"name": "wait", "kind": "quantile", "direction": "lower", "quantile": 0.9},
]


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with mock_aws():
        made = client("dynamodb")
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        made.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name, _ in keys
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield made


def test_a_test_from_its_file_to_its_numbers_over_boto3(dynamodb: Any) -> None:
    store = DynamoExperimentStore(dynamodb, TABLE)
    clock = Hands()
    one = definition(metrics=METRICS, segments={"mobile": {"device": "mobile"}})
    keeping.create(store, "checkout", one, by="ada", at=NOW)
    test = keeping.start(store, "checkout", by="ada", at=NOW, shards=2)
    clock.go(hours=1)
    recorder = Recorder(dynamodb, TABLE, clock=clock)
    first, second, odd = dealt(test, "control", 3)
    mobile = {"device": "mobile", "before": "2.5"}

    # Not at once: a transaction that moto cancels takes other threads' writes back with it.
    for unit in (first, second):
        events = [
            Event("checkout", unit, metric, value, "e1")
            for metric, value in (("conversion_rate", 1), ("spend", "19.99"), ("wait", 300))
        ]
        waiting = recorder.record(events[:1])
        assert [one.result for one in waiting] == ["pending"]
        exposure = Exposure("checkout", unit, context=mobile, at=NOW + timedelta(minutes=1))
        assert recorder.expose(exposure).result == "exposed"
        answers = recorder.record(events + events)
        assert [one.result for one in answers].count("counted") == 2

    recorder.expose(Exposure("checkout", odd, "control"))
    recorder.expose(Exposure("checkout", odd, "treatment"))

    found = read_snapshot(dynamodb, TABLE, test, clock.at)
    assert found.epochs[0].users == {"control": 2, "treatment": 0}
    assert found.crossovers == 1
    spend = found.moments["spend"]["control"][0]
    assert (spend.y, spend.yy) == (39_980_000, 2 * 19_990_000**2)
    assert (spend.z, spend.yz) == (5 * UNIT, 2 * 19_990_000 * 2_500_000)
    assert sum(found.histograms["wait"]["control"][0].values()) == 2
    apart = read_snapshot(dynamodb, TABLE, test, clock.at, "mobile")
    assert apart.moments["spend"] == found.moments["spend"]

    keeping.stop(store, "checkout", by="ada", reason="seen", serve="treatment", at=clock.at)
    # As the lookup function will read it.
    version, body = BotoSource(dynamodb, TABLE).snapshot("tests") or (0, b"")
    deals = Deals(json.loads(gzip.decompress(body)))
    assert version == deals.version == 3
    served = deals.deal("checkout", {"targetingKey": first}, clock.at.timestamp())
    assert served is not None
    assert (served.variant, served.why) == ("treatment", "served")


def test_what_is_kept_of_users_says_when_it_may_go_and_names_nobody(dynamodb: Any) -> None:
    store = DynamoExperimentStore(dynamodb, TABLE)
    clock = Hands()
    keeping.create(store, "ends", definition(), by="ada", at=NOW, start=True)
    open_ended = definition(maximum_duration=None)
    keeping.create(store, "open", open_ended, by="ada", at=NOW, start=True)
    recorder = Recorder(dynamodb, TABLE, clock=clock)
    clock.go(hours=1)
    for test in ("ends", "open"):
        recorder.expose(Exposure(test, "ada@example.com", context={"country": "de"}))
        recorder.record([Event(test, "ada@example.com", "conversion_rate", 1, "order-17")])
        recorder.record([Event(test, "bob@example.com", "conversion_rate", 1, "order-18")])

    items = dynamodb.scan(TableName=TABLE)["Items"]
    text = json.dumps(items, default=str)
    assert "example.com" not in text
    assert "order-17" not in text
    # Exposed users, events, and users who wait for their exposure.
    ends, open_end = (
        [
            int(item["expires_at"]["N"]) if "expires_at" in item else None
            for item in items
            if item["pk"]["S"].startswith((f"user#{name}", f"event#{name}"))
        ]
        for name in ("ends", "open")
    )
    assert set(ends) == {int((NOW + timedelta(days=14 + 90)).timestamp())}
    assert len(ends) == 4
    assert sorted(open_end, key=str) == [int((clock.at + timedelta(days=90)).timestamp())] * 3 + [
        None
    ]
