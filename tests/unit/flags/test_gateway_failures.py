"""What API Gateway answers by itself is in the API's document, with the bodies it really sends."""

from typing import Any

import pytest

from greenlane.flags.http.ofrep_shapes import GATEWAY_FAILURE
from greenlane.http.all_routes import ROUTES
from greenlane.http.openapi import document
from greenlane.http.routes import Route

TOLD: Any = document(ROUTES, server="https://api.example.com/production", version="1")


@pytest.mark.parametrize("status", ["403", "429", "500", "502", "503", "504"])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_tells_what_the_gateway_answers_when_the_function_cannot(
    route: Route, status: str
) -> None:
    replies = TOLD["paths"][route.written][route.method.lower()]["responses"]
    shape = replies[status]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    required = {*TOLD["components"]["schemas"][shape]["required"]}
    # The lookups' own 503 asks for less, and the gateway's has all of that.
    assert required <= {*GATEWAY_FAILURE["required"]}
    assert status == "503" or shape == GATEWAY_FAILURE["title"]


@pytest.mark.parametrize("status", ["500", "503"])
def test_a_status_that_both_may_send_has_the_shapes_of_both(status: str) -> None:
    replies = TOLD["paths"]["/v1/flags"]["get"]["responses"]
    shapes = {kind: one["schema"]["$ref"] for kind, one in replies[status]["content"].items()}
    assert shapes == {
        "application/problem+json": "#/components/schemas/Problems",
        "application/json": "#/components/schemas/GatewayFailure",
    }
