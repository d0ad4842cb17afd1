"""What the rest of Greenlane tells, and how often it pages."""

import json

import pytest

from greenlane.deployments.stepping.finishing import drain_slot, finish_deployment
from greenlane.deployments.storing.journal import tell
from greenlane.errors import Refused
from greenlane.people.announcement import Announcement
from greenlane.people.delivery import Delivery
from greenlane.people.ledger import place_of
from greenlane.rollback.closing import close_rollback
from greenlane.rollback.model import CloseEvent
from greenlane.rollback.settle import empty_slot, hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import NOW, SERVICE, plan
from tests.fakes import BACK, timeout
from tests.unit.people import validators
from tests.unit.people.town import Town


def told(world) -> list[Announcement]:
    """Every announcement that was published, each of them fit for SNS."""
    return [
        Announcement.model_validate(
            validators.check_publication(published | {"MessageStructure": "json"})
        )
        for published in world.topic.published
    ]


def taken_back(world, kind="alarm", **changes):
    """A rollback from its trigger to its end."""
    rollback = take_traffic_back(world.back(kind, **changes), world.runtime)
    world.clock.advance(minutes=6)
    rollback = empty_slot(hold_traffic(rollback, world.runtime), world.runtime)
    event = CloseEvent(rollback=rollback, execution=BACK)
    return close_rollback(event, world.runtime)


def test_a_rollback_ends_with_one_page(town: Town) -> None:
    town.wants()
    town.world.shifted()
    rollback = taken_back(town.world)
    for _ in range(3):  # functions are retried
        close_rollback(CloseEvent(rollback=rollback, execution=BACK), town.world.runtime)
    told_so_far = list(town.world.topic.published)
    for published in told_so_far * 25:
        town.notify(published)
    (page,) = town.server.to("events.pagerduty.com")
    assert page.document["event_action"] == "trigger"
    assert page.document["payload"]["summary"] == f"Greenlane took {SERVICE} back"
    assert len(town.ops.items) == 1
    assert len(town.server.to("slack.com")) == 1


def test_a_rollback_that_could_not_go_on_pages_once_and_its_end_closes_the_page(
    town: Town,
) -> None:
    town.wants()
    town.world.shifted()
    request = town.world.back().request
    event = CloseEvent(request=request, execution=BACK, trying=True, failure={"Error": "Denied"})
    close_rollback(event, town.world.runtime)
    town.notify_all()
    taken_back(town.world)
    town.notify_all()
    events = [got.document for got in town.server.to("events.pagerduty.com")]
    assert [event["event_action"] for event in events] == ["trigger", "resolve"]
    assert len({event["dedup_key"] for event in events}) == 1


@pytest.mark.parametrize(
    ("kind", "changes", "severity"),
    [
        ("alarm", {}, "critical"),
        ("failure", {}, "critical"),
        ("execution", {}, "critical"),
        ("person", {}, "warning"),
        ("failure", {"trigger": {"name": "Aborted"}}, "warning"),
    ],
)
def test_a_rollback_pages_unless_a_person_wanted_it(world, kind, changes, severity) -> None:
    world.shifted()
    taken_back(world, kind, **changes)
    (news,) = told(world)
    assert (news.kind, news.severity, news.settled) == ("rolled_back", severity, True)
    assert news.id == f"d-1.rolled_back.{world.record.epoch}"


def test_a_deployment_that_never_had_traffic_pages_nobody(world) -> None:
    world.stable()
    taken_back(world, "failure")
    (news,) = told(world)
    assert (news.kind, news.severity) == ("rolled_back", "error")


def test_an_incomplete_rollback_leaves_its_page_open(world) -> None:
    world.shifted()
    rollback = take_traffic_back(world.back(), world.runtime)
    event = CloseEvent(rollback=rollback, execution=BACK, failure={"Error": "AccessDenied"})
    close_rollback(event, world.runtime)
    (news,) = told(world)
    assert (news.severity, news.settled) == ("critical", False)
    assert "may still run" in news.facts["incomplete"]


def test_a_page_names_the_deployment_although_an_alarm_names_only_the_service(world) -> None:
    world.shifted()
    request = world.back().request
    assert request.deployment_id is None
    for still in (True, False):
        event = CloseEvent(
            request=request, execution=BACK, trying=still, held=not still, failure={"Error": "X"}
        )
        close_rollback(event, world.runtime)
    trying, held = told(world)
    assert (trying.kind, held.kind) == ("still_trying", "held")
    assert {trying.incident, held.incident} == {"d-1#eu-west-1"}
    assert {trying.severity, held.severity} == {"critical"}
    assert held.way_out is not None


