"""Nothing is cut over without two answers, and the way that loses nothing comes first."""

from typing import Any

import pytest

from greenlane.errors import ApprovalRefused
from greenlane.migrations.restoring.salvaging import salvage_of
from tests.fakes import error
from tests.migrated import DATABASE
from tests.migration_town import TABLE
from tests.restore_town import RESTORE, Make
from tests.restore_town import make as make

UNAPPROVED: list[tuple[dict[str, str], str, str]] = [
    ({}, "expired", "ApprovalMissing"),
    ({"approve": "refuse"}, "refused", "Aborted"),
    ({"approve": "approve"}, "expired", "ApprovalMissing"),
    ({"approve": "approve", "writers": "refuse"}, "refused", "Aborted"),
]


@pytest.mark.parametrize(("says", "outcome", "named"), UNAPPROVED)
def test_nothing_is_cut_over_unless_both_questions_are_answered_so(
    make: Make, says: dict[Any, str], outcome: str, named: str
) -> None:
    town = make(writes_secret=True)
    town.says = says

    execution = town.restore(hours=24)

    assert (execution.status, execution.error) == ("FAILED", named)
    assert town.untouched()
    assert town.restores.restore(RESTORE).standing == outcome
    assert town.kinds()[-1] == f"restore_{outcome}"
    assert "delete-db-cluster" in town.told(f"restore_{outcome}")
    assert town.leases.read(DATABASE).held_by is None
    assert town.rds.made, "what was made is left for people to use or delete"


def test_a_token_that_is_answered_without_an_answer_in_the_table_cuts_nothing_over(
    make: Make,
) -> None:
    town = make(writes_secret=True)
    town.says = {}
    arn = town.ask_for()
    town.run(2, done=lambda: "restore_approval" in town.kinds())
    token = town.restores.asked(RESTORE, "approve").token

    assert token is not None
    town.executions[arn].answer(token, None)
    town.run(24, done=town.quiet)

    assert town.executions[arn].status == "FAILED"
    assert town.untouched()


@pytest.mark.parametrize("function", ["prepare_cutover", "cut_over_restore"])
@pytest.mark.parametrize("says", [{}, {"approve": "approve"}, {"approve": "salvage"}])
def test_who_cuts_over_reads_the_answers_itself(
    make: Make, says: dict[Any, str], function: str
) -> None:
    town = make(writes_secret=True)
    town.says = {}
    town.ask_for()
    town.run(2, done=lambda: "restore_approval" in town.kinds())
    for answer in says.values():
        town.answer(answer, town.restores.asked(RESTORE, "approve").offer)
    state = town.state().model_copy(update={"stage": "cut_over", "cutting": True})

    called = town.call(function, state.model_dump(mode="json"))
    town.run(0.01)

    assert called.failure is not None
    assert called.failure.error == "Refused"
    assert "it is not cut over" in called.failure.cause
    assert town.untouched()


@pytest.mark.parametrize("offer", ["0" * 12, ""])
def test_an_approval_of_something_else_than_was_read_is_refused(make: Make, offer: str) -> None:
    town = make()
    town.says = {}
    town.ask_for()
    town.run(2, done=lambda: "restore_approval" in town.kinds())

    with pytest.raises(ApprovalRefused, match="read it, and answer that"):
        town.answer("approve", offer)

    town.run(24, done=town.quiet)
    assert town.untouched()


def test_an_answer_after_the_time_is_refused(make: Make) -> None:
    town = make(approval_seconds=600)
    town.says = {}
    town.restore(hours=24)
    asked = town.restores.asked(RESTORE, "approve")

    with pytest.raises(ApprovalRefused, match=r"has ended \(expired\)"):
        town.answer("approve", asked.offer)

    assert town.untouched()


def test_of_two_answers_the_first_stands(make: Make) -> None:
    town = make()
    town.says = {}
    arn = town.ask_for()
    town.run(2, done=lambda: "restore_approval" in town.kinds())
    offer = town.restores.asked(RESTORE, "approve").offer

    town.answer("refuse", offer, by="grace")
    with pytest.raises(ApprovalRefused, match="grace said refuse"):
        town.answer("approve", offer, by="linus")
    town.answer("refuse", offer, by="grace")  # once more is no matter

    town.run(24, done=town.quiet)
    assert town.executions[arn].error == "Aborted"
    assert town.untouched()


