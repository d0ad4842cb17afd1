"""schemathesis asks the API whatever its own document permits, and what it does not.

No answer may be a 5xx, one that the document does not have, or one of another shape.
"""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from greenlane import __version__
from greenlane.experiments.http.client_shapes import MOST_TESTS
from greenlane.experiments.http.experiment_routes import CLIENTS
from greenlane.http.all_routes import ROUTES
from greenlane.http.openapi import document
from greenlane.http.routes import Route
from tests.api.conftest import FLAGS
from tests.flag_api import DeployedApi, send, signature

EXAMPLES = 20
KNOWN = {
    "key": st.sampled_from([None, "new_checkout", "banner", "gone"]),
    "name": st.sampled_from([None, "checkout", "targeted"]),
}

# Whoever calls these says nothing that could be wrong.
SAY_NOTHING = {"listFlags", "listProposals", "listExperiments", "describe"}
# These are carried out only as things are (`test_managing.py`, `test_experiments_over_http.py`): a
# ramp, a proposal, a key's value, weights that add up, a test that did not end.
NEED_MORE = {
    "changeFlag",
    "startRamp",
    "stopRamp",
    "approveProposal",
    "rejectProposal",
    "createExperiment",
    "putExperiment",
    "changeExperiment",
    "startExperiment",
    "stopExperiment",
}

ASKED = [
    pytest.param(route, mode, id=f"{route.name}-{mode.value}")
    for route in ROUTES
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or route.name not in SAY_NOTHING
]
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


class Signed(requests.auth.AuthBase):
    """Signs whatever is sent, and gives the API key along."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, asked: requests.PreparedRequest) -> requests.PreparedRequest:
        body = asked.body
        raw: Any = body.encode() if isinstance(body, str) else body
        signed = signature(str(asked.method), str(asked.url), raw or b"")
        asked.headers.update({**signed, "x-api-key": self._key})
        return asked


@pytest.fixture(scope="module")
def told(api: DeployedApi) -> dict[str, Any]:
    """The document as the API serves it."""
    found = send("GET", f"{api.url}/openapi.json", None, {"x-api-key": api.key})
    assert found.status == 200
    document: dict[str, Any] = found.json
    return document


@pytest.fixture(scope="module")
def schema(told: dict[str, Any]) -> Any:
    found = schemathesis.openapi.from_dict(told)
    # Each request is signed as it is sent; that unsigned ones are refused is a test of its own.
    found.config.generation.update(with_security_parameters=False)
    return found


def test_the_document_that_is_served_is_the_routes(api: DeployedApi, told: dict[str, Any]) -> None:
    assert told == document(ROUTES, server=api.url, version=__version__)
    validate(told)


def about(body: Any, test: str) -> Any:
    """A body of users, made one about a test that there is, and about one of its metrics."""
    if not isinstance(body, dict):
        return body
    metric = {"checkout": "conversion_rate", "targeted": "click_rate"}[test]
    known = {"test": test, "metric": metric}
    for name in {"events", "exposures"} & body.keys():
        body[name] = [{**one, **{k: known[k] for k in known if k in one}} for one in body[name]]
    if "tests" in body:
        body["tests"] = [test, *body["tests"]][:MOST_TESTS]
    return body


@pytest.mark.parametrize(("route", "mode"), ASKED)
def test_the_api_keeps_to_its_document(
    api: DeployedApi, schema: Any, route: Route, mode: GenerationMode
) -> None:
    api.put(FLAGS)
    answered = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=schema[route.written][route.method].as_strategy(generation_mode=mode),
        known=st.fixed_dictionaries(KNOWN),
    )
    def asks(case: Any, known: dict[str, str | None]) -> None:
        if mode is GenerationMode.POSITIVE:
            for name, value in known.items():
                if value is not None and name in route.path_parameters:
                    case.path_parameters[name] = value
            if known["name"] is not None and route in CLIENTS:
                case.body = about(case.body, known["name"])
        answer = case.call_and_validate(api.url, auth=Signed(api.key), checks=CHECKS)
        answered.add(answer.status_code)

    asks()
    if mode is GenerationMode.POSITIVE and route.name not in NEED_MORE:
        assert 200 in answered, "nothing of what the document permits was carried out"
