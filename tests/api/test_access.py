"""Who may call what: each route over HTTP, without credentials and with wrong ones."""

import re

import pytest

from greenlane.flags.http.ofrep_shapes import GATEWAY_FAILURE
from greenlane.http.all_routes import ROUTES
from greenlane.http.routes import Route
from tests.flag_api import DeployedApi, send, signature

CHECKED = [route for route in ROUTES if route.auth != "secret"]
SECRET = [route for route in ROUTES if route.auth == "secret"]
SIGNED = [route for route in ROUTES if route.auth == "iam"]
PUBLIC = [route for route in ROUTES if route.public]
WITHOUT_A_BODY = {"GET", "DELETE"}


def url_of(api: DeployedApi, route: Route) -> str:
    return api.url + re.sub(r"\{[^}]+\}", "gone", route.path)


def body_of(route: Route) -> bytes | None:
    return None if route.method in WITHOUT_A_BODY else b"{}"


@pytest.mark.parametrize("route", CHECKED, ids=lambda route: route.name)
def test_without_credentials_nothing_is_answered(api: DeployedApi, route: Route) -> None:
    found = send(route.method, url_of(api, route), body_of(route), {})

    assert found.status == 403
    assert set(found.json) == set(GATEWAY_FAILURE["required"])


@pytest.mark.parametrize("route", SIGNED, ids=lambda route: route.name)
def test_an_api_key_opens_no_admin_route(api: DeployedApi, route: Route) -> None:
    headers = {"x-api-key": api.key}

    assert send(route.method, url_of(api, route), body_of(route), headers).status == 403


@pytest.mark.parametrize("route", SIGNED, ids=lambda route: route.name)
def test_a_wrong_signature_opens_no_admin_route(api: DeployedApi, route: Route) -> None:
    url, body = url_of(api, route), body_of(route)
    headers = signature(route.method, url, body, secret="another")

    assert send(route.method, url, body, headers).status == 403


@pytest.mark.parametrize("route", SECRET, ids=lambda route: route.name)
@pytest.mark.parametrize("shown", [None, "Bearer", "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc="])
def test_without_the_secret_of_webhooks_nothing_is_heard(
    api: DeployedApi, route: Route, shown: str | None
) -> None:
    headers = {} if shown is None else {"authorization": shown}

    found = send(route.method, url_of(api, route), body_of(route), headers)

    assert found.status == 401
    assert found.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("route", SECRET, ids=lambda route: route.name)
def test_the_secret_that_the_stack_made_up_opens_its_routes(api: DeployedApi, route: Route) -> None:
    secrets = api.cloud.client("secretsmanager")
    word = secrets.get_secret_value(SecretId="greenlane-webhooks")["SecretString"]
    headers = {"authorization": f"Bearer {word}"}

    assert len(word) == 48
    assert word.isalnum()
    assert send(route.method, url_of(api, route), b"{}", headers).status == 400


@pytest.mark.parametrize("route", PUBLIC, ids=lambda route: route.name)
def test_a_signature_is_no_api_key(api: DeployedApi, route: Route) -> None:
    url, body = url_of(api, route), body_of(route)

    assert send(route.method, url, body, signature(route.method, url, body)).status == 403


@pytest.mark.parametrize("route", PUBLIC, ids=lambda route: route.name)
def test_a_page_may_ask_first_without_a_key_and_read_what_is_refused(
    api: DeployedApi, route: Route
) -> None:
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}

    first = send("OPTIONS", url_of(api, route), None, asked)
    refused = send("POST", url_of(api, route), b"{}", {})

    assert first.status == 204
    assert "x-api-key" in first.headers["access-control-allow-headers"]
    assert refused.headers["access-control-allow-origin"] == "*"
