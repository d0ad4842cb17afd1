from datetime import timedelta

import boto3
import moto
import pytest

from greenlane.flags.definitions.document import read_flags
from greenlane.flags.lifecycle.code_scan import Scan, Use
from greenlane.flags.lifecycle.seen import Seen, boto_writer, update_of
from greenlane.flags.lifecycle.stale import findings, seen_from
from greenlane.flags.names import TABLE
from greenlane.flags.storing.state import StoredFlag
from tests.fakes import timeout
from tests.flag_store import NOW, memory_store, percentage, put
from tests.table import Table

HOUR, DAY = 3600, 86400
OLDER = timedelta(days=90)
MADE = NOW - timedelta(days=365)


def flags(text):
    document = read_flags(f"feature_flags: {text}")
    return {key: StoredFlag(flag=one, at=MADE) for key, one in document.feature_flags.items()}


class Time:
    def __init__(self):
        self.now = NOW.timestamp()

    def __call__(self):
        return self.now


def served(table, *what, days_ago=0, environment="production"):
    """What `Seen` writes when these variants are served so many days ago."""
    at = NOW.timestamp() - days_ago * DAY
    seen = Seen(boto_writer(table, TABLE), environment, clock=lambda: at)
    for key, variant in what:
        seen.note(key, variant)
    seen.flush(100)


def stale(text, table, **more):
    store = memory_store(table)
    seen = [*store.seen("production"), *store.seen("staging")]
    found = findings(flags(text), now=NOW, older=OLDER, seen=seen, **more)
    return [(one.flag, one.kind) for one in found]


@pytest.fixture
def table():
    return Table(TABLE)


def test_one_small_item_says_when_which_variant_was_served(table):
    served(table, ("a", "on"), ("a", "off"), days_ago=10)
    served(table, ("a", "on"), ("a", "on"), ("a", None))
    (one,) = memory_store(table).seen("production")
    today = NOW.date()
    before = today - timedelta(days=10)
    assert (one.first, one.last, one.count) == (before, today, 5)
    assert one.variants == {"on": today, "off": before, "-": today}


def test_a_flag_is_written_at_most_once_an_hour_and_loses_no_count():
    clock, updates = Time(), []
    seen = Seen(updates.append, "production", clock=clock)
    for _ in range(3):
        for _ in range(10):
            seen.note("a", "on")
            seen.flush()
        clock.now += HOUR
    counts = [one["ExpressionAttributeValues"][":more"]["N"] for one in updates]
    assert counts == ["1", "19"] or counts == ["1", "10", "10"]
    assert len(updates) == 3


def test_few_are_written_at_once_and_the_others_later():
    updates = []
    seen = Seen(updates.append, "production", clock=Time())
    for number in range(7):
        seen.note(f"f{number}", "on")
    assert [seen.flush() for _ in range(4)] == [3, 3, 1, 0]


def test_hours_that_chance_leaves_out_are_not_written():
    updates, clock = [], Time()
    draws = iter([0.9, 0.1])
    seen = Seen(updates.append, "p", clock=clock, sample=0.5, draw=lambda: next(draws))
    seen.note("a", "on")
    assert (seen.flush(), seen.flush()) == (0, 0)
    clock.now += HOUR
    assert seen.flush() == 1


def test_a_table_that_is_down_is_in_nobodys_way():
    def fail(update):
        raise timeout()

    seen = Seen(fail, "production", clock=Time())
    seen.note("a", "on")
    assert (seen.flush(), seen.flush(), seen.failed) == (1, 0, 1)


def test_dynamodb_takes_the_update_and_the_store_as_they_are():
    """Once against moto, which parses expressions and binaries on its own."""
    with moto.mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        client.create_table(
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
        served(client, ("a", "on"), days_ago=3)
        served(client, ("a", "on"))
        store = memory_store(client)
        assert store.seen("production")[0].count == 2
        put(store, percentage("a", 1))
        put(store, percentage("a", 2))
        assert store.read().flags["a"].revision == 2
        assert store.verify().problems == ()


def test_a_flag_that_was_never_or_not_lately_evaluated_is_stale(table):
    served(table, ("a", "on"), ("a", "off"), days_ago=91)
    served(table, ("b", "on"), ("b", "off"), days_ago=89)
    assert stale("{a: {}, b: {}, c: {}}", table) == [
        ("a", "not_evaluated"),
        ("c", "not_evaluated"),
    ]


def test_a_flag_that_served_one_variant_for_so_long_is_decided(table):
    everyone = [("a", "on"), ("b", "on"), ("c", "on"), ("d", None)]
    served(table, *everyone, ("c", "off"), days_ago=120)
    served(table, ("b", "off"), days_ago=80, environment="staging")
    served(table, *everyone, days_ago=1)
    assert stale("{a: {}, b: {}, c: {}, d: {}}", table) == [
        ("a", "one_sided"),
        ("c", "one_sided"),
        ("d", "one_sided"),
    ]


def test_a_flag_that_is_new_or_was_changed_lately_is_not_stale(table):
    served(table, ("a", "on"), days_ago=10)
    served(table, ("other", "on"))
    recent = {key: one.model_copy(update={"at": NOW}) for key, one in flags("{b: {}}").items()}
    seen = memory_store(table).seen("production")
    assert findings(flags("{a: {}}") | recent, now=NOW, older=OLDER, seen=seen) == []


def test_a_permanent_flag_may_serve_one_variant_for_ever(table):
    for days in (120, 1):
        served(table, ("a", "off"), days_ago=days)
    assert stale("{a: {metadata: {permanent: true}}}", table) == []


def test_nothing_is_said_about_use_when_nobody_recorded_any(table):
    assert stale("{a: {}}", table) == []


def test_an_expired_flag_is_named_with_its_places(table):
    code = Scan((Use("a", "x.py", 3),))
    (found,) = findings(flags("{a: {expires: 2026-11-24}}"), now=NOW, older=OLDER, code=code)
    assert (found.kind, found.places) == ("expired", ("x.py:3",))
    assert stale("{a: {expires: 2026-11-25}}", table) == []


def test_code_and_definitions_are_compared_both_ways():
    code = Scan(
        (
            Use("a", "x.py", 1),
            Use("gone", "x.py", 2),
            Use("b", "y.py", 1, mention=True),
            Use("exp_", "z.py", 1, prefix=True),
            Use("old_", "z.py", 2, prefix=True),
        )
    )
    found = findings(flags("{a: {}, b: {}, c: {}, exp_1: {}}"), now=NOW, older=OLDER, code=code)
    assert [(one.flag, one.kind, one.places) for one in found] == [
        ("c", "not_in_code", ()),
        ("gone", "not_defined", ("x.py:2",)),
        ("old_", "not_defined", ("z.py:2",)),
    ]


def test_an_update_is_as_small_as_it_can_be():
    update = update_of("production", "a", {"on": 3}, "2026-11-24T13")
    assert update["Key"] == {"pk": {"S": "seen#production"}, "sk": {"S": "a"}}
    assert (
        seen_from(
            update["Key"]
            | {"first": {"S": "2026-11-24"}, "last": {"S": "2026-11-24T13"}, "count": {"N": "3"}}
        ).last
        == NOW.date()
    )
