"""Where feature flags are kept."""

import pytest

from greenlane.flags.names import TABLE
from infra.settings import Settings
from tests.infra.conftest import Template, Vary, context

REPLICAS = ["eu-central-1", "us-east-1"]
"""The Regions beside its own that have the table of flags."""


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


def test_with_replicas_each_region_has_a_protected_table_that_can_be_restored(vary: Vary) -> None:
    product = vary(flags={"replicas": REPLICAS}).product
    assert product.resources("AWS::DynamoDB::GlobalTable")
    table = product.only("AWS::DynamoDB::GlobalTable", TableName=TABLE)

    replicas = {one["Region"]: one for one in table.properties["Replicas"]}
    assert replicas.keys() == {"eu-west-1", *REPLICAS}
    for one in replicas.values():
        assert one["DeletionProtectionEnabled"] is True
        assert one["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table.properties["BillingMode"] == "PAY_PER_REQUEST"
    assert table.body["DeletionPolicy"] == "Retain"
    assert "TimeToLiveSpecification" not in table.properties
    assert [key["AttributeName"] for key in table.properties["KeySchema"]] == ["pk", "sk"]
    known = [
        one.properties["Environment"]["Variables"].get("FLAGS_TABLE")
        for one in product.resources("AWS::Lambda::Function")
    ]
    assert {"Ref": table.logical_id} in known


def test_one_region_has_the_table_that_it_always_had(vary: Vary, product: Template) -> None:
    assert product.resources("AWS::DynamoDB::GlobalTable") == []
    assert vary(flags={"replicas": []}).product.body == product.body


@pytest.mark.parametrize(
    ("replicas", "said"),
    [
        (["eu-west-1"], "flags.replicas: eu-west-1 has the table already"),
        (["us-east-1", "us-east-1"], "replicas: each Region once"),
        (["Frankfurt"], "flags.replicas.0"),
    ],
)
def test_regions_that_cannot_be_are_refused_by_name(replicas: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Settings.from_context(context()["greenlane"] | {"flags": {"replicas": replicas}})
