"""What is under way and who is needed: told from the tables, wherever it is kept."""

from datetime import timedelta
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.connection import TABLE
from greenlane.deployments.phases import Phase
from greenlane.experiments.names import TABLE as EXPERIMENTS
from greenlane.experiments.storing import keeping as tests_keeping
from greenlane.flags.names import TABLE as FLAGS
from greenlane.flags.storing import keeping
from greenlane.migrations.restoring.model import Answer
from greenlane.status import reading
from tests.builders import NOW, record
from tests.fakes import error, timeout
from tests.unit.status.everything import REGIONS, Town, busy


@pytest.fixture
def town() -> Town:
    return Town()


def test_where_nothing_goes_on_nothing_is_told(town: Town) -> None:
    town.service("shop")
    town.describes("orders")
    found = town.look()
    assert found.quiet
    assert (found.at, found.not_deployed, found.untold) == (NOW, (), ())


@pytest.mark.parametrize("phase", list(Phase))
def test_a_deployment_is_told_of_as_long_as_it_is_not_over(town: Town, phase: Phase) -> None:
    town.deploys("shop", phase=phase, step=1, weight=50, watch_until=NOW + timedelta(hours=1))
    found = town.look()
    forward = {"planning", "preparing", "shifting", "promoted", "watching"}
    assert len(found.deployments) == (phase in forward)
    assert len(found.rollbacks) == (phase == "rolling_back")
    assert len(found.needs) == (phase == "held")
    assert found.quiet == (phase in {"retired", "rolled_back", "refused"})


def test_a_step_is_counted_as_people_count_it(town: Town) -> None:
    town.deploys("shop", step=1, weight=50, bake_until=NOW + timedelta(minutes=4))
    (one,) = town.look().deployments
    assert (one.step, one.steps, one.weight, one.strategy) == (2, 3, 50, "canary")
    assert (one.since, one.bake_left_seconds) == (NOW, 240)
    assert (one.paused, one.holds, one.awaits_approval) == (False, False, False)
    town.go(minutes=5)
    assert town.look().deployments[0].bake_left_seconds == 0


def test_one_that_is_planned_at_this_moment_has_no_plan_yet(town: Town) -> None:
    town.deploys("shop", phase="planning", planned=False)
    (one,) = town.look().deployments
    assert (one.strategy, one.step, one.steps) == (None, None, None)


def test_a_pause_needs_who_resumes_it(town: Town) -> None:
    signal = {"name": "pause", "step": 1, "by": "jo", "at": NOW}
    town.deploys("shop", step=1, paused=True, signal=signal)
    found = town.look()
    assert found.deployments[0].paused
    (need,) = found.needs
    assert (need.what, need.since) == ("paused by jo at step 2", NOW)
    assert need.do == "greenlane resume shop"


def test_an_approval_is_waited_for_once_the_evidence_is_in(town: Town) -> None:
    town.deploys("shop", step=1, bake_token="token", bake_until=NOW + timedelta(minutes=1))
    assert town.look().needs == ()
    town.go(minutes=1)
    found = town.look()
    assert found.deployments[0].awaits_approval
    (need,) = found.needs
    assert (need.what, need.do) == ("step 2 of 3 waits for approval", "greenlane promote shop")


def test_waiting_for_evidence_needs_nobody(town: Town) -> None:
    town.deploys("shop", step=1, hold_until=NOW + timedelta(minutes=9), bake_token="token")
    found = town.look()
    assert found.deployments[0].holds
    assert found.needs == ()


def test_what_others_changed_is_told_once_it_was_found_twice(town: Town) -> None:
    drift = [
        {"kind": "tasks", "subject": "blue", "what": what, "since": NOW, "told": told}
        for what, told in (("blue has 1 task", True), ("blue has no task", False))
    ]
    town.deploys("shop", phase="retired", drift=drift)
    (need,) = town.look().needs
    assert need.what == "changed by somebody else: blue has 1 task"


def test_a_held_deployment_says_why_and_since_when(town: Town) -> None:
    trigger = {"kind": "alarm", "name": "shop-green-p95", "reason": "slow"}
    town.deploys("shop", phase="held", trigger=trigger, updated_at=NOW - timedelta(hours=1))
    (need,) = town.look().needs
    assert (need.kind, need.name, need.id) == ("deployment", "shop", "shop-1")
    assert need.what == "held: shop-green-p95: slow"
    assert need.since == NOW - timedelta(hours=1)


