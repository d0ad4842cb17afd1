"""Where feature flags are kept."""

from greenlane.flags.names import TABLE
from tests.infra.conftest import Template


def test_the_table_of_flags_can_be_restored_expires_nothing_and_survives_the_stack(
    product: Template,
) -> None:
    table = product.only("AWS::DynamoDB::Table", TableName=TABLE)

    assert table.properties["BillingMode"] == "PAY_PER_REQUEST"
    assert table.properties["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True
    }
    # Flags never expire by TTL; nor does what says who changed them.
    assert "TimeToLiveSpecification" not in table.properties
    assert [key["AttributeName"] for key in table.properties["KeySchema"]] == ["pk", "sk"]
    assert table.body["DeletionPolicy"] == "Retain"
    assert table.properties["DeletionProtectionEnabled"] is True


def test_the_functions_know_the_table_of_flags(product: Template) -> None:
    table = product.only("AWS::DynamoDB::Table", TableName=TABLE)
    functions = product.resources("AWS::Lambda::Function")

    known = [one.properties["Environment"]["Variables"].get("FLAGS_TABLE") for one in functions]
    assert {"Ref": table.logical_id} in known
