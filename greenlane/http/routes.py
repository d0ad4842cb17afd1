"""What a route of the HTTP API is: one table for the templates, the handlers and the document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

Auth = Literal["api_key", "iam", "secret"]
"""Who may call a route. With `secret`, API Gateway lets everybody in and the function checks."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

JSON, PROBLEM = "application/json", "application/problem+json"


@dataclass(frozen=True)
class Reply:
    """One answer of a route, as the document tells of it.

    `shape` is a model, a JSON schema, or None for an empty body. `headers` are their meanings by
    name. `others` are shapes by media type that the same status can have too: of who else may
    answer with it.
    """

    about: str
    shape: type[BaseModel] | Mapping[str, Any] | None = None
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """One method of one path.

    `path` is as API Gateway has it: `{key}` is a segment, `{key+}` all that follow. `name` is the
    operation's, and names its handler; `function` the module of `functions/` that answers.
    `parameters` and `headers` are models of the query and of the request's headers (by alias),
    `body` a model or a JSON schema of the body. `public` is for pages in browsers: it has CORS.
    """

    method: Method
    path: str
    name: str
    about: str
    function: str
    auth: Auth
    replies: Mapping[int, Reply]
    details: str = ""
    tag: str = ""
    path_parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    body: type[BaseModel] | Mapping[str, Any] | None = None
    body_optional: bool = False
    public: bool = False

    @property
    def written(self) -> str:
        """The path as OpenAPI has it, which knows no greedy segments."""
        return self.path.replace("+}", "}")
