"""The report of a deployment over HTTP: the stored one, or one that is made for the answer."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from greenlane.deployments.client import Greenlane
from greenlane.deployments.http import deployments_api
from greenlane.deployments.http.deployments_api import DeploymentsApi
from greenlane.incidents.reporting import report_incident
from greenlane.pipelines.book import Book
from tests.unit.incidents.reported import KEY, crossed, go_back


@pytest.fixture
def ask(reported):
    runtime = reported.world.runtime
    clients = {name: runtime.__dict__[name] for name in ("ecs", "elbv2", "cloudwatch", "s3")}
    connection: Any = SimpleNamespace(
        store=runtime.store,
        clock=reported.world.clock,
        account="123456789012",
        region="eu-west-1",
        client=clients.__getitem__,  # without `logs`: whoever asks for it fails
    )
    api = DeploymentsApi(Greenlane(connection), Book(runtime.store.client, runtime.store.table))

    def ask(id: str = "d-1", **query: str) -> dict[str, Any]:
        return api.answer(
            {
                "httpMethod": "GET",
                "resource": "/v1/deployments/{id}/report",
                "pathParameters": {"id": id},
                "queryStringParameters": query or None,
                "requestContext": {"identity": {"userArn": "arn:aws:iam::1:user/ada"}},
            }
        )

    return ask


@pytest.fixture
def went_back(reported):
    reported.world.shifted()
    event = go_back(reported, **crossed())
    reported.world.clock.advance(seconds=5)
    return event


def test_a_stored_report_is_told_as_it_is_stored(reported, ask, went_back):
    report_incident(went_back, reported.world.runtime)
    stored = reported.bucket.objects
    answer = ask()
    found = json.loads(answer["body"])

    assert answer["statusCode"] == 200
    assert (found["made"], found["stored"], found["problems"]) == (False, True, [])
    assert found["report"] == json.loads(stored[f"{KEY}.json"][1])
    text = ask(format="markdown")
    assert text["headers"]["content-type"].startswith("text/markdown")
    assert text["body"].encode() == stored[f"{KEY}.md"][1]


def test_one_that_is_made_for_the_answer_reads_no_logs_and_is_not_stored(reported, ask, went_back):
    found = json.loads(ask()["body"])

    assert (found["made"], found["stored"]) == (True, False)
    assert "greenlane report claude-manager --deployment d-1" in found["problems"][0]
    gaps = {one["what"]: one["why"] for one in found["report"]["gaps"]}
    assert "take too long" in gaps["log messages"]
    assert reported.bucket.written == []
    assert not [e for e in reported.world.store.history("d-1") if e.kind == "report written"]


def test_a_report_longer_than_an_answer_says_where_it_is(ask, went_back, monkeypatch):
    monkeypatch.setattr(deployments_api, "MOST_CHARACTERS", 100)
    answer = ask()
    assert answer["statusCode"] == 409
    assert f"s3://greenlane-incidents-123456789012-eu-west-1/{KEY}.json" in answer["body"]


def test_another_format_is_refused_with_those_there_are(ask, went_back):
    answer = ask(format="html")
    assert answer["statusCode"] == 400
    assert "json, markdown" in json.loads(answer["body"])["problems"][0]["way_out"]
