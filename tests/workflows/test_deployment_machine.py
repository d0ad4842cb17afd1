"""deployment.asl.json, run as it is: what goes where, how often, and at what price."""

import json
from datetime import datetime

import pytest

from greenlane.errors import DeploymentFailed
from tests.workflows.machines import SCALE, load

FAILURES = sorted(error.__name__ for error in DeploymentFailed.__subclasses__())
ACCIDENTS = [
    *("ClientError", "ThrottlingException", "ProvisionedThroughputExceededException"),
    *("InternalServerError", "ReadTimeoutError", "Sandbox.Timedout", "Runtime.ExitError"),
    *("Lambda.TooManyRequestsException", "KeyError"),
]
STEPS = 6
LONG = 20 * SCALE
TASKS = {
    "Expand": "expand_database",
    "Prepare": "prepare_slot",
    "AwaitStability": "check_stability",
    "BeforeTraffic": "run_pre_traffic",
    "Validate": "validate_slot",
    "Shift": "shift_traffic",
    "Bake": "start_bake",
    "Judge": "judge_step",
    "Promote": "promote",
}
WAY = [
    *("Begin", "Plan", "Migrations", "Prepare", "AwaitStability", "BeforeTraffic", "Validate"),
    *(("Shift", "Bake", "Judge", "Route") * STEPS),
    *("Promote", "Bake", "Judge", "Route", "Drain", "Finish"),
]


def state(**changes):
    """The state document as planning answers it."""
    return {
        "schema_version": 1,
        "deployment_id": "d",
        "service": "claude-manager",
        "epoch": 1,
        "step": 0,
        "next": "shift",
        "bake_seconds": 1,
        "probe": None,
        "note": None,
        "recipe": {"rule_arn": "arn", "good_slot": "blue"},
    } | changes


def ask(deployment_id="d"):
    """What starts a deployment."""
    handle = {"deployment_id": deployment_id, "service": "claude-manager"}
    return {"deployment": handle, "request": {"service": "claude-manager", "version": "2"}}


@pytest.fixture
def forward(machines):
    """A canary of six steps in which every function does its part at once."""

    def judge(given):
        step = given["step"] + 1
        after = "finish" if step > STEPS else "promote" if step == STEPS else "shift"
        return given | {"step": min(step, STEPS), "next": after}

    machines.functions.answers = {
        "plan_deployment": lambda given: state(**given["deployment"]),
        "expand_database": lambda given: given | {"next": "shift"},
        "prepare_slot": lambda given: given,
        "check_stability": lambda given: given | {"probe": {"targets": ["http://10.0.0.1:1"]}},
        "run_pre_traffic": lambda given: given,
        "validate_slot": lambda given: given | {"probe": None},
        "shift_traffic": lambda given: given | {"bake_seconds": 300},
        "start_bake": lambda given: None,
        "judge_step": judge,
        "promote": lambda given: given | {"bake_seconds": 1800},
        "drain_slot": lambda given: given,
        "finish_deployment": lambda given: given,
    }
    return machines


def with_migrations(machines):
    """The request names migrations: the way has one state more."""
    machines.functions.answers["plan_deployment"] = lambda given: state(
        **given["deployment"], next="expand"
    )
    after = WAY.index("Migrations") + 1
    return [*WAY[:after], "Expand", *WAY[after:]]


def way_through(machines, task):
    """The way of a deployment that comes through a state."""
    return with_migrations(machines) if task in ("Expand", TASKS["Expand"]) else WAY


def started_at_once(machines):
    """No bake waits: each is answered as soon as it begins."""

    def answer(given):
        machines.sfn.send_task_success(taskToken=given["token"], output='{"reason": "test"}')

    machines.functions.answers["start_bake"] = answer
    patient(machines)


def patient(machines):
    """No bake ends by itself, however busy the machine is that runs this test."""
    for name in ("shift_traffic", "promote"):
        machines.functions.answers[name] = lambda given: given | {"bake_seconds": LONG}


def test_a_canary_goes_its_way(forward):
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.states) == ("SUCCEEDED", WAY)
    assert forward.rollbacks() == []
    steps = [given["step"] for given in forward.functions.given("shift_traffic")]
    assert steps == list(range(STEPS))


def test_planning_gets_the_request_and_its_own_execution(forward):
    started_at_once(forward)
    ran = forward.run("deployment", ask())
    (given,) = forward.functions.given("plan_deployment")
    assert given == ask() | {"execution": ran.arn}


def looks_within(seconds):
    """How often the machine asks for stability while tasks take that long to start."""
    (rule,) = [
        rule
        for rule in load("deployment")["States"]["AwaitStability"]["Retry"]
        if rule["ErrorEquals"] == ["NotStable"]
    ]
    waited, looks, pause = 0.0, 1, rule["IntervalSeconds"]
    while waited < seconds:
        waited += min(pause, rule["MaxDelaySeconds"])
        pause *= rule["BackoffRate"]
        looks += 1
    return looks


