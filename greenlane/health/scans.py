"""The edge to ECR and Inspector: what is known of an image's vulnerabilities, by digest."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from greenlane.health.criteria import Severity
from greenlane.health.gates import FINISHED, Scan

_BY_DIGEST = re.compile(
    r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::[^:@/]+)?@(?P<digest>sha256:[0-9a-f]{64})$"
)
_SEVERITIES: Mapping[str, Severity] = {
    "CRITICAL": "CRITICAL",
    "HIGH": "HIGH",
    "MEDIUM": "MEDIUM",
    "LOW": "LOW",
    "INFORMATIONAL": "INFORMATIONAL",
    "UNDEFINED": "UNDEFINED",
    "UNTRIAGED": "UNDEFINED",
}
_NOT_SCANNED = {
    "ScanNotFoundException": "ECR has not scanned this image; switch scan on push on, or start one",
    "ImageNotFoundException": "the image is not in its repository any more",
    "RepositoryNotFoundException": "the image's repository does not exist any more",
}
_MOST_PAGES = 50
_INSPECTOR_PAGE = 100


def digest_in(image: str | None) -> str | None:
    """The digest that a reference names; None when it names a tag, or nothing."""
    found = re.search(r"@(sha256:[0-9a-f]{64})$", image or "")
    return found[1] if found else None


def read_scan(ecr: Any, inspector: Any, image: str) -> Scan:
    """What ECR knows of an image, and Inspector where ECR has no finished scan.

    Inspector's list of findings does not say whether it has looked, so it can only add findings:
    an empty list is no scan.

    Args:
        ecr: a boto3 `ecr` client.
        inspector: a boto3 `inspector2` client.
        image: the full reference, by digest.
    """
    place = _BY_DIGEST.match(image)
    if place is None:
        return Scan(why="the image is not named by digest in an ECR repository")
    if place["region"] != ecr.meta.region_name:
        return Scan(why=f"the image is in the ECR of {place['region']}, not of this Region")
    try:
        scan = _ecr_scan(ecr, place)
    except (ClientError, BotoCoreError) as error:
        scan = Scan(why=_why_not(error))
    if scan.status in FINISHED:
        return scan
    try:
        findings = _inspector_findings(inspector, place["digest"])
    except (ClientError, BotoCoreError):
        return scan  # most accounts have no Inspector; without it ECR's word stands
    return scan.model_copy(update={"findings": _more_of(scan.findings, findings)})


def _why_not(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        return _NOT_SCANNED.get(code, f"ECR does not say: {code}")
    return f"ECR does not say: {error}"


def _ecr_scan(ecr: Any, place: re.Match[str]) -> Scan:
    """All pages of one scan. A severity that ECR does not name has no findings."""
    asked: dict[str, Any] = {
        "registryId": place["account"],
        "repositoryName": place["repository"],
        "imageId": {"imageDigest": place["digest"]},
        "maxResults": 1000,
    }
    totals: dict[Severity, int] = {}
    basic: list[str] = []
    enhanced: list[dict[str, Any]] = []
    for _ in range(_MOST_PAGES):
        answer = ecr.describe_image_scan_findings(**asked)
        found = answer.get("imageScanFindings", {})
        totals = _more_of(totals, _counted(found.get("findingSeverityCounts", {}).items()))
        basic += [finding.get("severity", "UNDEFINED") for finding in found.get("findings", ())]
        enhanced += found.get("enhancedFindings", ())
        if not answer.get("nextToken"):
            status = answer.get("imageScanStatus", {}).get("status")
            if enhanced:
                return Scan(status=status, findings=_active(enhanced))
            findings = _more_of(totals, _counted((severity, 1) for severity in basic))
            return Scan(status=status, findings=findings)
        asked["nextToken"] = answer["nextToken"]
    return Scan(findings=totals, why=f"the scan has more than {_MOST_PAGES} pages of findings")


def _active(findings: Iterable[Mapping[str, Any]]) -> dict[Severity, int]:
    """Counts of what Inspector neither closed nor, by a rule of its owner, suppressed."""
    return _counted(
        (str(finding.get("severity", "UNDEFINED")), 1)
        for finding in findings
        if finding.get("status", "ACTIVE") == "ACTIVE"
    )


def _inspector_findings(inspector: Any, digest: str) -> dict[Severity, int]:
    """The active findings of Inspector about an image."""
    asked: dict[str, Any] = {
        "filterCriteria": {
            "ecrImageHash": [{"comparison": "EQUALS", "value": digest}],
            "findingStatus": [{"comparison": "EQUALS", "value": "ACTIVE"}],
        },
        "maxResults": _INSPECTOR_PAGE,
    }
    listed: list[str] = []
    for _ in range(_MOST_PAGES):
        answer = inspector.list_findings(**asked)
        listed += [str(finding["severity"]) for finding in answer.get("findings", ())]
        if not answer.get("nextToken"):
            break
        asked["nextToken"] = answer["nextToken"]
    return _counted((severity, 1) for severity in listed)


def _counted(findings: Iterable[tuple[str, int]]) -> dict[Severity, int]:
    """Counts by severity; a word that is not known counts as undefined."""
    counts: dict[Severity, int] = {}
    for word, count in findings:
        severity = _SEVERITIES.get(word, "UNDEFINED")
        counts[severity] = counts.get(severity, 0) + count
    return counts


def _more_of(one: Mapping[Severity, int], other: Mapping[Severity, int]) -> dict[Severity, int]:
    """Two counts of the same findings: of each severity the higher one."""
    return {level: max(one.get(level, 0), other.get(level, 0)) for level in {*one, *other}}
