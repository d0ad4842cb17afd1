"""The gates of a deployment's image before its first weight."""

from datetime import timedelta

import pytest

from greenlane.deployments.stepping.gating import gate_checks, pass_gates, refuse_failed
from greenlane.errors import NoEvidence, NotFinished, Refused, ValidationFailed
from greenlane.health.evidence import EvidenceBook
from tests.builders import NEW_IMAGE, NOW, SERVICE, plan, request, service_config
from tests.fakes import Spy, error

DIGEST = NEW_IMAGE.split("@")[1]
ALL = {"vulnerability_scan": "pass", "security_tests": "pass", "compliance_checks": "pass"}


class Registry:
    """ECR with one scan, which a test sets."""

    def __init__(self):
        self.status, self.counts = "COMPLETE", {}

    def describe_image_scan_findings(self, **_):
        return {
            "imageScanStatus": {"status": self.status},
            "imageScanFindings": {"findingSeverityCounts": self.counts},
        }


class NoInspector:
    """An account without Inspector."""

    def list_findings(self, **_):
        raise error("AccessDeniedException", "ListFindings")


@pytest.fixture
def registry(world):
    registry = Registry()
    world.runtime.__dict__["ecr_quick"] = Spy(world, "ecr", registry)
    world.runtime.__dict__["inspector2"] = Spy(world, "inspector2", NoInspector())
    return registry


def planned(security=ALL, policy="rollback", **changes):
    config = service_config(
        success_criteria={"security": security},
        deployment={"strategy": "canary", "steps": [10, 100], "on_no_evidence": policy},
    )
    return plan(config=config, **changes)


def post(world, name, status="pass", digest=DIGEST):
    EvidenceBook(world.store, world.clock).post(
        SERVICE, name, status=status, digest=digest, issuer="ci", expires="7d", by="jo"
    )


def verdicts(world, planned):
    return {check.name: check.verdict for check in gate_checks(world.runtime, planned)}


def test_without_gates_nothing_is_asked(world):
    world.calls.clear()
    assert gate_checks(world.runtime, plan()) == []
    assert pass_gates(world.runtime, plan(), NOW) == []
    assert world.calls == []


def test_each_gate_has_its_own_check(world, registry):
    post(world, "security_tests")
    post(world, "compliance_checks", "fail")
    assert verdicts(world, planned()) == {
        "vulnerability_scan": "pass",
        "security_tests": "pass",
        "compliance_checks": "fail",
    }


def test_evidence_about_another_image_says_nothing(world, registry):
    post(world, "security_tests", digest=f"sha256:{'c' * 64}")
    assert verdicts(world, planned({"security_tests": "pass"})) == {"security_tests": "hold"}


def test_an_image_by_tag_holds_every_gate(world, registry):
    by_tag = planned(image="registry/claude-manager:1.4.2")
    assert set(verdicts(world, by_tag).values()) == {"hold"}
    assert set(verdicts(world, planned(image=None)).values()) == {"hold"}


def test_an_undo_is_not_asked(world, registry):
    registry.counts = {"CRITICAL": 3}
    assert gate_checks(world.runtime, planned(request=request(undo=True))) == []


def test_all_evidence_lets_the_deployment_go_on(world, registry):
    post(world, "security_tests")
    post(world, "compliance_checks")
    assert len(pass_gates(world.runtime, planned(), NOW)) == 3


def test_a_failed_gate_ends_it_whatever_else_is_missing(world, registry):
    registry.counts = {"HIGH": 1}
    with pytest.raises(ValidationFailed, match="vulnerability_scan: the image has 1 HIGH"):
        pass_gates(world.runtime, planned(policy="advance"), NOW)


def test_missing_evidence_is_waited_for_until_it_comes(world, registry):
    tests = planned({"security_tests": "pass"})
    with pytest.raises(NotFinished, match="nothing was posted"):
        pass_gates(world.runtime, tests, NOW)
    world.clock.advance(minutes=29)
    post(world, "security_tests")
    assert [check.verdict for check in pass_gates(world.runtime, tests, NOW)] == ["pass"]


@pytest.mark.parametrize(
    ("policy", "outcome"), [("rollback", NoEvidence), ("pause", NotFinished), ("advance", None)]
)
def test_after_max_hold_the_declared_policy_decides(world, registry, policy, outcome):
    registry.status = "IN_PROGRESS"
    scan = planned({"vulnerability_scan": "pass"}, policy)
    since = world.clock.now() - timedelta(minutes=30)
    if outcome is None:
        assert [check.verdict for check in pass_gates(world.runtime, scan, since)] == ["hold"]
        return
    with pytest.raises(outcome, match="the scan still runs"):
        pass_gates(world.runtime, scan, since)


def test_a_registry_that_does_not_answer_holds(world, registry):
    world.fail("ecr", "describe_image_scan_findings")
    assert verdicts(world, planned({"vulnerability_scan": "pass"})) == {
        "vulnerability_scan": "hold"
    }


def test_planning_refuses_what_failed_and_lets_the_rest_come(world, registry):
    refuse_failed(world.runtime, planned())
    registry.counts = {"CRITICAL": 1}
    with pytest.raises(Refused, match="gates: vulnerability_scan: the image has 1 CRITICAL"):
        refuse_failed(world.runtime, planned())
