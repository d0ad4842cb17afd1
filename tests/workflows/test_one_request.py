"""The same request by each door gives the same deployment: only the envelope differs."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from functions import follow_request
from greenlane.cli.main import app
from greenlane.cli.session import Session
from greenlane.deployments.client import Greenlane
from greenlane.deployments.model import DeploymentRequest
from greenlane.deployments.phases import Phase
from greenlane.pipelines.model import Asked
from greenlane.pipelines.request import NoFiles, read_asked
from tests.builders import NEW_IMAGE, SERVICE
from tests.deployment_doors import Door as HttpDoor
from tests.deployment_doors import problem_in
from tests.pipeline_town import ASKED, EXECUTION, PipelineTown

BY_ID = f"{SERVICE}-{EXECUTION}"
WANTED: dict[str, Any] = {
    "service": SERVICE,
    "image": NEW_IMAGE,
    "strategy": "canary",
    "steps": [{"weight": 20, "bake": "1m"}, 100],
    "bake": "2m",
    "despite_alarms": "a cure of the live version",
}
WHOLE = WANTED | {"pipeline_execution_id": EXECUTION, "wait": "start"}


def by_command_line(town: PipelineTown, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "client", property(lambda _: Greenlane(town.connection("command line"))))
    done = CliRunner().invoke(
        app,
        [
            *("deploy", SERVICE, "--image", NEW_IMAGE, "--strategy", "canary"),
            *("--steps", "20:1m,100", "--bake", "2m", "--id", BY_ID),
            *("--despite-alarms", "a cure of the live version"),
        ],
    )
    assert done.exit_code == 0, done.output


def by_python(town: PipelineTown, _: pytest.MonkeyPatch) -> None:
    request = DeploymentRequest.model_validate(WANTED | {"deployment_id": BY_ID})
    Greenlane(town.connection("python")).deploy(request)


def by_lambda_action(town: PipelineTown, _: pytest.MonkeyPatch) -> None:
    town.action(WHOLE)


def by_native_action(town: PipelineTown, _: pytest.MonkeyPatch) -> None:
    town.native(WHOLE)


def by_event(town: PipelineTown, _: pytest.MonkeyPatch) -> None:
    town.native({"request": WHOLE, "event": "an-event"})


def by_http(town: PipelineTown, _: pytest.MonkeyPatch) -> None:
    status, started = http_door(town)("POST", "/deployments", WANTED, key=EXECUTION)
    assert (status, started["deployment_id"]) == (201, BY_ID)


def http_door(town: PipelineTown) -> HttpDoor:
    return HttpDoor(Greenlane(town.connection("manage_deployments")))


Door = Callable[[PipelineTown, pytest.MonkeyPatch], None]
DOORS: list[Door] = [
    by_command_line,
    by_python,
    by_lambda_action,
    by_native_action,
    by_event,
    by_http,
]


def what_became(door: Door, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Plan, record and history of the deployment, without who asked and at which second."""
    with PipelineTown().works() as town:
        door(town, patch)
        town.until(lambda: _phase(town) is Phase.WATCHING)
        record = town.account.record()
        assert record is not None
        plan = town.account.store.plan(BY_ID)
        history = town.account.store.history(BY_ID)
    return {
        "record": _timeless(record.model_dump()),
        "plan": _timeless(plan.model_dump()),
        "history": [event.kind for event in history],
    }


def _phase(town: PipelineTown) -> Phase | None:
    record = town.account.record()
    return None if record is None else record.phase


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _timeless(part)
            for name, part in value.items()
            # The task definition's number counts what was registered; tokens are random.
            if name not in ("requested_by", "bake_token") and not isinstance(part, datetime)
        }
    if isinstance(value, list | tuple):
        return [_timeless(part) for part in value]
    return value


