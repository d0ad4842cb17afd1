"""What a deployment goes on without, by its policy, is in its history once."""

from datetime import timedelta

import pytest

from greenlane.deployments.stepping.before_traffic import run_pre_traffic
from greenlane.deployments.stepping.preparing import check_stability
from greenlane.errors import NotFinished


def test_a_state_that_is_repeated_notes_a_gate_passed_by_policy_once(world):
    world.configure(
        success_criteria={"security": {"security_tests": "pass", "compliance_checks": "pass"}},
        deployment={"strategy": "canary", "steps": [10, 100], "on_no_evidence": "advance"},
        run_task={"command": ["migrate"], "timeout": "10h"},
    )
    state = world.prepared()
    world.serve("green", 2)
    state = check_stability(state, world.runtime)
    world.ecs.one_off = {"lastStatus": "RUNNING", "exitCode": None}
    with pytest.raises(NotFinished, match="gates"):
        run_pre_traffic(state, world.runtime)
    world.clock.at += world.plan().config.deployment.max_hold + timedelta(seconds=1)
    for _ in range(3):
        with pytest.raises(NotFinished, match="RUNNING"):
            run_pre_traffic(state, world.runtime)
        world.clock.advance(seconds=30)
    assert world.kinds().count("gate passed by policy") == 2
    assert world.record.gates_waived
