"""Jobs as CodePipeline sends them, and as it never should: one result each, and it helps."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from functions import run_pipeline_action
from greenlane.pipelines import running
from greenlane.pipelines.request import EXAMPLE
from tests.builders import NEW_IMAGE, SERVICE
from tests.fakes import error
from tests.pipeline_town import (
    ASKED,
    EXECUTION,
    CodePipeline,
    PipelineTown,
    job_event,
    zipped,
)
from tests.unit.pipelines.job_handling import JOB, handled
from tests.unit.pipelines.job_handling import town as town

BUILT = {key: value for key, value in ASKED.items() if key != "image"}


def failed(town: PipelineTown, event: dict[str, Any]) -> tuple[str, str]:
    """The type and the message of a failure; nothing was begun."""
    operation, arguments = handled(town, event)
    assert operation == "PutJobFailureResult", arguments
    assert town.started == []
    details = arguments["failureDetails"]
    return details["type"], details["message"]


@pytest.mark.parametrize("parameters", [None, "", "  \n"])
def test_without_parameters_the_message_shows_what_to_write(
    town: PipelineTown, parameters: str | None
) -> None:
    kind, message = failed(town, job_event(JOB, parameters))

    assert kind == "ConfigurationError"
    assert message.startswith("UserParameters: nothing is not accepted: write a JSON object")
    assert EXAMPLE in message


@pytest.mark.parametrize("parameters", ["claude-manager", "service=a, image=b", "{'service': 1}"])
def test_plain_text_is_shown_and_an_example_beside_it(town: PipelineTown, parameters: str) -> None:
    kind, message = failed(town, job_event(JOB, parameters))

    assert kind == "ConfigurationError"
    assert repr(parameters) in message
    assert EXAMPLE in message


@pytest.mark.parametrize("parameters", ["[1]", '"text"', "7", "null", "true"])
def test_json_that_is_no_object_is_refused(town: PipelineTown, parameters: str) -> None:
    assert "write a JSON object" in failed(town, job_event(JOB, parameters))[1]


def test_parameters_that_were_cut_off_are_said_to_belong_in_a_file(town: PipelineTown) -> None:
    text = json.dumps(ASKED | {"despite_alarms": "x" * 2000})[:1000]

    kind, message = failed(town, job_event(JOB, text))

    assert kind == "ConfigurationError"
    assert "may have been cut off; at most 1000 characters fit" in message
    assert '"request_file"' in message


@pytest.mark.parametrize("size", [70_000, 5_000_000])
def test_oversized_parameters_are_refused_without_being_repeated(
    town: PipelineTown, size: int
) -> None:
    kind, message = failed(town, job_event(JOB, json.dumps({"service": "x" * size})))

    assert kind == "ConfigurationError"
    assert len(message) < 400
    assert f"{size + 15} characters" in message


def test_deeply_nested_parameters_are_no_json_either(town: PipelineTown) -> None:
    assert "it is no JSON" in failed(town, job_event(JOB, "[" * 60_000))[1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"servise": SERVICE}, "there is no such key; did you mean service?"),
        ({"pipeline_execution_ID": "x"}, "did you mean pipeline_execution_id?"),
        ({"pipeline_execution_id": "#{codepipeline.PipelineExecutionId}"}, "did not replace this"),
        ({"image": "#{Build.IMAGE}"}, "image: '#{Build.IMAGE}' is not accepted"),
        ({"strategy": "canery"}, "did you mean canary?"),
        ({"image": "no-tag"}, "has neither a tag nor a digest"),
        ({"version": "1.0"}, "name exactly one of image, version and task_definition"),
        ({"deployment_id": "d-1"}, "it is made of the pipeline's execution id"),
        ({"steps": [50, 10]}, "steps"),
        ({"wait": "forever"}, "use one of end, start"),
        ({"flag": {"key": "a", "enabled": True}}, "it does not go with flag"),
        ({"policy": "safe"}, "it does not go with a deployment in this Region"),
        ({"service": "unknown-one"}, "known: claude-manager"),
        ({"request_file": "more.yaml"}, "the action has no input artifact"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_the_way_out(
    town: PipelineTown, changed: dict[str, Any], said: str
) -> None:
    assert said in failed(town, job_event(JOB, ASKED | changed))[1]


def test_without_the_execution_id_the_key_is_asked_for(town: PipelineTown) -> None:
    asked = {key: value for key, value in ASKED.items() if key != "pipeline_execution_id"}

    message = failed(town, job_event(JOB, asked))[1]
    assert "pipeline_execution_id: nothing is not accepted: this key is required" in message


def test_all_that_is_wrong_is_told_at_once(town: PipelineTown) -> None:
    message = failed(town, job_event(JOB, {"servise": 1, "imagge": 2}))[1]

    assert "servise" in message
    assert "imagge" in message


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("ExpiredToken", "JobFailed", "have expired; nothing was begun by it: retry the stage"),
        ("AccessDenied", "PermissionError", "may not read the artifact Built in artifacts"),
        ("NoSuchKey", "ConfigurationError", "it is not in artifacts any more"),
    ],
)
def test_an_artifact_that_cannot_be_read_is_told_apart_by_why(
    town: PipelineTown, code: str, kind: str, said: str
) -> None:
    town.artifacts.errors.append(error(code, "GetObject"))

    found, message = failed(town, job_event(JOB, BUILT, artifacts=("Built",)))
    assert (found, said in message) == (kind, True), message


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"no zip", "it is no zip archive"),
        (zipped({"imageDefinitions.json": "[]"}), "did you mean imageDefinitions.json?"),
        (zipped({"imagedefinitions.json": "{"}), "it is no JSON"),
        (zipped({"imagedefinitions.json": "[]"}), "it names no image"),
        (zipped({"imagedefinitions.json": '[{"name": "a"}]'}), "imagedefinitions.json.0"),
        (zipped({"imagedefinitions.json": b"\xff"}), "write it in UTF-8"),
        (zipped({"imagedefinitions.json": " " * 2_000_000}), "the file is over 1024 KiB"),
        (
            zipped(
                {
                    "imagedefinitions.json": json.dumps(
                        [{"name": n, "imageUri": NEW_IMAGE} for n in ("web", "proxy")]
                    )
                }
            ),
            "names web, proxy; say which one is deployed",
        ),
    ],
)
def test_what_is_wrong_with_a_file_of_the_artifact_is_named(
    town: PipelineTown, raw: bytes, said: str
) -> None:
    town.artifacts.objects["run/Built"] = raw

    assert said in failed(town, job_event(JOB, BUILT, artifacts=("Built",)))[1]


def test_which_of_several_artifacts_is_meant_has_to_be_said(town: PipelineTown) -> None:
    message = failed(town, job_event(JOB, BUILT, artifacts=("Source", "Built")))[1]

    assert "say which has imagedefinitions.json: Source, Built" in message


def test_a_long_request_comes_from_a_file_and_the_parameters_win(town: PipelineTown) -> None:
    lines = f"service: {SERVICE}\nimage: {NEW_IMAGE}\nstrategy: canary\nwait: end\n"
    town.artifacts.objects["run/Built"] = zipped({"deploy/greenlane.yaml": lines})
    asked = {
        "request_file": "deploy/greenlane.yaml",
        "wait": "start",
        "pipeline_execution_id": EXECUTION,
    }

    operation, arguments = handled(town, job_event(JOB, asked, artifacts=("Built",)))

    assert operation == "PutJobSuccessResult"
    assert arguments["outputVariables"]["outcome"] == "started"
    assert len(town.started) == 1


@pytest.mark.parametrize("token", ["", "garbage", "[]", '{"trouble_since": 1}', "{}", "x" * 2048])
def test_a_token_that_is_none_of_ours_is_done_without(town: PipelineTown, token: str) -> None:
    operation, arguments = handled(town, job_event(JOB, ASKED, token=token))

    assert operation == "PutJobSuccessResult"
    assert f"claude-manager-{EXECUTION}" in arguments["continuationToken"]
    assert len(town.started) == 1


MUTILATED: list[Callable[[dict[str, Any]], None]] = [
    lambda job: job.pop("data"),
    lambda job: job.update(data=None),
    lambda job: job.update(data=[1]),
    lambda job: job["data"].pop("actionConfiguration"),
    lambda job: job["data"].update(actionConfiguration={"configuration": "text"}),
    lambda job: job["data"]["actionConfiguration"]["configuration"].update(UserParameters={"a": 1}),
    lambda job: job["data"]["actionConfiguration"]["configuration"].update(UserParameters=7),
]


@pytest.mark.parametrize("change", MUTILATED, ids=range(len(MUTILATED)))
def test_a_job_of_another_shape_is_answered_as_long_as_it_has_an_id(
    town: PipelineTown, change: Callable[[dict[str, Any]], None]
) -> None:
    event = job_event(JOB, ASKED)
    change(event["CodePipeline.job"])

    assert "write a JSON object" in failed(town, event)[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("artifactCredentials"),
        lambda data: data.update(artifactCredentials={"accessKeyId": 1}),
        lambda data: data.update(inputArtifacts=None),
        lambda data: data.update(inputArtifacts=[{"name": "Built"}, 7]),
    ],
)
def test_what_the_request_does_not_need_may_be_missing(
    town: PipelineTown, change: Callable[[dict[str, Any]], None]
) -> None:
    event = job_event(JOB, ASKED)
    change(event["CodePipeline.job"]["data"])

    assert handled(town, event)[0] == "PutJobSuccessResult"


@pytest.mark.parametrize("event", [{}, {"CodePipeline.job": None}, {"CodePipeline.job": {"id": 7}}])
def test_who_has_no_id_cannot_be_answered_and_nothing_is_begun(
    town: PipelineTown, event: dict[str, Any]
) -> None:
    from greenlane.errors import InvalidInput

    with pytest.raises(InvalidInput, match="called by CodePipeline's Lambda action"):
        run_pipeline_action.handler(event, None)
    assert town.codepipeline.results == {}
    assert town.started == []


@pytest.mark.parametrize("code", ["ValidationException", "OutputVariablesSizeExceededException"])
def test_a_success_that_is_not_taken_becomes_a_failure_that_says_so(
    town: PipelineTown, code: str
) -> None:
    town.codepipeline.errors["PutJobSuccessResult"] = [error(code, "PutJobSuccessResult")]

    operation, arguments = handled(town, job_event(JOB, ASKED | {"wait": "start"}))

    assert operation == "PutJobFailureResult"
    assert code in arguments["failureDetails"]["message"]


def test_a_result_that_is_lost_is_an_error_of_the_function_so_that_lambda_tries_again(
    town: PipelineTown,
) -> None:
    town.codepipeline.errors["PutJobSuccessResult"] = [error("InternalError", "Put")]
    town.codepipeline.jobs.add(JOB)
    with pytest.raises(ClientError):
        run_pipeline_action.handler(job_event(JOB, ASKED), None)

    run_pipeline_action.handler(job_event(JOB, ASKED), None)
    assert len(town.codepipeline.results) == 1
    assert len(town.started) == 1


def test_a_job_that_is_gone_is_no_error(town: PipelineTown) -> None:
    run_pipeline_action.handler(job_event(JOB, ASKED), None)

    assert town.codepipeline.refused == [(JOB, "PutJobSuccessResult")]


def test_the_imitation_refuses_what_codepipeline_would() -> None:
    strict = CodePipeline()
    strict.jobs.add(JOB)
    details = {"type": "JobFailed", "message": "m"}
    for wrong in (
        {"jobId": "no-uuid", "failureDetails": details},
        {"jobId": JOB, "failureDetails": details | {"message": "x" * 5001}},
        {"jobId": JOB, "failureDetails": details | {"type": "Bad"}},
        {"jobId": JOB, "failureDetails": {"type": "JobFailed"}},
        {"jobId": JOB, "failureDetails": details, "more": 1},
    ):
        with pytest.raises((AssertionError, ParamValidationError)):
            strict.put_job_failure_result(**wrong)
    with pytest.raises(ClientError, match="ValidationException"):
        strict.put_job_success_result(jobId=JOB, continuationToken="t", outputVariables={"a": "b"})
    assert strict.results == {}
    strict.put_job_failure_result(jobId=JOB, failureDetails=details)
    with pytest.raises(ClientError, match="InvalidJobStateException"):
        strict.put_job_failure_result(jobId=JOB, failureDetails=details)


def test_before_codepipeline_ends_the_action_its_failure_says_what_goes_on(
    town: PipelineTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LONGEST", timedelta(seconds=-1))

    operation, arguments = handled(town, job_event(JOB, ASKED))

    message = arguments["failureDetails"]["message"]
    assert operation == "PutJobFailureResult"
    assert "is still under way" in message
    assert '"wait": "start"' in message
    assert len(town.started) == 1
