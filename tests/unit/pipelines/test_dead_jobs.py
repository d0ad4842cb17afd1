"""A job whose three runs died gets its one result all the same."""

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions import answer_dead_job
from greenlane.errors import InvalidInput
from greenlane.pipelines.continuing import Token
from greenlane.pipelines.model import ACTION_FUNCTION
from tests.fakes import error
from tests.pipeline_town import ASKED, CREDENTIALS, PipelineTown, job_event
from tests.unit.pipelines.job_handling import JOB, handled
from tests.unit.pipelines.job_handling import town as town
from tests.unit.pipelines.job_handling import written as written

TIMED_OUT = {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 120.00 seconds"}


def record(event: dict[str, Any], response: Any = None) -> dict[str, Any]:
    """What Lambda tells of an asynchronous invocation that failed for good."""
    return {
        "version": "1.0",
        "timestamp": "2026-03-02T10:00:00.000Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
            "functionArn": f"arn:aws:lambda:eu-west-1:123456789012:function:{ACTION_FUNCTION}:1",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": response,
    }


def answered(town: PipelineTown, event: dict[str, Any]) -> dict[str, Any]:
    answer_dead_job.handler(event, None)
    operation, arguments = town.codepipeline.results[JOB]
    assert operation == "PutJobFailureResult"
    details: dict[str, Any] = arguments["failureDetails"]
    return details


@pytest.mark.parametrize("response", [None, {}, TIMED_OUT, {"errorType": "MemoryError"}])
def test_a_job_whose_runs_died_is_answered_with_where_to_look(
    town: PipelineTown, response: Any
) -> None:
    town.codepipeline.jobs.add(JOB)

    details = answered(town, record(job_event(JOB, ASKED), response))

    assert details["type"] == "SystemUnavailable"
    assert f"/aws/lambda/{ACTION_FUNCTION}" in details["message"]
    assert "Retry the stage" in details["message"]


def test_a_continued_job_says_what_goes_on(town: PipelineTown) -> None:
    town.codepipeline.jobs.add(JOB)
    token = Token(about="claude-manager-7").text()

    details = answered(town, record(job_event(JOB, ASKED, token=token), TIMED_OUT))

    assert details["externalExecutionId"] == "claude-manager-7"
    assert "claude-manager-7, goes on" in details["message"]


def test_a_job_that_died_after_its_result_keeps_that_result(town: PipelineTown) -> None:
    first = handled(town, job_event(JOB, ASKED))

    answer_dead_job.handler(record(job_event(JOB, ASKED), TIMED_OUT), None)

    assert town.codepipeline.results == {JOB: first}


def test_when_codepipeline_does_not_answer_lambda_runs_it_again(town: PipelineTown) -> None:
    town.codepipeline.jobs.add(JOB)
    town.codepipeline.errors["PutJobFailureResult"] = [
        error("InternalFailure", "PutJobFailureResult")
    ]

    with pytest.raises(ClientError):
        answer_dead_job.handler(record(job_event(JOB, ASKED)), None)
    answered(town, record(job_event(JOB, ASKED)))


@pytest.mark.parametrize("event", [{"requestPayload": {}}, record({"CodePipeline.job": None})])
def test_what_is_about_no_job_is_an_error_and_no_result(
    town: PipelineTown, event: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        answer_dead_job.handler(event, None)

    assert town.codepipeline.results == {}


def test_no_credential_is_logged_or_sent(town: PipelineTown, written: io.StringIO) -> None:
    town.codepipeline.jobs.add(JOB)
    secret = CREDENTIALS["secretAccessKey"]
    shown = {"errorType": secret, "errorMessage": f"a bug that shows {secret}"}

    details = answered(town, record(job_event(JOB, ASKED), shown))

    for value in CREDENTIALS.values():
        assert value not in written.getvalue()
        assert value not in details["message"]
