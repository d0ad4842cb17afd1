"""Whether the evidence about an image lets it through: pass, fail or hold. Pure; no I/O.

A failed gate is a fail. Evidence that is missing, unfinished or expired holds: it is never a pass.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import Field

from greenlane.deployments.model import CheckResult
from greenlane.deployments.storing.shapes import StoredModel
from greenlane.health.criteria import Gate, Severity
from greenlane.health.evidence import Evidence

CLOCKS_DIFFER = timedelta(minutes=5)
"""Evidence from further in the future than this comes from a wrong clock, and does not count."""

FINISHED = frozenset({"COMPLETE", "ACTIVE"})
"""A basic scan that has ended, and an enhanced one that goes on with each new vulnerability."""

_WHY = {
    "IN_PROGRESS": "the scan still runs",
    "PENDING": "the scan has not begun",
    "FAILED": "the scan failed; start it again",
    "UNSUPPORTED_IMAGE": "ECR cannot scan this kind of image",
    "SCAN_ELIGIBILITY_EXPIRED": "Inspector scans this image no more, it is too old",
    "FINDINGS_UNAVAILABLE": "the findings are not available",
    "LIMIT_EXCEEDED": "the account's limit of scans is reached",
    "IMAGE_ARCHIVED": "the image is archived",
    "IMAGE_SIZE_EXCEEDED": "the image is too large to be scanned",
}

_ORDER: tuple[Severity, ...] = (
    "CRITICAL",
    "HIGH",
    "MEDIUM",
    "LOW",
    "INFORMATIONAL",
    "UNDEFINED",
)


class Scan(StoredModel):
    """What is known of the vulnerabilities of one image.

    Attributes:
        status: ECR's own word; None when it has not scanned the image, or could not be asked.
        findings: how many, by severity; one that is absent has none.
        why: what else there is to say, such as why it could not be asked.
    """

    status: str | None = None
    findings: dict[Severity, int] = Field(default_factory=dict)
    why: str = ""


def judge_scan(gate: Gate, scan: Scan) -> CheckResult:
    """Whether a scan has ended with no more findings than the gate permits.

    Findings beyond the limits fail also where the scan has not ended: it can only find more.
    """
    over = {
        level: found
        for level in _ORDER
        if (limit := gate.findings.get(level)) is not None
        and (found := scan.findings.get(level, 0)) > limit
    }
    if over:
        return CheckResult(
            name=gate.name,
            verdict="fail",
            value=Decimal(sum(over.values())),
            limit=Decimal(sum(gate.findings[level] for level in over)),
            reason=_said(over, gate.findings),
        )
    if scan.status in FINISHED:
        counted = sum(scan.findings.get(level, 0) for level in gate.findings)
        return CheckResult(name=gate.name, verdict="pass", value=Decimal(counted))
    why = scan.why or _WHY.get(scan.status or "", f"the scan is {scan.status}")
    return CheckResult(name=gate.name, verdict="hold", reason=why)


def _said(over: Mapping[Severity, int], permitted: Mapping[Severity, int]) -> str:
    found = ", ".join(
        f"{count} {level} (permitted {permitted[level]})" for level, count in over.items()
    )
    return f"the image has {found}"


def judge_evidence(name: str, found: Iterable[Evidence], now: datetime) -> CheckResult:
    """Whether what was posted about an image says pass: the newest that has not expired.

    A result that failed is not forgotten when it expires: nothing older speaks for the image.
    """
    known = [one for one in found if one.posted_at <= now + CLOCKS_DIFFER]
    newest_first = sorted(
        known, key=lambda one: (one.posted_at, one.status == "fail"), reverse=True
    )
    for one in newest_first:
        if now < one.expires_at:
            return _of(one)
        if one.status == "fail":
            break
    if not newest_first:
        reason = "nothing was posted about this image"
    else:
        last = newest_first[0]
        reason = f"{last.issuer}'s {last.status} expired at {last.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    return CheckResult(name=name, verdict="hold", reason=reason)


def _of(evidence: Evidence) -> CheckResult:
    if evidence.status == "pass":
        said = f"{evidence.issuer} says pass"
        return CheckResult(name=evidence.name, verdict="pass", reason=said)
    where = f", see {evidence.url}" if evidence.url else ""
    said = f"{evidence.issuer} says fail{where}"
    return CheckResult(name=evidence.name, verdict="fail", reason=said)
