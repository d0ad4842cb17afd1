"""Templates with a REST API are deployed, brought to the next template, and taken away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenlane.local.deploy import Artifact, Deployer
from tests.flag_api import send
from tests.unit.local.conftest import Account

HELLO = """
def handler(event, context):
    return {"statusCode": 200, "body": "WORD"}
"""


def template(arn: str, *, path: str = "hello", keyed: bool = True, rate: int = 100) -> Any:
    api, here = {"Ref": "Api"}, {"Ref": "Hello"}
    uri = f"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{arn}/invocations"
    integration = {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": uri}
    mock = {
        "Type": "MOCK",
        "RequestTemplates": {"application/json": "{ statusCode: 200 }"},
        "IntegrationResponses": [
            {
                "StatusCode": "204",
                "ResponseParameters": {"method.response.header.X-Said": "'by nobody'"},
            }
        ],
    }
    told = [{"StatusCode": "204", "ResponseParameters": {"method.response.header.X-Said": True}}]
    methods: dict[str, Any] = {
        "Get": {"HttpMethod": "GET", "Integration": integration, "ApiKeyRequired": keyed},
        "Options": {"HttpMethod": "OPTIONS", "Integration": mock, "MethodResponses": told},
    }
    # As the CDK names a deployment: by what it deploys.
    deployment = f"Deployment{path}{keyed}"
    resources: dict[str, Any] = {
        "Api": {"Name": "template"},
        "Hello": {
            "RestApiId": api,
            "ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
            "PathPart": path,
        },
        "Stage": {
            "RestApiId": api,
            "StageName": "live",
            "DeploymentId": {"Ref": deployment},
        },
        "Key": {"Name": "of-template", "Enabled": True},
        "Plan": {
            "UsagePlanName": "of-template",
            "ApiStages": [{"ApiId": api, "Stage": {"Ref": "Stage"}}],
            "Throttle": {"RateLimit": rate, "BurstLimit": rate},
        },
        "PlanKey": {
            "KeyId": {"Ref": "Key"},
            "KeyType": "API_KEY",
            "UsagePlanId": {"Ref": "Plan"},
        },
        "Forbidden": {
            "RestApiId": api,
            "ResponseType": "INVALID_API_KEY",
            "StatusCode": "401",
            "ResponseTemplates": {"application/json": '{"said": $context.error.messageString}'},
        },
    }
    kinds = {
        "Api": "RestApi",
        "Hello": "Resource",
        "Stage": "Stage",
        "Key": "ApiKey",
        "Plan": "UsagePlan",
        "PlanKey": "UsagePlanKey",
        "Forbidden": "GatewayResponse",
    }
    declared: dict[str, Any] = {
        name: {"Type": f"AWS::ApiGateway::{kinds[name]}", "Properties": properties}
        for name, properties in resources.items()
    }
    for name, one in methods.items():
        properties = {"RestApiId": api, "ResourceId": here, "AuthorizationType": "NONE"} | one
        declared[name] = {"Type": "AWS::ApiGateway::Method", "Properties": properties}
    declared[deployment] = {
        "Type": "AWS::ApiGateway::Deployment",
        "Properties": {"RestApiId": api},
        "DependsOn": ["Get", "Options", "Forbidden"],
    }
    declared["Account"] = {"Type": "AWS::ApiGateway::Account", "Properties": {}}
    return {"Resources": declared}


class Site:
    """A stack with an API on a small cloud."""

    def __init__(self, account: Account) -> None:
        self.account, self.gateway = account, account.cloud.gateway
        self.arn = account.function("hello", HELLO)
        self.deployer = Deployer(account.cloud)

    def deploy(self, **changes: Any) -> list[str]:
        found = self.deployer.deploy(Artifact("Site", Path(), template(self.arn, **changes), {}))
        return sorted(f"{one.action} {one.logical_id}" for one in found)

    def ask(self, path: str = "/hello", method: str = "GET", **headers: str) -> tuple[int, Any]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        found = send(method, self.gateway.url("template", "live") + path, None, given)
        return found.status, found


@pytest.fixture
def site(account: Account) -> Iterator[Site]:
    made = Site(account)
    made.deploy()
    yield made
    made.deployer.delete("Site")


def test_a_deployed_api_answers_with_its_key_and_its_own_refusal(site: Site) -> None:
    key = site.gateway.key("of-template")

    assert site.ask(x_api_key=key)[0] == 200
    status, refused = site.ask()
    assert (status, refused.json) == (401, {"said": "Forbidden"})


def test_a_mock_answers_without_a_function(site: Site) -> None:
    status, told = site.ask(method="OPTIONS")

    assert (status, told.headers["x-said"], told.body) == (204, "by nobody", b"")


def test_a_changed_method_is_served_by_a_new_deployment_of_the_same_stage(site: Site) -> None:
    url, key = site.gateway.url("template", "live"), site.gateway.key("of-template")

    changes = site.deploy(keyed=False)

    assert changes == [
        "create DeploymenthelloFalse",
        "delete DeploymenthelloTrue",
        "update Get",
        "update Stage",
    ]
    assert site.gateway.url("template", "live") == url
    assert site.gateway.key("of-template") == key, "whoever has the key keeps it"
    assert site.ask()[0] == 200


def test_a_renamed_resource_is_another_one_with_its_methods(site: Site) -> None:
    site.deploy(path="hi", keyed=False)

    assert [site.ask("/hi")[0], site.ask("/hello")[0]] == [200, 403]


def test_a_plan_gets_its_new_limits(site: Site) -> None:
    assert site.deploy(rate=1) == ["update Plan"]

    key = site.gateway.key("of-template")
    statuses = [site.ask(x_api_key=key)[0] for _ in range(3)]

    assert statuses.count(429) >= 1


def test_a_stack_that_is_deleted_leaves_no_api_and_no_key(account: Account) -> None:
    made = Site(account)
    made.deploy()
    made.deployer.delete("Site")

    assert made.gateway.urls() == {}
    with pytest.raises(LookupError):
        made.gateway.key("of-template")
    assert account.client("apigateway").get_usage_plans()["items"] == []


def test_a_failed_update_leaves_the_api_as_it_was(site: Site) -> None:
    artifact = Artifact("Site", Path(), template(site.arn, keyed=False), {})

    site.deployer.deploy(artifact, roll_back=True)

    assert site.ask()[0] == 401
    assert site.ask(x_api_key=site.gateway.key("of-template"))[0] == 200
