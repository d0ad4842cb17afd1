"""Announcements as tests need them, ordinary and wild."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from greenlane.people.announcement import SEVERITIES, Announcement, announce
from greenlane.people.channel import Told
from tests.builders import NOW, SERVICE


def news(kind: str = "held", **changes: Any) -> Announcement:
    values: dict[str, Any] = {
        "kind": kind,
        "service": SERVICE,
        "region": "eu-west-1",
        "subject": f"Greenlane {kind} {SERVICE}",
        "deployment_id": "d-1",
        "occasion": 2,
        "facts": {"reason": "the good slot blue has targets, and none is healthy"},
        "way_out": "look at both slots",
        "at": NOW,
    }
    return announce(**(values | changes))


def told(kind: str = "held", *, minutes: int = -1, **changes: Any) -> Told:
    """What a channel was given of the same deployment, some minutes before `NOW`."""
    values: dict[str, Any] = {
        "announcement_id": f"d-1.{kind}.0",
        "kind": kind,
        "severity": SEVERITIES.get(kind, "warning"),
        "channel": "any",
        "action": "trigger",
        "at": NOW + timedelta(minutes=minutes),
        "state": "sent",
    }
    return Told.model_validate(values | changes)


_ANY = st.text(st.characters(exclude_categories=()), max_size=30)
_SHARP = st.sampled_from(["&", "<", ">", '"', "\\", "😀", "<!channel>", "\n", "\r", "|", "é", " "])
WILD = st.builds(
    lambda parts, often: "".join(parts) * often,
    st.lists(st.one_of(_ANY, _SHARP), max_size=4),
    st.sampled_from([1, 1, 1, 3, 40, 700]),
)
"""Text of any characters, halves of pairs too, that is short or very long."""

WHOLE = WILD.map(lambda text: text.encode("utf-8", "replace").decode())
"""The same without halves, as it comes out of JSON."""

LINKS = st.dictionaries(
    WHOLE,
    st.one_of(
        st.just("s3://reports/d-1/report.html"),
        st.just("https://grafana.example.com/d/uid?from=1&to=2"),
        st.builds(lambda text: f"https://example.com/{text}", WHOLE),
        WHOLE,
    ),
    max_size=12,
)


@st.composite
def told_by_us(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of `announce`, whatever a failing system may put into them."""
    return {
        "kind": draw(st.sampled_from([*SEVERITIES, "notice"])),
        "severity": draw(st.sampled_from([None, "critical", "error", "warning", "info"])),
        "service": draw(st.sampled_from([SERVICE, "unknown", "s" * 200])),
        "region": "eu-west-1",
        "subject": draw(WILD),
        "deployment_id": draw(st.sampled_from([None, "d-1", "D" * 80])),
        "occasion": draw(st.one_of(st.none(), st.integers(), WILD)),
        "facts": draw(st.dictionaries(WILD, st.one_of(WILD, st.integers()), max_size=40)),
        "way_out": draw(st.one_of(st.none(), WILD)),
        "links": draw(LINKS),
        "settled": draw(st.booleans()),
        "at": NOW,
    }


@st.composite
def received(draw: st.DrawFn) -> Announcement:
    """Announcements that somebody else may have published: of the right shape, nothing more."""
    return Announcement(
        id=draw(st.text(min_size=1, max_size=300)),
        kind=draw(st.sampled_from([*SEVERITIES, "notice"])),
        severity=draw(st.sampled_from(["critical", "error", "warning", "info"])),
        service=draw(st.text(min_size=1, max_size=200)),
        deployment_id=draw(st.one_of(st.none(), st.text(max_size=200))),
        region=draw(st.text(min_size=1, max_size=60)),
        subject=draw(WHOLE.filter(bool)),
        facts=draw(st.dictionaries(WHOLE, WHOLE, max_size=60)),
        way_out=draw(st.one_of(st.none(), WHOLE)),
        links=draw(LINKS),
        settled=draw(st.booleans()),
        at=NOW,
    )
