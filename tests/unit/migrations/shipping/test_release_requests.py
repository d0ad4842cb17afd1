"""What a deployment's request says of migrations, and what its runs are called."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from greenlane.deployments.model import DeploymentRequest, Plan
from greenlane.deployments.shipped_with import ReleaseMigrations, run_id
from greenlane.migrations.guarding.model import RUN_PATTERN
from greenlane.migrations.shipping.requesting import is_of, request_for
from tests.builders import plan, request
from tests.migrated import DATABASE, SHA

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", fullmatch=True)
ASKED = ReleaseMigrations(database=DATABASE, plan=SHA)


@given(IDS)
def test_a_run_has_an_id_that_step_functions_takes_also_for_its_later_executions(
    deployment_id: str,
) -> None:
    for phase in ("expand", "migrate"):
        found = run_id(deployment_id, phase)
        assert re.fullmatch(RUN_PATTERN, found)
        assert len(f"{found}-1000000") <= 80
        assert found.endswith(f"-{phase}")


@given(IDS, IDS)
def test_two_deployments_never_share_a_run(one: str, other: str) -> None:
    assert (run_id(one, "expand") == run_id(other, "expand")) == (one == other)
    assert run_id(one, "expand") != run_id(other, "migrate")


def test_long_ids_that_begin_alike_have_different_runs() -> None:
    one, other = "d" * 79 + "1", "d" * 79 + "2"
    assert run_id(one, "expand") != run_id(other, "expand")


def test_a_short_id_is_read_in_its_runs() -> None:
    assert run_id("claude-manager-20261123-120000-ab12", "migrate") == (
        "claude-manager-20261123-120000-ab12-migrate"
    )


def test_the_same_deployment_asks_for_the_same_run_each_time() -> None:
    kept = plan(request=request(migrations=ASKED, requested_by="ada"))
    again = Plan.model_validate_json(kept.model_dump_json())
    assert request_for(kept, ASKED, "expand") == request_for(again, ASKED, "expand")
    found = request_for(kept, ASKED, "expand")
    assert (found.deployment, found.requested_by) == (kept.deployment_id, "ada")
    assert (found.plan_sha, found.database, found.on_failure) == (SHA, DATABASE, "undo")


def test_phases_are_each_once_and_in_their_order() -> None:
    found = ReleaseMigrations(database=DATABASE, plan=SHA, phases=("migrate", "expand"))
    assert found.phases == ("expand", "migrate")
    assert ReleaseMigrations(database=DATABASE, plan=SHA).phases == ("expand", "migrate")


@pytest.mark.parametrize(
    "wrong",
    [
        {"phases": ["contract"]},
        {"phases": []},
        {"plan": "latest"},
        {"database": "Orders"},
        {"folder": "migrations"},
    ],
)
def test_what_no_release_can_bring_along_is_refused(wrong: dict[str, object]) -> None:
    asked = {"database": DATABASE, "plan": SHA} | wrong
    with pytest.raises(ValidationError):
        DeploymentRequest.model_validate(
            {"service": "shop", "version": "2.4.0", "migrations": asked}
        )


def test_a_request_without_migrations_is_the_text_that_it_was() -> None:
    said = request().model_dump(mode="json", exclude_none=True)
    assert "migrations" not in said


def test_a_plan_that_was_stored_before_has_none() -> None:
    text = plan().model_dump(mode="json")
    del text["request"]["migrations"]
    assert Plan.model_validate(text).request.migrations is None


def test_a_run_of_something_else_is_known_by_any_of_its_marks() -> None:
    from datetime import UTC, datetime

    from greenlane.migrations.guarding.model import RunRecord

    now = datetime(2026, 11, 23, tzinfo=UTC)
    wanted = request_for(plan(), ASKED, "expand")
    ours = RunRecord(
        run=wanted.run,
        database=DATABASE,
        service="claude-manager",
        phase="expand",
        plan_sha=SHA,
        standing="running",
        deployment=wanted.deployment,
        started_at=now,
        updated_at=now,
    )
    assert is_of(ours, wanted)
    for changes in (
        {"database": "billing"},
        {"phase": "migrate"},
        {"plan_sha": "b" * 64},
        {"deployment": None},
    ):
        assert not is_of(ours.model_copy(update=changes), wanted)