def test_a_new_database_that_is_not_as_it_should_be_is_offered_to_nobody(make: Make) -> None:
    town = make()
    town.looked["untrue"] = ["public.people has 3 rows, not 90 or more"]

    execution = town.restore()

    assert (execution.status, execution.error) == ("FAILED", "ValidationFailed")
    assert "restore_approval" not in town.kinds()
    assert "public.people has 3 rows" in town.told("restore_failed")
    assert town.untouched()


def test_an_offer_that_nobody_could_be_told_of_ends_without_a_cutover(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = make()
    said = town.topic.publish

    def publish(**given: Any) -> None:
        if given["MessageAttributes"]["kind"]["StringValue"] == "restore_approval":
            raise error("InternalError")
        said(**given)

    monkeypatch.setattr(town.topic, "publish", publish)
    town.says = {}

    execution = town.restore(hours=24)

    assert execution.status == "FAILED"
    assert town.untouched()
    assert town.kinds()[-1] == "restore_failed"


@pytest.mark.parametrize("kind", ["cluster", "instance"])
def test_a_new_database_that_went_while_people_thought_is_not_cut_over_to(
    make: Make, kind: str
) -> None:
    town = make(kind, writes_secret=True)
    town.says = {"approve": "approve"}
    arn = town.ask_for()
    town.run(2, done=lambda: "restore_writers" in town.kinds())
    member = {"cluster": f"{town.new}-1", "instance": town.new}[kind]
    town.rds._rds.modify_db_instance(DBInstanceIdentifier=member, DeletionProtection=False)
    town.rds._rds.delete_db_instance(DBInstanceIdentifier=member, SkipFinalSnapshot=True)

    town.answer("stopped", town.restores.asked(RESTORE, "writers").offer)
    town.run(1, done=town.quiet)

    assert town.executions[arn].error == "Refused"
    assert "is gone" in town.told("restore_failed")
    assert town.untouched()


# Salvage.


def test_salvage_is_what_happens_unless_a_cutover_is_asked_for(make: Make) -> None:
    town = make()
    del town.given["mode"]

    execution = town.restore()

    assert execution.status == "SUCCEEDED"
    assert town.kinds() == ["restore_begun", "restore_salvage"]
    said = town.told("restore_salvage")
    assert "a cutover would lose: every write" in said
    assert "\nlost: " not in said, "a salvage loses nothing"
    assert town.untouched()
    assert f"`greenlane migrations restore salvage {RESTORE}`" in town.told("restore_salvage")
    assert town.leases.read(DATABASE).held_by is None


def test_who_is_asked_about_a_cutover_may_choose_the_salvage(make: Make) -> None:
    town = make(writes_secret=True)
    town.says = {"approve": "salvage"}

    execution = town.restore()

    assert (execution.status, town.kinds()[-1]) == ("SUCCEEDED", "restore_salvage")
    assert "restore_writers" not in town.kinds()
    assert town.untouched()


def test_while_it_is_decided_the_salvage_can_be_read(make: Make) -> None:
    town = make()
    town.says = {}
    town.ask_for()
    town.run(2, done=lambda: "restore_approval" in town.kinds())

    text = "\n".join(one.text for one in salvage_of(town.state()))

    assert "INSERT INTO public.people" in text


def test_a_question_that_was_never_put_is_one_that_nobody_answered(make: Make) -> None:
    town = make()
    town.says = {}
    town.ask_for()
    town.run(2, done=lambda: "restore_approval" in town.kinds())
    state = town.state().model_copy(update={"stage": "approve"})
    key = {"pk": {"S": f"RESTORE#{RESTORE}"}, "sk": {"S": "QUESTION#approve"}}
    town.table.delete_item(TableName=TABLE, Key=key)

    heard = town.call("heed_restore", state.model_dump(mode="json"))
    town.run(0.01)

    assert heard.failure is None
    assert heard.answer["outcome"] == "expired"


def test_after_a_salvage_a_cutover_finds_its_database_and_tells_what_ran_since(make: Make) -> None:
    town = make()
    town.restore(mode="salvage")
    made = town.rds.made
    town.began("m-later", phase="expand", at=town.kernel.now())

    execution = town.restore(number=2)

    assert (execution.status, town.rds.made) == ("SUCCEEDED", made)
    assert town.restores.restore(RESTORE).seconds == 1800, "what was measured is kept"
    assert "the expand of m-later" in town.told("restore_approval")
    assert town.endpoint()["host"] == town.rds.host("cluster", town.new)
