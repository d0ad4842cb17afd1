"""A version that answers fast and well but sells less is taken back, and only such a one."""

from typing import Any

from tests.scenarios import acts
from tests.scenarios.conftest import Scenario
from tests.scenarios.driving import BRISK

# So different that the 20 visits which a step waits for prove it.
SELLS, SELLS_LESS = "conversion:0.9", "conversion:0.1"
STEPS = BRISK | {"steps": [50, 100], "bake": "2m"}
DROP: dict[str, Any] = {
    "success_criteria": {"business": {"conversion_rate_drop": 0.02}},
    "judge": {"min_requests": 5, "against_live": False},
}


def verdicts(scenario: Scenario, deployment_id: str) -> list[str]:
    """What the judgements at the end of bakes said of the conversion rate."""
    return [
        check["verdict"]
        for event in scenario.history(deployment_id)
        if event.kind == "judged"
        for check in event.detail["checks"]
        if check["name"] == "conversion_rate against live"
    ]


def failed_checks(scenario: Scenario, deployment_id: str) -> set[str]:
    """What the judge found bad, be it inside a bake or at its end."""
    look = scenario.stage.greenlane.store.last_look(deployment_id)
    found = (
        {check.name for check in look.verdict.checks if check.verdict == "fail"} if look else set()
    )
    for event in scenario.history(deployment_id):
        if event.kind == "judged":
            found |= {one["name"] for one in event.detail["checks"] if one["verdict"] == "fail"}
    return found


def test_a_version_that_sells_less_is_taken_back_by_the_judge_and_a_good_one_promoted(
    scenario: Scenario,
) -> None:
    scenario.configure(deployment=STEPS, **DROP)
    good = scenario.deploy(SELLS)
    assert scenario.outcome(good) == "succeeded"
    assert "fail" not in verdicts(scenario, good)
    assert verdicts(scenario, good)[-1] == "pass"
    version, (live, idle) = acts.live_version(scenario), acts.slots(scenario)
    assert version == f"t{scenario.versions}"

    bad = scenario.deploy(SELLS_LESS)
    assert scenario.outcome(bad) == "rolled_back"

    (ended,) = [e for e in scenario.history(bad) if e.kind == "rollback began"]
    # Its own failure, or the end of the execution that the judge failed; no alarm: none is red.
    assert ended.detail["trigger"]["kind"] in ("failure", "execution")
    assert failed_checks(scenario, bad) == {"conversion_rate against live"}
    assert scenario.lost(f"t{scenario.versions}") == 0, "every request was answered well"
    assert acts.slots(scenario) == (live, idle)
    acts.clients_see(scenario, version)
