"""The HTTP API in its template: routes, who may call them, and what is told of errors."""

import json
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any
from unittest.mock import MagicMock

import pytest

from functions import look_up_flags, manage_experiments, manage_flags, record_experiments
from greenlane.deployments.http.deployments_api import DeploymentsApi
from greenlane.experiments.http import experiment_routes as tests
from greenlane.experiments.http.managing_api import ExperimentsApi
from greenlane.experiments.http.recording_api import RecordingApi
from greenlane.flags.http.admin_api import FlagsApi
from greenlane.flags.http.api_routes import ADMIN, LOOK_UP, LOOKUPS, MANAGE
from greenlane.flags.http.ofrep_shapes import GATEWAY_FAILURE
from greenlane.http.all_routes import ROUTES, routes_of
from greenlane.http.openapi import document
from greenlane.http.routes import Route
from greenlane.migrations.http.migrations_api import MigrationsApi
from greenlane.regions.http.rollouts_api import RolloutsApi
from greenlane.rollback.http.webhook_api import WebhooksApi
from infra.api import callers
from infra.nag import as_finding
from infra.settings import Settings
from tests.flag_store import memory_store
from tests.infra.conftest import EVERYWHERE, Assembly, Resource, Template, Vary, context
from tests.unit.flags.flagging import NOW

Methods = dict[tuple[str, str], Resource]

PUBLIC = [route for route in ROUTES if route.public]
SECRET = [route for route in ROUTES if route.auth == "secret"]
# Without databases and Regions there is nobody to answer for them.
ELSEWHERE = {"manage_migrations", "manage_rollouts"}


def path_of(template: Template, resource: Any) -> str:
    """The whole path of a resource, or of the root."""
    if "Fn::GetAtt" in resource:
        return ""
    body = template.body["Resources"][resource["Ref"]]["Properties"]
    return f"{path_of(template, body['ParentId'])}/{body['PathPart']}"


def methods_of(api: Template) -> Methods:
    return {
        (
            one.properties["HttpMethod"],
            path_of(api, one.properties["ResourceId"]),
        ): one
        for one in api.resources("AWS::ApiGateway::Method")
    }


@pytest.fixture(scope="module")
def api(whole: Assembly) -> Template:
    """With every function."""
    return whole.api


@pytest.fixture(scope="module")
def methods(api: Template) -> Methods:
    return methods_of(api)


def test_the_template_has_the_routes_of_the_table_and_no_other(methods: Methods) -> None:
    routes = {(route.method, route.path) for route in ROUTES}
    asked_first = {("OPTIONS", route.path) for route in PUBLIC}

    assert set(methods) == routes | asked_first


@pytest.mark.parametrize(
    ("chosen", "missing"), [({}, ELSEWHERE), ({"webhooks": False}, {*ELSEWHERE, "hear_webhooks"})]
)
def test_what_no_function_answers_is_no_route_and_not_in_the_document(
    vary: Vary, chosen: dict[str, Any], missing: set[str]
) -> None:
    found = vary(**chosen).api

    routes = {(one.method, one.path) for one in ROUTES if one.function not in missing}
    assert {one for one in methods_of(found) if one[0] != "OPTIONS"} == routes
    describes = found.only("AWS::Lambda::Function", FunctionName="greenlane-manage-flags")
    told = describes.properties["Environment"]["Variables"]["API_FUNCTIONS"].split(",")
    assert {(one.method, one.path) for one in routes_of(told)} == routes


