"""What the routes of one capability have in common, and answers that many of them give."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from greenlane.http.replies import always, merged, problem
from greenlane.http.routes import Auth, Method, Reply, Route

REFUSED = {409: problem("It is refused as things are; nothing was changed.")}
MOVED = {412: problem("What the precondition names is not so any more; nothing was changed.")}
KEY_REUSED = {422: problem("The `Idempotency-Key` came with another request before.")}


class NoQuery(BaseModel):
    """No parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Room:
    """Makes the routes of one function.

    `segments` are the schemas of what paths leave open, by name: each route has those of its path.
    """

    function: str
    tag: str
    prefix: str = "/v1"
    auth: Auth = "iam"
    segments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    public: bool = False

    def route(
        self,
        method: Method,
        path: str,
        name: str,
        about: str,
        *replies: Mapping[int, Reply],
        **more: Any,
    ) -> Route:
        """One route, without parameters in its query unless `more` has some.

        Args:
            method: of HTTP.
            path: after the prefix.
            name: of the operation.
            about: one line.
            replies: besides those that every route may give.
            more: whatever else a `Route` has.
        """
        left_open = re.findall(r"\{(\w+)\+?\}", path)
        named = {key: self.segments[key] for key in left_open}
        given: dict[str, Any] = {"parameters": NoQuery, "path_parameters": named, **more}
        return Route(
            method=method,
            path=f"{self.prefix}{path}",
            name=name,
            about=about,
            function=self.function,
            auth=self.auth,
            replies=merged(always(self.auth), *replies),
            tag=self.tag,
            public=self.public,
            **given,
        )


def begun(about: str, model: type[BaseModel]) -> dict[int, Reply]:
    """The answers to what begins something under an Idempotency-Key."""
    return {
        201: Reply(about, model),
        200: Reply("It had begun before, under this key: the same answer.", model),
    }
