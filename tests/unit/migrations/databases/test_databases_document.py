"""Files of databases: what they may say, what is wrong with them, and how they are kept."""

from typing import Any

import pytest
import yaml

from greenlane.apply import check
from greenlane.errors import InvalidInput, UnknownDatabase
from greenlane.migrations.databases.applying import CheckedDatabases, apply_databases
from greenlane.migrations.databases.document import read_databases
from greenlane.migrations.databases.store import DatabaseStore
from greenlane.problems import InvalidDocument
from tests.builders import NOW
from tests.fakes import Spy
from tests.table import Table

TABLE = "greenlane-deployments"
ORDERS = """
databases:
  orders:
    service: checkout
    engine: aurora-postgresql
    cluster: orders-prod
    endpoint:
      host: orders-prod.cluster-abc.eu-west-1.rds.amazonaws.com
      dbname: orders
      user: greenlane
"""


def described(**changes: Any) -> str:
    """The file with other keys; None takes a key out."""
    document = yaml.safe_load(ORDERS)
    one = document["databases"]["orders"] | changes
    document["databases"]["orders"] = {
        key: value for key, value in one.items() if value is not None
    }
    return yaml.safe_dump(document, sort_keys=False)


def problem(text: str) -> InvalidInput:
    with pytest.raises(InvalidDocument) as caught:
        read_databases(text)
    (only,) = caught.value.problems
    return only


class World:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.table = Table(TABLE)
        self.store = DatabaseStore(Spy(self, "dynamodb", self.table), TABLE)

    def faults_of(self, *_: str) -> tuple[None, None]:
        return None, None


@pytest.fixture
def store() -> DatabaseStore:
    return World().store


def test_what_is_not_said_is_what_spares_and_saves_most():
    database = read_databases(ORDERS).databases["orders"]

    assert (database.auth, database.tls, database.driver) == ("iam", "require", "psycopg")
    assert database.backup.of("expand") == database.backup.of("migrate") == "marker"
    assert database.backup.of("contract") == "snapshot"
    assert database.limits.max_lag.total_seconds() == 1
    assert database.limits.lock_budget.total_seconds() == 600
    assert database.parameter_of("orders") == "/greenlane/databases/orders"


def test_everything_can_be_said():
    text = described(
        engine="postgres",
        cluster=None,
        instance="orders-1",
        auth="secret",
        secret="rds!db-1",
        tls="verify-full",
        root_certificates="-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        limits={"max_lag": "2s", "batch_ms": 50, "nice": 1.5},
        backup={"expand": "none"},
        suspends_io="accepted",
        alarms=["orders-cpu"],
        parameter="/greenlane/databases/shop/orders",
        min_app="2.3.0",
    )

    database = read_databases(text).databases["orders"]

    assert (database.instance, database.secret, database.min_app) == (
        "orders-1",
        "rds!db-1",
        "2.3.0",
    )
    assert database.limits.nice == 1.5
    assert database.backup.of("expand") == "none"


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"instance": "orders-1"}, "instance", "not both"),
    ({"cluster": None, "instance": "x"}, "cluster", "Aurora is a cluster"),
    ({"auth": "secret"}, "secret", "auth: secret asks for the name"),
    ({"secret": "greenlane/orders"}, "secret", "write auth: secret"),
    ({"tls": "disable"}, "tls", "over TLS only"),
    ({"tls": "verify-full"}, "root_certificates", "RDS's bundle"),
    ({"root_certificates": "nonsense"}, "root_certificates", "write PEM"),
    ({"parameter": "/shop/orders"}, "parameter", "below /greenlane/databases/"),
    ({"parameter": "/greenlane/databases/"}, "parameter", "below /greenlane/databases/"),
    ({"engine": "mysql"}, "engine", "use one of aurora-postgresql, postgres"),
    ({"driver": "data-api"}, "driver", "use one of psycopg"),
    ({"clustr": "x"}, "clustr", "did you mean cluster?"),
    ({"service": "Checkout"}, "service", "match"),
    ({"limits": {"batch_ms": 5}}, "limits.batch_ms", "greater than or equal to 10"),
    ({"limits": {"max_lag": 3}}, "limits.max_lag", "a duration needs a unit"),
    ({"suspends_io": "yes"}, "suspends_io", "use one of accepted"),
]


