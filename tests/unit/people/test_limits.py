"""Whatever is told, no vendor refuses it for its form, and nobody is addressed by its text."""

import json
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from greenlane.people.alertmanager import Alertmanager
from greenlane.people.announcement import Announcement, announce, publication
from greenlane.people.opscenter import ops_item
from greenlane.people.pagerduty import resolved, triggered
from greenlane.people.slack import escaped, payload
from greenlane.people.webhook import WebhookChannel
from greenlane.people.wording import clip, one_line, units
from tests.unit.people import validators
from tests.unit.people.news import WHOLE, WILD, news, received, told, told_by_us

EXAMPLES = 120


@pytest.fixture(scope="module")
def published() -> list[Announcement]:
    """The same for every vendor: nine tenths of the time is taken by making them up."""
    made: list[Announcement] = []

    # Nothing fails here, so there is nothing to try again or to make smaller.
    @settings(max_examples=EXAMPLES, database=None, phases=[Phase.generate])
    @given(received())
    def keep(one: Announcement) -> None:
        made.append(one)

    keep()
    assert len(made) >= EXAMPLES
    return made


@settings(max_examples=EXAMPLES)
@given(told_by_us())
def test_sns_takes_whatever_we_tell_and_hands_on_the_whole(arguments: dict[str, Any]) -> None:
    made = announce(**arguments)
    handed_on = validators.check_publication(publication(made))
    again = Announcement.model_validate(handed_on)
    assert again == made or again == made.model_copy(update={"facts": {}, "links": {}})
    assert announce(**arguments).id == made.id


def test_slack_takes_it_and_nobody_is_addressed(published: list[Announcement]) -> None:
    for made in published:
        validators.check_slack(payload(made))


def test_pagerduty_takes_it(published: list[Announcement]) -> None:
    key = {"routing_key": "k" * 32}
    for made in published:
        validators.check_pagerduty(triggered(made) | key)
        validators.check_pagerduty(resolved(made) | key)


def test_opscenter_takes_it(published: list[Announcement]) -> None:
    for made in published:
        validators.check_ops_item(ops_item(made))


def test_alertmanager_takes_it(published: list[Announcement]) -> None:
    earlier = [told("held", action="fire"), told("drift", action="fire", minutes=-2)]
    messages = [Alertmanager("http://alertmanager:9093").message(one, earlier) for one in published]
    assert any(messages)
    for message in messages:
        if message is not None:
            validators.check_alerts(message.body)


def test_a_webhook_gets_json_that_reads_back(published: list[Announcement]) -> None:
    for made in published:
        message = WebhookChannel("https://example.com", "greenlane/x/webhook").message(made, ())
        assert message is not None
        assert Announcement.model_validate(json.loads(message.body)) == made


@given(WILD)
def test_cut_text_fits_and_begins_as_the_text_does(text: str) -> None:
    for limit in (1, 2, 10, 150):
        cut = clip(text, limit)
        assert units(cut) <= limit
        assert cut == text or text.startswith(cut.removesuffix("…"))
        assert units(one_line(text, limit)) <= limit
        assert "\n" not in one_line(text, limit)


@given(WHOLE)
def test_escaped_text_shows_what_it_was(text: str) -> None:
    whole = escaped(text, 10**6)
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        whole = whole.replace(entity, character)
    assert whole == text


def test_an_ordinary_message_is_whole() -> None:
    made = news(
        "rolled_back",
        facts={"trigger": "alarm x: Threshold Crossed", "live": "blue"},
        links={"report": "s3://bucket/d-1/report.html", "dashboard": "https://g.example.com/d/1"},
    )
    text = json.dumps(payload(made), ensure_ascii=False)
    for part in ("claude-manager", "d-1", "Threshold Crossed", "look at both slots", "s3://bucket"):
        assert part in text
    assert "<https://g.example.com/d/1|dashboard>" in text