def test_a_coordinator_answers_for_rollouts_at_home_and_at_the_standby_only(vary: Vary) -> None:
    everywhere = vary(**EVERYWHERE)

    def answers(stack: str) -> bool:
        return any("/v1/rollouts" in path for _, path in methods_of(everywhere.template(stack)))

    assert answers("GreenlaneApi")
    assert answers("GreenlaneApi-us-east-1")
    assert not answers("GreenlaneApi-ap-southeast-1")


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
    managing_flags = FlagsApi(memory_store(), Clock())
    assert set(managing_flags.handlers) == {route.name for route in ADMIN}
    managing = ExperimentsApi(Nothing(), Nothing(), Clock(), None, "")
    assert set(managing.handlers) == {route.name for route in tests.ADMIN}
    recorder: Any = Nothing()
    assert set(RecordingApi(recorder).handlers) == {route.name for route in tests.CLIENTS}
    stand_in: Any = MagicMock()
    rooms: dict[str, Any] = {
        "manage_deployments": DeploymentsApi(stand_in, stand_in),
        "manage_rollouts": RolloutsApi(stand_in, stand_in),
        "manage_migrations": MigrationsApi(stand_in, stand_in),
        "hear_webhooks": WebhooksApi(stand_in, stand_in),
    }
    for module, rest in rooms.items():
        assert set(rest.handlers) == {one.name for one in ROUTES if one.function == module}
        assert callable(import_module(f"functions.{module}").handler)
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
    api: Template, methods: Methods
) -> None:
    for route in ROUTES:
        integration = methods[route.method, route.path].properties["Integration"]
        (version,) = [
            one.logical_id
            for one in api.resources("AWS::Lambda::Version")
            if one.logical_id in json.dumps(integration["Uri"])
        ]
        function = api.body["Resources"][version]["Properties"]["FunctionName"]["Ref"]
        handler = api.body["Resources"][function]["Properties"]["Handler"]
        assert handler == f"functions.{route.function}.handler"
        assert integration["Type"] == "AWS_PROXY"