def test_the_same_request_by_each_door_gives_the_same_deployment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {door.__name__: what_became(door, monkeypatch) for door in DOORS}

    expected = found.pop("by_python")
    assert expected["plan"]["request"]["steps"][0]["weight"] == 20
    assert expected["record"]["deployment_id"] == BY_ID
    assert len(expected["history"]) > 5
    for door, became in found.items():
        for part, value in became.items():
            assert value == expected[part], (door, part)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"strategy": "canery"}, "did you mean canary?"),
        ({"image": "no-tag"}, "has neither a tag nor a digest"),
        ({"despite_alarms": "   "}, "at least 3 characters"),
        ({"version": "1.0"}, "name exactly one of image, version and task_definition"),
    ],
)
def test_what_is_wrong_is_said_in_the_same_words_by_each_door(
    changed: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ASKED | changed
    with PipelineTown().works() as town:
        action = town.action(wrong)
        native = town.native(wrong)
        town.account.run(10)
        patched = property(lambda _: Greenlane(town.connection("command line")))
        monkeypatch.setattr(Session, "client", patched)
        options = {
            "--image": wrong["image"],
            **{f"--{key.replace('_', '-')}": changed[key] for key in changed},
        }
        given = [part for pair in options.items() for part in pair]
        typed = CliRunner().invoke(app, ["deploy", SERVICE, *given])
        posted = {name: value for name, value in wrong.items() if name in WANTED | changed}
        answered = problem_in(http_door(town)("POST", "/deployments", posted, key="a-key"), 400)

    assert action.last is not None
    assert said in action.last[1]["failureDetails"]["message"]
    assert native.status == "FAILED"
    assert native.error == "InvalidInput"
    assert said in json.loads(native.cause)["errorMessage"]
    # The command line, whose keys are options, names those.
    in_options = "name exactly one of --version, --image and --task-definition"
    by_options = in_options if said.startswith("name exactly one of") else said
    assert by_options in typed.output + typed.stderr
    assert said in answered["detail"]
    assert answered["detail"] in action.last[1]["failureDetails"]["message"]
    assert town.started == []


def asked(**changed: Any) -> Asked:
    return read_asked(WHOLE | changed, NoFiles(), by="test")


def test_who_asks_is_no_part_of_what_is_asked() -> None:
    assert asked().digest == asked(requested_by="jo", wait="end", on_stop="leave").digest
    assert asked().digest != asked(bake="3m").digest
    assert asked(requested_by="jo").subject.requested_by == "jo"


def test_the_native_action_follows_its_deployment_and_hands_on_what_became_of_it() -> None:
    with PipelineTown().works() as town:
        native = town.native(ASKED)
        town.until(lambda: native.status != "RUNNING")

        output = follow_request.handler({"request": ASKED, "job": native.arn}, None)

    assert native.status == "SUCCEEDED"
    assert output is not None
    assert output["outcome"] == "succeeded"
    assert output["outputs"]["deployment_id"] == BY_ID
    assert len(town.started) == 1


def test_the_http_api_with_one_key_starts_one_deployment_however_often_it_is_asked() -> None:
    with PipelineTown().works() as town:
        door = http_door(town)
        first = door("POST", "/deployments", WANTED, key=EXECUTION)
        town.until(lambda: _phase(town) is Phase.SHIFTING)
        during = door("POST", "/deployments", WANTED, key=EXECUTION)
        town.until(lambda: _phase(town) is Phase.WATCHING)
        after = door("POST", "/deployments", WANTED, key=EXECUTION)
        other = door("POST", "/deployments", WANTED | {"bake": "3m"}, key=EXECUTION)

    assert first[0] == 201
    assert during == after == (200, first[1])
    assert problem_in(other, 422)["title"] == "IdempotencyKeyReused"
    assert len(town.started) == 1


def test_a_bad_version_fails_the_native_action_with_the_reason() -> None:
    with PipelineTown(bad=True).works() as town:
        native = town.native(ASKED)
        town.until(lambda: native.status != "RUNNING")

    assert (native.status, native.error) == ("FAILED", "DeploymentFailed")
    assert "rolled back" in json.loads(native.cause)["errorMessage"]


def test_both_actions_with_one_execution_id_follow_one_deployment() -> None:
    with PipelineTown().works() as town:
        action = town.action()
        native = town.native(ASKED)
        town.until(lambda: action.over and native.status != "RUNNING")

    assert native.status == "SUCCEEDED"
    assert len(set(town.started)) == 1


def test_an_event_that_is_delivered_twice_begins_nothing_anew_after_a_bad_end() -> None:
    event = {"request": ASKED, "event": "e-1"}
    with PipelineTown(bad=True).works() as town:
        first = town.native(event, "one")
        town.until(lambda: first.status != "RUNNING")
        town.account.run(600)
        second = town.native(event, "two")
        town.until(lambda: second.status != "RUNNING")
        assert len(town.started) == 1
        third = town.native(event | {"event": "e-2"}, "three")
        town.account.run(60)
        assert third.status == "RUNNING"

    assert second.error == "DeploymentFailed"
    assert [arn.rsplit(":", 1)[1] for arn in town.started] == [BY_ID, f"{BY_ID}-2"]


def test_files_come_with_the_lambda_action_only() -> None:
    given = {key: value for key, value in ASKED.items() if key != "image"}
    with PipelineTown().works() as town:
        native = town.native(given | {"image_definitions": "imagedefinitions.json"})
        town.until(lambda: native.status != "RUNNING")

    assert "files come with the Lambda action" in json.loads(native.cause)["errorMessage"]
