"""What a run does next: whoever may stop it does, and nothing runs twice by that."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.migrations.databases.model import Database
from greenlane.migrations.guarding.deciding import (
    LONGEST_WAIT_SECONDS,
    MOST_ROUNDS,
    MOST_TROUBLES,
    Seen,
    after_check,
    after_slice,
    after_undo,
    after_watch,
)
from greenlane.migrations.guarding.lease import Asked
from greenlane.migrations.guarding.model import MigrationRequest, MigrationRun, Trouble
from greenlane.migrations.running.model import CheckResult, Failure, Limits, Progress, SliceResult
from greenlane.migrations.validating.model import Finding
from tests.builders import NOW

ENDPOINT = {"host": "db.example", "dbname": "orders", "user": "greenlane"}
DESCRIBED = Database.model_validate(
    {"service": "checkout", "engine": "postgres", "instance": "orders-1", "endpoint": ENDPOINT}
)
AT = Progress(migration="0001_a", statement=1, of=3, detail="orders is locked")


def run(**changes: Any) -> MigrationRun:
    asks = {"run": "m-1", "database": "orders", "plan_sha": "a" * 64, "phase": "expand"}
    asks |= {name: changes.pop(name) for name in ("on_failure",) if name in changes}
    values: dict[str, Any] = {
        "request": MigrationRequest.model_validate(asks),
        "execution": "arn:x",
        "epoch": 3,
        "described": DESCRIBED,
        "limits": Limits(),
        "started_at": NOW,
    }
    return MigrationRun.model_validate(values | changes)


def asked(name: str = "abort", **more: Any) -> Asked:
    return Asked.model_validate({"name": name, "by": "ada", "at": NOW} | more)


asks = st.none() | st.builds(
    asked,
    st.sampled_from(["pause", "abort"]),
    undo=st.booleans(),
    reason=st.sampled_from(["", "x"]),
)
seen = st.builds(
    Seen,
    asked=asks,
    over=st.sampled_from(["", "d-1 is rolled_back"]),
    unwell=st.sampled_from(["", "d-1 is being rolled back"]),
    red=st.sampled_from([(), ("cpu",)]),
    refused=st.sampled_from([(), ("a task runs 2.3.0",)]),
)
runs = st.builds(
    run,
    stage=st.sampled_from(["check", "run", "undo"]),
    begun=st.booleans(),
    on_failure=st.sampled_from(["undo", "leave"]),
    rounds=st.integers(0, MOST_ROUNDS),
    turns=st.integers(0, 5000),
    troubles=st.integers(0, MOST_TROUBLES),
    trouble=st.none() | st.just(Trouble(Error="KeyError", Cause="x")),
    failure=st.none() | st.just(Trouble(Error="MigrationFailed", Cause="two alike")),
)


@given(runs, seen)
def test_nothing_goes_forward_that_anybody_stops(before, found):
    after = after_watch(before, found)

    if after.next == "run":
        assert before.stage == "run"
        assert after.begun
        assert (found.asked, found.over, found.unwell, found.red) == (None, "", "", ())
        assert before.begun or not found.refused
    if after.next == "undo":
        assert found.asked is None or (found.asked.name == "abort" and found.asked.undo)


@given(runs, seen)
def test_each_watch_counts_raises_the_fence_and_leads_somewhere(before, found):
    after = after_watch(before, found)

    assert (after.rounds, after.turns) == (before.rounds + 1, before.turns + 1)
    assert after.fence > before.fence
    assert after.next in ("check", "run", "undo", "wait", "watch", "hand_over", "release")
    assert after.trouble is None
    if after.next == "release":
        assert after.failure is not None
        assert after.outcome in ("failed", "stopped")
    if after.next == "wait":
        assert after.held_for
    if after.rounds >= MOST_ROUNDS:
        assert after.next in ("hand_over", "release", "watch")


@given(runs, seen)
def test_what_is_undone_heeds_people_and_nobody_else(before, found):
    undoing = {"stage": "undo", "begun": True, "trouble": None, "rounds": 0}
    before = before.model_copy(update=undoing)

    assert after_watch(before, found) == after_watch(before, Seen(asked=found.asked))


def test_a_later_owners_first_slice_has_a_higher_fence_than_any_of_an_earlier_ones():
    assert run(epoch=4).fence > run(epoch=3, turns=999_999).fence
    assert run(epoch=3, turns=2_000_000).fence < run(epoch=4).fence


def test_an_end_before_anything_was_begun_undoes_nothing():
    after = after_watch(run(stage="run"), Seen(asked=asked(undo=True, reason="a mistake")))

    assert (after.next, after.outcome) == ("release", "stopped")
    assert after.failure == Trouble(Error="Aborted", Cause="ada ended it: a mistake")


def test_what_was_begun_is_undone_when_that_is_asked_for_and_else_left():
    begun = run(stage="run", begun=True)

    undone = after_watch(begun, Seen(asked=asked(undo=True)))
    assert (undone.next, undone.stage) == ("watch", "undo")
    left = after_watch(begun, Seen(asked=asked()))
    assert (left.next, left.outcome) == ("release", "stopped")
    over = after_watch(begun, Seen(over="d-1 is rolled_back"))
    assert (over.next, over.outcome) == ("release", "stopped")


def test_an_undoing_that_a_person_ends_says_what_it_was_about():
    failing = run(stage="undo", begun=True, failure=Trouble(Error="E", Cause="two alike"))
    after = after_watch(failing, Seen(asked=asked(reason="enough")))

    assert (after.next, after.outcome) == ("release", "failed")
    assert after.failure.Cause == "two alike; and it could not be undone: ada ended it: enough"


def test_errors_in_a_row_end_a_run_and_one_slice_that_answers_begins_the_count_anew():
    going = run(stage="run", begun=True, on_failure="leave")
    for _ in range(MOST_TROUBLES - 1):
        going = after_watch(
            going.model_copy(update={"trouble": Trouble(Error="KeyError", Cause="x")}), Seen()
        )
        assert going.next == "run"
    answered = after_slice(going, SliceResult(outcome="again", progress=AT))
    assert answered.troubles == 0
    ended = after_watch(
        going.model_copy(update={"trouble": Trouble(Error="KeyError", Cause="x")}), Seen()
    )
    assert (ended.next, ended.failure.Error) == ("release", "KeyError")


@pytest.mark.parametrize("error", ["Refused", "InvalidInput"])
def test_what_would_be_refused_again_is_not_asked_again(error):
    begun = run(stage="run", begun=True, trouble=Trouble(Error=error, Cause="a replica"))
    after = after_watch(begun, Seen())

    assert (after.next, after.stage, after.failure.Error) == ("watch", "undo", error)
    undoing = after.model_copy(update={"trouble": Trouble(Error=error, Cause="a replica")})
    assert after_watch(undoing, Seen()).next == "release"


def test_a_check_leads_to_a_backup_a_wait_or_the_end():
    ready = after_check(run(), CheckResult(outcome="ready", at=NOW, lsn="0/1"))
    assert (ready.next, ready.stage, ready.at, ready.lsn) == ("back_up", "run", NOW, "0/1")

    waits = CheckResult(outcome="waiting", wait_seconds=20, reasons=("an old transaction",))
    waiting = after_check(run(), waits)
    assert (waiting.next, waiting.wait_seconds, waiting.stage) == ("wait", 20, "check")

    slow = Finding(rule="slow", severity="warn", line=1, statement=0, message="it scans")
    seen = CheckResult(outcome="ready", reasons=("it sees no replicas",), findings=(slow,))
    assert after_check(run(), seen).checked == "it sees no replicas; slow: it scans"

    finding = Finding(
        rule="drop-column", severity="block", line=3, statement=0, message="it is used"
    )
    noted = finding.model_copy(update={"rule": "slow", "severity": "warn"})
    refused = CheckResult(outcome="refused", reasons=("edited",), findings=(finding, noted))
    ended = after_check(run(), refused)
    assert (ended.next, ended.outcome, ended.failure.Error) == ("release", "failed", "Refused")
    assert ended.failure.Cause == "edited; drop-column: it is used"


@pytest.mark.parametrize(
    ("seconds", "waits"), [(0.05, 1), (2.4, 2), (10_000, LONGEST_WAIT_SECONDS)]
)
def test_a_wait_is_whole_seconds_never_none_and_never_longer_than_a_lease(seconds, waits):
    after = after_slice(run(), SliceResult(outcome="waiting", wait_seconds=seconds, progress=AT))

    assert (after.next, after.wait_seconds) == ("wait", waits)
    assert after.waits_for == "orders is locked"


def failing(**more: Any) -> SliceResult:
    values: dict[str, Any] = {"error": "UniqueViolation", "message": "two alike", "statement": 1}
    failure = Failure.model_validate(values | more)
    return SliceResult(outcome="failed", progress=AT, failure=failure)


def test_a_failed_statement_names_its_file_and_line():
    after = after_slice(run(stage="run", begun=True), failing(line=7))

    assert (after.next, after.stage) == ("watch", "undo")
    said = "0001_a, statement 1, line 7: UniqueViolation: two alike"
    assert after.failure == Trouble(Error="MigrationFailed", Cause=said)
    assert after.slice_failure.line == 7


def test_the_last_slices_lead_to_publishing_and_to_the_end():
    done = SliceResult(outcome="done", progress=AT)

    forward = after_slice(run(stage="run"), done)
    assert (forward.next, forward.outcome) == ("publish", "succeeded")
    back = after_undo(run(stage="undo", failure=Trouble(Error="E", Cause="x")), done)
    assert (back.next, back.outcome, back.failure.Cause) == ("release", "undone", "x")
    again = after_undo(run(stage="undo"), SliceResult(outcome="again", progress=AT))
    assert again.next == "watch"


def test_a_document_of_a_later_version_is_still_read():
    text = run().model_dump(mode="json") | {"a_later_key": 1}
    text["limits"]["another"] = 2
    text["request"]["more"] = "x"

    assert MigrationRun.model_validate(text) == run()


@given(runs)
def test_what_goes_from_state_to_state_is_read_as_it_was_written(one):
    assert MigrationRun.model_validate_json(one.model_dump_json()) == one
