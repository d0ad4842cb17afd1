"""The evidence about an image, asked before its first weight.

Planning refuses an image that failed a gate. Before traffic, evidence that is missing holds the
deployment for at most `max_hold`, then the declared policy decides.
"""

from datetime import datetime

from greenlane.deployments.declaring.criteria_document import SCAN
from greenlane.deployments.model import CheckResult, Plan
from greenlane.errors import NoEvidence, NotFinished, Refused, ValidationFailed
from greenlane.health.asked import criteria_of
from greenlane.health.criteria import Gate
from greenlane.health.evidence import EvidenceBook
from greenlane.health.gates import judge_evidence, judge_scan
from greenlane.health.judge import worst
from greenlane.health.scans import digest_in, read_scan
from greenlane.runtime import Runtime

NO_DIGEST = "the image is named by a tag, which may move; name it by digest"


def gate_checks(runtime: Runtime, plan: Plan) -> list[CheckResult]:
    """The gates of a deployment's image, one check each.

    None for an undo: it goes back to a version that was let through before.
    """
    if plan.request.undo:
        return []
    return [_check(runtime, plan, gate) for gate in criteria_of(plan.config).gates]


def _check(runtime: Runtime, plan: Plan, gate: Gate) -> CheckResult:
    image = plan.image or ""
    digest = digest_in(image)
    if digest is None:
        return CheckResult(name=gate.name, verdict="hold", reason=NO_DIGEST)
    if gate.name == SCAN:
        return judge_scan(gate, read_scan(runtime.ecr_quick, runtime.inspector2, image))
    book = EvidenceBook(runtime.store, runtime.clock)
    found = book.about(plan.service, digest, gate.name)
    return judge_evidence(gate.name, found, runtime.clock.now())


def refuse_failed(runtime: Runtime, plan: Plan) -> None:
    """Refuse an image that failed a gate already; what is missing may still come.

    Raises:
        Refused: with what was found; nothing was changed.
    """
    failed = [check for check in gate_checks(runtime, plan) if check.verdict == "fail"]
    if failed:
        raise Refused(f"gates: {worst(failed).reason}")


def pass_gates(runtime: Runtime, plan: Plan, since: datetime) -> list[CheckResult]:
    """Ask the gates before traffic; returns when the deployment may go on.

    Args:
        runtime: the AWS edges.
        plan: the deployment's.
        since: when the stage before traffic began.

    Returns:
        The checks; one that holds was advanced over by policy.

    Raises:
        ValidationFailed: a gate failed.
        NotFinished: evidence is missing; the workflow asks again.
        NoEvidence: it is still missing after `max_hold`, and the policy is to go back.
    """
    checks = gate_checks(runtime, plan)
    if not checks:
        return []
    verdict = worst(checks)
    if verdict.verdict == "fail":
        raise ValidationFailed(f"gates: {verdict.reason}")
    if verdict.verdict == "pass":
        return checks
    config = plan.config.deployment
    if runtime.clock.now() < since + config.max_hold or config.on_no_evidence == "pause":
        raise NotFinished(f"gates: {verdict.reason}")
    if config.on_no_evidence == "advance":
        return checks
    raise NoEvidence(f"gates: still no evidence after {config.max_hold}: {verdict.reason}")
