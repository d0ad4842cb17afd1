"""Migrations exist where a database is configured, reach that one, and cost nothing elsewhere."""

from typing import Any

import pytest
from pydantic import ValidationError

from greenlane.migrations.guarding.plans import bucket_name
from infra.nag import as_finding
from infra.settings import Settings
from tests.infra.conftest import MIGRATIONS, Assembly, Resource, Template, Vary, context
from tests.infra.test_permissions import allowed

OUTSIDE = {
    *("take-migration", "back-up-database", "watch-migration", "hand-over-migration"),
    *("publish-migration", "release-migration", "tell-migration", "tell-dead-migration"),
    "tick-migrations",
}
INSIDE = {"check-migration", "run-migration", "undo-migration"}
RDS = "arn:<AWS::Partition>:rds:eu-west-1:<AWS::AccountId>"


def functions(template: Template) -> dict[str, dict[str, Any]]:
    """Function properties by physical name without its prefix."""
    return {
        str(found.properties["FunctionName"]).removeprefix("greenlane-"): dict(found.properties)
        for found in template.resources("AWS::Lambda::Function")
    }


def of_migrations(template: Template) -> dict[str, dict[str, Any]]:
    known = functions(template)
    return {name: known[name] for name in OUTSIDE | INSIDE}


def role(name: str) -> str:
    return f"greenlane-{name}-eu-west-1"


@pytest.fixture(scope="module")
def bucket(whole: Assembly) -> Resource:
    (found,) = [
        one
        for one in whole.product.resources("AWS::S3::Bucket")
        if "migrations" in as_finding(one.properties["BucketName"])
    ]
    return found


def test_without_a_database_nothing_of_it_is_made(assembly: Assembly, whole: Assembly) -> None:
    assert not (OUTSIDE | INSIDE) & set(functions(assembly.product))
    before = {one.type for one in assembly.product.resources()}
    assert "greenlane-migration" not in str(assembly.product.body)
    # Nor does a configured one make anything that is paid while nothing runs.
    assert {one.type for one in whole.product.resources()} == before
    for kind in ("AWS::EC2::VPCEndpoint", "AWS::EC2::NatGateway", "AWS::RDS::DBProxy"):
        assert whole.product.resources(kind) == []


def test_only_what_speaks_to_a_database_is_in_its_network_and_has_the_driver(
    whole: Assembly,
) -> None:
    for name, function in of_migrations(whole.product).items():
        inside = name in INSIDE
        network = {
            "SubnetIds": MIGRATIONS["subnet_ids"],
            "SecurityGroupIds": MIGRATIONS["security_group_ids"],
        }
        assert function.get("VpcConfig") == (network if inside else None), name
        assert len(function["Layers"]) == (2 if inside else 1), name


def test_a_slice_has_as_long_as_lambda_gives(whole: Assembly) -> None:
    known = of_migrations(whole.product)

    assert {name: known[name]["Timeout"] for name in sorted(INSIDE)} == {
        "check-migration": 300,
        "run-migration": 900,
        "undo-migration": 900,
    }
    assert {known[name]["Timeout"] for name in OUTSIDE} == {60}


def test_each_knows_the_bucket_of_plans_and_the_machine(whole: Assembly, bucket: Resource) -> None:
    for name, function in of_migrations(whole.product).items():
        variables = function["Environment"]["Variables"]
        assert variables["MIGRATIONS_BUCKET"] == {"Ref": bucket.logical_id}, name
        machine = as_finding(variables["MIGRATION_MACHINE_ARN"])
        assert machine.endswith(":stateMachine:greenlane-migration"), name
        assert {"DEPLOYMENTS_TABLE", "TOPIC_ARN"} <= set(variables), name