def test_six_steps_with_tasks_that_take_two_minutes_cost_at_most_45_transitions(forward):
    looks = looks_within(120)
    forward.functions.failures["check_stability"] = ["NotStable"] * (looks - 1)
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.states) == ("SUCCEEDED", WAY)
    assert forward.functions.count()["check_stability"] == looks
    assert ran.transitions == len(WAY) + looks - 1
    assert ran.transitions <= 45


def test_a_bake_of_any_length_costs_the_same_history(forward):
    lengths = []
    for seconds in (1200, 3600):
        forward.functions.answers["shift_traffic"] = lambda given, s=seconds: (
            given | {"bake_seconds": s}
        )
        lengths.append(len(forward.run("deployment", ask()).events))
    assert len(set(lengths)) == 1


def test_time_passing_is_the_normal_way_on(forward):
    ran = forward.run("deployment", ask())
    kinds = [event["type"] for event in ran.events]
    assert kinds.count("TaskTimedOut") == STEPS + 1
    assert kinds.count("TaskScheduled") == STEPS + 1, "a time-out is not retried"


def test_an_answer_ends_the_bake_and_leaves_the_state_as_it_was(forward):
    started_at_once(forward)
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.states) == ("SUCCEEDED", WAY)
    first = forward.functions.given("judge_step")[0]
    assert first == state(bake_seconds=LONG)


def test_each_bake_knows_its_state_and_has_a_token_of_its_own(forward):
    started_at_once(forward)
    forward.run("deployment", ask())
    bakes = forward.functions.given("start_bake")
    assert [bake["deployment"]["step"] for bake in bakes] == list(range(STEPS + 1))
    assert len({bake["token"] for bake in bakes}) == STEPS + 1


def test_each_bake_knows_when_it_was_entered_and_so_does_its_repetition(forward):
    started_at_once(forward)
    forward.functions.failures["start_bake"] = ["ThrottlingException"]
    forward.run("deployment", ask())
    given = forward.functions.given("start_bake")
    first, again, *later = [datetime.fromisoformat(bake["entered"]) for bake in given]
    assert first == again
    assert given[0]["token"] != given[1]["token"]
    assert sorted({again, *later}) == [again, *later]


def test_a_hold_bakes_and_judges_again_without_a_shift(forward):
    judge = forward.functions.answers["judge_step"]
    holds = iter([True, True, False])

    def hold_twice(given):
        if next(holds, False):
            return given | {"next": "bake", "bake_seconds": 60}
        return judge(given)

    forward.functions.answers["judge_step"] = hold_twice
    ran = forward.run("deployment", ask())
    assert ran.status == "SUCCEEDED"
    assert ran.states[7:15] == ["Shift", "Bake", "Judge", "Route", "Bake", "Judge", "Route", "Bake"]
    assert forward.functions.count()["shift_traffic"] == STEPS


def test_a_resumed_deployment_enters_where_its_state_says(forward):
    resumed = state(step=STEPS, next="bake", bake_seconds=1200, epoch=2)
    ran = forward.run("deployment", resumed)
    assert (ran.status, ran.states) == (
        "SUCCEEDED",
        ["Begin", "Route", "Bake", "Judge", "Route", "Drain", "Finish"],
    )
    assert forward.functions.given("start_bake")[0]["deployment"] == resumed


@pytest.mark.parametrize(
    "error", ["Refused", "DeploymentInFlight", "InvalidInput", "UnknownService"]
)
def test_a_refusal_is_the_end_and_no_reason_to_go_back(forward, error):
    forward.functions.always["plan_deployment"] = error
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.error) == ("FAILED", error)
    assert ran.states == ["Begin", "Plan", "Refused"]
    assert forward.functions.count() == {"plan_deployment": 1}
    assert forward.rollbacks() == []


def started(forward, ran, task, error):
    """Exactly one rollback began, and it knows what it is about."""
    (given,) = forward.rollbacks()
    recipe = None if task == "plan_deployment" else state()["recipe"]
    assert given.pop("recipe", recipe) == recipe
    failure = given["trigger"].pop("failure")
    reason = json.loads(failure["Cause"])
    assert (failure["Error"], reason["errorMessage"]) == (error, "by the test")
    assert given == {
        "service": "claude-manager",
        "deployment_id": "d",
        "trigger": {"kind": "failure"},
    }
    assert (ran.status, ran.error) == ("FAILED", error)
    assert ran.states[-2:] == ["TakeBack", "Failed"]


def test_a_function_with_a_network_is_waited_for_while_it_wakes(forward):
    """After idle weeks Lambda refuses the first call and builds the network again."""
    started_at_once(forward)
    forward.functions.failures["validate_slot"] = ["Lambda.ResourceNotReadyException"] * 30
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.states) == ("SUCCEEDED", WAY)


