"""Gates decide by an image's own evidence: a table of scans, and what was posted."""

from datetime import timedelta

import pytest

from greenlane.health.criteria import Gate
from greenlane.health.evidence import Evidence
from greenlane.health.gates import CLOCKS_DIFFER, Scan, judge_evidence, judge_scan
from tests.builders import NOW

DIGEST = f"sha256:{'b' * 64}"
NO_HIGH = {"CRITICAL": 0, "HIGH": 0}


def scanned(status, findings=None, limits=None):
    gate = Gate(name="vulnerability_scan", findings=NO_HIGH if limits is None else limits)
    return judge_scan(gate, Scan(status=status, findings=findings or {}))


@pytest.mark.parametrize(
    ("status", "findings", "verdict"),
    [
        ("COMPLETE", {}, "pass"),
        ("COMPLETE", {"MEDIUM": 7, "LOW": 20, "UNDEFINED": 1}, "pass"),
        ("ACTIVE", {}, "pass"),
        ("COMPLETE", {"HIGH": 1}, "fail"),
        ("COMPLETE", {"CRITICAL": 1}, "fail"),
        ("ACTIVE", {"HIGH": 3, "LOW": 1}, "fail"),
        ("IN_PROGRESS", {}, "hold"),
        ("IN_PROGRESS", {"MEDIUM": 1}, "hold"),
        ("IN_PROGRESS", {"CRITICAL": 1}, "fail"),
        ("PENDING", {}, "hold"),
        ("FAILED", {}, "hold"),
        ("UNSUPPORTED_IMAGE", {}, "hold"),
        ("SCAN_ELIGIBILITY_EXPIRED", {}, "hold"),
        ("FINDINGS_UNAVAILABLE", {}, "hold"),
        ("LIMIT_EXCEEDED", {}, "hold"),
        ("IMAGE_ARCHIVED", {}, "hold"),
        ("IMAGE_SIZE_EXCEEDED", {}, "hold"),
        ("A_WORD_OF_TOMORROW", {}, "hold"),
        (None, {}, "hold"),
        (None, {"HIGH": 1}, "fail"),
    ],
)
def test_only_a_scan_that_has_ended_well_passes(status, findings, verdict):
    check = scanned(status, findings)
    assert check.verdict == verdict
    assert bool(check.reason) == (verdict != "pass")


def test_a_limit_itself_is_permitted_and_one_more_is_not():
    limits = {"HIGH": 2, "MEDIUM": 5}
    assert scanned("COMPLETE", {"HIGH": 2, "MEDIUM": 5}, limits).verdict == "pass"
    check = scanned("COMPLETE", {"HIGH": 3, "MEDIUM": 5}, limits)
    assert (check.verdict, check.value, check.limit) == ("fail", 3, 2)
    assert check.reason == "the image has 3 HIGH (permitted 2)"


def test_a_level_without_a_limit_does_not_count():
    assert scanned("COMPLETE", {"CRITICAL": 9}, {"HIGH": 0}).verdict == "pass"


def posted(status, days_ago, lasts=7, **changes):
    at = NOW - timedelta(days=days_ago)
    values = {
        "service": "shop",
        "name": "security_tests",
        "status": status,
        "digest": DIGEST,
        "issuer": "ci",
        "posted_by": "jo",
        "posted_at": at,
        "expires_at": at + timedelta(days=lasts),
    }
    return Evidence.model_validate(values | changes)


def verdict(*found):
    return judge_evidence("security_tests", found, NOW).verdict


def test_nothing_posted_holds():
    check = judge_evidence("security_tests", [], NOW)
    assert (check.verdict, check.reason) == ("hold", "nothing was posted about this image")


def test_the_newest_result_counts_in_whatever_order_they_come():
    assert verdict(posted("pass", 1)) == "pass"
    assert verdict(posted("pass", 2), posted("fail", 1)) == "fail"
    assert verdict(posted("fail", 2), posted("pass", 1)) == "pass"
    assert verdict(posted("pass", 1), posted("fail", 2)) == "pass"


def test_of_two_at_the_same_moment_the_fail_counts():
    assert verdict(posted("fail", 1), posted("pass", 1)) == "fail"
    assert verdict(posted("pass", 1), posted("fail", 1)) == "fail"


def test_an_expired_pass_holds_and_says_whose_it_was():
    check = judge_evidence("security_tests", [posted("pass", 8)], NOW)
    assert check.verdict == "hold"
    assert "ci's pass expired" in check.reason


def test_it_expires_at_its_moment_and_not_before():
    assert verdict(posted("pass", 7)) == "hold"
    assert verdict(posted("pass", 7, expires_at=NOW + timedelta(seconds=1))) == "pass"


def test_an_older_pass_still_speaks_when_a_newer_one_was_short():
    assert verdict(posted("pass", 3, lasts=30), posted("pass", 2, lasts=1)) == "pass"


def test_an_older_pass_does_not_speak_once_a_newer_result_failed():
    assert verdict(posted("pass", 3, lasts=30), posted("fail", 2, lasts=1)) == "hold"


def test_a_result_from_the_future_does_not_count():
    soon = NOW + CLOCKS_DIFFER
    late = posted("pass", 0, posted_at=soon + timedelta(seconds=1), expires_at=soon + timedelta(9))
    assert verdict(late) == "hold"
    assert verdict(late.model_copy(update={"posted_at": soon})) == "pass"


def test_a_failure_links_to_where_one_reads_more():
    check = judge_evidence("security_tests", [posted("fail", 1, url="https://ci/1")], NOW)
    assert check.reason == "ci says fail, see https://ci/1"
