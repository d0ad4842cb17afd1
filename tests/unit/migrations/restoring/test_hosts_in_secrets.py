"""A new host in a database's secret: nothing else of it changes, and no rotation is undone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from greenlane.errors import InvalidInput, NotFinished, Refused
from greenlane.migrations.restoring.secret import check_secret, write_host
from tests.fakes import client

SECRET = "greenlane/orders"
HELD = {"username": "g", "password": "hush", "host": "old.example", "port": 5432, "more": 1}


@pytest.fixture
def secrets() -> Iterator[Any]:
    with mock_aws():
        made = client("secretsmanager")
        made.create_secret(Name=SECRET, SecretString=json.dumps(HELD))
        yield made


def current(secrets: Any) -> dict[str, Any]:
    found = secrets.get_secret_value(SecretId=SECRET, VersionStage="AWSCURRENT")
    value: dict[str, Any] = json.loads(found["SecretString"])
    return value


def versions(secrets: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = secrets.describe_secret(SecretId=SECRET)["VersionIdsToStages"]
    return found


def test_host_and_port_are_written_and_the_rest_is_kept(secrets: Any) -> None:
    write_host(secrets, SECRET, "new.example", 5433, "fix-1")

    assert current(secrets) == HELD | {"host": "new.example", "port": 5433}


def test_repeating_it_makes_no_further_version(secrets: Any) -> None:
    first = write_host(secrets, SECRET, "new.example", 5432, "fix-1")

    assert write_host(secrets, SECRET, "new.example", 5432, "fix-1") == first
    assert len(versions(secrets)) == 2


def test_an_answer_that_was_lost_in_between_is_made_up_for(secrets: Any) -> None:
    class Loses:
        """The label is not moved the first time."""

        lost = False

        def __getattr__(self, name: str) -> Any:
            if name == "update_secret_version_stage" and not self.lost:
                self.lost = True
                raise ConnectionError("by the test")
            return getattr(secrets, name)

    losing = Loses()
    with pytest.raises(ConnectionError):
        write_host(losing, SECRET, "new.example", 5432, "fix-1")
    assert current(secrets)["host"] == "old.example"

    write_host(losing, SECRET, "new.example", 5432, "fix-1")

    assert current(secrets)["host"] == "new.example"
    assert len(versions(secrets)) == 2


def test_a_rotation_in_between_is_kept_and_the_next_attempt_writes_over_it(secrets: Any) -> None:
    rotated = HELD | {"password": "rotated"}

    class Rotates:
        done = False

        def __getattr__(self, name: str) -> Any:
            if name == "update_secret_version_stage" and not self.done:
                self.done = True
                secrets.put_secret_value(SecretId=SECRET, SecretString=json.dumps(rotated))
            return getattr(secrets, name)

    rotating = Rotates()
    with pytest.raises(NotFinished, match="changed in the same moment"):
        write_host(rotating, SECRET, "new.example", 5432, "fix-1")
    assert current(secrets) == rotated

    write_host(rotating, SECRET, "new.example", 5432, "fix-1")

    assert current(secrets) == rotated | {"host": "new.example"}


@pytest.mark.parametrize("text", ["no json", "[]", '{"password": "hush"}', '{"host": 5}'])
def test_a_secret_that_names_no_host_is_left_alone_and_not_quoted(secrets: Any, text: str) -> None:
    secrets.put_secret_value(SecretId=SECRET, SecretString=text)

    with pytest.raises(InvalidInput) as raised:
        check_secret(secrets, SECRET)

    assert "hush" not in str(raised.value)
    assert "leave writes_secret out" in str(raised.value)


def test_a_secret_that_rds_keeps_is_never_written(secrets: Any) -> None:
    with pytest.raises(Refused, match="belongs to RDS"):
        write_host(secrets, "rds!cluster-1", "new.example", 5432, "fix-1")