def test_plans_are_private_encrypted_kept_once_and_sent_over_tls_only(
    whole: Assembly, bucket: Resource
) -> None:
    name = as_finding(bucket.properties["BucketName"])
    assert name == bucket_name("<AWS::AccountId>", "eu-west-1")
    assert len(bucket_name("1" * 12, "ap-southeast-99")) <= 63
    assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}
    (encryption,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert "VersioningConfiguration" not in bucket.properties
    assert bucket.body["DeletionPolicy"] == "Retain"
    policy = whole.product.only("AWS::S3::BucketPolicy", Bucket={"Ref": bucket.logical_id})
    denied = policy.properties["PolicyDocument"]["Statement"]
    assert {one["Effect"] for one in denied} == {"Deny"}
    conditions = [one["Condition"] for one in denied]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions


@pytest.mark.parametrize("name", sorted(INSIDE))
def test_who_speaks_to_a_database_may_sign_in_and_read_plans_and_nothing_else(
    whole: Assembly, bucket: Resource, name: str
) -> None:
    may = allowed(whole, role(name))

    place = "arn:<AWS::Partition>:{}:eu-west-1:<AWS::AccountId>:{}"
    asked = {
        action: resources
        for action, resources in may.items()
        if not action.startswith(("logs:", "xray:", "ec2:"))
    }
    assert asked == {
        "rds-db:connect": {place.format("rds-db", "dbuser:cluster-ABC123/greenlane")},
        "secretsmanager:GetSecretValue": {
            place.format("secretsmanager", "secret:greenlane/billing-??????")
        },
        "s3:GetObject": {f"<{bucket.logical_id}.Arn>/plans/*"},
    }


def test_snapshots_are_taken_of_the_named_databases_under_our_own_names(whole: Assembly) -> None:
    may = allowed(whole, role("back-up-database"))

    cluster = {f"{RDS}:cluster:orders-prod", f"{RDS}:cluster-snapshot:greenlane-*"}
    instance = {f"{RDS}:db:billing-1", f"{RDS}:snapshot:greenlane-*"}
    assert may["rds:CreateDBClusterSnapshot"] == cluster
    assert may["rds:CreateDBSnapshot"] == instance
    assert may["rds:DescribeDBClusters"] == {f"{RDS}:cluster:orders-prod"}
    assert may["rds:DescribeDBInstances"] == {f"{RDS}:db:billing-1"}
    assert not [action for action in may if "Delete" in action or "Restore" in action]


def test_deployments_start_migrations_and_read_plans_only_where_there_are_any(
    assembly: Assembly, whole: Assembly, bucket: Resource
) -> None:
    known = functions(assembly.product)["plan-deployment"]["Environment"]["Variables"]
    assert not {"MIGRATION_MACHINE_ARN", "MIGRATIONS_BUCKET"} & set(known)
    for name in ("expand-database", "plan-deployment"):
        assert not [
            one for one in allowed(assembly, role(name)) if one.startswith(("states:", "s3:"))
        ]
    may = allowed(whole, role("expand-database"))
    place = "arn:<AWS::Partition>:states:eu-west-1:<AWS::AccountId>"
    assert may["states:StartExecution"] == {f"{place}:stateMachine:greenlane-migration"}
    assert may["states:DescribeExecution"] == {f"{place}:execution:greenlane-migration:*"}
    plans = allowed(whole, role("plan-deployment"))["s3:GetObject"]
    assert plans == {f"<{bucket.logical_id}.Arn>/plans/*"}
    begins = allowed(whole, role("tick-migrations"))
    assert begins["states:StartExecution"] == may["states:StartExecution"]


def test_what_begins_migrate_runs_each_minute_and_is_replaced_by_the_next(whole: Assembly) -> None:
    rule = whole.product.only(
        "AWS::Events::Rule", Name="greenlane-every-minute-tick-migrations"
    ).properties
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"]
    (asked,) = [
        one.properties
        for one in whole.product.resources("AWS::Lambda::EventInvokeConfig")
        if target["Arn"]["Ref"] in str(one.properties["Qualifier"])
    ]
    assert (asked["MaximumRetryAttempts"], asked["MaximumEventAgeInSeconds"]) == (0, 60)


def test_only_parameters_below_our_prefix_are_written(whole: Assembly) -> None:
    written = allowed(whole, role("publish-migration"))["ssm:PutParameter"]

    assert {one.partition(":parameter/")[2] for one in written} == {"greenlane/databases/*"}


def test_permissions_on_what_rds_has_are_there_only_for_what_is_configured(vary: Vary) -> None:
    only = MIGRATIONS | {"databases": [{"name": "local", "secret": "greenlane/local"}]}
    assembly = vary(migrations=only)

    assert not [one for one in allowed(assembly, role("back-up-database")) if one[:4] == "rds:"]
    assert "rds-db:connect" not in allowed(assembly, role("run-migration"))


def test_an_execution_that_died_has_people_told(whole: Assembly) -> None:
    rule = whole.product.only("AWS::Events::Rule", Name="greenlane-migration-died").properties
    machine = whole.product.only(
        "AWS::StepFunctions::StateMachine", StateMachineName="greenlane-migration"
    )

    detail = rule["EventPattern"]["detail"]
    assert detail["stateMachineArn"] == [{"Ref": machine.logical_id}]
    assert detail["status"] == ["ABORTED", "FAILED", "TIMED_OUT"]
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 600, "MaximumRetryAttempts": 10}
    assert set(target["InputTransformer"]["InputPathsMap"].values()) == {
        "$.detail.executionArn",
        "$.detail.status",
    }


def test_the_machine_is_standard_and_hides_its_data(whole: Assembly) -> None:
    machine = whole.product.only(
        "AWS::StepFunctions::StateMachine", StateMachineName="greenlane-migration"
    ).properties

    assert machine["StateMachineType"] == "STANDARD"
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False


def settings(**changes: Any) -> Settings:
    chosen = context()["greenlane"] | {"migrations": MIGRATIONS | changes}
    return Settings.from_context(chosen)


ACCESS: dict[str, Any] = {"name": "orders", "secret": "greenlane/orders"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"subnet_ids": []}, "at least 1"),
    ({"security_group_ids": ["sg"]}, "should match pattern"),
    ({"databases": []}, "at least 1"),
    ({"databases": [ACCESS, ACCESS]}, "each name once"),
    ({"databases": [{"name": "orders"}]}, "or its secret"),
    ({"databases": [ACCESS | {"resource_id": "db-A1", "user": "g"}]}, "not both"),
    ({"databases": [{"name": "orders", "user": "g"}]}, "needs resource_id and user together"),
    ({"databases": [ACCESS | {"cluster": "a", "instance": "b"}]}, "not both"),
    ({"databases": [ACCESS | {"clustr": "a"}]}, "Extra inputs"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_wrong_settings_do_not_synthesize(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**changes)
