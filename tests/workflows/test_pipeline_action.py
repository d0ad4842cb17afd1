"""An action of CodePipeline from its first job to its last, over the real deployment machine."""

import json
from typing import Any

import pytest

from greenlane.deployments.phases import Phase
from tests.builders import NEW_IMAGE, SERVICE
from tests.pipeline_town import ASKED, EXECUTION, PipelineTown, Running, zipped

FOLLOWED = f"{SERVICE}-{EXECUTION}"
ABANDONED = {"pipeline": "release", "execution": EXECUTION, "action": "Greenlane"}


def answered_once(action: Running) -> None:
    """Each job has one result, and CodePipeline had to refuse none."""
    assert set(action.results) == set(action.order)
    assert action.refused == []


def message(action: Running) -> str:
    assert action.last is not None
    operation, arguments = action.last
    assert operation == "PutJobFailureResult"
    return str(arguments["failureDetails"]["message"])


def test_an_action_is_continued_with_its_progress_and_ends_with_variables() -> None:
    with PipelineTown().works() as town:
        action = town.action()
        town.until(lambda: action.over)

    answered_once(action)
    assert len(town.started) == 1
    percents = [
        arguments["executionDetails"]["percentComplete"] for _, arguments in action.results.values()
    ]
    assert percents == sorted(percents)
    assert {10, 50, 90, 100} <= set(percents)
    said = [one["executionDetails"]["summary"] for _, one in action.results.values()]
    assert "canary: step 1 of 2, 10 % of traffic" in said
    assert action.last is not None
    assert action.last[1]["outputVariables"] == {
        "deployment_id": FOLLOWED,
        "service": SERVICE,
        "outcome": "succeeded",
        "region": "eu-west-1",
        "strategy": "canary",
        "slot": "green",
        "image": NEW_IMAGE,
        "task_definition": action.last[1]["outputVariables"]["task_definition"],
    }
    assert all(FOLLOWED in arguments["continuationToken"] for _, arguments in _continued(action))


def _continued(action: Running) -> list[tuple[str, dict[str, Any]]]:
    return [one for one in action.results.values() if "continuationToken" in one[1]]


def test_a_bad_version_fails_the_action_with_what_was_wrong_and_where_to_look() -> None:
    with PipelineTown(bad=True).works() as town:
        action = town.action()
        town.until(lambda: action.over)
        town.account.run(60)

    answered_once(action)
    assert f"deployment {FOLLOWED} rolled back: " in message(action)
    assert f"`greenlane history {SERVICE}`" in message(action)
    assert town.account.weights() == {"blue": 100, "green": 0}


def test_the_image_that_the_build_wrote_is_deployed() -> None:
    asked = {key: value for key, value in ASKED.items() if key != "image"}
    with PipelineTown().works() as town:
        images = [{"name": SERVICE, "imageUri": NEW_IMAGE}]
        town.artifacts.objects["run/Built"] = zipped({"imagedefinitions.json": json.dumps(images)})
        action = town.action(asked | {"wait": "start"}, ("Built",))
        town.until(lambda: action.over)
        town.account.run(30)
        plan = town.account.store.plan(FOLLOWED)

    answered_once(action)
    assert plan.image == NEW_IMAGE
    assert plan.container == SERVICE


def test_who_only_waits_for_the_start_has_the_result_at_once() -> None:
    with PipelineTown().works() as town:
        action = town.action(ASKED | {"wait": "start"})
        town.until(lambda: action.over)
        assert town.kernel.seconds < 5

    answered_once(action)
    assert action.last is not None
    assert action.last[1]["outputVariables"]["id"] == FOLLOWED


def test_a_stage_that_is_retried_follows_what_still_runs() -> None:
    with PipelineTown().works() as town:
        action = town.action()
        town.account.run(40)
        action.begin()
        town.until(lambda: action.over)

    assert len(town.started) == 1


