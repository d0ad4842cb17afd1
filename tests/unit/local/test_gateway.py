"""API Gateway of the local cloud: routes, keys, throttles, signatures, gateway responses."""

import json
from typing import Any

import pytest

from tests.flag_api import Answer, send, signature
from tests.unit.local.conftest import Account

ECHO = """
import json
def handler(event, context):
    if event["path"] == "/broken":
        raise RuntimeError("no")
    if event["path"] == "/odd":
        return {"status": 200}
    return {"statusCode": 201, "headers": {"X-One": "1"},
            "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}, "body": json.dumps(event)}
"""


class Api:
    """A small API, made by plain calls as a user's own tools would."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.client = account.client("apigateway")
        made = self.client.create_rest_api(name="small")
        self.id, self.root = made["id"], made["rootResourceId"]
        arn = account.function("echo", ECHO)
        where = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions"
        self.uri = f"{where}/{arn}/invocations"
        self.resources: dict[str, str] = {}

    def route(self, method: str, path: str, **settings: Any) -> None:
        parent, so_far = self.root, ""
        for segment in path.strip("/").split("/"):
            so_far += f"/{segment}"
            if so_far not in self.resources:
                self.resources[so_far] = self.client.create_resource(
                    restApiId=self.id, parentId=parent, pathPart=segment
                )["id"]
            parent = self.resources[so_far]
        place = {"restApiId": self.id, "resourceId": parent, "httpMethod": method}
        self.client.put_method(**place, **({"authorizationType": "NONE"} | settings))
        self.client.put_integration(
            **place, type="AWS_PROXY", integrationHttpMethod="POST", uri=self.uri
        )

    def deploy(self, stage: str) -> str:
        made = self.client.create_deployment(restApiId=self.id)
        self.client.create_stage(restApiId=self.id, stageName=stage, deploymentId=made["id"])
        return self.account.cloud.gateway.url("small", stage)

    def key(self, stage: str, name: str, rate: float = 1000, burst: int = 1000) -> str:
        plan = self.client.create_usage_plan(
            name=name,
            apiStages=[{"apiId": self.id, "stage": stage}],
            throttle={"rateLimit": rate, "burstLimit": burst},
        )
        key = self.client.create_api_key(name=name, enabled=True)
        self.client.create_usage_plan_key(
            usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY"
        )
        return self.account.cloud.gateway.key(name)


@pytest.fixture(scope="module")
def api(account: Account) -> Api:
    small = Api(account)
    small.route("POST", "/things/{name}")
    small.route("GET", "/broken")
    small.route("GET", "/odd")
    small.route("GET", "/keyed", apiKeyRequired=True)
    small.route("GET", "/signed", authorizationType="AWS_IAM")
    small.route("PUT", "/signed/{name}", authorizationType="AWS_IAM")
    small.client.put_gateway_response(
        restApiId=small.id,
        responseType="THROTTLED",
        responseParameters={"gatewayresponse.header.Retry-After": "'1'"},
        responseTemplates={
            "application/json": '{"why": $context.error.messageString, '
            '"kind": "$context.error.responseType"}'
        },
    )
    small.deploy("one")
    return small


@pytest.fixture(scope="module")
def url(api: Api) -> str:
    return api.account.cloud.gateway.url("small", "one")


def test_a_function_gets_the_request_as_a_rest_apis_event(url: str) -> None:
    found = send("POST", f"{url}/things/a%20b?x=1&x=2&y=", b'{"z": 1}', {"X-Mine": "m"})

    event = found.json
    assert (found.status, found.headers["x-one"]) == (201, "1")
    assert event["resource"] == "/things/{name}"
    assert event["path"] == "/things/a%20b"
    assert event["pathParameters"] == {"name": "a%20b"}
    assert event["queryStringParameters"] == {"x": "2", "y": ""}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": [""]}
    assert event["headers"]["X-Mine"] == "m"
    assert event["body"] == '{"z": 1}'
    context = event["requestContext"]
    assert context["stage"] == "one"
    assert context["path"] == "/one/things/a%20b"
    assert context["identity"]["userArn"] is None


def test_headers_with_several_values_are_all_sent(url: str) -> None:
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request("POST", f"{parts.path}/things/x", b"")
    answer = connection.getresponse()
    answer.read()
    cookies = answer.headers.get_all("Set-Cookie")
    connection.request("POST", f"{parts.path}/things/y", b"")
    again = connection.getresponse()

    assert cookies == ["a=1", "b=2"]
    assert again.status == 201, "one connection carries several requests"
    connection.close()


@pytest.mark.parametrize("path", ["/broken", "/odd"])
def test_a_function_that_fails_or_answers_oddly_is_a_502(url: str, path: str) -> None:
    found = send("GET", url + path, None, {})

    assert (found.status, found.json) == (502, {"message": "Internal server error"})


def test_what_is_no_route_of_a_stage_or_no_stage_is_refused(url: str) -> None:
    assert send("GET", f"{url}/nowhere", None, {}).status == 403
    assert send("DELETE", f"{url}/odd", None, {}).status == 403
    assert send("GET", f"{url}x/odd", None, {}).status == 403


def test_a_key_opens_the_stages_of_its_usage_plan_and_no_other(api: Api, url: str) -> None:
    key = api.key("one", "opens")
    other = api.deploy("two")

    assert send("GET", f"{url}/keyed", None, {"x-api-key": key}).status == 201
    for wrong in ({}, {"x-api-key": ""}, {"x-api-key": key[:-1] + "!"}):
        assert send("GET", f"{url}/keyed", None, wrong).status == 403
    assert send("GET", f"{other}/keyed", None, {"x-api-key": key}).status == 403


def test_a_key_that_is_switched_off_opens_nothing(api: Api, url: str) -> None:
    key = api.key("one", "switched-off")
    (made,) = api.client.get_api_keys(nameQuery="switched-off")["items"]
    off = {"op": "replace", "path": "/enabled", "value": "false"}
    api.client.update_api_key(apiKey=made["id"], patchOperations=[off])

    assert send("GET", f"{url}/keyed", None, {"x-api-key": key}).status == 403


def test_beyond_its_burst_a_key_is_throttled_and_told_when_to_come_back(api: Api, url: str) -> None:
    key = api.key("one", "narrow", rate=0.01, burst=2)

    found = [send("GET", f"{url}/keyed", None, {"x-api-key": key}) for _ in range(4)]

    assert [one.status for one in found] == [201, 201, 429, 429]
    assert found[-1].headers["retry-after"] == "1"
    assert found[-1].json == {"why": "Too Many Requests", "kind": "THROTTLED"}


def signed(method: str, url: str, body: bytes | None = None, **how: Any) -> Answer:
    return send(method, url, body, signature(method, url, body, **how))


def test_whoever_signs_as_this_clouds_person_is_named_to_the_function(url: str) -> None:
    found = signed("GET", f"{url}/signed?b=2&a=1")

    assert found.status == 201
    identity = found.json["requestContext"]["identity"]
    assert identity["userArn"] == "arn:aws:iam::123456789012:user/local"


def test_users_of_the_emulated_iam_are_told_apart(api: Api, url: str) -> None:
    iam = api.account.client("iam")
    arns = []
    for name in ("ada", "bob"):
        iam.create_user(UserName=name)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        how = {"key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
        found = signed("PUT", f"{url}/signed/a%20b", b"body", **how)
        arns.append(found.json["requestContext"]["identity"]["userArn"])

    assert arns == [f"arn:aws:iam::123456789012:user/{name}" for name in ("ada", "bob")]


@pytest.mark.parametrize(
    "how",
    [
        {"secret": "another"},
        {"key": "AKIAUNKNOWN"},
        {"region": "us-east-1"},
        {"service": "dynamodb"},
    ],
    ids=lambda how: next(iter(how)),
)
def test_a_signature_of_somebody_or_something_else_is_refused(
    url: str, how: dict[str, Any]
) -> None:
    assert signed("GET", f"{url}/signed", **how).status == 403


def test_what_was_changed_after_it_was_signed_is_refused(url: str) -> None:
    headers = signature("PUT", f"{url}/signed/x", b"body")
    digest = signature(
        "PUT", f"{url}/signed/x", b"body", headers={"x-amz-content-sha256": "0" * 64}
    )

    assert send("PUT", f"{url}/signed/x", b"body", headers).status == 201
    assert send("PUT", f"{url}/signed/x", b"BODY", headers).status == 403
    assert send("PUT", f"{url}/signed/y", b"body", headers).status == 403
    assert send("PUT", f"{url}/signed/x?a=1", b"body", headers).status == 403
    assert send("PUT", f"{url}/signed/x", b"body", digest).status == 403


def test_an_old_signature_is_refused(url: str) -> None:
    headers = signature("GET", f"{url}/signed")
    headers["X-Amz-Date"] = "20200101T000000Z"

    found = send("GET", f"{url}/signed", None, headers)

    assert (found.status, found.headers["x-amzn-errortype"]) == (403, "INVALID_SIGNATURE")


def test_a_request_that_is_not_signed_is_refused(url: str) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": ""}):
        assert send("GET", f"{url}/signed", None, headers).status == 403


def test_a_stage_serves_what_its_deployment_saw(api: Api, url: str) -> None:
    send("GET", f"{url}/odd", None, {})
    api.route("GET", "/later")

    assert send("GET", f"{url}/later", None, {}).status == 403
    assert send("GET", f"{api.deploy('three')}/later", None, {}).status == 201


def test_the_access_log_tells_who_asked_and_nothing_of_the_body(api: Api, url: str) -> None:
    send("POST", f"{url}/things/logged", b"a secret", {})

    log = api.account.cloud.directory / "logs" / "gateway.log"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (mine,) = [line for line in lines if line["path"] == "/things/logged"]
    assert (mine["status"], mine["stage"], mine["userArn"]) == (201, "one", None)
    assert "a secret" not in log.read_text()


def test_too_long_a_body_is_refused(url: str) -> None:
    found = send("POST", f"{url}/things/x", b"x" * (10 * 1024 * 1024 + 1), {})

    assert found.status == 413


def test_an_unknown_api_or_stage_has_no_address(api: Api) -> None:
    with pytest.raises(LookupError, match="no stage 'x' of an API 'small'"):
        api.account.cloud.gateway.url("small", "x")
    with pytest.raises(LookupError, match="no API key 'x'"):
        api.account.cloud.gateway.key("x")
