import pytest
from botocore.exceptions import ClientError

from tests.unit.local.conftest import Account


def test_who_asks_what_a_role_may_do_is_told_that_nobody_knows(account: Account) -> None:
    with pytest.raises(ClientError, match="does not know what a role may do") as caught:
        account.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:role/any", ActionNames=["ecs:UpdateService"]
        )
    assert caught.value.response["Error"]["Code"] == "InvalidInput"
