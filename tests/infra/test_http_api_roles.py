"""What the functions behind the HTTP API know, and what they may do."""

import json
from typing import Any

import pytest

from greenlane.experiments.names import TABLE as EXPERIMENTS
from infra.nag import as_finding
from tests.infra.conftest import Assembly, Resource, Template, Vary
from tests.infra.test_permissions import allowed, as_list

VARIABLES = {
    "look-up-flags": {
        "EXPERIMENTS_TABLE",
        "FLAGS_TABLE",
        "FLAGS_ORIGIN",
        "FLAGS_DISABLED_VALUE",
        "FLAGS_SAMPLED",
        "FLAGS_RECORDED",
    },
    "manage-flags": {
        "API_FUNCTIONS",
        "EXPERIMENTS_TABLE",
        "FLAGS_TABLE",
        "FLAGS_ENVIRONMENTS",
        "POWERTOOLS_SERVICE_NAME",
        "LOG_LEVEL",
    },
    "record-experiments": {
        "EXPERIMENTS_TABLE",
        "API_ORIGIN",
        "POWERTOOLS_SERVICE_NAME",
        "LOG_LEVEL",
    },
    "manage-experiments": {
        "EXPERIMENTS_TABLE",
        "FLAGS_TABLE",
        "POWERTOOLS_SERVICE_NAME",
        "LOG_LEVEL",
    },
}


@pytest.mark.parametrize("name", VARIABLES)
def test_the_functions_of_the_api_know_their_tables_and_nothing_of_deployments(
    api: Template, name: str
) -> None:
    function = api.only("AWS::Lambda::Function", FunctionName=f"greenlane-{name}")

    assert set(function.properties["Environment"]["Variables"]) == VARIABLES[name]


def test_a_lookup_may_read_one_item_at_a_time_and_note_what_is_used_and_nothing_else(
    assembly: Any,
) -> None:
    may = allowed(assembly, "greenlane-look-up-flags-eu-west-1")
    own = {name for name in may if name.startswith(("logs:", "xray:"))}

    flags, tests = (table_of(assembly, name) for name in ("greenlane-flags", EXPERIMENTS))
    assert {name: may[name] for name in may if name not in own} == {
        "dynamodb:BatchGetItem": {tests},
        "dynamodb:GetItem": {flags, tests},
        "dynamodb:UpdateItem": {flags},
    }
    assert leading_keys(assembly, "NoteUse") == [["seen#*"]]
    assert leading_keys(assembly, "TellTests") == [["snapshot#*", "user#*"]]


def test_whoever_has_an_api_key_writes_of_users_alone(assembly: Any) -> None:
    may = allowed(assembly, "greenlane-record-experiments-eu-west-1")

    writing = {"dynamodb:PutItem", "dynamodb:UpdateItem"}
    reading = {"dynamodb:GetItem"}
    of_tables = {name: where for name, where in may.items() if name.startswith("dynamodb:")}
    assert of_tables == {name: {table_of(assembly, EXPERIMENTS)} for name in writing | reading}
    assert leading_keys(assembly, "RecordUsers") == [["user#*", "event#*", "count#*"]]
    assert leading_keys(assembly, "ReadTests") == [["tests", "snapshot#tests", "user#*"]]
    statements = [
        statement
        for role in assembly.api.resources("AWS::IAM::Role")
        if role.properties["RoleName"] == "greenlane-record-experiments-eu-west-1"
        for statement in statements_of(role)
        if writing & set(as_list(statement["Action"]))
    ]
    assert [one["Sid"] for one in statements] == ["RecordUsers"]


def test_who_manages_flags_reads_of_tests_their_names_alone(assembly: Any) -> None:
    may = allowed(assembly, "greenlane-manage-flags-eu-west-1")

    tests = table_of(assembly, EXPERIMENTS)
    assert {name for name, where in may.items() if tests in where} == {"dynamodb:GetItem"}
    assert leading_keys(assembly, "ReadNamesOfTests") == [["snapshot#*"]]


def table_of(assembly: Any, name: str) -> str:
    """How the API's stack names a table that the product's stack makes by that name."""
    assembly.product.only("AWS::DynamoDB::Table", TableName=name)
    return f"arn:<AWS::Partition>:dynamodb:eu-west-1:<AWS::AccountId>:table/{name}"


def leading_keys(assembly: Any, sid: str) -> list[Any]:
    """Which keys of a table the statements of a name are limited to."""
    return [
        statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        for role in assembly.api.resources("AWS::IAM::Role", "AWS::IAM::Policy")
        for statement in statements_of(role)
        if statement.get("Sid") == sid
    ]


