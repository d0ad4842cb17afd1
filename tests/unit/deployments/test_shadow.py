"""In shadow mode the numbers are judged and told, and never act."""

from datetime import timedelta

import pytest

from greenlane.cli.views import status_view, verdict_text
from greenlane.deployments.declaring.applied_alarms import counted_on
from greenlane.deployments.declaring.config import DeploymentConfig
from greenlane.deployments.looking.status import Status, last_judgement
from greenlane.deployments.model import CheckResult, Judgement, Verdict
from greenlane.deployments.stepping.baking import BakeEvent, start_bake
from greenlane.deployments.stepping.decide import may_end_early
from greenlane.deployments.stepping.judging import Tick, judge_step, judge_tick
from greenlane.errors import JudgedBad
from greenlane.health.shadow import shadowed
from greenlane.incidents.report_actions import _reason
from greenlane.incidents.report_timeline import describe
from tests.builders import SERVICE, plan, record, service_config, verdict

DEPLOYMENT = {"strategy": "canary", "steps": [10, 50, 100], "judge_mode": "shadow"}


@pytest.fixture
def shadow(world):
    world.configure(
        deployment=DEPLOYMENT, rollback_triggers=["error_rate > 0.05", "connection_errors > 3"]
    )
    return world


def bad(world, *, requests=100, errors=30):
    """The end of a step in which the candidate failed."""
    state = world.shifted()
    start_bake(BakeEvent(token="token-1", deployment=state), world.runtime)
    world.clock.advance(minutes=5, seconds=15)
    if requests:
        world.traffic("green", requests=requests, errors=errors, minutes=4)
    return state


def test_errors_do_not_take_the_deployment_back_and_the_history_says_they_would(shadow):
    state = bad(shadow)
    found = judge_step(state, shadow.runtime)
    assert (found.next, found.step) == ("shift", 1)
    judged = last_judgement(shadow.store.history("d-1"))
    assert judged.verdict.verdict == "pass"
    assert judged.verdict.would == "fail"
    assert "error_rate" in judged.verdict.would_because
    assert judged.verdict.requests == 400
    reasons = {check.name: check.reason for check in judged.verdict.checks}
    assert reasons["error_rate"].startswith("in shadow, would fail: ")
    assert reasons["rollback trigger error_rate > 0.05"].startswith("in shadow, would fail")


def test_no_traffic_does_not_hold_it(shadow):
    found = judge_step(bad(shadow, requests=0), shadow.runtime)
    assert found.next == "shift"
    assert last_judgement(shadow.store.history("d-1")).verdict.would == "hold"


def test_an_alarm_of_the_workload_still_takes_it_back(shadow):
    state = bad(shadow, errors=0)
    shadow.alarm(shadow.alarm_of("green"), "ALARM")
    with pytest.raises(JudgedBad, match="is red|ALARM"):
        judge_step(state, shadow.runtime)


def test_no_healthy_target_still_takes_it_back(shadow):
    state = bad(shadow, errors=0)
    shadow.serve("green", 0, sick=2)
    with pytest.raises(JudgedBad, match="healthy"):
        judge_step(state, shadow.runtime)


def test_the_look_of_each_minute_tells_the_history_once_a_step(shadow):
    bad(shadow)
    judge_tick(Tick(), shadow.runtime)
    judge_tick(Tick(), shadow.runtime)
    told = [e for e in shadow.store.history("d-1") if e.kind == "would have gone back"]
    assert [event.detail["step"] for event in told] == [0]
    assert shadow.machines.answers == []
    assert describe(told[0]).startswith("In shadow: would have gone back, ")
    assert shadow.store.last_look("d-1").verdict.would == "fail"


def test_alarms_of_conditions_are_not_counted_on(world):
    config = service_config(deployment=DEPLOYMENT, rollback_triggers=["error_rate > 0.05"])
    assert counted_on(None, config, world.workload).alarms == ()


def test_it_never_ends_a_step_early():
    early = {"strategy": "canary", "steps": [10, 50, 100], "early_advance": True}
    assert may_end_early(plan(config=service_config(deployment=early)), record())
    config = service_config(deployment=early | {"judge_mode": "shadow"})
    assert not may_end_early(plan(config=config), record())


def test_enforcing_is_the_default():
    assert not DeploymentConfig().shadow


def test_a_pass_stays_as_it_is():
    check = CheckResult(name="error_rate", verdict="pass")
    found = shadowed(Verdict(verdict="pass", checks=(check,), requests=7))
    assert (found.verdict, found.would, found.checks) == ("pass", "pass", (check,))


def test_people_see_it():
    would = shadowed(verdict("fail", "error_rate: 8 of 20"))
    config = service_config(deployment=DEPLOYMENT)
    now = record().started_at + timedelta(minutes=1)
    status = Status(service=SERVICE, config_version=1, at=now, record=record())
    assert "shadow" not in status_view(status.model_copy(update={"plan": plan()})).plain
    seen = status_view(status.model_copy(update={"plan": plan(config=config)})).plain
    assert "canary, judged in shadow" in seen
    text = verdict_text(Judgement(at=now, step=0, verdict=would))
    assert "in shadow the numbers would fail, error_rate: 8 of 20" in text
    assert _reason(would) == "in shadow, would fail: error_rate: 8 of 20"
    assert _reason(verdict("hold", "why")) == "why"
