"""The document is made of routes and their models, and nothing in it is left open."""

import json
from typing import Any

from openapi_spec_validator import validate
from pydantic import BaseModel, ConfigDict, Field

from greenlane.flags.http.api_routes import ROUTES
from greenlane.http.openapi import document
from greenlane.http.routes import Reply, Route


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    size: int = 1


class Query(BaseModel):
    limit: int | None = Field(None, ge=1, description="How many.")
    of: str


class Told(BaseModel):
    name: str
    inner: Asked


ROUTE = Route(
    "POST",
    "/things/{name+}",
    "makeThing",
    "Make a thing.",
    "make",
    "iam",
    {
        200: Reply("It.", Told, headers={"ETag": "Its tag."}),
        304: Reply("As it was."),
        400: Reply("Wrong.", {"title": "Wrong", "type": "object"}, "application/problem+json"),
    },
    tag="Things",
    path_parameters={"name": {"type": "string"}},
    parameters=Query,
    body=Asked,
)


def made(*routes: Route) -> dict[str, Any]:
    return document(routes, server="https://example.com/live", version="1.2.3")


def test_a_route_becomes_an_operation() -> None:
    told = made(ROUTE)

    validate(told)
    operation = told["paths"]["/things/{name}"]["post"]
    assert operation["operationId"] == "makeThing"
    assert operation["security"] == [{"iam": []}]
    by_name = {one["name"]: one for one in operation["parameters"]}
    assert {name: (one["in"], one["required"]) for name, one in by_name.items()} == {
        "name": ("path", True),
        "limit": ("query", False),
        "of": ("query", True),
    }
    assert by_name["limit"]["schema"] == {"type": "integer", "minimum": 1}
    assert by_name["limit"]["description"] == "How many."
    assert set(operation["responses"]) == {"200", "304", "400"}
    assert "content" not in operation["responses"]["304"]
    assert list(operation["responses"]["400"]["content"]) == ["application/problem+json"]
    assert operation["responses"]["200"]["headers"]["ETag"]["description"] == "Its tag."


def test_shapes_are_named_once_and_models_know_each_other() -> None:
    schemas = made(ROUTE)["components"]["schemas"]

    assert {"Told", "Wrong"} <= set(schemas)
    assert schemas["Told"]["properties"]["inner"]["$ref"].startswith("#/components/schemas/Asked")


def test_every_reference_of_the_real_document_leads_somewhere() -> None:
    told = made(*ROUTES)

    validate(told)
    named = {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}
    assert referenced(told) <= named


def referenced(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(referenced, value.values()))
    return set().union(*map(referenced, value)) if isinstance(value, list) else set()


def test_the_document_is_the_same_each_time_and_no_route_changes_another() -> None:
    assert json.dumps(made(*ROUTES)) == json.dumps(made(*ROUTES))
    alone = made(ROUTE)["paths"]["/things/{name}"]
    assert made(*ROUTES, ROUTE)["paths"]["/things/{name}"] == alone
