"""Back to a version that was good: which one, by which way, and what is skipped on it."""

import json
from datetime import timedelta

import pytest

from greenlane.deployments.connection import DEPLOYMENT_MACHINE, ROLLBACK_MACHINE
from greenlane.deployments.going_back import version_before
from greenlane.deployments.model import DeploymentRequest, DeploymentSummary
from greenlane.deployments.phases import Phase
from greenlane.deployments.plan import plan_steps
from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.deployments.stepping.finishing import finish_deployment, promote
from greenlane.deployments.stepping.judging import judge_step
from greenlane.deployments.stepping.preparing import check_stability, prepare_slot
from greenlane.deployments.stepping.shifting import shift_traffic
from greenlane.errors import (
    DeploymentInFlight,
    JudgedBad,
    NotStable,
    Refused,
    UnknownDeployment,
)
from tests import builders
from tests.aws_account import executions, record_in
from tests.builders import NOW, SERVICE

FAMILY = "arn:aws:ecs:eu-west-1:123456789012:task-definition/claude-manager"


def revision(number):
    return f"{FAMILY}:{number}"


def summary(number, phase=Phase.WATCHING, *, task=None):
    return DeploymentSummary(
        deployment_id=f"d-{number}",
        service=SERVICE,
        phase=phase,
        strategy="canary",
        image=f"registry/claude@sha256:{number}",
        task_definition=revision(number if task is None else task),
        started_at=NOW + timedelta(hours=number),
    )


def choose(phase, deployments, *, to=None, steps_back=1, runs=4, before=3):
    """With d-4 the latest deployment, of a revision `runs`, over one `before`."""
    record = builders.record(
        deployment_id="d-4", phase=phase, task_definition=revision(runs), candidate="green"
    )
    plan = builders.plan(deployment_id="d-4", live_task_definition=revision(before))
    newest_first = sorted(deployments, key=lambda it: it.started_at, reverse=True)
    return version_before(record, plan, newest_first, to=to, steps_back=steps_back)


GOOD = [summary(number) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.PROMOTED, Phase.WATCHING])
@pytest.mark.parametrize("asked", [{}, {"to": "d-3"}])
def test_one_step_back_to_a_slot_that_is_still_warm_is_a_rollback(phase, asked):
    assert choose(phase, GOOD, **asked) is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, "d-3"), ({"steps_back": 3}, "d-1"), ({"to": "d-1"}, "d-1"), ({"to": "d-3"}, "d-3")],
)
def test_from_a_slot_that_was_let_go_it_is_a_deployment(asked, expected):
    assert choose(Phase.RETIRED, GOOD, **asked).deployment_id == expected


@pytest.mark.parametrize("asked", [{"steps_back": 2}, {"to": "d-2"}])
def test_further_back_than_the_warm_slot_it_is_a_deployment(asked):
    assert choose(Phase.WATCHING, GOOD, **asked).deployment_id == "d-2"


def test_after_a_rollback_one_step_back_is_before_what_serves_now():
    deployments = [*GOOD[:3], summary(4, Phase.ROLLED_BACK)]
    assert choose(Phase.ROLLED_BACK, deployments).deployment_id == "d-2"
    assert choose(Phase.REFUSED, deployments).deployment_id == "d-2"


def test_only_successes_count_and_each_version_once():
    deployments = [
        summary(1),
        summary(2, Phase.ROLLED_BACK),
        summary(3, Phase.RETIRED, task=1),
        summary(4),
    ]
    assert choose(Phase.RETIRED, deployments, before=9).deployment_id == "d-3"
    with pytest.raises(Refused, match="1 earlier good version on record, so none 2 back"):
        choose(Phase.RETIRED, deployments, steps_back=2, before=9)


def test_what_runs_already_is_not_gone_back_to():
    deployments = [summary(1), summary(2), summary(3, task=2), summary(4, task=1)]
    found = choose(Phase.RETIRED, deployments, runs=1, before=2)
    assert found.deployment_id == "d-3"
    with pytest.raises(Refused, match="d-1 is what runs already"):
        choose(Phase.RETIRED, deployments, runs=1, before=2, to="d-1")