def test_a_rollout_is_told_of_with_what_it_waits_for(town: Town) -> None:
    town.rolls_out("shop", blocked="a freeze")
    found = town.look()
    (one,) = found.rollouts
    assert (one.version, one.begun, one.regions, one.because) == ("1.4.2", 1, 3, "a freeze")
    assert found.needs == ()


def test_a_held_rollout_needs_a_person_and_one_that_is_over_does_not(town: Town) -> None:
    town.rolls_out("shop", phase="held", held_for="two regions are silent")
    town.rolls_out("mail", phase="succeeded")
    found = town.look()
    assert [one.service for one in found.rollouts] == ["shop"]
    (need,) = found.needs
    assert (need.what, need.do) == ("held: two regions are silent", "greenlane regions get shop")


def test_regions_that_did_not_go_back_are_named_after_the_end_too(town: Town) -> None:
    made = town.rolls_out("mail")
    back = {
        REGIONS[0]: made.at(REGIONS[0]).model_copy(update={"state": "rolled_back"}),
        REGIONS[1]: made.at(REGIONS[1]).model_copy(update={"state": "held"}),
    }
    town.rolls_out("shop", phase="partial", regions=back)
    (need,) = town.look().needs
    assert need.what == f"did not go back: {REGIONS[1]}"


def test_a_coordinator_that_did_not_look_is_told_of(town: Town) -> None:
    made = town.rolls_out("shop")
    town.stores.rollouts.wait("shop", made.rollout_id, 0, "token", due_at=NOW)
    town.go(minutes=14)
    assert town.look().needs == ()
    town.go(minutes=1)
    (need,) = town.look().needs
    assert need.what == "its coordinator did not look when it should have"


def test_a_migration_is_told_of_with_what_it_waits_for(town: Town) -> None:
    town.describes("orders")
    progress = {"migration": "0001_expand", "statement": 0, "of": 2, "rows_done": 1200}
    town.migrates("orders", waits_for="a long transaction", progress=progress)
    found = town.look()
    (one,) = found.migrations
    assert (one.database, one.run, one.phase, one.paused_by) == ("orders", "m-1", "migrate", None)
    assert one.waits_for == "a long transaction"
    assert one.progress == "0001_expand, statement 1 of 2, 1,200 rows"
    assert found.needs == ()


def test_a_paused_migration_needs_who_resumes_it(town: Town) -> None:
    town.describes("orders")
    town.migrates("orders")
    town.pauses("orders")
    found = town.look()
    assert found.migrations[0].paused_by == "jo"
    (need,) = found.needs
    assert need.what == "migrate is paused by jo: too slow"
    assert need.do == "greenlane migrations get m-1"


def test_one_that_was_refused_meanwhile_does_not_hide_the_one_that_runs(town: Town) -> None:
    town.describes("orders")
    town.migrates("orders")
    for number in range(3):
        town.go(minutes=1)
        town.migrates("orders", f"m-{number + 2}", standing="refused")
    assert [one.run for one in town.look().migrations] == ["m-1"]


@pytest.mark.parametrize("standing", ["failed", "dead"])
def test_what_failed_is_told_of_for_a_week_or_until_the_next_one(town: Town, standing: str) -> None:
    town.describes("orders")
    town.migrates("orders", standing=standing, failure="53100: disk full", ended_at=NOW)
    (need,) = town.look().needs
    assert need.what.endswith(": 53100: disk full")
    town.go(days=7)
    assert town.look().quiet
    town.go(days=-1)
    assert len(town.look().needs) == 1
    town.migrates("orders", "m-2", standing="succeeded")
    assert town.look().quiet


@pytest.mark.parametrize("standing", ["undone", "stopped", "succeeded", "refused"])
def test_what_ended_in_order_needs_nobody(town: Town, standing: str) -> None:
    town.describes("orders")
    town.migrates("orders", standing=standing, ended_at=NOW)
    assert town.look().quiet