def test_a_page_without_the_table_is_the_services(world) -> None:
    world.shifted()
    world.fail("dynamodb", "*", timeout(), times=99)
    event = CloseEvent(request=world.back().request, execution=BACK, held=True)
    close_rollback(event, world.runtime)
    (news,) = told(world)
    assert (news.service, news.deployment_id) == (SERVICE, None)
    assert place_of(news) == f"SERVICE#{SERVICE}"


def test_a_good_deployment_is_told_twice_and_pages_nobody(town: Town) -> None:
    town.wants()
    state = town.world.promoted()
    town.world.clock.advance(minutes=31)
    town.world.traffic("green", requests=100)
    finish_deployment(drain_slot(state, town.world.runtime), town.world.runtime)
    assert [(news.kind, news.severity, news.settled) for news in told(town.world)] == [
        ("promoted", "info", False),
        ("succeeded", "info", True),
    ]
    town.notify_all()
    assert set(town.outcomes()) == {"slack", "webhook"}
    assert len(town.server.to("slack.com")) == 2


def test_a_refusal_is_a_warning_for_the_deployment_that_was_asked_for(world) -> None:
    world.set_weights(50, 50)
    with pytest.raises(Refused):
        world.planned()
    (news,) = told(world)
    assert (news.kind, news.severity, news.deployment_id) == ("refused", "warning", "d-1")
    assert news.facts["error"] == "Refused"


def test_a_mail_can_be_read(world) -> None:
    tell(
        world.runtime,
        "Greenlane took it back",
        plan(),
        kind="rolled_back",
        way_out="look at the report",
        links={"report": "s3://reports/d-1"},
        trigger="alarm x",
        image=None,
    )
    assert world.topic.messages == [
        "service: claude-manager\nregion: eu-west-1\ndeployment: d-1\ntrigger: alarm x\n\n"
        "What to do: look at the report\n\nreport: s3://reports/d-1"
    ]


def test_subscriptions_can_filter(world) -> None:
    tell(world.runtime, "Hello", SERVICE, kind="drift")
    (published,) = world.topic.published
    values = {name: it["StringValue"] for name, it in published["MessageAttributes"].items()}
    assert values == {"kind": "drift", "severity": "error", "service": SERVICE}


def test_the_same_news_has_the_same_id_and_other_news_another(world) -> None:
    for reason in ("one", "one", "two"):
        tell(world.runtime, "Somebody changed the weights", plan(), kind="drift", reason=reason)
    first, again, other = (news.id for news in told(world))
    assert first == again != other


@pytest.mark.parametrize("problem", [timeout(), "ThrottlingException", RuntimeError("bug")])
def test_telling_never_raises(world, problem) -> None:
    world.fail("sns", "publish", problem)
    tell(world.runtime, "Hello", SERVICE)
    tell(world.runtime, "Hello", SERVICE, kind="No Kind!")
    tell(world.runtime, "half a pair: \ud800", SERVICE, reason="\udfff")
    (news,) = told(world)
    assert news.subject == "half a pair: ?"


def text_event(message: str, subject: str | None, **attributes: str) -> Delivery:
    notification = {
        "MessageId": "m-1",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:greenlane-notifications",
        "Timestamp": NOW.isoformat(),
        "Subject": subject,
        "Message": message,
        "MessageAttributes": {
            name: {"Type": "String", "Value": value} for name, value in attributes.items()
        },
    }
    return Delivery.model_validate({"Records": [{"Sns": notification}]})


def test_text_that_somebody_publishes_is_news_for_the_service_it_names() -> None:
    (news,) = text_event(
        "Is this thing on?", "Test", service=SERVICE, severity="critical"
    ).announcements()
    assert (news.kind, news.severity, news.service) == ("notice", "critical", SERVICE)
    assert (news.subject, news.region, news.id) == (
        "Test",
        "eu-west-1",
        f"{SERVICE}.notice.m-1",
    )
    (news,) = text_event(json.dumps({"not": "ours"}), None, severity="loud").announcements()
    assert (news.service, news.severity) == ("unknown", "warning")
    (news,) = text_event("x", "PAGE: by an older version").announcements()
    assert news.severity == "critical"
