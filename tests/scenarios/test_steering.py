"""What people say to a running deployment, and that an alarm goes before all of it."""

from datetime import timedelta

import pytest

from greenlane.deployments.phases import Phase
from greenlane.errors import SignalRefused
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import BRISK, LONG, baking, ended_by, held, say
from tests.scenarios.waiting import eventually


def _why(scenario: Scenario, deployment_id: str) -> list[str]:
    """Why each decision went as it did."""
    history = scenario.stage.greenlane.store.history(deployment_id)
    return [event.detail["why"] for event in history if event.kind == "decided"]


def _weights(scenario: Scenario, deployment_id: str) -> list[int]:
    """What each step gave the candidate."""
    shifts = [e.detail for e in scenario.history(deployment_id) if e.kind == "shifted"]
    return [shift["weight"] for shift in shifts if shift["part"] == "step"]


def test_pause_holds_the_step_beyond_its_bake_resume_goes_on_and_an_alarm_goes_before_both(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=BRISK | {"steps": [50, 100], "bake": "1m"})
    before = scenario.percent()
    deployment_id = scenario.deploy()
    record = baking(scenario, deployment_id, 50)
    until = record.bake_until
    assert until is not None
    say(scenario, "pause")
    scenario.until(lambda r: r.paused, "paused")
    clock = scenario.cloud.clock
    eventually(lambda: clock.now() > until + timedelta(minutes=3), "the bake is long over")
    paused = scenario.record()
    assert (paused.step, paused.weight, paused.phase) == (0, 50, Phase.SHIFTING)

    say(scenario, "resume")
    baking(scenario, deployment_id, 100)
    say(scenario, "pause")
    scenario.until(lambda r: r.paused, "paused again")

    scenario.raise_alarm(record.candidate)
    assert scenario.outcome(deployment_id) == "rolled_back"
    assert scenario.percent() == before
    assert scenario.lost(f"t{scenario.versions}") == 0


def test_a_repeated_late_or_misdirected_signal_is_refused_and_changes_nothing(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=BRISK | {"steps": [50, 100], "bake": LONG})
    deployment_id = scenario.deploy()
    baking(scenario, deployment_id, 50)
    say(scenario, "pause")
    scenario.until(lambda r: r.paused and r.signal is None and r.bake_token is not None, "paused")

    before = scenario.record()
    with pytest.raises(SignalRefused, match="paused already"):
        say(scenario, "pause")
    with pytest.raises(SignalRefused, match="meant for step 2"):
        say(scenario, "promote", step=1)
    assert scenario.record() == before

    say(scenario, "abort")
    assert scenario.outcome(deployment_id) == "rolled_back"
    ended = scenario.record()
    ended_by(scenario, "Aborted")
    for name in ("pause", "resume", "promote", "promote_all", "abort"):
        with pytest.raises(SignalRefused, match="rolled_back"):
            say(scenario, name)
    assert scenario.record() == ended


def test_promote_ends_this_bake_only_and_promote_all_goes_to_the_watch(scenario: Scenario) -> None:
    scenario.configure(
        deployment=BRISK | {"steps": [10, 25, 50, 100], "bake": LONG, "final_bake": LONG}
    )
    deployment_id = scenario.deploy()
    first = baking(scenario, deployment_id, 10)
    say(scenario, "promote", step=0)
    second = baking(scenario, deployment_id, 25)
    assert first.bake_until is not None
    assert second.shifted_at is not None
    assert second.shifted_at < first.bake_until - timedelta(minutes=5)
    assert second.bake_until is not None
    assert second.bake_until - second.shifted_at == timedelta(hours=8)

    say(scenario, "promote_all")

    assert scenario.outcome(deployment_id) == "succeeded"
    assert _weights(scenario, deployment_id) == [10, 25, 100]
    eventually(lambda: "succeeded" in scenario.kinds(deployment_id), "its success is told")
    at = {event.kind: event.at for event in scenario.history(deployment_id)}
    # The watch after promotion is nobody's to skip.
    assert at["succeeded"] - at["promoted"] >= timedelta(minutes=1)
    assert scenario.lost(f"t{scenario.versions}") == 0


def test_abort_during_planning_moves_no_traffic(scenario: Scenario) -> None:
    before = scenario.percent()
    with held(scenario, "greenlane-plan-deployment", "AddTags") as planning:
        deployment_id = scenario.deploy()
        planning.wait()
        assert scenario.record().phase is Phase.PLANNING
        say(scenario, "abort")
    assert scenario.outcome(deployment_id) == "rolled_back"
    assert scenario.percent() == before
    assert "shift intended" not in scenario.kinds(deployment_id)


def test_abort_while_the_slot_starts_moves_no_traffic_and_stops_its_tasks(
    scenario: Scenario,
) -> None:
    before = scenario.percent()
    deployment_id = scenario.deploy()
    scenario.until_phase(deployment_id, Phase.PREPARING)
    say(scenario, "abort")
    assert scenario.outcome(deployment_id) == "rolled_back"
    assert scenario.percent() == before
    assert "shift intended" not in scenario.kinds(deployment_id)
    assert "bad slot scaled down" in scenario.kinds(deployment_id)


def test_an_approval_step_waits_for_promote_and_an_alarm_goes_before_approval(
    scenario: Scenario,
) -> None:
    steps = [
        {"weight": 50, "bake": "1m", "approval": True},
        {"weight": 100, "bake": "1m", "approval": True},
    ]
    scenario.configure(deployment=BRISK | {"steps": steps, "approval_timeout": LONG})
    before = scenario.percent()
    deployment_id = scenario.deploy()
    waiting = "waiting for approval"
    eventually(lambda: waiting in _why(scenario, deployment_id), waiting)
    clock = scenario.cloud.clock
    since = clock.now()
    eventually(lambda: clock.now() > since + timedelta(minutes=3), "nobody answers for a while")
    # However long a person takes, the wait itself is one bake.
    assert _why(scenario, deployment_id).count(waiting) == 1
    assert baking(scenario, deployment_id, 50).step == 0

    say(scenario, "promote")
    baking(scenario, deployment_id, 100)
    eventually(lambda: _why(scenario, deployment_id)[-1] == waiting, "the second approval")

    scenario.raise_alarm(scenario.record().candidate)
    assert scenario.outcome(deployment_id) == "rolled_back"
    assert scenario.percent() == before


def test_an_approval_that_nobody_gives_goes_back(scenario: Scenario) -> None:
    steps = [{"weight": 50, "bake": "1m", "approval": True}, 100]
    scenario.configure(deployment=BRISK | {"steps": steps, "approval_timeout": "2m"})
    before = scenario.percent()
    deployment_id = scenario.deploy()
    assert scenario.outcome(deployment_id) == "rolled_back"
    ended_by(scenario, "ApprovalMissing")
    assert _weights(scenario, deployment_id) == [50]
    assert scenario.percent() == before