def test_planning_that_breaks_down_goes_back(forward):
    forward.functions.always["plan_deployment"] = "ClientError"
    ran = forward.run("deployment", ask())
    assert forward.functions.count() == {"plan_deployment": 7}
    started(forward, ran, "plan_deployment", "ClientError")


FENCED = ["plan_deployment", *TASKS.values(), "drain_slot", "finish_deployment"]
FENCED.remove("validate_slot")


@pytest.mark.parametrize("function", FENCED)
def test_who_lost_the_fence_stops_and_starts_nothing(forward, function):
    started_at_once(forward)
    way_through(forward, function)
    forward.functions.always[function] = "FenceLost"
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.error, ran.states[-1]) == ("FAILED", "FenceLost", "Superseded")
    assert forward.functions.count()[function] == 1
    assert forward.rollbacks() == []


@pytest.mark.parametrize("error", FAILURES)
def test_each_failure_of_a_deployment_goes_back_exactly_once(forward, error):
    started_at_once(forward)
    function = {
        "UnstableCandidate": "check_stability",
        "ValidationFailed": "validate_slot",
        "WeightsDrifted": "shift_traffic",
        "CapacityShort": "shift_traffic",
    }.get(error, "judge_step")
    forward.functions.always[function] = error
    ran = forward.run("deployment", ask())
    started(forward, ran, function, error)
    calls = forward.functions.count()[function]
    assert calls == (33 if error == "CapacityShort" else 1)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_that_breaks_down_for_good_goes_back_exactly_once(forward, name):
    started_at_once(forward)
    way_through(forward, name)
    forward.functions.always[TASKS[name]] = "ClientError"
    ran = forward.run("deployment", ask())
    started(forward, ran, TASKS[name], "ClientError")
    assert forward.functions.count()[TASKS[name]] == 7


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("error", ["ThrottlingException", "Sandbox.Timedout"])
def test_an_accident_or_two_are_retried(forward, name, error):
    started_at_once(forward)
    way = way_through(forward, name)
    forward.functions.failures[TASKS[name]] = [error, error]
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.states) == ("SUCCEEDED", way)
    assert ran.transitions == len(way) + 2
    assert forward.rollbacks() == []


@pytest.mark.parametrize("error", ACCIDENTS)
def test_a_bake_survives_every_accident_of_its_start(forward, error):
    started_at_once(forward)
    forward.functions.failures["start_bake"] = [error] * 3
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.states) == ("SUCCEEDED", WAY)


@pytest.mark.parametrize("error", ["JudgedBad", "WeightsDrifted"])
def test_a_bake_that_the_judge_ends_goes_back_exactly_once(forward, error):
    def fail(given):
        forward.sfn.send_task_failure(
            taskToken=given["token"], error=error, cause="32 of 400 requests failed"
        )

    forward.functions.answers["start_bake"] = fail
    patient(forward)
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.error, ran.cause) == ("FAILED", error, "32 of 400 requests failed")
    assert forward.functions.count()["start_bake"] == 1
    (given,) = forward.rollbacks()
    assert given["trigger"] == {
        "kind": "failure",
        "failure": {"Error": error, "Cause": "32 of 400 requests failed"},
    }


def test_a_slot_that_drains_slowly_is_waited_for(forward):
    started_at_once(forward)
    forward.functions.failures["drain_slot"] = ["NotDrained"] * 6
    ran = forward.run("deployment", ask())
    assert ran.status == "SUCCEEDED"
    assert forward.functions.count()["drain_slot"] == 7


@pytest.mark.parametrize("function", ["drain_slot", "finish_deployment"])
def test_an_accident_after_the_watch_is_no_reason_to_go_back(forward, function):
    started_at_once(forward)
    forward.functions.always[function] = "ClientError"
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.error) == ("FAILED", "ClientError")
    assert forward.rollbacks() == []


def test_no_task_is_prepared_before_the_database_is_expanded(forward):
    started_at_once(forward)
    way = with_migrations(forward)
    forward.functions.failures["expand_database"] = ["NotFinished"] * 5
    ran = forward.run("deployment", ask())
    assert (ran.status, ran.states) == ("SUCCEEDED", way)
    called = [name for name, _ in forward.functions.calls]
    assert called[1:8] == ["expand_database"] * 6 + ["prepare_slot"]


def test_a_database_that_was_not_expanded_takes_the_deployment_back_before_its_first_task(forward):
    started_at_once(forward)
    with_migrations(forward)
    forward.functions.always["expand_database"] = "MigrationFailed"
    ran = forward.run("deployment", ask())
    started(forward, ran, "expand_database", "MigrationFailed")
    assert forward.functions.count() == {"plan_deployment": 1, "expand_database": 1}


def test_tasks_before_traffic_are_waited_for(forward):
    started_at_once(forward)
    forward.functions.failures["run_pre_traffic"] = ["NotFinished"] * 4
    forward.functions.failures["shift_traffic"] = ["NotStable"] * 4
    assert forward.run("deployment", ask()).status == "SUCCEEDED"
