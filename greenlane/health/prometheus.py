"""Prometheus as a second source: asked by a function of ours inside the VPC.

The functions that judge are outside the VPC, where a Prometheus does not answer; the one inside
calls no AWS API, for none can be reached from there. It asks `query_range` and nothing else, one
value a minute: the value of the minute [m, m + 60 s) is the query's at its end, so that a range of
`[1m]` in the query covers that very minute.

What goes wrong is an answer too: the query's trouble. Then nothing is known, and the judge holds.
"""

import math
import time
from collections.abc import Callable
from datetime import datetime
from http.client import HTTPException
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from greenlane import __version__
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.runtime import Runtime

FUNCTION = "greenlane-query-prometheus"
PATH = "/api/v1/query_range"
STEP_SECONDS = 60

ANSWER_SECONDS = 4.0
ALTOGETHER_SECONDS = 6.0
"""For all queries of one judgement: those that have not begun by then are not asked."""

LARGEST_ANSWER = 1024 * 1024


class Query(StoredModel):
    """One query, its placeholders filled in."""

    id: str
    promql: str


class Queries(StoredModel):
    """All queries of one judgement, over the minutes in [start, end)."""

    endpoint: str
    start: datetime
    end: datetime
    queries: tuple[Query, ...]


class Points(StoredModel):
    """A query's values by the Unix second at which their minute begins, or its trouble."""

    id: str
    points: dict[int, float] = {}
    trouble: str = ""


class Answers(StoredModel):
    """One for each query."""

    answers: tuple[Points, ...]


class _Line(StoredModel):
    values: tuple[tuple[float, float], ...] = ()


class _Data(StoredModel):
    resultType: Literal["matrix"]  # noqa: N815 - their spelling
    result: tuple[_Line, ...]


class _Body(StoredModel):
    """What Prometheus answers; see https://prometheus.io/docs/prometheus/latest/querying/api/."""

    data: _Data | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect is an error like any other: it may lead anywhere."""


Get = Callable[[str, float], bytes]
"""Fetches an address within so many seconds; raises `OSError` or `HTTPException`."""


def ask(runtime: Runtime, queries: Queries) -> Answers:
    """Have Prometheus asked from inside the VPC. Never raises: no answer is everyone's trouble."""
    try:
        answer = runtime.relay.invoke(
            FunctionName=FUNCTION, Payload=queries.model_dump_json().encode()
        )
        text = answer["Payload"].read()
        if not answer.get("FunctionError"):
            return Answers.model_validate_json(text)
        why = f"{FUNCTION} failed"
    except (ClientError, BotoCoreError) as error:
        why = f"{FUNCTION}: {type(error).__name__}"
    except ValidationError:
        why = f"{FUNCTION} answered something else"
    return Answers(answers=tuple(Points(id=one.id, trouble=why) for one in queries.queries))


def query_prometheus(queries: Queries, runtime: Runtime, *, get: Get | None = None) -> Answers:
    """Ask each query; runs inside the VPC."""
    del runtime
    until = time.monotonic() + ALTOGETHER_SECONDS
    answers = []
    for query in queries.queries:
        if time.monotonic() < until:
            answers.append(_ask(queries, query, get or fetch))
        else:
            answers.append(Points(id=query.id, trouble="Prometheus is too slow: no time was left"))
    return Answers(answers=tuple(answers))


def _ask(queries: Queries, query: Query, get: Get) -> Points:
    try:
        body = _Body.model_validate_json(get(_address(queries, query.promql), ANSWER_SECONDS))
    except ValidationError:
        return Points(id=query.id, trouble="Prometheus answered something else than a matrix")
    except HTTPError as error:
        return Points(id=query.id, trouble=f"Prometheus answered {error.code}: {_said(error)}")
    except URLError as error:
        kind = type(error.reason).__name__ if isinstance(error.reason, OSError) else "no address"
        return Points(id=query.id, trouble=f"Prometheus did not answer: {kind}")
    except (OSError, HTTPException, ValueError) as error:
        return Points(id=query.id, trouble=f"Prometheus did not answer: {type(error).__name__}")
    return _points(query.id, body)


def _points(query_id: str, body: _Body) -> Points:
    if body.data is None:
        return Points(id=query_id, trouble=f"Prometheus says {_clip(body.error) or 'nothing'}")
    lines = body.data.result
    if len(lines) > 1:
        why = f"the query gives {len(lines)} series; join them, as by sum() or max()"
        return Points(id=query_id, trouble=why)
    values = lines[0].values if lines else ()
    return Points(
        id=query_id,
        # NaN is what 0 / 0 gives: such a minute has no value.
        points={int(at) - STEP_SECONDS: value for at, value in values if math.isfinite(value)},
        # What answers in part, such as Thanos, says so in a warning.
        trouble=f"Prometheus warns: {_clip(body.warnings[0])}" if body.warnings else "",
    )


def _address(queries: Queries, promql: str) -> str:
    asked = {
        "query": promql,
        "start": int(queries.start.timestamp()) + STEP_SECONDS,
        "end": int(queries.end.timestamp()),
        "step": STEP_SECONDS,
        "timeout": f"{ANSWER_SECONDS:g}s",
    }
    return f"{queries.endpoint.rstrip('/')}{PATH}?{urlencode(asked)}"


def fetch(address: str, seconds: float) -> bytes:
    """The body behind an `http` or `https` address; no proxy, no redirect.

    Raises:
        OSError: no answer in time, an error status, or more than `LARGEST_ANSWER`.
        http.client.HTTPException: what came is not HTTP.
    """
    if not address.startswith(("http://", "https://")):
        raise URLError("no http or https address")
    opener = build_opener(ProxyHandler({}), _NoRedirect)
    request = Request(address, headers={"User-Agent": f"greenlane/{__version__}"})
    until = time.monotonic() + seconds
    body = b""
    with opener.open(request, timeout=seconds) as response:
        while part := response.read1(64 * 1024):
            body += part
            if len(body) > LARGEST_ANSWER:
                raise OSError("its answer is too large")
            # The time-out of a socket begins anew with each byte.
            if time.monotonic() > until:
                raise TimeoutError
    return body


def _said(error: HTTPError) -> str:
    """What an error status says about itself; with 400 that is what is wrong with the query."""
    try:
        return _clip(_Body.model_validate_json(error.read(4096)).error) or str(error.reason)
    except (OSError, HTTPException, ValueError):
        return str(error.reason)


def _clip(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"