def test_lookups_want_an_api_key_webhooks_a_secret_and_everything_else_a_signature(
    methods: Methods,
) -> None:
    for route in ROUTES:
        method = methods[route.method, route.path].properties
        assert method["ApiKeyRequired"] is (route.auth == "api_key"), route.name
        signed = route.auth == "iam"
        assert method["AuthorizationType"] == ("AWS_IAM" if signed else "NONE"), route.name
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
    assert {route.path for route in SECRET} == {
        "/v1/triggers/alertmanager",
        "/v1/triggers/webhook",
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


def test_each_route_may_invoke_its_function_and_no_route_another(api: Template) -> None:
    """What one permission names may be several routes: all of them are its own function's."""
    reached: dict[str, list[str]] = {}
    for one in api.resources("AWS::Lambda::Permission"):
        assert one.properties["Principal"] == "apigateway.amazonaws.com"
        assert one.properties["SourceAccount"] == {"Ref": "AWS::AccountId"}
        version = api.body["Resources"][one.properties["FunctionName"]["Ref"]]["Properties"]
        function = api.body["Resources"][version["FunctionName"]["Ref"]]["Properties"]
        module = function["Handler"].split(".")[1]
        named = as_finding(one.properties["SourceArn"]).partition("/*/")[2]
        called = {r.function for r in ROUTES if fnmatchcase(f"{r.method}{r.path}", named)}
        assert called == {module}, named
        reached.setdefault(module, []).append(named)

    for route in ROUTES:
        named = f"{route.method}{route.path}"
        assert any(fnmatchcase(named, one) for one in reached[route.function]), named


def test_an_area_that_two_functions_share_is_permitted_route_by_route() -> None:
    def route(method: Any, path: str, function: str) -> Route:
        return Route(method, path, path, "", function, "iam", {})

    ours = [route("GET", "/v1/flags/{key}", "a"), route("POST", "/v1/tests/{id}/end", "a")]
    theirs = [route("GET", "/v1/tests/{id}", "b")]

    assert list(callers("a", [*ours, *theirs])) == [
        ("*", "/v1/flags*"),
        ("POST", "/v1/tests/*/end"),
    ]
    assert list(callers("b", [*ours, *theirs])) == [("GET", "/v1/tests/*")]


def test_a_deployment_waits_until_its_functions_may_be_called(api: Template) -> None:
    (deployment,) = api.resources("AWS::ApiGateway::Deployment")
    permissions = {
        one.logical_id
        for one in api.resources("AWS::Lambda::Permission")
        if one.properties["Principal"] == "apigateway.amazonaws.com"
    }

    assert permissions <= set(deployment.body["DependsOn"])


def test_a_key_and_its_limits_are_one_stages_and_its_value_is_nowhere(api: Template) -> None:
    key = api.only("AWS::ApiGateway::ApiKey", Name="greenlane-production")
    plan = api.only("AWS::ApiGateway::UsagePlan", UsagePlanName="greenlane-production")

    assert "Value" not in key.properties
    assert plan.properties["Throttle"] == {"RateLimit": 100, "BurstLimit": 200}
    (stage,) = plan.properties["ApiStages"]
    name = api.body["Resources"][stage["Stage"]["Ref"]]["Properties"]["StageName"]
    assert name == "production"


def test_what_the_gateway_refuses_itself_is_told_in_the_shape_of_the_document(
    api: Template,
) -> None:
    answers = {
        one.properties["ResponseType"]: one.properties
        for one in api.resources("AWS::ApiGateway::GatewayResponse")
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


def test_accesses_are_logged_without_bodies_and_keys(api: Template) -> None:
    (stage,) = api.resources("AWS::ApiGateway::Stage")

    all_methods, *limited = stage.properties["MethodSettings"]
    assert (all_methods["ResourcePath"], all_methods["HttpMethod"]) == ("/*", "*")
    for settings in (all_methods, *limited):
        assert settings["DataTraceEnabled"] is False
        assert settings["LoggingLevel"] == "ERROR"
        assert settings["MetricsEnabled"] is True
    written = stage.properties["AccessLogSetting"]["Format"]
    assert "$context.identity.userArn" in written
    assert 'apiKey"' not in written
    assert "body" not in written
    assert stage.properties["TracingEnabled"] is True


def test_only_what_lets_everybody_in_has_a_rate_of_its_own(api: Template) -> None:
    (stage,) = api.resources("AWS::ApiGateway::Stage")

    limited = {
        (one["HttpMethod"], one["ResourcePath"].replace("~1", "/").removeprefix("/")): one
        for one in stage.properties["MethodSettings"]
        if "ThrottlingRateLimit" in one
    }
    assert set(limited) == {(route.method, route.path) for route in SECRET}
    for one in limited.values():
        assert (one["ThrottlingRateLimit"], one["ThrottlingBurstLimit"]) == (10, 20)


def test_each_environment_is_a_stage_with_a_key_of_its_own(vary: Vary) -> None:
    api = vary(flags={"environments": ["production", "staging"]}).api

    stages = {one.properties["StageName"] for one in api.resources("AWS::ApiGateway::Stage")}
    keys = {one.properties["Name"] for one in api.resources("AWS::ApiGateway::ApiKey")}
    assert stages == {"production", "staging"}
    assert keys == {"greenlane-production", "greenlane-staging"}
    manage = api.only("AWS::Lambda::Function", FunctionName="greenlane-manage-flags")
    variables = manage.properties["Environment"]["Variables"]
    assert variables["FLAGS_ENVIRONMENTS"] == "production,staging"


def test_the_order_of_environments_moves_no_stage(vary: Vary) -> None:
    def stages(*names: str) -> dict[str, str]:
        api = vary(flags={"environments": list(names)}).api
        return {
            one.properties["StageName"]: one.logical_id
            for one in api.resources("AWS::ApiGateway::Stage")
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
    api = vary(flags=chosen).api

    assert api.resources("AWS::ApiGateway::Account") == []
    # A stage serves what its deployment saw: without another one, nothing of this would come.
    (before,), (after,) = (
        one.resources("AWS::ApiGateway::Deployment") for one in (vary().api, api)
    )
    assert before.logical_id != after.logical_id
    look_up = api.only("AWS::Lambda::Function", FunctionName="greenlane-look-up-flags")
    variables = look_up.properties["Environment"]["Variables"]
    assert variables["FLAGS_ORIGIN"] == "https://shop.example"
    assert variables["FLAGS_DISABLED_VALUE"] == "off-variant"
    assert variables["FLAGS_SAMPLED"] == "0.01"
    plan = api.only("AWS::ApiGateway::UsagePlan", UsagePlanName="greenlane-production")
    assert plan.properties["Throttle"]["RateLimit"] == 5
    told = json.dumps(
        [
            one.body
            for one in api.resources("AWS::ApiGateway::Method", "AWS::ApiGateway::GatewayResponse")
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
