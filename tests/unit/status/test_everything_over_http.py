"""`GET /v1/status` is what `greenlane status --output json` prints."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from greenlane.deployments.client import Greenlane
from greenlane.deployments.http.deployments_api import DeploymentsApi
from greenlane.experiments.names import TABLE as EXPERIMENTS
from tests.fakes import error, timeout
from tests.unit.status.everything import Town, busy
from tests.unit.status.test_everything_shown import Connection, command


def ask(town: Town, **more: Any) -> tuple[int, Any]:
    there = SimpleNamespace(connection=Connection(town), store=town.stores.deployments)
    api = DeploymentsApi(cast(Greenlane, there), cast(Any, None))
    event = {"httpMethod": "GET", "resource": "/v1/status", "requestContext": {}, **more}
    answer = api.answer(event)
    return answer["statusCode"], json.loads(answer["body"])


def test_the_api_tells_what_the_command_prints() -> None:
    town = busy()
    printed = json.loads(command(town)("status", "--output", "json").stdout)
    assert ask(town) == (200, printed)
    assert len(printed["needs"]) == 4


def test_a_part_that_is_not_deployed_is_named_there_too() -> None:
    town = busy()
    del town.dynamodb.tables[EXPERIMENTS]
    status, told = ask(town)
    assert (status, told["not_deployed"]) == (200, ["experiments"])


@pytest.mark.parametrize("failure", [error("ThrottlingException"), timeout()])
def test_a_table_that_does_not_answer_is_named_and_where_none_does_it_is_503(
    failure: Exception,
) -> None:
    town = busy()
    town.dynamodb.failing[EXPERIMENTS] = failure
    status, told = ask(town)
    assert (status, [one["part"] for one in told["untold"]]) == (200, ["experiments"])
    assert told["deployments"]
    town.dynamodb.failing.update(dict.fromkeys(town.dynamodb.tables, failure))
    status, told = ask(town)
    assert (status, told["title"]) == (503, "StoreUnavailable")


def test_a_query_is_refused() -> None:
    status, _ = ask(Town(), queryStringParameters={"all": "yes"})
    assert status == 400
