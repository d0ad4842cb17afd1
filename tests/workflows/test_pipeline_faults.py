"""Whatever happens to a call, each job has exactly one result, and nothing is begun twice."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from greenlane.deployments.phases import Phase
from tests.builders import OLD_IMAGE
from tests.effort import examples, part
from tests.faults.faults import KINDS, Faults, Kind, Random, Site, one
from tests.pipeline_town import ASKED, EXECUTION, PipelineTown, Running

ACTOR = "run_pipeline_action"
SCENES: dict[str, dict[str, Any]] = {
    "continued": ASKED,
    "started": ASKED | {"wait": "start"},
    "refused": ASKED | {"image": OLD_IMAGE},
}
"""A job that is continued, one that succeeds, and one that fails a moment later."""

SECONDS = 70.0
"""Two jobs, of which the first may need all of its attempts."""


def ran(scene: str, faults: Faults, seconds: float = SECONDS) -> tuple[PipelineTown, Running]:
    town = PipelineTown(faults)
    with town.works():
        action = town.action(SCENES[scene])
        town.account.run(seconds)
        # Then CodePipeline calls no more, and Lambda's own attempts come to their end.
        action.abandoned = True
        faults.calm()
        town.account.run(400)
    return town, action


def calls(scene: str) -> list[Site]:
    town = PipelineTown()
    with town.works():
        town.action(SCENES[scene])
        town.account.run(SECONDS)
    return [site for site in town.account.faults.sites if site.caller == ACTOR]


def cells() -> Iterator[tuple[str, Site, Kind]]:
    for scene in SCENES:
        seen: set[tuple[str, str, int]] = set()
        for site in calls(scene):
            # The third job makes the calls of the second again.
            if site.number > 6 or (site.service, site.operation, site.number) in seen:
                continue
            seen.add((site.service, site.operation, site.number))
            for kind in KINDS:
                # Nobody can answer whom the own role keeps from answering.
                if (site.service, kind) != ("codepipeline", "denied"):
                    yield scene, site, kind


def exactly_one_result_each(action: Running) -> None:
    assert set(action.results) == set(action.order)
    for operation, arguments in action.results.values():
        if operation == "PutJobFailureResult":
            assert len(arguments["failureDetails"]["message"]) > 40, "it helps"


ALL = list(cells())


def test_there_are_calls_of_each_kind_to_try() -> None:
    found = {(site.service, site.operation) for _, site, _ in ALL}
    assert found >= {
        ("dynamodb", "get_item"),
        ("dynamodb", "put_item"),
        ("stepfunctions", "start_execution"),
        ("codepipeline", "put_job_success_result"),
        ("codepipeline", "put_job_failure_result"),
    }
    assert len(ALL) > 200


@pytest.mark.parametrize(
    ("scene", "site", "kind"),
    part(ALL, 3),
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_a_fault_at_any_call_leaves_one_result_and_one_deployment(
    scene: str, site: Site, kind: Kind
) -> None:
    town, action = ran(scene, one(site, kind))

    assert town.account.faults.struck, "the fault happened"
    exactly_one_result_each(action)
    assert len(set(town.started)) <= 1


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("after_seconds", [0.01, 0.2, 5.0, 45.0])
def test_a_job_that_is_delivered_twice_has_one_result_and_one_deployment(
    scene: str, after_seconds: float
) -> None:
    town = PipelineTown()
    with town.works():
        town.account.again[(ACTOR, 1)] = after_seconds
        action = town.action(SCENES[scene])
        town.account.run(SECONDS)
        action.abandoned = True
        town.account.run(400)

    exactly_one_result_each(action)
    assert len(set(town.started)) == 1


@pytest.mark.parametrize("seed", range(examples(6, 60)))
def test_random_faults_all_the_way_lose_no_job_and_the_end_is_told_right(seed: int) -> None:
    def ours(choose: Callable[[Site], Kind | None]) -> Callable[[Site], Kind | None]:
        return lambda site: choose(site) if site.caller == ACTOR else None

    # Lambda runs a job three times; that is as often as CodePipeline itself may be lost in a row.
    faults = Random(seed, chance=0.1, most=2).faults()
    town = PipelineTown(Faults(ours(faults._choose)))
    with town.works():
        action = town.action()
        town.until(lambda: action.over)
        town.account.run(400)
        record = town.account.record()

    exactly_one_result_each(action)
    assert record is not None
    assert record.phase in (Phase.WATCHING, Phase.RETIRED)
    assert len(set(town.started)) == 1
    assert action.last is not None
    operation, arguments = action.last
    assert operation == "PutJobSuccessResult"
    assert arguments["outputVariables"]["outcome"] == "succeeded"


def test_aws_that_does_not_answer_for_long_fails_the_action_and_says_what_goes_on() -> None:
    """Nothing but the way to CodePipeline works, from the second job on."""
    begun = False

    def choose(site: Site) -> Kind | None:
        lost = begun and site.caller == ACTOR and site.service == "dynamodb"
        return "before" if lost else None

    town = PipelineTown(Faults(choose))
    with town.works():
        action = town.action()
        town.account.run(10)
        begun = True
        town.until(lambda: action.over)

    exactly_one_result_each(action)
    assert action.last is not None
    details = action.last[1]["failureDetails"]
    assert details["type"] == "SystemUnavailable"
    assert f"claude-manager-{EXECUTION}" in details["message"]
    assert "retry the stage, which follows it" in details["message"]
    assert 15 * 60 < town.kernel.seconds < 20 * 60


def test_a_role_that_may_not_fails_at_once_and_names_the_call() -> None:
    def choose(site: Site) -> Kind | None:
        denied = (site.caller, site.operation) == (ACTOR, "start_execution")
        return "denied" if denied else None

    town = PipelineTown(Faults(choose))
    with town.works():
        action = town.action()
        town.until(lambda: action.over)

    assert action.last is not None
    details = action.last[1]["failureDetails"]
    assert details["type"] == "PermissionError"
    assert "start_execution" in details["message"].lower()
    assert town.kernel.seconds < 60
