"""The code of docs/deployments-api.md, run as it stands against the API of the local cloud."""

import json
import os
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from typing import Any

import pytest

from greenlane.deployments.connection import TABLE
from greenlane.deployments.model import HistoryEvent
from greenlane.deployments.phases import Phase
from greenlane.deployments.storing.store import DynamoStore
from greenlane.http.all_routes import ROUTES
from tests import builders
from tests.aws_account import make_services, make_workload
from tests.builders import NOW, SERVICE
from tests.docs.pages import ROOT, blocks, code, table
from tests.flag_api import DeployedApi

PAGE = ROOT / "docs" / "deployments-api.md"
ALONE = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_SESSION_TOKEN": "local",
    "AWS_DEFAULT_REGION": "eu-west-1",
}

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def block(language: str, part: str) -> str:
    """The one block of the page in a language that has some text."""
    (found,) = [one.text for one in blocks(language) if one.page == PAGE and part in one.text]
    return found


@pytest.fixture(scope="module")
def deployable(api: DeployedApi) -> DynamoStore:
    """A service with its balancer and tasks, whose latest deployment is over."""
    store = DynamoStore(api.cloud.client("dynamodb"), TABLE)
    made = make_workload(api.cloud.client("elbv2"), api.cloud.client("ec2"))
    make_services(api.cloud.client("ecs"))
    config = builders.service_config(workload=made)
    store.put_config(config, source="test", by="ada", at=NOW, workload_declared=True)
    store.put_plan(builders.plan(deployment_id="d-1", config=config))
    _stands(store, Phase.RETIRED)
    return store


def _stands(store: DynamoStore, phase: Phase) -> None:
    record = store.record(SERVICE)
    assert record is not None
    store.update(record, {"phase": phase, "signal": None})


@pytest.fixture
def environ(api: DeployedApi) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {**ALONE, "PATH": path, "GREENLANE_URL": api.url}


def run(command: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def curl(part: str, environ: dict[str, str]) -> Any:
    return json.loads(run(["bash", "-c", block("bash", part)], environ))


@needs_curl
@pytest.mark.parametrize("token", ["local", ""], ids=["of a role", "of a user"])
def test_a_start_by_curl_as_shown_answers_what_is_shown(
    deployable: DynamoStore, environ: dict[str, str], token: str
) -> None:
    _stands(deployable, Phase.RETIRED)
    started = curl("build-1842", environ | {"AWS_SESSION_TOKEN": token})

    assert started == json.loads(block("json", "execution_arn"))


def test_a_deployment_is_followed_by_python_as_shown(
    deployable: DynamoStore, environ: dict[str, str]
) -> None:
    _stands(deployable, Phase.RETIRED)
    for number in range(3):
        event = HistoryEvent(at=NOW, kind=f"event {number}", actor="test")
        deployable.append(f"{SERVICE}-build-1843", event)
    lines = run([sys.executable, "-c", block("python", "SigV4Auth")], environ).splitlines()

    assert lines[0].split() == ["succeeded"]
    assert len(lines) == 4
    assert {line.split()[-1] for line in lines[1:]} == {"test"}


@needs_curl
def test_a_signal_by_curl_as_shown(deployable: DynamoStore, environ: dict[str, str]) -> None:
    _stands(deployable, Phase.SHIFTING)
    assert curl("signals", environ)["signal"] == "pause"
    record = deployable.record(SERVICE)
    assert record is not None
    assert record.signal is not None
    assert record.signal.by.startswith("arn:aws:")
    assert curl("signals", environ)["title"] == "SignalRefused"


@needs_curl
def test_a_rollback_by_curl_as_shown(deployable: DynamoStore, environ: dict[str, str]) -> None:
    _stands(deployable, Phase.SHIFTING)
    assert curl("rollback", environ)["deployment_id"] == "d-1"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/v1/services/{SERVICE}", None),
        ("POST", f"/v1/services/{SERVICE}/foresight", {"strategy": "canary"}),
        ("GET", "/v1/deployments/d-1/report", None),
        ("GET", "/v1/deployments/d-1/report?format=markdown", None),
    ],
)
def test_what_needs_more_of_aws_than_tables_is_answered_by_the_function_that_is_deployed(
    api: DeployedApi, deployable: DynamoStore, method: str, path: str, body: Any
) -> None:
    found = api.manage(method, path, body)
    assert found.status == 200, found.body


def test_the_page_has_every_route_of_deployments() -> None:
    shown = {code(row[0]).partition("?")[0] for row in table(PAGE, "Routes")}
    there = {f"{one.method} {one.path}" for one in ROUTES if one.function == "manage_deployments"}
    assert shown == there - {"GET /v1/status"}


def test_the_policy_that_is_shown_lets_pause_and_take_back_and_start_nothing() -> None:
    (statement,) = json.loads(block("json", "execute-api:Invoke"))["Statement"]
    api = "arn:aws:execute-api:eu-west-1:123456789012:abc123/production"
    ours = [one for one in ROUTES if one.function == "manage_deployments" and one.method != "GET"]
    allowed = {
        one.name
        for one in ours
        for resource in statement["Resource"]
        if fnmatchcase(f"{api}/{one.method}{one.path}", resource)
    }
    assert allowed == {"signalDeployment", "rollbackService"}
