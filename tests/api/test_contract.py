"""schemathesis asks the API whatever its own document permits, and what it does not.

No answer may be a 5xx, one that the document does not have, or one of another shape.
"""

from collections.abc import Iterator
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
from greenlane.deployments.http.deployment_routes import MANAGE_DEPLOYMENTS
from greenlane.experiments.http.client_shapes import MOST_TESTS
from greenlane.experiments.http.experiment_routes import CLIENTS
from greenlane.http.all_routes import ROUTES
from greenlane.http.openapi import document
from greenlane.http.routes import Route
from greenlane.rollback.http.webhook_secret import NAME as WEBHOOKS
from tests.api.conftest import FLAGS
from tests.effort import examples
from tests.flag_api import DeployedApi, send, signature
from tests.on_record import DEPLOYED, DEPLOYMENT, RESTORES, ROLLED, RUNS

WHOLE = 40
EXAMPLES = {
    GenerationMode.POSITIVE: examples(10, WHOLE),
    GenerationMode.NEGATIVE: examples(10, WHOLE),
}
ALIKE = 2
"""Requests for which there is but one way to ask."""

KNOWN = {
    "key": st.sampled_from([None, "new_checkout", "banner", "gone"]),
    "name": st.sampled_from([None, "checkout", "targeted"]),
    "service": st.sampled_from([None, *ROLLED]),
    "deployed": st.sampled_from([None, DEPLOYED]),
    "id": st.sampled_from([None, DEPLOYMENT]),
    "run": st.sampled_from([None, *RUNS]),
    "restore": st.sampled_from([None, *RESTORES]),
}

# Whoever calls these says nothing that could be wrong.
SAY_NOTHING = {
    "describe",
    "everythingInFlight",
    "listExperiments",
    "listFlags",
    "listProposals",
}
# These are carried out only as things are (`test_managing.py`, `test_experiments_over_http.py`, and
# the tests of their own rooms): a ramp, a proposal, a key's value, weights that add up, a test that
# did not end, Regions that there are, a rollout that is held or goes back, a plan that is kept, a
# question that is open, rising steps, a load balancer, minutes that CloudWatch still knows, a span.
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
    "startRollout",
    "resumeRollout",
    "closeRollout",
    "startMigration",
    "startRestore",
    "answerRestore",
    "startDeployment",
    "getService",
    "judgeDeployment",
    "postEvidence",
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


class Shown(requests.auth.AuthBase):
    """Shows the secret of webhooks."""

    def __init__(self, word: str) -> None:
        self._word = word

    def __call__(self, asked: requests.PreparedRequest) -> requests.PreparedRequest:
        asked.headers["authorization"] = f"Bearer {self._word}"
        return asked


def credentials(api: DeployedApi, route: Route) -> requests.auth.AuthBase:
    """What who may call a route sends."""
    if route.auth != "secret":
        return Signed(api.key)
    secrets = api.cloud.client("secretsmanager")
    return Shown(secrets.get_secret_value(SecretId=WEBHOOKS)["SecretString"])


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


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Keeps its connection, and takes nothing from the environment."""
    with requests.Session() as kept:
        kept.trust_env = False
        kept.headers.clear()
        yield kept


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


def about_deployed(case: Any, service: str | None) -> None:
    """Make a request one about a service that there is, wherever it names one."""
    for named in (case.path_parameters, case.query, case.body):
        if service is not None and isinstance(named, dict) and "service" in named:
            named["service"] = service


@pytest.mark.parametrize(("route", "mode"), ASKED)
def test_the_api_keeps_to_its_document(
    api: DeployedApi,
    told: dict[str, Any],
    schema: Any,
    session: requests.Session,
    route: Route,
    mode: GenerationMode,
) -> None:
    api.put(FLAGS)
    sent = credentials(api, route)
    asked = told["paths"][route.written][route.method.lower()]
    answered = set()

    def asks(case: Any, known: dict[str, str | None]) -> None:
        if mode is GenerationMode.POSITIVE:
            for name, value in known.items():
                if value is not None and name in route.path_parameters:
                    case.path_parameters[name] = value
            if known["name"] is not None and route in CLIENTS:
                case.body = about(case.body, known["name"])
            if route.function == MANAGE_DEPLOYMENTS:
                about_deployed(case, known["deployed"])
        answer = case.call_and_validate(api.url, session, auth=sent, checks=CHECKS)
        answered.add(answer.status_code)

    def ask(times: int) -> None:
        cases = schema[route.written][route.method].as_strategy(generation_mode=mode)
        chosen = settings(
            max_examples=times,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        chosen(given(case=cases, known=st.fixed_dictionaries(KNOWN))(asks))()

    ask(EXAMPLES[mode] if "parameters" in asked or "requestBody" in asked else ALIKE)
    if mode is GenerationMode.POSITIVE and route.name not in NEED_MORE:
        if not answered & {200, 201}:
            # What is asked about is drawn, and may have been the wrong one each time.
            ask(WHOLE)
        assert answered & {200, 201}, "nothing of what the document permits was carried out"