@pytest.mark.parametrize(
    ("changes", "field", "way_out"), WRONG, ids=[str(one[1:]) for one in WRONG]
)
def test_what_is_wrong_names_the_field_its_line_and_the_way_out(changes, field, way_out):
    found = problem(described(**changes))

    assert found.field == f"databases.orders.{field}"
    assert way_out in found.way_out
    assert found.line is not None


def test_a_database_that_rds_does_not_run_is_not_backed_up_and_says_so():
    text = described(engine="postgres", cluster=None, auth="secret", secret="orders", tls="disable")
    with pytest.raises(InvalidDocument) as caught:
        read_databases(text)
    fields = [one.field for one in caught.value.problems]
    assert fields == [f"databases.orders.backup.{one}" for one in ("expand", "migrate", "contract")]
    nothing = dict.fromkeys(("expand", "migrate", "contract"), "none")
    said = described(
        engine="postgres", cluster=None, auth="secret", secret="orders", backup=nothing
    )
    assert not read_databases(said).databases["orders"].managed


def test_iams_token_is_for_rds_only():
    nothing = dict.fromkeys(("expand", "migrate", "contract"), "none")
    found = problem(described(engine="postgres", cluster=None, backup=nothing))

    assert (found.field, found.value) == ("databases.orders.auth", "iam")


def test_two_names_for_one_database_would_be_two_leases():
    document = yaml.safe_load(ORDERS)
    document["databases"]["again"] = document["databases"]["orders"]
    found = problem(yaml.safe_dump(document, sort_keys=False))

    assert found.field == "databases.again.endpoint.host"
    assert "orders is the same database" in found.way_out


def test_two_databases_have_two_parameters():
    document = yaml.safe_load(ORDERS)
    more = yaml.safe_load(ORDERS)["databases"]["orders"]
    more["endpoint"]["dbname"] = "billing"
    document["databases"]["billing"] = more | {"parameter": "/greenlane/databases/orders"}
    found = problem(yaml.safe_dump(document, sort_keys=False))

    assert (found.field, found.value) == (
        "databases.billing.parameter",
        "/greenlane/databases/orders",
    )


def test_a_file_is_told_by_its_key_and_checked_without_a_cloud():
    checked = check(ORDERS)

    assert isinstance(checked, CheckedDatabases)
    assert checked.databases == ("orders",)
    assert "nobody proves that the server is" in checked.warnings[0]


def test_a_snapshot_of_an_instance_is_warned_of_unless_it_is_accepted():
    one_zone = {"engine": "postgres", "cluster": None, "instance": "orders-1"}

    said = [one for one in check(described(**one_zone)).warnings if "backup" in one]
    assert "would suspend its reads and writes" in said[0]
    accepted = check(described(**one_zone, suspends_io="accepted"))
    assert not [one for one in accepted.warnings if "backup" in one]


def test_the_same_content_keeps_its_version_and_another_is_the_next(store):
    first = apply_databases(store, ORDERS, by="ada", at=NOW)
    again = apply_databases(store, ORDERS, by="ben", at=NOW)
    other = apply_databases(store, described(min_app="2.0.0"), by="ben", at=NOW)

    assert (first.databases, first.changed) == ({"orders": 1}, ("orders",))
    assert (again.databases, again.changed) == ({"orders": 1}, ())
    assert (other.databases, other.changed) == ({"orders": 2}, ("orders",))
    assert store.database("orders").applied_by == "ben"
    assert store.names() == ["orders"]


def test_an_unknown_database_is_answered_with_those_that_are_known(store):
    with pytest.raises(UnknownDatabase, match="none is known yet"):
        store.database("order")
    apply_databases(store, ORDERS, by="ada", at=NOW)

    with pytest.raises(UnknownDatabase, match=r"known: orders; did you mean orders\?"):
        store.database("order")


def test_a_description_with_keys_of_a_later_version_is_still_read(store):
    apply_databases(store, ORDERS, by="ada", at=NOW)
    item = store.get("DATABASES", "orders")
    text = item["body"]["S"].replace('"engine"', '"a_later_key":1,"engine"')
    store.client.put_item(TableName=TABLE, Item=item | {"body": {"S": text}})

    assert store.database("orders").database.cluster == "orders-prod"
