"""The HTTP API: lookups by API key, people and pipelines by IAM, webhooks by a secret.

Each environment has a stage. What each route is stands in `greenlane.http.all_routes`, and a stack
has the routes of its functions; here is only the templates' side.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from greenlane.flags.http.ofrep_shapes import GATEWAY_FAILURE
from greenlane.http.all_routes import routes_of
from greenlane.http.routes import Route
from infra.functions import Function
from infra.gateway_errors import add_gateway_errors
from infra.nag import acknowledge
from infra.roles import Allow, least_privilege_role
from infra.settings import FlagSettings

NAME = "greenlane"
PREFLIGHT_SECONDS = 86_400
HEADERS = ("content-type", "authorization", "x-api-key", "if-none-match")
"""What a page may send; the ETag that it sends back is in `If-None-Match`."""

WEBHOOKS_PER_SECOND, WEBHOOKS_AT_ONCE = 10, 20
"""Of each route that lets everybody in and checks a secret: who guesses pays nothing, we would."""

FIELDS = (
    "requestId",
    "requestTime",
    "stage",
    "httpMethod",
    "resourcePath",
    "status",
    "responseLatency",
    "responseLength",
    "identity.sourceIp",
    "identity.userArn",
    "identity.apiKeyId",
    "error.responseType",
    "integrationErrorMessage",
)
"""Of the access log: who asked for what and from where, and nothing of bodies or keys."""


_UNSIGNED = {
    "api_key": "By API key and usage plan: OpenFeature's clients send no other credentials, and "
    "pages in browsers have none.",
    "secret": "Monitoring has no AWS credentials to sign with: the function compares the secret "
    "that it sends, and the routes have a rate of their own.",
}


class Api(Construct):
    """The REST API with its stages, keys and usage plans.

    Args:
        scope: the parent construct.
        id: the construct's id.
        functions: by module; each answers the routes that name it, and there are no others.
        settings: environments, origin and limits.
        log_retention: of the access logs.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        functions: Mapping[str, Function],
        settings: FlagSettings,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)
        self._settings, self._routes = settings, routes_of(functions)
        first, *others = settings.environments
        account = self._account() if settings.own_log_role else None
        self.api = apigateway.RestApi(
            self,
            "Rest",
            rest_api_name=NAME,
            description="Greenlane: flags and A/B tests, and whatever else people ask it for.",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            cloud_watch_role=False,
            deploy_options=self._stage(first, log_retention),
        )
        for route in self._routes:
            self._add(route, functions[route.function])
        for module in sorted({route.function for route in self._routes}):
            self._let_call(functions[module])
        add_gateway_errors(self.api, GATEWAY_FAILURE, origin=settings.origin)
        stages = {first: self.api.deployment_stage}
        for name in others:
            stages[name] = apigateway.Stage(
                self,
                f"Stage-{name}",
                deployment=self.api.latest_deployment,
                **self._stage(name, log_retention)._values,
            )
        for name, stage in stages.items():
            if account is not None:
                stage.node.add_dependency(account)
            # By its name alone: otherwise another order of the environments would replace it.
            stage.node.default_child.override_logical_id(f"ApiStage{_alphanumeric(name)}")
            acknowledge(
                stage,
                "APIG3",
                "A web ACL costs more each month than Greenlane does; keys and throttles guard "
                "lookups, IAM the rest. Associate one of yours with the stage if you need it.",
            )
            self._let_look_up(name, stage)
        acknowledge(
            self.api,
            "APIG2",
            "The functions check requests themselves, and say what is wrong and how to go on.",
        )

    def _stage(self, name: str, retention: logs.RetentionDays) -> apigateway.StageOptions:
        log = logs.LogGroup(
            self,
            f"Accesses-{name}",
            log_group_name=f"/aws/apigateway/{NAME}-{name}",
            retention=retention,
            removal_policy=RemovalPolicy.DESTROY,
        )
        line = ", ".join(f'"{field}": "$context.{field}"' for field in FIELDS)
        watched: dict[str, Any] = {
            "logging_level": apigateway.MethodLoggingLevel.ERROR,
            "data_trace_enabled": False,
            "metrics_enabled": True,
        }
        limited = apigateway.MethodDeploymentOptions(
            throttling_rate_limit=WEBHOOKS_PER_SECOND,
            throttling_burst_limit=WEBHOOKS_AT_ONCE,
            **watched,
        )
        return apigateway.StageOptions(
            stage_name=name,
            tracing_enabled=True,
            **watched,
            method_options={
                f"{route.path}/{route.method}": limited
                for route in self._routes
                if route.auth == "secret"
            },
            access_log_destination=apigateway.LogGroupLogDestination(log),
            access_log_format=apigateway.AccessLogFormat.custom(f"{{{line}}}"),
        )

    def _account(self) -> apigateway.CfnAccount:
        """One for all APIs of the account in this Region: the role by which logs are written."""
        role = least_privilege_role(
            self,
            "LogsRole",
            name=f"greenlane-http-api-logs-{Stack.of(self).region}",
            principal="apigateway.amazonaws.com",
            allows=[
                Allow(
                    "WriteLogs",
                    [
                        "logs:CreateLogGroup",
                        "logs:CreateLogStream",
                        "logs:DescribeLogGroups",
                        "logs:DescribeLogStreams",
                        "logs:FilterLogEvents",
                        "logs:GetLogEvents",
                        "logs:PutLogEvents",
                    ],
                    ["*"],
                    because="API Gateway refuses a role that may less, and every API of the "
                    "account in this Region logs by it.",
                )
            ],
        )
        account = apigateway.CfnAccount(self, "Account", cloud_watch_role_arn=role.role_arn)
        # Other APIs of the account log by it too.
        account.apply_removal_policy(RemovalPolicy.RETAIN)
        role.apply_removal_policy(RemovalPolicy.RETAIN)
        return account

    def _add(self, route: Route, function: Function) -> None:
        resource = self.api.root.resource_for_path(route.path)
        by_key, signed = route.auth == "api_key", route.auth == "iam"
        method = resource.add_method(
            route.method,
            apigateway.Integration(
                type=apigateway.IntegrationType.AWS_PROXY,
                integration_http_method="POST",
                uri=_invocation(function.version, Stack.of(self)),
            ),
            operation_name=route.name,
            api_key_required=by_key,
            authorization_type=apigateway.AuthorizationType.IAM
            if signed
            else apigateway.AuthorizationType.NONE,
        )
        if not signed:
            acknowledge(method, "APIG4", _UNSIGNED[route.auth])
        acknowledge(
            method,
            "COG4",
            "People and pipelines have IAM principals, and the audit names those; clients of "
            "lookups have API keys, and monitoring a secret.",
        )
        if route.public and not resource.node.try_find_child("OPTIONS"):
            self._preflight(resource)

    def _preflight(self, resource: apigateway.IResource) -> None:
        options = resource.add_cors_preflight(
            allow_origins=[self._settings.origin],
            allow_methods=["POST", "OPTIONS"],
            allow_headers=list(HEADERS),
            status_code=204,
            max_age=Duration.seconds(PREFLIGHT_SECONDS),
        )
        for finding in ("APIG4", "COG4"):
            acknowledge(
                options, finding, "Browsers ask before they send credentials; it tells nothing."
            )

    def _let_call(self, function: Function) -> None:
        """These methods may invoke the function, of any stage, and nothing else of any API."""
        for number, (method, path) in enumerate(callers(function.module, self._routes)):
            permission = lambda_.CfnPermission(
                self,
                f"Call-{function.module}-{number}",
                action="lambda:InvokeFunction",
                function_name=function.version.function_arn,
                principal="apigateway.amazonaws.com",
                source_arn=self.api.arn_for_execute_api(method, path, "*"),
                source_account=Stack.of(self).account,
            )
            # A stage that changes over earlier would call what it may not call yet.
            self.api.latest_deployment.node.add_dependency(permission)

    def _let_look_up(self, name: str, stage: apigateway.Stage) -> None:
        """A key for one environment, which API Gateway makes up, with limits of its own."""
        limits = self._settings
        plan = apigateway.UsagePlan(
            self,
            f"Plan-{name}",
            name=f"{NAME}-{name}",
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.api, stage=stage)],
            throttle=apigateway.ThrottleSettings(
                rate_limit=limits.lookups_per_second, burst_limit=limits.lookups_at_once
            ),
        )
        key = apigateway.ApiKey(self, f"Key-{name}", api_key_name=f"{NAME}-{name}")
        plan.add_api_key(key)


