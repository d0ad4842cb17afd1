"""The OpenAPI document of the HTTP API, made from its routes and their models."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from greenlane.http.routes import Reply, Route

_PLACE = "#/components/schemas/"
_SECURITY = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "A key of the stage's usage plan.",
    },
    "iam": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "AWS Signature Version 4 for the service `execute-api`.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "webhookSecret": {
        "type": "http",
        "scheme": "bearer",
        "description": "The secret `greenlane-webhooks` of AWS Secrets Manager.",
    },
}
_BY = {"api_key": "apiKey", "iam": "iam", "secret": "webhookSecret"}


def document(routes: Iterable[Route], *, server: str, version: str) -> dict[str, Any]:
    """The document, OpenAPI 3.1.

    Args:
        routes: of all functions.
        server: URL of a stage.
        version: Greenlane's.
    """
    listed = tuple(routes)
    shapes = _Shapes(listed)
    paths: dict[str, Any] = {}
    for route in listed:
        paths.setdefault(route.written, {})[route.method.lower()] = _operation(route, shapes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Greenlane",
            "version": version,
            "description": "What people and pipelines do with deployments, feature flags and A/B "
            "tests; lookups of the latter two by OpenFeature's remote evaluation protocol, and "
            "what is told of users of tests.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {"schemas": shapes.named, "securitySchemes": deepcopy(_SECURITY)},
    }


class _Shapes:
    """Schemas of all routes by name; a model of requests differs from one of answers."""

    def __init__(self, routes: Iterable[Route]) -> None:
        asked: list[type[BaseModel]] = []
        told: list[type[BaseModel]] = []
        for route in routes:
            asked += [one for one in (route.body,) if isinstance(one, type)]
            told += [
                reply.shape for reply in route.replies.values() if isinstance(reply.shape, type)
            ]
        pairs: Any = [
            *((one, "validation") for one in dict.fromkeys(asked)),
            *((one, "serialization") for one in dict.fromkeys(told)),
        ]
        self._refs, definitions = models_json_schema(pairs, ref_template=_PLACE + "{model}")
        self.named: dict[str, Any] = definitions.get("$defs", {})

    def asked(self, shape: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
        """The schema of a request's body."""
        return self._of(shape, "validation")

    def told(self, shape: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
        """The schema of an answer's body."""
        return self._of(shape, "serialization")

    def _of(self, shape: type[BaseModel] | Mapping[str, Any], mode: Any) -> dict[str, Any]:
        if isinstance(shape, type):
            return dict(self._refs[shape, mode])
        name = shape.get("title")
        if name is None:
            return deepcopy(dict(shape))
        self.named[name] = deepcopy(dict(shape))
        return {"$ref": _PLACE + name}


def _operation(route: Route, shapes: _Shapes) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.about,
        "tags": [route.tag],
        "security": [{_BY[route.auth]: []}],
        "parameters": _parameters(route),
        "responses": {str(status): _reply(one, shapes) for status, one in route.replies.items()},
    }
    if route.details:
        told["description"] = route.details
    if route.body is not None:
        content = {"application/json": {"schema": shapes.asked(route.body)}}
        told["requestBody"] = {"required": not route.body_optional, "content": content}
    return told


def _reply(reply: Reply, shapes: _Shapes) -> dict[str, Any]:
    told: dict[str, Any] = {"description": reply.about}
    if reply.shape is not None:
        bodies = {reply.media: reply.shape, **reply.others}
        told["content"] = {media: {"schema": shapes.told(one)} for media, one in bodies.items()}
    if reply.headers:
        told["headers"] = {
            name: {"description": about, "schema": {"type": "string"}}
            for name, about in reply.headers.items()
        }
    return told


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": dict(schema)}
        for name, schema in route.path_parameters.items()
    ]
    for model, place in ((route.parameters, "query"), (route.headers, "header")):
        if model is None:
            continue
        schema = model.model_json_schema(by_alias=True)
        for name, one in schema.get("properties", {}).items():
            told = {"name": name, "in": place, "required": name in schema.get("required", [])}
            if "description" in one:
                told["description"] = one.pop("description")
            found.append({**told, "schema": _given(one)})
    return found


def _given(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's schema without null: what is left out is not sent."""
    kinds = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if len(kinds) == 1:
        schema = {**{k: v for k, v in schema.items() if k not in ("anyOf", "default")}, **kinds[0]}
    return {name: value for name, value in schema.items() if name != "title"}
