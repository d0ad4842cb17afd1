"""What the functions behind the HTTP API know, and what they may do."""

import json
from typing import Any

import pytest

from greenlane.experiments.names import TABLE as EXPERIMENTS
from tests.infra.conftest import Resource, Template, Vary
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
    product: Template, name: str
) -> None:
    function = product.only("AWS::Lambda::Function", FunctionName=f"greenlane-{name}")

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
        for role in assembly.product.resources("AWS::IAM::Role")
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
    (table,) = [
        one.logical_id
        for one in assembly.product.resources("AWS::DynamoDB::Table")
        if one.properties["TableName"] == name
    ]
    return f"<{table}.Arn>"


def leading_keys(assembly: Any, sid: str) -> list[Any]:
    """Which keys of a table the statements of a name are limited to."""
    return [
        statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        for role in assembly.product.resources("AWS::IAM::Role", "AWS::IAM::Policy")
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
    product = vary(flags={"recorded": 0}).product

    assert "NoteUse" not in json.dumps(product.body)