def callers(module: str, routes: Sequence[Route]) -> Iterator[tuple[str, str]]:
    """Methods and paths that together are the routes of a function, few and none of another's.

    What stands below one word, such as `/v1/flags`, is one of them where all of it is this
    function's: a stack holds 500 resources, and each of them is one.

    Args:
        module: the function's.
        routes: of all functions.
    """
    of_others = [one for one in routes if one.function != module]
    told: set[str] = set()
    for route in routes:
        if route.function != module:
            continue
        # The first word, or two where the first says the version only.
        (area,) = re.findall(r"^/(?:v\d+/)?[^/]+", route.path)
        if area in told:
            continue
        if any(one.path.startswith(area) for one in of_others):
            yield route.method, re.sub(r"\{[^}]+\}", "*", route.path)
        else:
            told.add(area)
            yield "*", f"{area}*"


def _alphanumeric(name: str) -> str:
    """A name as logical ids may be; different names stay different."""
    return "".join(one if one.isalnum() else f"0{ord(one):x}0" for one in name)


def _invocation(version: lambda_.IVersion, stack: Stack) -> str:
    arn = version.function_arn
    return (
        f"arn:{stack.partition}:apigateway:{stack.region}:lambda:path/2015-03-31/functions/"
        f"{arn}/invocations"
    )
