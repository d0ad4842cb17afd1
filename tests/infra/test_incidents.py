"""Where reports are kept, and who may write there."""

from typing import Any

import pytest

from greenlane.incidents.report_place import bucket_name
from infra.nag import as_finding
from tests.infra.conftest import Resource, Template, Vary
from tests.infra.test_permissions import as_list, statements


@pytest.fixture(scope="module")
def bucket(product: Template) -> Resource:
    (found,) = product.resources("AWS::S3::Bucket")
    return found


def test_the_bucket_has_the_name_that_the_command_line_computes(bucket: Resource) -> None:
    name = as_finding(bucket.properties["BucketName"])

    assert name == bucket_name("<AWS::AccountId>", "eu-west-1")
    assert len(bucket_name("1" * 12, "ap-southeast-99")) <= 63


def test_nobody_else_sees_it_and_nothing_is_sent_in_the_clear(
    product: Template, bucket: Resource
) -> None:
    assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket.properties["PublicAccessBlockConfiguration"]) == 4
    (rule,) = bucket.properties["OwnershipControls"]["Rules"]
    assert rule == {"ObjectOwnership": "BucketOwnerEnforced"}
    (encryption,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    policy = product.only("AWS::S3::BucketPolicy", Bucket={"Ref": bucket.logical_id})
    denied = policy.properties["PolicyDocument"]["Statement"]
    assert {statement["Effect"] for statement in denied} == {"Deny"}
    conditions = [statement["Condition"] for statement in denied]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions


def test_reports_are_kept_for_400_days_with_their_older_versions_and_survive_the_stack(
    bucket: Resource,
) -> None:
    assert bucket.properties["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket.properties["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 400)
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert (bucket.body["DeletionPolicy"], bucket.body["UpdateReplacePolicy"]) == (
        "Retain",
        "Retain",
    )


def test_each_kind_of_report_is_written_by_its_own_functions_and_read_by_none(
    product: Template, bucket: Resource
) -> None:
    found: dict[str, Any] = {}
    for role, statement in statements(product):
        for action in as_list(statement["Action"]):
            if action.startswith("s3:"):
                found.setdefault(role, []).append((action, as_finding(statement["Resource"])))

    writers = {"report-incident": "incidents"} | dict.fromkeys(
        ("conclude-experiment", "stop-experiments", "tick-experiments"), "experiments"
    )
    assert found == {
        f"greenlane-{name}-eu-west-1": [("s3:PutObject", f"<{bucket.logical_id}.Arn>/{folder}/*")]
        for name, folder in writers.items()
    }


def log_groups(template: Template) -> list[str]:
    return [
        as_finding(resource).partition(":log-group:")[2]
        for _, statement in statements(template)
        if "logs:StartQuery" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]


def test_only_the_log_groups_of_the_services_are_searched(product: Template) -> None:
    assert log_groups(product) == ["/ecs/claude-manager:*"]


def test_a_log_group_of_your_own_is_a_setting(vary: Vary) -> None:
    adopted = {
        "name": "checkout",
        "cluster": "shop",
        "container": "web",
        "port": 80,
        "repository": "shop/checkout",
        "task_roles": ["checkout-task"],
        "log_group": "shop/web",
    }

    assert log_groups(vary(sample=False, services=[adopted]).product) == ["shop/web:*"]