def statements_of(one: Resource) -> list[dict[str, Any]]:
    """Of a role's own policies, or of a policy of its own."""
    documents = [inline["PolicyDocument"] for inline in one.properties.get("Policies", [])]
    if "PolicyDocument" in one.properties:
        documents.append(one.properties["PolicyDocument"])
    return [statement for document in documents for statement in document["Statement"]]


def test_without_noting_a_lookup_may_write_nothing(vary: Vary) -> None:
    api = vary(flags={"recorded": 0}).api

    assert "NoteUse" not in json.dumps(api.body)


OF_DEPLOYMENTS = {
    "DEPLOYMENTS_TABLE",
    "DEPLOYMENT_MACHINE_ARN",
    "LOG_LEVEL",
    "POWERTOOLS_SERVICE_NAME",
    "ROLLBACK_MACHINE_ARN",
    "TOPIC_ARN",
}
OF_WEBHOOKS = OF_DEPLOYMENTS - {"DEPLOYMENT_MACHINE_ARN", "TOPIC_ARN"} | {"WEBHOOKS_SECRET"}


@pytest.mark.parametrize(
    ("name", "variables", "memory_mb"),
    [
        ("manage-deployments", OF_DEPLOYMENTS, 1024),
        ("manage-rollouts", OF_DEPLOYMENTS, 1024),
        ("manage-migrations", OF_DEPLOYMENTS, 1024),
        ("hear-webhooks", OF_WEBHOOKS, 512),
    ],
)
def test_what_answers_for_deployments_is_told_the_names_that_the_product_has(
    whole: Assembly, name: str, variables: set[str], memory_mb: int
) -> None:
    found = whole.api.only("AWS::Lambda::Function", FunctionName=f"greenlane-{name}").properties

    told = found["Environment"]["Variables"]
    assert set(told) == variables
    for machine in ("DEPLOYMENT", "ROLLBACK"):
        if f"{machine}_MACHINE_ARN" in told:
            named = as_finding(told[f"{machine}_MACHINE_ARN"]).rpartition(":")[2]
            whole.product.only("AWS::StepFunctions::StateMachine", StateMachineName=named)
    whole.product.only("AWS::DynamoDB::Table", TableName=told["DEPLOYMENTS_TABLE"])
    if "TOPIC_ARN" in told:
        topic = as_finding(told["TOPIC_ARN"]).rpartition(":")[2]
        whole.product.only("AWS::SNS::Topic", TopicName=topic)
    assert (found["MemorySize"], found["Timeout"]) == (memory_mb, 29)
    # The parser of SQL and the driver are not needed, nor is any network.
    assert len(found["Layers"]) == 1
    assert "VpcConfig" not in found


def test_every_function_of_the_api_runs_as_the_house_rules_say(whole: Assembly) -> None:
    for found in whole.api.resources("AWS::Lambda::Function"):
        name = str(found.properties["FunctionName"])
        assert found.properties["Runtime"] == "python3.14", name
        assert found.properties["Architectures"] == ["arm64"], name
        assert found.properties["TracingConfig"] == {"Mode": "Active"}, name
        # Nobody waits for an answer any longer than that.
        assert found.properties["Timeout"] <= 30, name
    versions = whole.api.resources("AWS::Lambda::Version")
    assert {found.body["DeletionPolicy"] for found in versions} == {"Retain"}


def test_a_webhook_may_start_the_way_back_and_read_its_secret_and_nothing_else(
    whole: Assembly,
) -> None:
    may = allowed(whole, "greenlane-hear-webhooks-eu-west-1")

    assert {name for name in may if not name.startswith(("logs:", "xray:"))} == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "secretsmanager:GetSecretValue",
        "states:StartExecution",
    }
    (machine,) = may["states:StartExecution"]
    assert machine.endswith(":stateMachine:greenlane-rollback")
    (secret,) = may["secretsmanager:GetSecretValue"]
    assert secret.endswith(":secret:greenlane-webhooks-??????")


def test_the_secret_of_webhooks_is_made_up_and_goes_with_the_stack(
    assembly: Assembly, vary: Vary
) -> None:
    secret = assembly.api.only("AWS::SecretsManager::Secret", Name="greenlane-webhooks")

    wanted = {"PasswordLength": 48, "ExcludePunctuation": True}
    assert secret.properties["GenerateSecretString"] == wanted
    assert "SecretString" not in secret.properties
    assert secret.body["DeletionPolicy"] == "Delete"
    assert vary(webhooks=False).api.resources("AWS::SecretsManager::Secret") == []
