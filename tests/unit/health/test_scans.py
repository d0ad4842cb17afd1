"""What ECR and Inspector answer becomes one scan, whatever they answer."""

import json

import pytest

from greenlane.health.scans import digest_in, read_scan
from tests.builders import NEW_IMAGE
from tests.fakes import REGION, Spy, client, error, timeout

DIGEST = NEW_IMAGE.split("@")[1]
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": DIGEST, "size": 1, "mediaType": "application/json"},
        "layers": [],
    }
)
ENHANCED = [
    {"severity": "HIGH", "status": "ACTIVE"},
    {"severity": "CRITICAL", "status": "SUPPRESSED"},
    {"severity": "HIGH", "status": "CLOSED"},
    {"severity": "UNTRIAGED", "status": "ACTIVE"},
]


class Answers:
    """An API that answers page after page, or fails."""

    def __init__(self, *pages):
        self.pages, self.asked = list(pages), []

    def __getattr__(self, _operation):
        def answer(**arguments):
            self.asked.append(arguments)
            page = self.pages[len(self.asked) - 1]
            if isinstance(page, Exception):
                raise page
            more = len(self.asked) < len(self.pages)
            return page | ({"nextToken": "more"} if more else {})

        return answer


class Quiet:
    """Of a world, what a spy asks for."""

    calls: list[tuple[str, str]] = []

    def faults_of(self, _service, _operation):
        return None, None


def page(status="COMPLETE", counts=None, **findings):
    found = {"findingSeverityCounts": counts} if counts is not None else {}
    return {"imageScanStatus": {"status": status}, "imageScanFindings": found | findings}


def read(*pages, inspector=({"findings": []},), image=NEW_IMAGE):
    ecr, other = Answers(*pages), Answers(*inspector)
    world = Quiet()
    scan = read_scan(Spy(world, "ecr", ecr), Spy(world, "inspector2", other), image)
    return scan, ecr.asked, other.asked


def test_a_basic_scan_is_asked_for_by_digest():
    scan, asked, inspector = read(page(counts={"HIGH": 1, "LOW": 3}))
    assert (scan.status, scan.findings) == ("COMPLETE", {"HIGH": 1, "LOW": 3})
    assert asked[0]["imageId"] == {"imageDigest": DIGEST}
    assert asked[0]["registryId"] == "123456789012"
    assert inspector == [], "ECR knows"


def test_a_severity_that_is_not_named_has_no_findings():
    scan, _, _ = read(page(counts={}))
    assert (scan.status, scan.findings) == ("COMPLETE", {})


def test_all_pages_are_read_and_the_counts_are_not_added_up():
    high, low = {"severity": "HIGH"}, {"severity": "LOW"}
    counts = {"HIGH": 2, "LOW": 1}
    scan, asked, _ = read(
        page(counts=counts, findings=[high]), page(counts=counts, findings=[high, low])
    )
    assert scan.findings == counts
    assert asked[1]["nextToken"] == "more"


def test_findings_that_the_counts_leave_out_are_counted():
    scan, _, _ = read(page(counts={}, findings=[{"severity": "CRITICAL"}, {}]))
    assert scan.findings == {"CRITICAL": 1, "UNDEFINED": 1}


def test_of_an_enhanced_scan_the_active_findings_count():
    scan, _, _ = read(
        page("ACTIVE", counts={"CRITICAL": 1, "HIGH": 2}, enhancedFindings=ENHANCED[:2]),
        page("ACTIVE", counts={"CRITICAL": 1, "HIGH": 2}, enhancedFindings=ENHANCED[2:]),
    )
    assert (scan.status, scan.findings) == ("ACTIVE", {"HIGH": 1, "UNDEFINED": 1})


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (error("ScanNotFoundException"), "ECR has not scanned this image"),
        (error("ImageNotFoundException"), "not in its repository"),
        (error("RepositoryNotFoundException"), "does not exist"),
        (error("ThrottlingException"), "ECR does not say: ThrottlingException"),
        (error("AccessDeniedException"), "ECR does not say: AccessDeniedException"),
        (timeout(), "ECR does not say"),
    ],
)
def test_what_ecr_cannot_say_is_no_scan(failure, why):
    scan, _, _ = read(failure)
    assert (scan.status, scan.findings) == (None, {})
    assert why in scan.why


def test_a_page_that_is_missing_makes_the_whole_scan_unknown():
    scan, _, _ = read(page(counts={}), error("ThrottlingException"))
    assert scan.status is None


def test_a_scan_without_end_is_no_scan():
    scan, _, _ = read(*[page(counts={"HIGH": 1})] * 51)
    assert scan.status is None
    assert scan.findings == {"HIGH": 1}


def test_without_a_scan_of_ecr_inspector_is_asked_by_digest():
    scan, _, asked = read(
        error("ScanNotFoundException"),
        inspector=[
            {"findings": [{"severity": "HIGH"}]},
            {"findings": [{"severity": "HIGH"}, {"severity": "UNTRIAGED"}]},
        ],
    )
    assert (scan.status, scan.findings) == (None, {"HIGH": 2, "UNDEFINED": 1})
    assert "ECR has not scanned" in scan.why
    criteria = asked[0]["filterCriteria"]
    assert criteria["ecrImageHash"] == [{"comparison": "EQUALS", "value": DIGEST}]


def test_without_inspector_the_word_of_ecr_stands():
    scan, _, _ = read(page("PENDING"), inspector=[error("AccessDeniedException")])
    assert (scan.status, scan.findings) == ("PENDING", {})


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (NEW_IMAGE.replace("@", ":1.4.2@"), ""),
        (NEW_IMAGE.split("@")[0] + ":1.4.2", "by digest"),
        (f"docker.io/library/nginx@{DIGEST}", "by digest in an ECR"),
        (NEW_IMAGE.replace(REGION, "us-west-2"), "us-west-2"),
    ],
)
def test_an_image_is_scanned_by_digest_in_this_regions_ecr_or_not_at_all(image, why):
    scan, asked, _ = read(page(counts={}), image=image)
    assert (scan.status is None) == bool(why)
    assert why in scan.why
    assert len(asked) == (0 if why else 1)


def test_a_digest_is_found_only_where_there_is_one():
    assert digest_in(NEW_IMAGE) == DIGEST
    assert digest_in("nginx:1") is None
    assert digest_in("nginx@sha256:1") is None
    assert digest_in(None) is None


def test_moto_knows_one_high_finding_of_every_image(aws):
    ecr = client("ecr")
    ecr.create_repository(repositoryName="claude-manager")
    pushed = ecr.put_image(repositoryName="claude-manager", imageManifest=MANIFEST, imageTag="1")[
        "image"
    ]["imageId"]
    image = f"{NEW_IMAGE.split('@')[0]}@{pushed['imageDigest']}"
    assert read_scan(ecr, client("inspector2"), image).status is None, "never scanned"
    ecr.start_image_scan(repositoryName="claude-manager", imageId=pushed)
    scan = read_scan(ecr, client("inspector2"), image)
    assert (scan.status, scan.findings) == ("COMPLETE", {"HIGH": 1})
