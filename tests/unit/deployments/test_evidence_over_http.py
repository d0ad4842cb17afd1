"""Evidence about images, posted over HTTP."""

import pytest

from tests.builders import SERVICE
from tests.deployment_doors import ADA, Door, problem_in


@pytest.fixture
def door(applied) -> Door:
    return Door(applied)


DIGEST = "sha256:" + "a" * 64
RESULT = {
    "service": SERVICE,
    "name": "security_tests",
    "status": "pass",
    "digest": DIGEST,
    "issuer": "pipeline-7",
    "expires": "7d",
}


def test_posted_evidence_is_kept_with_who_signed(door):
    status, posted = door("POST", "/evidence", RESULT)
    assert status == 201
    assert (posted["posted_by"], posted["expires_at"]) == (ADA, "2026-11-30T12:00:00Z")
    (kept,) = door.greenlane.evidence.posted(SERVICE)
    assert kept.model_dump(mode="json") == posted


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"status": "passed"}, "status", "did you mean pass?"),
        ({"digest": "1.4.2"}, "digest", "pattern"),
        ({"expires": "2y"}, "expires", "30s, 5m"),
        ({"expires": "800d"}, "expires", "at most 366 days"),
        ({"by": "jo"}, "by", "no such key"),
    ],
)
def test_wrong_evidence_is_refused_with_the_key_and_the_way_out(door, wrong, field, said):
    told = problem_in(door("POST", "/evidence", RESULT | wrong), 400)
    assert told["problems"][0]["field"] == field
    assert said in told["problems"][0]["way_out"]
    assert door.greenlane.evidence.posted(SERVICE) == []


def test_evidence_about_an_unknown_service_is_404(door):
    problem_in(door("POST", "/evidence", RESULT | {"service": "shop"}), 404)
