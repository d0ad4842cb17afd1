"""What people read about one service: its verdicts, and whom a step waits for."""

from datetime import timedelta
from typing import Any

import pytest

from greenlane.cli.views import (
    change_key,
    change_line,
    deployments_view,
    history_view,
    status_view,
    verdict_text,
)
from greenlane.deployments.declaring.config import ServiceConfig
from greenlane.deployments.model import DeploymentSummary, HistoryEvent, Plan, PlannedStep
from tests.unit.cli.fake_cloud import NOW, record_of, status_of


def test_the_history_shows_a_verdict_as_people_read_it_and_the_ends_of_arns():
    judged = {"step": 0, "weight": 10, **status_of(record_of()).judgement.verdict.model_dump()}
    weights = {"arn:aws:x:targetgroup/blue/1": 100, "arn:aws:x:targetgroup/green/1": 0}
    text = history_view(
        [
            HistoryEvent(at=NOW, kind="judged", actor="judge_step", detail=judged),
            HistoryEvent(at=NOW, kind="shifted", actor="x", detail={"w": weights, "none": None}),
        ]
    ).plain
    assert "verdict of step 1: pass, 520 requests  error_rate  pass" in text
    assert "w=targetgroup/blue/1:100,targetgroup/green/1:0" in text
    assert "none" not in text


def test_the_history_counts_steps_from_one_as_everything_that_people_read():
    judged = {
        "step": 0,
        "weight": 10,
        **status_of(record_of(), step=0).judgement.verdict.model_dump(),
    }
    shifted = HistoryEvent(at=NOW, kind="shifted", actor="x", detail={"step": 0, "weight": 10})
    said = HistoryEvent(at=NOW, kind="judged", actor="x", detail=judged)

    first, second = history_view([shifted, said]).plain.splitlines()

    assert "step=1" in first
    assert "verdict of step 1" in second


def test_a_pause_is_shown_only_while_a_step_can_wait():
    paused = record_of(paused=True)
    assert change_line(status_of(paused)).endswith("paused")
    over = status_of(record_of("rolled_back", paused=True), step=None)
    assert "  rolled back" in change_line(over)
    assert "paused" not in change_line(over)
    assert "paused" not in status_view(over).plain


def test_a_verdict_after_promotion_is_one_of_the_watch_and_not_of_a_step_too_many():
    status = status_of(record_of("promoted", step=6), step=6)
    seen = status.judgement.model_copy(update={"step": 6})
    assert (
        "verdict of the watch: pass"
        in status_view(status.model_copy(update={"judgement": seen})).plain
    )
    assert verdict_text(seen, status.steps).startswith("verdict of the watch: pass")
    judged = {"step": 6, "weight": 100, **seen.verdict.model_dump()}
    kinds = [("judged", judged), ("promoted", {}), ("judged", judged)]
    events = [HistoryEvent(at=NOW, kind=kind, actor="x", detail=said) for kind, said in kinds]
    lines = history_view(events).plain.splitlines()
    assert "verdict of step 7" in lines[0]
    assert "verdict of the watch" in lines[2]


def approval(**values):
    """A step with an approval; its bake ended a minute ago."""
    record = record_of(
        **{
            "step": 0,
            "bake_step": 0,
            "bake_token": "token",
            "bake_until": NOW - timedelta(minutes=1),
            **values,
        }
    )
    steps = [PlannedStep(weight=50, bake_seconds=60, approval=True)]
    shown: dict[str, Any] = {
        "strategy": "canary",
        "steps": tuple(steps),
        "config": ServiceConfig(name="claude-manager"),
    }
    plan = Plan.model_construct(**shown)
    return status_of(record).model_copy(update={"plan": plan})


def test_a_step_that_waits_for_a_person_says_so():
    waiting = approval()
    assert "waiting for approval: greenlane promote claude-manager" in status_view(waiting).plain
    assert change_line(waiting).endswith("waiting for approval")
    assert change_key(waiting) != change_key(approval(bake_until=NOW + timedelta(minutes=1)))


@pytest.mark.parametrize(
    "values",
    [
        {"bake_until": NOW + timedelta(minutes=1)},
        {"hold_until": NOW + timedelta(minutes=1)},
        {"paused": True},
        {"bake_token": None},
        {"phase": "rolling_back"},
    ],
)
def test_a_step_that_bakes_holds_or_is_paused_waits_for_nobody(values):
    status = approval(**values)
    assert "approval" not in status_view(status).plain
    assert "approval" not in change_line(status)


def test_a_deployment_is_listed_by_the_version_that_was_asked_for():
    one = DeploymentSummary(
        deployment_id="d-1",
        service="claude-manager",
        phase="rolled_back",
        strategy="canary",
        image="claude-manager@sha256:" + "9a7a10b3e31c" * 5 + "ab12",
        version="1.4.2",
        started_at=NOW,
    )
    older = one.model_copy(update={"version": None})

    _, first, second = deployments_view([one, older]).plain.splitlines()

    assert "  rolled back  canary    1.4.2  " in first
    assert "sha256:9a7a10b3e31c" in second
