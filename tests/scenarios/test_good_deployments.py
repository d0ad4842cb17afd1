"""A good version reaches everybody, and nobody notices."""

from greenlane.deployments.phases import Phase
from tests.scenarios.conftest import Scenario


def test_a_good_canary_is_promoted_and_no_client_request_is_lost(scenario: Scenario) -> None:
    before = scenario.percent()
    deployment_id = scenario.deploy()

    assert scenario.outcome(deployment_id) == "succeeded"

    record = scenario.until_phase(deployment_id, Phase.WATCHING)
    assert before is not None
    assert scenario.percent() == {record.live: 0, record.candidate: 100}
    assert before[record.live] == 100
    assert scenario.lost(f"t{scenario.versions}") == 0
    shifts = [e for e in scenario.history(deployment_id) if e.kind == "shifted"]
    assert [event.detail["weight"] for event in shifts] == [10, 50, 100]


def test_every_shift_is_written_down_before_and_after(scenario: Scenario) -> None:
    deployment_id = scenario.deploy()
    assert scenario.outcome(deployment_id) == "succeeded"
    kinds = [k for k in scenario.kinds(deployment_id) if k in ("shift intended", "shifted")]
    assert kinds == ["shift intended", "shifted"] * 3
