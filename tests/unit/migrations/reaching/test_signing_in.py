"""Signing in to a database: with a token of IAM, or with what a secret holds."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from greenlane.errors import InvalidInput
from greenlane.migrations.databases.model import Database
from greenlane.migrations.reaching.connecting import connecting, parameters_of, sign_in
from greenlane.migrations.reaching.runtime import NetworkRuntime
from greenlane.migrations.running.session import ConnectionLost
from greenlane.runtime import Settings
from tests.fakes import client
from tests.postgres import Database as PostgresDatabase

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


class Secrets:
    """Secrets Manager with one secret."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[str] = []

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        self.asked.append(SecretId)
        return {"SecretString": self.text}


def runtime(secret: str = "") -> NetworkRuntime:
    settings = Settings(
        table="t",
        topic_arn="arn:aws:sns:eu-west-1:123456789012:n",
        deployment_machine_arn="",
        rollback_machine_arn="",
    )
    made = NetworkRuntime(settings=settings, actor="test")
    made.__dict__["signer"] = client("rds")
    made.__dict__["secretsmanager"] = Secrets(secret)
    return made


def described(**changes: Any) -> Database:
    values: dict[str, Any] = {
        "service": "checkout",
        "engine": "postgres",
        "instance": "orders-1",
        "endpoint": {"host": "db.example", "port": 5433, "dbname": "orders", "user": "greenlane"},
    }
    return Database.model_validate(values | changes)


def by_secret(**changes: Any) -> Database:
    return described(**{"auth": "secret", "secret": "greenlane/orders"} | changes)


def test_a_token_is_signed_for_the_host_the_port_and_the_user_without_a_call():
    signed = sign_in(described(), runtime())

    assert signed["user"] == "greenlane"
    address, query = urlsplit(f"https://{signed['password']}"), signed["password"].partition("?")[2]
    assert address.netloc == "db.example:5433"
    asked = parse_qs(query)
    assert (asked["Action"], asked["DBUser"]) == (["connect"], ["greenlane"])
    assert asked["X-Amz-Expires"] == ["900"]


def test_a_secret_is_read_as_rds_writes_it():
    text = json.dumps({"username": "owner", "password": "s3cret", "engine": "postgres"})
    made = runtime(text)

    assert sign_in(by_secret(), made) == {"user": "owner", "password": "s3cret"}
    assert made.secretsmanager.asked == ["greenlane/orders"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3cret", "write JSON with username and password"),
        ('["s3cret"]', "write JSON with username and password"),
        ('{"username": "owner"}', "password: nothing"),
        ('{"password": "s3cret"}', "username: nothing"),
        ('{"username": "owner", "password": 7}', "password: nothing"),
    ],
)
def test_a_secret_that_holds_something_else_is_named_and_not_shown(text, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        sign_in(by_secret(), runtime(text))

    assert "secret greenlane/orders" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_tls_is_as_the_description_says():
    assert parameters_of(described()) == {
        "host": "db.example",
        "port": 5433,
        "dbname": "orders",
        "sslmode": "require",
    }
    verified = parameters_of(described(tls="verify-full", root_certificates=PEM))
    again = parameters_of(described(tls="verify-full", root_certificates=PEM))

    assert verified == again
    assert verified["sslmode"] == "verify-full"
    assert Path(verified["sslrootcert"]).read_text() == PEM


def local(database: PostgresDatabase, **endpoint: Any) -> Database:
    with database.connect() as connection:
        info = connection.info
        where = {
            "host": info.host,
            "port": info.port,
            "dbname": info.dbname,
            "user": info.user,
        } | endpoint
    nothing = dict.fromkeys(("expand", "migrate", "contract"), "none")
    return by_secret(instance=None, tls="disable", endpoint=where, backup=nothing)


def test_a_session_is_opened_under_the_name_that_it_is_asked_for(database: PostgresDatabase):
    user = local(database).endpoint.user
    made = runtime(json.dumps({"username": user, "password": "x"}))

    with connecting(local(database), made)("greenlane/0001_a/0") as session:
        (row,) = session.rows(
            "SELECT current_user AS who, current_setting('application_name') AS n"
        )

    assert row == {"who": user, "n": "greenlane/0001_a/0"}


def test_a_database_that_is_not_there_is_said_so(database: PostgresDatabase):
    user = local(database).endpoint.user
    made = runtime(json.dumps({"username": user, "password": "x"}))

    with pytest.raises(ConnectionLost, match='database "nowhere" does not exist'):
        connecting(local(database, dbname="nowhere"), made)("greenlane")