def test_without_an_earlier_version_there_is_none():
    with pytest.raises(Refused, match="no earlier good version"):
        choose(Phase.RETIRED, [summary(4)])


@pytest.mark.parametrize("phase", [Phase.ROLLED_BACK, Phase.HELD, Phase.REFUSED])
def test_a_version_that_was_not_proven_is_refused(phase):
    with pytest.raises(Refused, match=f"ended {phase.value}, so its version was never proven"):
        choose(Phase.RETIRED, [summary(1, phase), summary(4)], to="d-1")


def test_a_deployment_that_nobody_knows_is_named():
    with pytest.raises(UnknownDeployment, match="d-9"):
        choose(Phase.RETIRED, GOOD, to="d-9")


@pytest.mark.parametrize(
    ("phase", "way_out"),
    [
        (Phase.PLANNING, "greenlane abort"),
        (Phase.PREPARING, "greenlane abort"),
        (Phase.SHIFTING, "greenlane rollback"),
        (Phase.PROMOTED, "greenlane rollback"),
        (Phase.ROLLING_BACK, "wait for its end"),
    ],
)
def test_while_a_deployment_is_in_flight_its_own_way_back_comes_first(phase, way_out):
    with pytest.raises(DeploymentInFlight, match=way_out):
        choose(phase, GOOD, steps_back=2)


@pytest.mark.parametrize("phase", [Phase.PLANNING, Phase.PREPARING])
def test_before_traffic_there_is_nothing_to_undo(phase):
    with pytest.raises(DeploymentInFlight, match="greenlane abort"):
        choose(phase, GOOD)


def test_what_is_held_needs_a_person_first():
    with pytest.raises(Refused, match="look at both slots"):
        choose(Phase.HELD, GOOD)


# By the Python API


@pytest.fixture
def deployed(applied, machines):
    """Two revisions: d-1 brought the first, d-2 the second; the tests say where d-2 stands."""
    ecs = applied.connection.client("ecs")
    for version in ("1.4.1", "1.4.2"):
        container = {"name": SERVICE, "image": f"registry/claude:{version}", "memory": 128}
        ecs.register_task_definition(family=SERVICE, containerDefinitions=[container])
    stored = applied.store.get_config(SERVICE)

    def at(phase):
        plan = builders.plan(
            deployment_id="d-2",
            config=stored.config,
            live_task_definition=revision(1),
        )
        applied.store.put_plan(plan)
        for number in (1, 2):
            applied.store.put_summary(summary(number))
        record = record_in(phase, deployment_id="d-2", task_definition=revision(2))
        applied.store.acquire(record)
        return applied

    return at


def test_an_undo_of_a_warm_version_starts_the_rollback_machine(deployed):
    client = deployed(Phase.WATCHING)
    undone = client.undo(SERVICE, reason="wrong prices", by="jo")
    assert (undone.way, undone.deployment_id, undone.to) == ("rollback", "d-2", None)
    assert undone.task_definition == revision(1)
    (execution,) = executions(client, ROLLBACK_MACHINE)
    trigger = json.loads(execution["input"])["trigger"]
    assert (trigger["kind"], trigger["name"], trigger["reason"]) == ("person", "jo", "wrong prices")
    assert executions(client, DEPLOYMENT_MACHINE) == []


def test_an_undo_of_a_version_that_was_let_go_starts_a_deployment(deployed):
    client = deployed(Phase.RETIRED)
    undone = client.undo(SERVICE, reason="wrong prices", by="jo")
    assert (undone.way, undone.to, undone.task_definition) == ("deployment", "d-1", revision(1))
    (execution,) = executions(client, DEPLOYMENT_MACHINE)
    asked = json.loads(execution["input"])["request"]
    request = DeploymentRequest.model_validate(asked)
    assert request.deployment_id == undone.deployment_id
    assert (request.task_definition, request.strategy) == (revision(1), "all_at_once")
    assert request.undo is True
    assert request.despite_alarms == "undo to d-1: wrong prices"
    assert request.requested_by == "jo"


def test_other_requests_do_not_know_of_undo(deployed):
    """An older version of the functions would refuse the key."""
    client = deployed(Phase.RETIRED)
    client.deploy(DeploymentRequest(service=SERVICE, version="1.4.3"))
    (execution,) = executions(client, DEPLOYMENT_MACHINE)
    assert "undo" not in json.loads(execution["input"])["request"]


