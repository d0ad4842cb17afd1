"""`GET /v1/status` and the webhooks, from functions as they are deployed, with their own roles."""

import json
import time
from typing import Any

import pytest

from greenlane.clock import SystemClock
from greenlane.deployments.connection import ROLLBACK_MACHINE, TABLE
from greenlane.deployments.storing.store import DynamoStore
from greenlane.rollback.http.webhook_secret import MISMATCH_SECONDS, NAME
from greenlane.status.model import Everything
from greenlane.status.reading import Stores, read_everything
from tests.builders import record, service_config
from tests.flag_api import Answer, DeployedApi, send, signature
from tests.unit.rollback.documents import alert, webhook


def test_the_function_tells_what_the_tables_say(api: DeployedApi) -> None:
    url = f"{api.url}/v1/status"

    found = send("GET", url, None, signature("GET", url))

    assert found.status == 200, found.body
    told = Everything.model_validate_json(found.body)
    assert {one.name for one in told.tests} == {"checkout", "targeted"}
    assert (told.not_deployed, told.untold) == ((), ())
    stores = Stores.of(api.cloud.client("dynamodb"))
    here = read_everything(stores, SystemClock().now())
    assert told.model_copy(update={"at": here.at}) == here


SERVICE = "orders"


@pytest.fixture
def deployed(api: DeployedApi) -> DeployedApi:
    """With a deployment of ours under way."""
    store, now = DynamoStore(api.cloud.client("dynamodb"), TABLE), api.cloud.clock.now()
    store.put_config(service_config(name=SERVICE), source="a.yaml", by="ada", at=now)
    store.acquire(record(service=SERVICE, deployment_id="orders-1", started_at=now))
    return api


def post(api: DeployedApi, path: str, content: Any, word: str | None = None) -> Answer:
    secrets = api.cloud.client("secretsmanager")
    word = word or secrets.get_secret_value(SecretId=NAME)["SecretString"]
    headers = {"authorization": f"Bearer {word}", "content-type": "application/json"}
    return send("POST", f"{api.url}/v1/triggers/{path}", json.dumps(content).encode(), headers)


@pytest.mark.parametrize("path", ["alertmanager", "webhook"])
def test_a_webhook_starts_the_machine_of_the_way_back(deployed: DeployedApi, path: str) -> None:
    document = {"service": SERVICE, "reason": "orders fail"}
    if path == "alertmanager":
        document = webhook(alert(SERVICE, at=deployed.cloud.clock.now()))

    found = post(deployed, path, document)

    assert (found.status, found.json["ignored"]) == (200, [])
    (arn,) = found.json["started"]
    assert f":execution:{ROLLBACK_MACHINE}:" in arn
    asked = deployed.cloud.client("stepfunctions").describe_execution(executionArn=arn)
    assert json.loads(asked["input"])["service"] == SERVICE


def test_a_rotated_secret_counts_soon_beside_the_one_before(
    deployed: DeployedApi,
) -> None:
    secrets = deployed.cloud.client("secretsmanager")
    before = secrets.get_secret_value(SecretId=NAME)["SecretString"]
    assert post(deployed, "webhook", {}, before).status == 400, "it is known, and says nothing"
    secrets.put_secret_value(SecretId=NAME, SecretString="a" * 48)
    time.sleep(deployed.cloud.clock.real_seconds(MISMATCH_SECONDS))
    assert post(deployed, "webhook", {}, "a" * 48).status == 400, "a new word is looked up soon"
    assert post(deployed, "webhook", {}, before).status == 400
    assert post(deployed, "webhook", {}, "b" * 48).status == 401
