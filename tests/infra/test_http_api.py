"""The HTTP API in the product's template: routes, who may call them, and what is told of errors."""

import json
import re
from typing import Any

import pytest

from functions import look_up_flags, manage_experiments, manage_flags, record_experiments
from greenlane.experiments.http import experiment_routes as tests
from greenlane.experiments.http.managing_api import ExperimentsApi
from greenlane.experiments.http.recording_api import RecordingApi
from greenlane.flags.http.admin_api import FlagsApi
from greenlane.flags.http.api_routes import ADMIN, LOOK_UP, LOOKUPS, MANAGE
from greenlane.flags.http.ofrep_shapes import GATEWAY_FAILURE
from greenlane.http.all_routes import ROUTES
from greenlane.http.openapi import document
from infra.nag import as_finding
from infra.settings import Settings
from tests.flag_store import memory_store
from tests.infra.conftest import Resource, Template, Vary, context
from tests.unit.flags.flagging import NOW

Methods = dict[tuple[str, str], Resource]

PUBLIC = [route for route in ROUTES if route.public]


def as_permitted(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "*", path)


def path_of(template: Template, resource: Any) -> str:
    """The whole path of a resource, or of the root."""
    if "Fn::GetAtt" in resource:
        return ""
    body = template.body["Resources"][resource["Ref"]]["Properties"]
    return f"{path_of(template, body['ParentId'])}/{body['PathPart']}"


@pytest.fixture(scope="module")
def methods(product: Template) -> Methods:
    return {
        (
            one.properties["HttpMethod"],
            path_of(product, one.properties["ResourceId"]),
        ): one
        for one in product.resources("AWS::ApiGateway::Method")
    }


def test_the_template_has_the_routes_of_the_table_and_no_other(methods: Methods) -> None:
    routes = {(route.method, route.path) for route in ROUTES}
    asked_first = {("OPTIONS", route.path) for route in PUBLIC}

    assert set(methods) == routes | asked_first


def test_the_document_has_the_same_routes_and_each_has_a_handler(methods: Methods) -> None:
    told = document(ROUTES, server="https://example.com", version="1")
    documented = {
        (method.upper(), path) for path, found in told["paths"].items() for method in found
    }

    assert documented == {
        (method, path.replace("+}", "}")) for method, path in methods if method != "OPTIONS"
    }
    names = [route.name for route in ROUTES]
    assert len(set(names)) == len(names)
    api = FlagsApi(memory_store(), Clock())
    assert set(api.handlers) == {route.name for route in ADMIN}
    managing = ExperimentsApi(Nothing(), Nothing(), Clock(), None, "")
    assert set(managing.handlers) == {route.name for route in tests.ADMIN}
    recorder: Any = Nothing()
    assert set(RecordingApi(recorder).handlers) == {route.name for route in tests.CLIENTS}
    for module, routes in (
        (LOOK_UP, LOOKUPS),
        (MANAGE, ADMIN),
        (tests.RECORD, tests.CLIENTS),
        (tests.MANAGE_TESTS, tests.ADMIN),
    ):
        assert {route.function for route in routes} == {module}
    for function in (look_up_flags, manage_flags, record_experiments, manage_experiments):
        assert callable(function.handler)


