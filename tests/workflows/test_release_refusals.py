"""What planning refuses of a release with migrations, and which versions a database keeps away."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from greenlane.deployments.client import Greenlane
from greenlane.deployments.phases import Phase
from greenlane.errors import Refused
from greenlane.migrations.guarding.model import RunRecord
from greenlane.migrations.running.model import Progress
from greenlane.migrations.shipping.kept import Kept
from tests.builders import SERVICE
from tests.fakes import REGION
from tests.faults.machine import Execution
from tests.faults.moments import ByHand
from tests.migrated import ACCOUNT, DATABASE, PLAN
from tests.release_town import ASKED, ReleaseTown

MIGRATE = "d-1-migrate"
MANIFEST: Any = PLAN["manifest"]


@pytest.fixture
def town() -> Iterator[ReleaseTown]:
    with ReleaseTown().works() as made:
        yield made


def untouched(town: ReleaseTown) -> None:
    """No task was started, no traffic has moved, no migration begun."""
    assert town.account.weights() == {"blue": 100, "green": 0}
    assert not {"prepare_slot", "shift_traffic", "expand_database"} & set(town.account.invoked)
    assert town.started == []


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"database": "ordres"}, "InvalidInput", "did you mean orders"),
    ({"database": "billing"}, "InvalidInput", "it is a database of another"),
    ({"plan": "b" * 64}, "InvalidInput", "request.migrations.plan"),
]


@pytest.mark.parametrize(("changes", "error", "said"), WRONG)
def test_migrations_that_cannot_run_are_refused_before_anything_is_done(
    town: ReleaseTown, changes: dict[str, Any], error: str, said: str
) -> None:
    execution = town.deploy(migrations=ASKED | changes)
    town.settle()
    assert (execution.status, execution.error) == ("FAILED", error)
    assert said in execution.cause
    assert town.phase() is None
    untouched(town)


def test_a_phase_that_the_plan_does_not_have_is_refused(
    town: ReleaseTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [one for one in MANIFEST["files"] if one["phase"] != "migrate"]
    monkeypatch.setitem(MANIFEST, "files", files)
    execution = town.deploy()
    town.settle()
    assert execution.error == "InvalidInput"
    assert "the plan has expand, contract only" in execution.cause
    untouched(town)


def test_a_plan_of_another_database_is_refused(
    town: ReleaseTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MANIFEST, "database", "billing")
    execution = town.deploy()
    town.settle()
    assert execution.error == "InvalidInput"
    assert "the plan is for the database billing" in execution.cause
    untouched(town)


def test_where_no_database_is_set_up_the_refusal_says_how_to(town: ReleaseTown) -> None:
    runtime = town.account.runtime("plan_deployment")
    runtime.settings = replace(runtime.settings, migration_machine_arn="")
    execution = town.deploy()
    town.settle()
    assert (execution.status, execution.error) == ("FAILED", "Refused")
    assert "no database is set up in this account and Region" in execution.cause
    assert "context of the CDK" in execution.cause
    untouched(town)


def test_where_no_database_is_set_up_planning_asks_for_none(town: ReleaseTown) -> None:
    runtime = town.account.runtime("plan_deployment")
    runtime.settings = replace(runtime.settings, migration_machine_arn="")
    execution = town.deploy(migrations=None)
    town.settle()
    assert execution.status == "SUCCEEDED"
    asked = [one for one in town.account.faults.sites if one.caller == "plan_deployment"]
    assert [one for one in asked if one.operation in ("query", "get_object")] == []


def refused(town: ReleaseTown, execution: Execution, *said: str) -> None:
    assert (execution.status, execution.error) == ("FAILED", "Refused")
    for words in said:
        assert words in execution.cause
    assert town.phase() is Phase.REFUSED
    untouched(town)


OLD: dict[str, Any] = {"migrations": None, "image": None, "version": "2.3.9"}


def test_a_version_below_min_app_is_refused_and_the_message_names_both(town: ReleaseTown) -> None:
    town.publish("2.4.0")
    execution = town.deploy(**OLD)
    town.settle()
    refused(town, execution, f"the database {DATABASE}", "2.4.0", "2.3.9 is older")


def test_min_app_itself_and_newer_versions_are_deployed(town: ReleaseTown) -> None:
    town.publish("2.4.0")
    execution = town.deploy(**OLD | {"version": "2.4.0"})
    town.settle()
    assert execution.status == "SUCCEEDED"


def test_an_undo_below_min_app_is_refused(town: ReleaseTown) -> None:
    town.publish("2.4.0")
    revision = town.shipped("2.3.0")
    undo: dict[str, Any] = {
        "migrations": None,
        "image": None,
        "undo": True,
        "despite_alarms": "undo to s-1",
    }
    execution = town.deploy(**undo, task_definition=revision)
    town.settle()
    refused(town, execution, f"the database {DATABASE}", "2.4.0", "2.3.0 is older")


def test_a_revision_that_nobody_can_name_is_refused_where_a_database_asks(
    town: ReleaseTown,
) -> None:
    revision = town.shipped(None)
    town.publish("2.4.0")
    execution = town.deploy(migrations=None, image=None, task_definition=revision)
    town.settle()
    refused(town, execution, "nobody can say which version", "by an image with a tag")


def test_a_contract_that_runs_is_respected_before_it_is_published(town: ReleaseTown) -> None:
    town.contract("c-1")
    execution = town.deploy(**OLD)
    town.settle()
    refused(town, execution, "the contract c-1, running", "2.4.0", "2.3.9 is older")
    newer = town.deploy("d-2", **OLD | {"version": "2.4.1"})
    town.settle()
    assert newer.status == "SUCCEEDED"


def test_going_back_asks_no_database_whatever_is_published_meanwhile(town: ReleaseTown) -> None:
    execution = town.deploy()
    town.until(lambda: MIGRATE in town.started)
    town.publish("99.0.0")
    trigger = {"kind": "person", "name": "ada", "reason": "no", "at": town.kernel.now().isoformat()}
    given = {"service": SERVICE, "deployment_id": "d-1", "trigger": trigger}
    town.account.start("rollback", given, "by-hand")
    town.settle()
    assert execution.status != "SUCCEEDED"
    assert town.phase() is Phase.ROLLED_BACK
    assert town.account.weights() == {"blue": 100, "green": 0}


def test_a_contract_that_ended_in_the_middle_is_respected(town: ReleaseTown) -> None:
    town.contract("c-1")
    run = town.runs.run("c-1")
    progress = Progress(migration="0003_contract_name", statement=0, of=1)
    town.runs.put(run.model_copy(update={"standing": "failed", "progress": progress}))
    lease = town.leases.read(DATABASE)
    assert lease is not None
    town.leases.release(lease)
    execution = town.deploy(**OLD)
    town.settle()
    refused(town, execution, "the contract c-1, failed", "greenlane migrations get c-1")


@pytest.mark.parametrize("standing", ["refused", "failed", "succeeded", "undone"])
def test_a_contract_that_changed_nothing_or_is_told_otherwise_holds_nobody_up(
    town: ReleaseTown, standing: str
) -> None:
    town.contract("c-1")
    run = town.runs.run("c-1")
    town.runs.put(run.model_copy(update={"standing": standing}))
    lease = town.leases.read(DATABASE)
    assert lease is not None
    town.leases.release(lease)
    execution = town.deploy(**OLD)
    town.finish(execution)
    assert execution.status == "SUCCEEDED"


def test_a_contract_is_looked_for_once_it_can_see_the_deployment(
    town: ReleaseTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract takes its lease, then looks at the record: one of the two sees the other."""
    asks, phases = Kept.open_contract, list[Phase | None]()

    def open_contract(kept: Kept, database: str) -> RunRecord | None:
        phases.append(town.phase())
        return asks(kept, database)

    monkeypatch.setattr(Kept, "open_contract", open_contract)
    town.finish(town.deploy(migrations=None))
    assert phases == [Phase.PLANNING]


