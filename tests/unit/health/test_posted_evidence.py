"""Posting evidence: what is kept, what is refused, and that nothing is overwritten."""

from datetime import timedelta

import pytest

from greenlane.errors import InvalidInput, UnknownService

DIGEST, OTHER = (f"sha256:{letter * 64}" for letter in "bc")
GOOD = {
    "status": "pass",
    "digest": DIGEST,
    "issuer": "pipeline 17",
    "expires": "7d",
    "url": "https://ci.example.com/17?x=1",
    "by": "jo",
}


def post(greenlane, name="security_tests", service="claude-manager", **changes):
    return greenlane.evidence.post(service, name, **(GOOD | changes))


def test_what_was_posted_is_kept_as_it_was(applied):
    posted = post(applied)
    assert posted.expires_at - posted.posted_at == timedelta(days=7)
    assert (posted.issuer, posted.posted_by) == ("pipeline 17", "jo")
    assert applied.evidence.posted("claude-manager") == [posted]


def test_a_later_result_stands_beside_the_earlier_one(applied):
    first, second = post(applied), post(applied, status="fail")
    found = applied.evidence.about("claude-manager", DIGEST, "security_tests")
    assert sorted(found, key=lambda one: one.status) == [second, first]


def test_an_image_and_a_name_have_their_own(applied):
    post(applied)
    other = post(applied, digest=OTHER)
    longer = post(applied, "security_tests_more")
    assert applied.evidence.posted("claude-manager", OTHER) == [other]
    assert applied.evidence.about("claude-manager", DIGEST, "security_tests_more") == [longer]
    assert len(applied.evidence.about("claude-manager", DIGEST, "security_tests")) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "vulnerability_scan"}, "name"),
        ({"name": "Security Tests"}, "name"),
        ({"name": "a#b"}, "name"),
        ({"status": "passed"}, "status"),
        ({"digest": "1.4.2"}, "digest"),
        ({"digest": "sha256:" + "B" * 64}, "digest"),
        ({"digest": DIGEST + "\n"}, "digest"),
        ({"issuer": ""}, "issuer"),
        ({"expires": "soon"}, "expires"),
        ({"expires": "0s"}, "expires"),
        ({"expires": "400d"}, "expires"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "https://user:pass@ci"}, "url"),
    ],
)
def test_what_is_wrong_is_named_and_not_kept(applied, changes, field):
    with pytest.raises(InvalidInput) as caught:
        post(applied, **changes)
    assert caught.value.field == field
    assert applied.evidence.posted("claude-manager") == []


def test_a_service_that_was_never_applied_is_refused(applied):
    with pytest.raises(UnknownService):
        post(applied, service="shop")
    with pytest.raises(UnknownService):
        applied.evidence.posted("shop")