def test_a_stage_that_is_retried_after_a_bad_end_deploys_anew_and_a_repeated_job_does_not() -> None:
    with PipelineTown(bad=True).works() as town:
        action = town.action()
        town.until(lambda: action.over)
        town.account.run(120)
        first = action.order[0]
        town.account._invocations.invoke("run_pipeline_action", _event(action, first))
        town.account.run(30)
        assert len(town.started) == 1
        assert action.refused, "the job has its result"
        action.begin()
        town.account.run(10)

    assert [arn.rsplit(":", 1)[1] for arn in town.started] == [FOLLOWED, f"{FOLLOWED}-2"]


def _event(action: Running, job: str) -> dict[str, Any]:
    from tests.pipeline_town import job_event

    return job_event(job, action.parameters)


def test_after_a_good_end_a_retried_stage_succeeds_without_deploying() -> None:
    with PipelineTown().works() as town:
        action = town.action()
        town.until(lambda: action.over)
        action.begin()
        town.until(lambda: action.over)

    assert len(town.started) == 1
    answered_once(action)


def test_another_request_by_the_same_execution_is_refused_until_it_has_a_name_of_its_own() -> None:
    with PipelineTown().works() as town:
        first = town.action()
        town.account.run(40)
        second = town.action(ASKED | {"steps": [50, 100]})
        town.until(lambda: second.over)
        assert '"action": "second"' in message(second)
        first.abandoned = True

    assert len(town.started) == 1


def test_a_deployment_in_flight_refuses_the_action_and_says_by_whom() -> None:
    with PipelineTown().works() as town:
        town.account.deploy("by-hand")
        town.account.run(60)
        action = town.action()
        town.until(lambda: action.over)

    assert "is being deployed by by-hand" in message(action)
    assert "retry the stage" in message(action)
    answered_once(action)


@pytest.mark.parametrize("after_seconds", [0.6, 20, 60, 100])
def test_a_stopped_pipeline_takes_its_deployment_back(after_seconds: float) -> None:
    with PipelineTown().works() as town:
        action = town.action()
        town.account.run(after_seconds)
        action.abandoned = True
        town.account._invocations.hand_over("cancel_requests", ABANDONED)
        town.until(lambda: _phase(town) in (Phase.ROLLED_BACK, Phase.REFUSED))
        town.account.run(300)

        assert town.account.weights() == {"blue": 100, "green": 0}
        assert len(town.started) <= 1


def _phase(town: PipelineTown) -> Phase | None:
    record = town.account.record()
    return None if record is None else record.phase


def test_a_job_that_comes_after_its_pipeline_was_stopped_begins_nothing_until_it_is_retried() -> (
    None
):
    with PipelineTown().works() as town:
        town.account._invocations.hand_over("cancel_requests", ABANDONED)
        town.account.run(10)
        action = town.action()
        town.until(lambda: action.over)
        assert town.started == []
        assert "the pipeline release was stopped and abandoned Greenlane" in message(action)
        action.begin()
        town.until(lambda: action.over)

    assert [arn.rsplit(":", 1)[1] for arn in town.started] == [f"{FOLLOWED}-2"]
    answered_once(action)


def test_a_stopped_pipeline_leaves_what_the_request_says_and_what_was_promoted() -> None:
    with PipelineTown().works() as town:
        action = town.action(ASKED | {"on_stop": "leave"})
        town.account.run(60)
        town.account._invocations.hand_over("cancel_requests", ABANDONED)
        town.until(lambda: action.over)
        assert _phase(town) is Phase.WATCHING
    with PipelineTown().works() as town:
        action = town.action()
        town.until(lambda: _phase(town) is Phase.PROMOTED)
        town.account._invocations.hand_over("cancel_requests", ABANDONED)
        town.until(lambda: action.over)
        assert _phase(town) is Phase.WATCHING


def test_the_event_of_another_pipeline_changes_nothing() -> None:
    with PipelineTown().works() as town:
        action = town.action()
        town.account.run(60)
        other = ABANDONED | {"execution": "another"}
        town.account._invocations.hand_over("cancel_requests", other)
        town.until(lambda: action.over)

    assert action.last is not None
    assert action.last[0] == "PutJobSuccessResult"