def test_a_revision_that_was_deregistered_is_refused_with_its_image(deployed):
    client = deployed(Phase.RETIRED)
    client.connection.client("ecs").deregister_task_definition(taskDefinition=revision(1))
    with pytest.raises(Refused, match="claude-manager:1 of d-1 is INACTIVE.*--image registry/cl"):
        client.undo(SERVICE, reason="wrong prices", by="jo")
    assert executions(client, DEPLOYMENT_MACHINE) == []


def test_a_service_that_was_never_deployed_has_nothing_to_undo(applied):
    with pytest.raises(Refused, match="never deployed"):
        applied.undo(SERVICE, reason="x", by="jo")


# What an undo skips, and what not


def undo_of(task_definition, **more):
    return DeploymentRequest(
        service=SERVICE,
        task_definition=task_definition,
        strategy="all_at_once",
        steps=[{"weight": 100, "bake": "0s"}],
        undo=True,
        **more,
    )


@pytest.mark.parametrize("strategy", ["all_at_once", "blue_green"])
def test_an_undo_has_one_step_no_bake_and_the_watch(strategy):
    step = {"weight": 100, "bake": "5m", "approval": True}
    config = builders.service_config(
        deployment={"strategy": strategy, "steps": [step], "final_bake": "10m"}
    ).deployment
    planned = plan_steps(config, undo_of("claude-manager:1"))
    assert [(it.kind, it.weight, it.bake_seconds, it.approval) for it in planned] == [
        ("step", 100, 0, False),
        ("watch", 100, 1800, False),
    ]


@pytest.fixture
def undoing(world):
    """d-1 was deployed and let go; d-2 goes back to the revision before it, its slot is stable."""
    state = world.promoted()
    world.clock.advance(minutes=31)
    world.traffic("green", requests=100)
    finish_deployment(state, world.runtime)
    world.change(phase=Phase.RETIRED)
    world.clock.advance(minutes=2)  # nothing of the letting go can land any more
    asked = undo_of(f"{SERVICE}:1", despite_alarms="undo to d-0: it is slow")
    given = asked.model_dump(exclude_none=True) | {"image": None}
    state = prepare_slot(world.planned(deployment_id="d-2", **given), world.runtime)
    world.serve("blue", 2)
    return check_stability(state, world.runtime).model_copy(update={"probe": None})


def test_an_undo_is_over_as_soon_as_its_tasks_are_healthy(world, undoing):
    world.alarm(world.alarm_of("green"), "ALARM")
    state = shift_traffic(undoing, world.runtime)
    assert world.weights() == (100, 0)
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    assert world.machines.answers[-1] == ("token-1", "success", "a bake of 0")
    state = judge_step(state, world.runtime)
    assert state.next == "promote", "no minute of metrics was waited for"
    promote(state, world.runtime)
    assert world.record.phase is Phase.PROMOTED


def test_an_undo_waits_for_tasks_that_carry_the_traffic(world, undoing):
    world.targets["blue"] = {}
    with pytest.raises(Exception, match="blue has 0 healthy targets"):
        shift_traffic(undoing, world.runtime)
    assert world.weights() == (0, 100)


def test_an_undo_does_not_begin_while_its_slots_alarms_are_red(world, undoing):
    world.alarm(world.alarm_of("blue"), "ALARM")
    with pytest.raises(NotStable, match=world.alarm_of("blue")):
        shift_traffic(undoing, world.runtime)


def test_an_undo_whose_alarm_turns_red_goes_back(world, undoing):
    state = shift_traffic(undoing, world.runtime)
    world.alarm(world.alarm_of("blue"), "ALARM")
    with pytest.raises(JudgedBad):
        judge_step(state, world.runtime)


def test_an_undo_is_judged_by_its_numbers_in_the_watch(world, undoing):
    state = judge_step(shift_traffic(undoing, world.runtime), world.runtime)
    state = promote(state, world.runtime)
    world.clock.advance(minutes=10)
    world.traffic("blue", requests=1000, errors=300)
    with pytest.raises(JudgedBad):
        judge_step(state, world.runtime)
