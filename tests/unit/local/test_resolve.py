from typing import Any

import pytest

from greenlane.local.errors import DeploymentFailed
from greenlane.local.resolve import Live, Resolver, references

TEMPLATE = {
    "Mappings": {"Sizes": {"eu-west-1": {"small": 2}}},
    "Conditions": {
        "IsProduction": {"Fn::Equals": [{"Ref": "Stage"}, "production"]},
        "IsTest": {"Fn::Not": [{"Condition": "IsProduction"}]},
        "Both": {"Fn::And": [{"Condition": "IsProduction"}, {"Condition": "IsTest"}]},
    },
}


@pytest.fixture
def resolver() -> Any:
    return Resolver(
        template=TEMPLATE,
        parameters={"Stage": "production", "Subnets": ["a", "b"]},
        resources={"Table": Live("deployments", {"Arn": "arn:table", "Nested.Name": "n"})},
        pseudo={"AWS::Region": "eu-west-1", "AWS::StackName": "S", "AWS::StackId": "arn:s"},
        exports={"shared-vpc": "vpc-1"},
        lookup=lambda service, path: f"<{service} {path}>",
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"Ref": "Table"}, "deployments"),
        ({"Ref": "Subnets"}, ["a", "b"]),
        ({"Ref": "AWS::AccountId"}, "123456789012"),
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "arn:table"),
        ({"Fn::GetAtt": "Table.Nested.Name"}, "n"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Table"}, 3]]}, "a-deployments-3"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "x,y"]}]}, "y"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "small"]}, 2),
        ({"Fn::FindInMap": ["Sizes", "x", "y", {"DefaultValue": 9}]}, 9),
        ({"Fn::ImportValue": "shared-vpc"}, "vpc-1"),
        ({"Fn::Select": [0, {"Fn::GetAZs": ""}]}, "eu-west-1a"),
        ({"Fn::Base64": "hi"}, "aGk="),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
        ({"Fn::Sub": "${Table}/${Table.Arn}/${AWS::Region}/${!Kept}"},
         "deployments/arn:table/eu-west-1/${Kept}"),
        ({"Fn::Sub": ["${x}-${Stage}", {"x": {"Ref": "Table"}}]}, "deployments-production"),
        ({"Fn::If": ["IsProduction", "yes", {"Ref": "Nobody"}]}, "yes"),
        ({"Fn::If": ["IsTest", "yes", "no"]}, "no"),
        ({"a": {"Fn::If": ["IsTest", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
        ([1, {"Ref": "AWS::NoValue"}], [1]),
        ("x{{resolve:ssm:/a/b}}y", "x<ssm /a/b>y"),
        ({"Condition": {"StringEquals": {"a": "b"}}}, {"Condition": {"StringEquals": {"a": "b"}}}),
        ({"Ref": "Table", "Other": 1}, {"Ref": "Table", "Other": 1}),
    ],
)  # fmt: skip
def test_resolves(resolver: Resolver, given: Any, expected: Any) -> None:
    assert resolver.resolve(given) == expected


def test_conditions(resolver: Resolver) -> None:
    assert resolver.condition("IsProduction")
    assert not resolver.condition("Both")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"Ref": "Nobody"}, "Nobody"),
        ({"Fn::GetAtt": ["Nobody", "Arn"]}, "Nobody"),
        ({"Fn::GetAtt": ["Table", "Colour"]}, "Colour"),
        ({"Fn::ImportValue": "nothing"}, "nothing"),
        ({"Fn::Transform": {}}, "Fn::Transform"),
        ({"Fn::If": ["Nothing", 1, 2]}, "Nothing"),
        ({"Fn::FindInMap": ["Sizes", "x", "y"]}, "x.y"),
    ],
)
def test_what_is_unknown_is_named(resolver: Resolver, given: Any, named: Any) -> None:
    with pytest.raises(DeploymentFailed, match=named):
        resolver.resolve(given)


def test_references_finds_every_kind() -> None:
    value = {
        "a": [{"Ref": "A"}],
        "b": {"Fn::GetAtt": ["B", "Arn"]},
        "c": {"Fn::Sub": "${C.Arn}-${D}"},
        "e": {"Fn::Sub": ["${x}", {"x": {"Ref": "E"}}]},
    }
    assert set(references(value)) == {"A", "B", "C", "D", "x", "E"}
