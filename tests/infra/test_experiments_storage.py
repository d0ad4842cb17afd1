"""Where A/B tests are kept."""

from greenlane.experiments.names import TABLE
from tests.infra.conftest import Template


def test_the_table_of_tests_can_be_restored_and_survives_the_stack(product: Template) -> None:
    table = product.only("AWS::DynamoDB::Table", TableName=TABLE)

    assert table.properties["BillingMode"] == "PAY_PER_REQUEST"
    assert table.properties["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True
    }
    assert [key["AttributeName"] for key in table.properties["KeySchema"]] == ["pk", "sk"]
    assert table.body["DeletionPolicy"] == "Retain"
    assert table.properties["DeletionProtectionEnabled"] is True


def test_what_is_kept_of_users_goes_by_itself(product: Template) -> None:
    table = product.only("AWS::DynamoDB::Table", TableName=TABLE)

    assert table.properties["TimeToLiveSpecification"] == {
        "AttributeName": "expires_at",
        "Enabled": True,
    }


def test_the_functions_know_the_table_of_tests(product: Template) -> None:
    table = product.only("AWS::DynamoDB::Table", TableName=TABLE)
    functions = product.resources("AWS::Lambda::Function")

    known = [
        one.properties["Environment"]["Variables"].get("EXPERIMENTS_TABLE") for one in functions
    ]
    assert {"Ref": table.logical_id} in known