@pytest.mark.parametrize("stage", ["approve", "writers"])
def test_a_restore_needs_who_answers_it(town: Town, stage: str) -> None:
    town.describes("orders")
    town.restores("orders", stage=stage)
    found = town.look()
    assert [(one.restore, one.stage) for one in found.restores] == [("re-1", stage)]
    (need,) = found.needs
    assert need.what.startswith("it asks people: whether ")
    assert need.do == "greenlane migrations restore get re-1"
    answer = Answer(question=stage, says="refuse", by="ada", at=NOW, offer="offer-1")
    town.stores.restores.answer("re-1", answer)
    assert town.look().needs == ()


def test_a_restore_that_asks_nothing_needs_nobody_and_a_failed_one_does(town: Town) -> None:
    town.describes("orders", "people")
    town.restores("orders")
    assert town.look().needs == ()
    town.restores("people", standing="failed", failure="no snapshot", restore="re-2")
    (need,) = town.look().needs
    assert (need.name, need.what) == ("people", "it failed: no snapshot")


FLAG = "feature_flags: {shiny: {percentage: 5}}"


def test_a_ramp_is_told_of_until_it_is_over(town: Town) -> None:
    town.flags(FLAG)
    ramp = town.ramp("shiny", "*")
    found = town.look()
    (one,) = found.ramps
    assert (one.flag, one.environment, one.status) == ("shiny", "*", "running")
    assert (one.level, one.target, one.since) == (Decimal(5), Decimal(50), NOW)
    assert found.needs == ()
    town.with_state("shiny", "*", ramp=ramp.model_copy(update={"raised_at": NOW}))
    assert town.look().ramps[0].next_at == NOW + timedelta(minutes=15)
    town.with_state("shiny", "*", ramp=ramp.model_copy(update={"status": "done"}))
    assert town.look().quiet


def test_a_held_ramp_and_a_flag_that_went_back_need_a_person(town: Town) -> None:
    town.flags(FLAG)
    ramp = town.ramp("shiny", "*")
    held = ramp.model_copy(update={"status": "held", "reason": "too few requests"})
    town.with_state("shiny", "*", ramp=held)
    found = town.look()
    assert found.ramps[0].because == "too few requests"
    assert [one.what for one in found.needs] == ["its ramp is held: too few requests"]
    town.with_state("shiny", "*", ramp=None, ceiling=Decimal(5), retreated="errors rose")
    assert [one.what for one in town.look().needs] == ["went back: errors rose"]
    town.with_state("shiny", "*", stopped=True)
    assert [one.what for one in town.look().needs] == ["was switched off: errors rose"]
    keeping.enable(town.stores.flags, "shiny", by="jo", at=NOW)
    assert town.look().quiet


def test_what_a_person_switched_off_needs_nobody(town: Town) -> None:
    town.flags(FLAG)
    keeping.disable(town.stores.flags, "shiny", by="jo", reason="double orders", at=NOW)
    assert town.look().quiet


def test_a_proposal_needs_a_second_person_until_it_is_decided(town: Town) -> None:
    town.flags(f"{FLAG}\napprovals: {{environments: [production]}}")
    town.ramp("shiny")
    (need,) = town.look().needs
    assert (need.kind, need.what) == ("proposal", "shiny in production, by jo")
    assert need.do == f"greenlane flags proposals {need.name}"
    keeping.reject(town.stores.flags, need.name, by="ada", at=NOW)
    assert town.look().quiet


def test_a_test_is_told_of_while_it_runs(town: Town) -> None:
    town.tries("colours")
    town.tries("words", start=False)
    (one,) = town.look().tests
    assert (one.name, one.variants) == ("colours", ("control", "treatment"))
    assert (one.since, one.ends_by) == (NOW, NOW + timedelta(days=14))
    tests_keeping.stop(town.stores.experiments, "colours", by="ada", reason="enough", at=NOW)
    assert town.look().quiet


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        (TABLE, ("deployments", "rollouts", "migrations")),
        (FLAGS, ("flags",)),
        (EXPERIMENTS, ("experiments",)),
    ],
)
def test_a_table_that_is_not_there_is_named_and_the_rest_is_told(table, parts) -> None:
    town = busy()
    whole = town.look()
    del town.dynamodb.tables[table]
    found = town.look()
    assert found.not_deployed == parts
    assert found.tests == (() if "experiments" in parts else whole.tests)
    assert found.deployments == (() if "deployments" in parts else whole.deployments)
    assert found.ramps == (() if "flags" in parts else whole.ramps)


