"""An account that remembers answers as moto does."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import remembered_account
from tests.remembered_account import RememberedAccount, _Standing

GROUP = {"DBInstanceClass": "db.t4g.medium", "Engine": "postgres", "AllocatedStorage": 20}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_account, "_EMPTY", _Standing())


def databases(rds: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rds.describe_db_instances()["DBInstances"]
    return found


def played(more: bool) -> list[Any]:
    """What an account says on its way, which goes on further if `more`."""
    account = RememberedAccount()
    try:
        rds, secrets = account.client("rds"), account.client("secretsmanager")
        said = [rds.create_db_instance(DBInstanceIdentifier="one", **GROUP), databases(rds)]
        with pytest.raises(ClientError) as refused:
            rds.create_db_instance(DBInstanceIdentifier="one", **GROUP)
        said += [refused.value.response["Error"], secrets.create_secret(Name="s", SecretString="a")]
        said.append(secrets.put_secret_value(SecretId="s", SecretString="b"))
        if more:
            rds.create_db_instance(DBInstanceIdentifier="two", **GROUP)
            said += [secrets.get_secret_value(SecretId="s"), databases(rds)]
        return said
    finally:
        account.close()


def test_the_same_calls_have_the_same_answers_and_moto_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = played(more=True)
    monkeypatch.setattr(RememberedAccount, "_begin", None)
    assert played(more=True) == first


def test_what_nobody_has_asked_yet_is_moto_s_answer_after_all_that_came_before() -> None:
    alone = played(more=False)
    went_on = played(more=True)
    assert went_on[: len(alone)] == alone
    *_, secret, there = went_on
    assert secret["SecretString"] == "b"
    assert secret["VersionId"] == alone[-1]["VersionId"]
    assert [one["DBInstanceIdentifier"] for one in there] == ["one", "two"]
    assert there[0] | {"LatestRestorableTime": 0} == alone[1][0] | {"LatestRestorableTime": 0}


def test_other_changes_lead_elsewhere() -> None:
    played(more=True)
    account = RememberedAccount()
    rds = account.client("rds")
    assert databases(rds) == []
    rds.create_db_instance(DBInstanceIdentifier="two", **GROUP)
    assert [one["DBInstanceIdentifier"] for one in databases(rds)] == ["two"]
    account.close()


def test_nobody_changes_what_others_are_told() -> None:
    account = RememberedAccount()
    rds = account.client("rds")
    rds.create_db_instance(DBInstanceIdentifier="one", **GROUP)
    databases(rds)[0]["Engine"] = "another"
    assert databases(rds)[0]["Engine"] == "postgres"
    account.close()