class Hand(ByHand):
    """A person who may read plans."""

    account, region = ACCOUNT, REGION


def undo(town: ReleaseTown) -> str:
    """`greenlane undo`; by which way it goes."""
    hand = Hand(town.account)
    hand._reached["s3"] = town.bucket
    return Greenlane(hand).undo(SERVICE, reason="wrong prices", by="ada").way


def test_an_undo_after_the_end_respects_a_contract_that_runs(town: ReleaseTown) -> None:
    town.finish(town.deploy(**OLD | {"version": "2.4.0"}))
    town.contract("c-1")
    with pytest.raises(Refused, match="the contract c-1, running"):
        undo(town)


def test_an_undo_of_what_runs_is_a_rollback_that_no_database_holds_up(town: ReleaseTown) -> None:
    execution = town.deploy()
    town.until(lambda: MIGRATE in town.started)
    town.publish("99.0.0")
    assert undo(town) == "rollback"
    town.settle()
    assert execution.status != "SUCCEEDED"
    assert town.phase() is Phase.ROLLED_BACK
    assert town.account.weights() == {"blue": 100, "green": 0}


def test_an_undo_after_the_end_that_would_bring_too_old_a_version_is_refused(
    town: ReleaseTown,
) -> None:
    execution = town.deploy(**OLD | {"version": "2.4.0"})
    town.finish(execution)
    assert execution.status == "SUCCEEDED"
    town.publish("2.4.0")
    with pytest.raises(Refused, match=f"the database {DATABASE} takes no version before 2.4.0"):
        undo(town)
    assert town.account.weights() == {"blue": 0, "green": 100}


def test_a_rollback_after_the_end_is_held_up_by_nothing(town: ReleaseTown) -> None:
    execution = town.deploy(**OLD | {"version": "2.4.0"})
    town.finish(execution)
    town.publish("99.0.0")
    Greenlane(ByHand(town.account)).rollback(SERVICE, reason="wrong prices", by="ada")
    town.until(lambda: town.account.weights() == {"blue": 100, "green": 0})