def test_what_one_may_not_read_is_named_and_the_rest_is_told() -> None:
    town = busy()
    town.dynamodb.failing[FLAGS] = error("AccessDeniedException")
    found = town.look()
    assert [(it.part, it.why) for it in found.untold] == [("flags", "you may not read its table")]
    assert found.deployments
    assert found.tests


@pytest.mark.parametrize("table", [TABLE, FLAGS, EXPERIMENTS])
@pytest.mark.parametrize("failure", [error("ThrottlingException"), timeout()])
def test_a_table_that_does_not_answer_is_named_and_the_rest_is_told(
    table: str, failure: Exception
) -> None:
    town = busy()
    whole = town.look()
    town.dynamodb.failing[table] = failure
    found = town.look()
    of_table = {FLAGS: ["flags"], EXPERIMENTS: ["experiments"]}
    parts = of_table.get(table, ["deployments", "rollouts", "migrations"])
    assert [one.part for one in found.untold] == parts
    assert (found.deployments == whole.deployments) is (table != TABLE)
    assert (found.ramps == whole.ramps) is (table != FLAGS)
    assert (found.tests == whole.tests) is (table != EXPERIMENTS)


def test_a_table_that_hangs_is_not_asked_again_for_its_other_parts() -> None:
    town = busy()
    town.dynamodb.failing[TABLE] = timeout()
    town.look()
    assert [name for name, _ in town.dynamodb.calls].count(TABLE) == 1


@pytest.mark.parametrize("failure", [error("ThrottlingException"), timeout()])
def test_where_no_table_answers_that_is_an_error(failure: Exception) -> None:
    town = busy()
    town.dynamodb.failing.update(dict.fromkeys((TABLE, FLAGS), failure))
    del town.dynamodb.tables[EXPERIMENTS]
    with pytest.raises((ClientError, ReadTimeoutError)):
        town.look()


def test_a_record_of_another_version_is_named_and_not_in_the_way() -> None:
    town = busy()
    item = {"pk": {"S": "SERVICE#mail"}, "sk": {"S": "RECORD"}, "phase": {"S": "of-later"}}
    town.dynamodb.tables[TABLE].put_item(TableName=TABLE, Item=item)
    found = town.look()
    (one,) = found.untold
    assert one.part == "deployments: mail"
    assert one.why.startswith("it cannot be read: ")
    assert "checkout" in [it.service for it in found.deployments]


def test_so_many_are_looked_at_and_the_rest_is_said(town: Town, monkeypatch) -> None:
    monkeypatch.setattr(reading, "MOST", 3)
    for name in ("a1", "b1", "c1", "d1", "e1"):
        town.deploys(name)
    found = town.look()
    assert [one.service for one in found.deployments] == ["a1", "b1", "c1"]
    assert [one.why for one in found.untold] == ["there are 5; only the first 3 are looked at"]


def test_the_reads_are_few_and_do_not_grow_with_history() -> None:
    town = busy()
    town.look()
    services, databases = 8, 2
    assert len(town.dynamodb.calls) <= 7 + 2 * services + 1 + 5 * databases
    before = len(town.dynamodb.calls)
    for number in range(2, 40):
        town.migrates("orders", f"m-{number}", standing="succeeded", started_at=NOW - timedelta(1))
    town.look()
    assert len(town.dynamodb.calls) == before


@given(
    st.fixed_dictionaries(
        {
            "phase": st.sampled_from(list(Phase)),
            "step": st.integers(0, 3),
            "weight": st.integers(0, 100),
            "paused": st.booleans(),
        },
        optional={
            "bake_until": st.timedeltas(timedelta(hours=-3), timedelta(hours=3)).map(NOW.__add__),
            "hold_until": st.just(NOW),
            "bake_token": st.just("token"),
            "reason": st.text(),
            "watch_until": st.just(NOW + timedelta(minutes=1)),
        },
    ),
    st.booleans(),
)
def test_any_record_is_told_of_without_error_in_at_most_one_list(changes, planned) -> None:
    record(**changes)
    town = Town()
    town.deploys("shop", planned=planned, **changes)
    found = town.look()
    assert len(found.deployments) + len(found.rollbacks) <= 1
    assert found.untold == ()
