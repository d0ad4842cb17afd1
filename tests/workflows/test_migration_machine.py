"""migration.asl.json, run as it is: what goes where, how often, and at what price."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.kernel import Kernel
from tests.faults.machine import Execution, Failed, Run
from tests.faults.machine import load as simulated
from tests.workflows.machines import ROLE, Raised, definition

ASK = {"request": {"run": "m-1"}}
NAME = "greenlane-migration"
BEGIN = ["Begin", "Take", "Route", "Check", "Route", "BackUp", "Route"]
SLICE = ["Watch", "Route", "Run", "Route"]
DONE = ["Publish", "Release", "Tell", "HowEnded", "Done"]
ENDED = ["Release", "Tell", "HowEnded", "Failed"]
FUNCTIONS = (
    *("take_migration", "check_migration", "back_up_database", "watch_migration"),
    *("run_migration", "undo_migration", "hand_over_migration", "publish_migration"),
    *("release_migration", "tell_migration"),
)

Call = Callable[[str, Any], Any]


@pytest.fixture
def migration(machines):
    """The machine; `migrate` starts it and waits for its end."""
    known = {
        one["name"]: one["stateMachineArn"]
        for one in machines.sfn.list_state_machines()["stateMachines"]
    }
    if NAME not in known:
        text = definition("migration", "greenlane-noted")
        made = machines.sfn.create_state_machine(name=NAME, roleArn=ROLE, definition=text)
        known[NAME] = made["stateMachineArn"]

    def migrate(given=ASK):
        answer = machines.sfn.start_execution(stateMachineArn=known[NAME], input=json.dumps(given))
        return machines.ended(answer["executionArn"])

    machines.migrate = migrate
    return machines


def functions(
    slices: list[dict[str, Any]],
    *,
    failures: dict[str, list[str]] | None = None,
    checks: list[dict[str, Any]] | None = None,
    watches: list[dict[str, Any]] | None = None,
) -> Call:
    """Functions that answer as they are told, one answer after the other, for both interpreters.

    Args:
        slices: what each slice changes in the run, the last one again and again.
        failures: by function, the errors that its next calls end with.
        checks: the same of each check; by default it is ready.
        watches: the same of each watch; by default the run goes on where it was.
    """
    planned = {name: list(errors) for name, errors in (failures or {}).items()}
    answers = {
        "run_migration": list(slices),
        "undo_migration": list(slices),
        "check_migration": list(checks or [{"next": "back_up", "stage": "run"}]),
        "watch_migration": list(watches or [{}]),
    }
    fixed = {
        "take_migration": {"next": "check", "stage": "check"},
        "back_up_database": {"next": "watch"},
        "publish_migration": {"next": "release"},
        "hand_over_migration": {"next": "watch"},
        "tell_migration": {},
    }

    def call(module: str, event: Any) -> Any:
        if planned.get(module):
            raise Failed(planned[module].pop(0), "by the test")
        if module == "release_migration":
            failed = "failure" in event
            return event | {"outcome": "failed" if failed else event.get("outcome", "succeeded")}
        if module in fixed:
            return event | fixed[module]
        kept = answers[module]
        changes = kept.pop(0) if len(kept) > 1 else kept[0]
        if module == "watch_migration" and "next" not in changes:
            changes = changes | {"next": event["stage"]}
        without = {name: value for name, value in event.items() if name != "trouble"}
        return without | changes

    return call


AGAIN = {"next": "watch"}
WAITS = {"next": "wait", "wait_seconds": 5}
ENDS = {"next": "publish", "outcome": "succeeded"}
FAILS = {
    "next": "watch",
    "stage": "undo",
    "failure": {"Error": "MigrationFailed", "Cause": "statement 2"},
}
UNDONE = {"next": "release", "outcome": "undone"}


def stubs(call: Call) -> dict[str, Any]:
    def answer(module: str) -> Any:
        def invoke(event: Any) -> Any:
            try:
                return call(module, event)
            except Failed as failure:
                raise Raised(failure.error, failure.cause) from None

        return invoke

    return {module: answer(module) for module in FUNCTIONS}


def simulate(call: Call, given: Any = ASK) -> Execution:
    """The same execution in virtual time."""
    kernel = Kernel()

    def invoke(module: str, event: Any) -> Run:
        run = Run()
        try:
            run.end(kernel, answer=call(module, event))
        except Failed as failure:
            run.end(kernel, failure=failure)
        return run

    states = simulated("migration")
    execution = Execution(kernel, "arn:x", states, given, calls=invoke, start=lambda *_: "")
    execution.begin()
    kernel.run(1e7, lambda: execution.ended.is_set)
    kernel.close()
    return execution


def test_a_run_is_watched_before_each_slice_and_published_after_the_last(migration):
    migration.functions.answers = stubs(functions([AGAIN, AGAIN, ENDS]))
    ran = migration.migrate()

    assert (ran.status, ran.states) == ("SUCCEEDED", [*BEGIN, *SLICE * 3, *DONE])
    (given,) = migration.functions.given("take_migration")
    assert given == {"request": ASK["request"], "execution": ran.arn}


def test_a_lock_that_is_not_free_is_waited_for_between_two_watches(migration):
    migration.functions.answers = stubs(functions([WAITS, ENDS]))
    ran = migration.migrate()

    assert ran.states == [*BEGIN, *SLICE, "Wait", *SLICE, *DONE]
    assert migration.functions.count()["run_migration"] == 2


def test_a_database_that_is_not_ready_is_checked_again_before_anything_is_backed_up(migration):
    ready = {"next": "back_up", "stage": "run"}
    migration.functions.answers = stubs(functions([ENDS], checks=[WAITS, ready]))
    ran = migration.migrate()

    waited = ["Check", "Route", "Wait", "Watch", "Route", "Check", "Route"]
    assert ran.states == ["Begin", "Take", "Route", *waited, "BackUp", "Route", *SLICE, *DONE]


def test_a_failed_statement_is_undone_and_the_run_fails_with_its_own_error(migration):
    call = functions([AGAIN, FAILS, UNDONE])
    undo = functions([AGAIN, UNDONE])

    def both(module: str, event: Any) -> Any:
        return undo(module, event) if module == "undo_migration" else call(module, event)

    migration.functions.answers = stubs(both)
    ran = migration.migrate()

    back = ["Watch", "Route", "Undo", "Route"] * 2
    assert ran.states == [*BEGIN, *SLICE * 2, *back, *ENDED]
    assert (ran.status, ran.error, ran.cause) == ("FAILED", "MigrationFailed", "statement 2")


@pytest.mark.parametrize(
    ("function", "error", "states"),
    [
        ("take_migration", "MigrationInFlight", ["Begin", "Take", "Refused"]),
        ("take_migration", "Refused", ["Begin", "Take", "Refused"]),
        ("take_migration", "UnknownDatabase", ["Begin", "Take", "Refused"]),
        ("check_migration", "FenceLost", [*BEGIN[:4], "Superseded"]),
        ("check_migration", "Refused", [*BEGIN[:4], *ENDED]),
        ("back_up_database", "Refused", [*BEGIN[:6], *ENDED]),
        ("back_up_database", "FenceLost", [*BEGIN[:6], "Superseded"]),
        ("watch_migration", "FenceLost", [*BEGIN, "Watch", "Superseded"]),
        ("run_migration", "FenceLost", [*BEGIN, *SLICE[:3], "Superseded"]),
        ("publish_migration", "FenceLost", [*BEGIN, *SLICE, "Publish", "Superseded"]),
        ("release_migration", "FenceLost", [*BEGIN, *SLICE, *DONE[:2], "Superseded"]),
    ],
)
def test_what_was_decided_is_not_asked_again(migration, function, error, states):
    migration.functions.answers = stubs(functions([ENDS], failures={function: [error]}))
    ran = migration.migrate()

    assert (ran.status, ran.error, ran.states) == ("FAILED", error, states)
    assert migration.functions.count()[function] == 1


def test_a_dead_runs_lease_is_waited_for_and_a_snapshot_is_too(migration):
    failures = {"take_migration": ["LeaseLingers"] * 3, "back_up_database": ["NotFinished"] * 20}
    migration.functions.answers = stubs(functions([ENDS], failures=failures))
    ran = migration.migrate()

    assert (ran.status, ran.states) == ("SUCCEEDED", [*BEGIN, *SLICE, *DONE])


@pytest.mark.parametrize("function", ["run_migration", "watch_migration", "hand_over_migration"])
def test_a_step_that_fails_for_long_waits_and_is_watched_again(function):
    watches = [{}] if function != "hand_over_migration" else [{"next": "hand_over"}, {}]
    call = functions([ENDS], failures={function: ["TimeoutError"] * 8}, watches=watches)
    execution = simulate(call)

    assert execution.status == "SUCCEEDED"
    assert execution.entered.count("Later") == 1


def test_the_watch_is_told_of_a_slice_that_failed_and_of_no_trouble_of_its_own():
    seen: list[Any] = []
    inner = functions(
        [ENDS], failures={"run_migration": ["Sandbox.Timedout"] * 5, "watch_migration": []}
    )

    def call(module: str, event: Any) -> Any:
        if module == "watch_migration":
            seen.append(event.get("trouble"))
        return inner(module, event)

    assert simulate(call).status == "SUCCEEDED"
    assert seen == [None, {"Error": "Sandbox.Timedout", "Cause": "by the test"}]


def test_a_parameter_that_cannot_be_written_ends_the_run_as_failed():
    execution = simulate(functions([ENDS], failures={"publish_migration": ["ClientError"] * 99}))

    assert execution.entered[-5:] == ["Publish", *ENDED]
    assert execution.error == "ClientError"


def test_news_that_cannot_be_told_changes_nothing():
    execution = simulate(functions([ENDS], failures={"tell_migration": ["NotTold"] * 99}))

    assert (execution.status, execution.entered[-1]) == ("SUCCEEDED", "Done")


def test_a_lease_that_cannot_be_ended_is_left_to_its_time():
    execution = simulate(functions([ENDS], failures={"release_migration": ["ClientError"] * 99}))

    assert (execution.status, execution.entered[-1]) == ("FAILED", "Unreleased")


def test_a_long_run_is_handed_over_and_the_next_execution_begins_with_a_watch(migration):
    migration.functions.answers = stubs(functions([ENDS], watches=[{"next": "hand_over"}]))
    ran = migration.migrate()
    assert (ran.status, ran.states[-4:]) == (
        "SUCCEEDED",
        ["Watch", "Route", "HandOver", "HandedOver"],
    )

    migration.functions.answers = stubs(functions([ENDS]))
    following = migration.migrate({"request": {}, "next": "watch", "stage": "run"})
    assert (following.status, following.states) == ("SUCCEEDED", ["Begin", *SLICE, *DONE])


def test_a_turn_costs_at_most_16_events_so_that_a_thousand_fit_into_an_execution(migration):
    def events(turns: int) -> int:
        migration.functions.answers = stubs(functions([*[WAITS] * turns, ENDS]))
        return len(migration.migrate().events)

    each = (events(12) - events(2)) / 10

    assert each <= 16
    assert 1000 * each + 200 < 25_000


PATHS: dict[str, dict[str, Any]] = {
    "plain": {"slices": [AGAIN, ENDS]},
    "waits": {"slices": [WAITS, WAITS, ENDS]},
    "slow check": {"slices": [ENDS], "checks": [WAITS, {"next": "back_up", "stage": "run"}]},
    "fails before it began": {"slices": [{"next": "release", "failure": FAILS["failure"]}]},
    "undone": {"slices": [FAILS, UNDONE]},
    "paused": {"slices": [ENDS], "watches": [WAITS, WAITS, {}]},
    "aborted": {"slices": [ENDS], "watches": [{"next": "release", "failure": FAILS["failure"]}]},
    "handed over": {"slices": [ENDS], "watches": [{"next": "hand_over"}]},
    "a slice dies": {"slices": [ENDS], "failures": {"run_migration": ["Sandbox.Timedout"] * 5}},
    "cold network": {
        "slices": [ENDS],
        "failures": {"check_migration": ["Lambda.ResourceNotReadyException"] * 4},
    },
    "throttled": {"slices": [ENDS], "failures": {"watch_migration": ["ThrottlingException"] * 8}},
    "snapshot": {"slices": [ENDS], "failures": {"back_up_database": ["NotFinished"] * 5}},
    "refused": {"slices": [ENDS], "failures": {"take_migration": ["Refused"]}},
    "unreleased": {"slices": [ENDS], "failures": {"release_migration": ["ClientError"] * 11}},
}


@pytest.mark.parametrize("path", PATHS)
def test_both_interpreters_enter_the_same_states_of_a_run(migration, path):
    migration.functions.answers = stubs(functions(**PATHS[path]))
    ran = migration.migrate()
    execution = simulate(functions(**PATHS[path]))

    assert (execution.status, execution.entered) == (ran.status, ran.states)