class Nothing:
    """Stands for what no test here asks."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


class Clock:
    def now(self) -> Any:
        return NOW


def test_each_method_calls_the_published_version_of_its_function(
    product: Template, methods: Methods
) -> None:
    for route in ROUTES:
        integration = methods[route.method, route.path].properties["Integration"]
        (version,) = [
            one.logical_id
            for one in product.resources("AWS::Lambda::Version")
            if one.logical_id in json.dumps(integration["Uri"])
        ]
        function = product.body["Resources"][version]["Properties"]["FunctionName"]["Ref"]
        handler = product.body["Resources"][function]["Properties"]["Handler"]
        assert handler == f"functions.{route.function}.handler"
        assert integration["Type"] == "AWS_PROXY"


def test_lookups_want_an_api_key_and_everything_else_a_signature(methods: Methods) -> None:
    for route in ROUTES:
        method = methods[route.method, route.path].properties
        by_key = route.auth == "api_key"
        assert method["ApiKeyRequired"] is by_key, route.name
        assert method["AuthorizationType"] == ("NONE" if by_key else "AWS_IAM"), route.name
    keyed = {route.name for route in ROUTES if route.auth == "api_key"}
    assert keyed == {
        "evaluateFlag",
        "evaluateFlags",
        "describe",
        "assignSeveral",
        "assignOne",
        "recordExposures",
        "recordEvents",
    }


def test_browsers_may_ask_first_without_a_key_and_may_send_what_clients_send(
    methods: Methods,
) -> None:
    for route in PUBLIC:
        method = methods["OPTIONS", route.path].properties
        assert method["ApiKeyRequired"] is False
        (answer,) = method["Integration"]["IntegrationResponses"]
        headers = {
            name.rpartition(".")[2]: value.strip("'")
            for name, value in answer["ResponseParameters"].items()
        }
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert set(headers["Access-Control-Allow-Headers"].split(",")) == {
            "content-type",
            "authorization",
            "x-api-key",
            "if-none-match",
        }


def test_each_route_may_invoke_its_function_and_nothing_else_may(product: Template) -> None:
    allowed_by_api = [
        one.properties
        for one in product.resources("AWS::Lambda::Permission")
        if one.properties["Principal"] == "apigateway.amazonaws.com"
    ]

    sources = sorted(as_finding(one["SourceArn"]).partition("/*/")[2] for one in allowed_by_api)
    wanted = sorted(route.method + as_permitted(route.path) for route in ROUTES)
    assert sources == wanted
    assert all(one["SourceAccount"] == {"Ref": "AWS::AccountId"} for one in allowed_by_api)


def test_a_deployment_waits_until_its_functions_may_be_called(product: Template) -> None:
    (deployment,) = product.resources("AWS::ApiGateway::Deployment")
    permissions = {
        one.logical_id
        for one in product.resources("AWS::Lambda::Permission")
        if one.properties["Principal"] == "apigateway.amazonaws.com"
    }

    assert permissions <= set(deployment.body["DependsOn"])


def test_a_key_and_its_limits_are_one_stages_and_its_value_is_nowhere(product: Template) -> None:
    key = product.only("AWS::ApiGateway::ApiKey", Name="greenlane-production")
    plan = product.only("AWS::ApiGateway::UsagePlan", UsagePlanName="greenlane-production")

    assert "Value" not in key.properties
    assert plan.properties["Throttle"] == {"RateLimit": 100, "BurstLimit": 200}
    (stage,) = plan.properties["ApiStages"]
    name = product.body["Resources"][stage["Stage"]["Ref"]]["Properties"]["StageName"]
    assert name == "production"


def test_what_the_gateway_refuses_itself_is_told_in_the_shape_of_the_document(
    product: Template,
) -> None:
    answers = {
        one.properties["ResponseType"]: one.properties
        for one in product.resources("AWS::ApiGateway::GatewayResponse")
    }

    assert {"DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "INVALID_API_KEY"} <= set(answers)
    for kind, answer in answers.items():
        text = answer["ResponseTemplates"]["application/json"]
        told = json.loads(text.replace("$context.error.messageString", '"said"'))
        assert list(told) == GATEWAY_FAILURE["required"], kind
        assert told["errorCode"] in GATEWAY_FAILURE["properties"]["errorCode"]["enum"]
        headers = answer["ResponseParameters"]
        assert headers["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"
    retry = answers["THROTTLED"]["ResponseParameters"]["gatewayresponse.header.Retry-After"]
    assert retry.strip("'").isdecimal()


def test_accesses_are_logged_without_bodies_and_keys(product: Template) -> None:
    (stage,) = product.resources("AWS::ApiGateway::Stage")

    (settings,) = stage.properties["MethodSettings"]
    assert settings["DataTraceEnabled"] is False
    written = stage.properties["AccessLogSetting"]["Format"]
    assert "$context.identity.userArn" in written
    assert 'apiKey"' not in written
    assert "body" not in written
    assert stage.properties["TracingEnabled"] is True


def test_each_environment_is_a_stage_with_a_key_of_its_own(vary: Vary) -> None:
    product = vary(flags={"environments": ["production", "staging"]}).product

    stages = {one.properties["StageName"] for one in product.resources("AWS::ApiGateway::Stage")}
    keys = {one.properties["Name"] for one in product.resources("AWS::ApiGateway::ApiKey")}
    assert stages == {"production", "staging"}
    assert keys == {"greenlane-production", "greenlane-staging"}
    manage = product.only("AWS::Lambda::Function", FunctionName="greenlane-manage-flags")
    variables = manage.properties["Environment"]["Variables"]
    assert variables["FLAGS_ENVIRONMENTS"] == "production,staging"


def test_the_order_of_environments_moves_no_stage(vary: Vary) -> None:
    def stages(*names: str) -> dict[str, str]:
        product = vary(flags={"environments": list(names)}).product
        return {
            one.properties["StageName"]: one.logical_id
            for one in product.resources("AWS::ApiGateway::Stage")
        }

    both = stages("production", "staging")
    assert stages("staging", "production") == both
    assert stages("production").items() <= both.items()
    assert len(set(stages("a-b", "a_b", "ab").values())) == 3


def test_what_can_be_chosen_reaches_the_template(vary: Vary) -> None:
    chosen = {
        "origin": "https://shop.example",
        "disabled_value": "off-variant",
        "own_log_role": False,
        "lookups_per_second": 5,
        "sampled": 0.01,
    }
    product = vary(flags=chosen).product

    assert product.resources("AWS::ApiGateway::Account") == []
    # A stage serves what its deployment saw: without another one, nothing of this would come.
    (before,), (after,) = (
        one.resources("AWS::ApiGateway::Deployment") for one in (vary().product, product)
    )
    assert before.logical_id != after.logical_id
    look_up = product.only("AWS::Lambda::Function", FunctionName="greenlane-look-up-flags")
    variables = look_up.properties["Environment"]["Variables"]
    assert variables["FLAGS_ORIGIN"] == "https://shop.example"
    assert variables["FLAGS_DISABLED_VALUE"] == "off-variant"
    assert variables["FLAGS_SAMPLED"] == "0.01"
    plan = product.only("AWS::ApiGateway::UsagePlan", UsagePlanName="greenlane-production")
    assert plan.properties["Throttle"]["RateLimit"] == 5
    told = json.dumps(
        [
            one.body
            for one in product.resources(
                "AWS::ApiGateway::Method", "AWS::ApiGateway::GatewayResponse"
            )
        ]
    )
    assert "'https://shop.example'" in told
    assert "'*'" not in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"environments": []},
        {"environments": ["a", "a"]},
        {"environments": ["a b"]},
        {"origin": "shop.example"},
        {"lookups_per_second": 0},
        {"enviroments": ["a"]},
    ],
    ids=lambda wrong: str(wrong),
)
def test_what_cannot_be_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"flags.{next(iter(wrong))}|environments"):
        Settings.from_context(context()["greenlane"] | {"flags": wrong})
