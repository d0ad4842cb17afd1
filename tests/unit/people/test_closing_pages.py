"""What is raised about a deployment is closed when it ends well, and only then."""

from datetime import timedelta

import pytest

from greenlane.deployments.model import Deployment
from greenlane.deployments.phases import Phase
from greenlane.deployments.stepping.finishing import finish_deployment, promote
from greenlane.people.alertmanager import FIRES, FIRES_UNTIL_MENDED, Alertmanager
from greenlane.people.announcement import publication
from greenlane.people.pagerduty import decide
from greenlane.rollback.closing import close_rollback
from greenlane.rollback.model import CloseEvent
from greenlane.rollback.settle import empty_slot, hold_traffic
from greenlane.rollback.take_back import take_traffic_back
from tests.builders import NOW, SERVICE
from tests.fakes import BACK as EXECUTION
from tests.unit.people import validators
from tests.unit.people.news import news, told
from tests.unit.people.town import Town

BACK = news("rolled_back", settled=True)
BACK_BY_A_PERSON = news("rolled_back", severity="warning", settled=True)
SUCCEEDED = news("succeeded", settled=True)
RESOLVED = told("rolled_back", action="resolve", settled=True)


@pytest.mark.parametrize(
    ("made", "earlier", "action"),
    [
        (news("promoted"), [], None),
        (news("refused"), [], None),
        (news("held"), [], "trigger"),
        (news("held"), [told("still_trying")], "trigger"),
        (BACK, [], "trigger"),
        (BACK, [told("still_trying")], "resolve"),
        (BACK, [told("held")], "resolve"),
        (BACK, [told("held", state="refused")], "trigger"),
        (BACK, [told("held", state="failed")], "trigger"),
        (BACK, [told("held", state="sending")], "trigger"),
        (BACK, [told("still_trying", minutes=-3), RESOLVED], "trigger"),
        (news("rolled_back", settled=False), [told("held")], "trigger"),
        (BACK_BY_A_PERSON, [], None),
        (BACK_BY_A_PERSON, [told("held")], "resolve"),
        (BACK_BY_A_PERSON, [told("held", state="failed")], "resolve"),
        (BACK_BY_A_PERSON, [told("held", state="refused")], None),
        (SUCCEEDED, [], None),
        (SUCCEEDED, [told("drift")], "resolve"),
        (news("still_trying"), [told("rolled_back", minutes=1, settled=True)], None),
        (news("held"), [told("still_trying", minutes=1)], "trigger"),
    ],
)
def test_pagerduty_gets_one_alert_for_each_deployment(made, earlier, action) -> None:
    assert decide(made, earlier) == action


def alerts(made, earlier=()):
    message = Alertmanager("http://alertmanager:9093/base/").message(made, earlier)
    if message is None:
        return None
    validators.check_alerts(message.body)
    return message.body


def test_an_alert_fires_for_as_long_as_it_may_take_to_mend() -> None:
    (held,) = alerts(news("held"))
    assert held["labels"] == {
        "alertname": "GreenlaneHeld",
        "severity": "critical",
        "service": "claude-manager",
        "region": "eu-west-1",
        "deployment": "d-1",
    }
    assert validators.instant(held["startsAt"]) == NOW
    assert validators.instant(held["endsAt"]) == NOW + FIRES_UNTIL_MENDED
    (back,) = alerts(BACK)
    assert validators.instant(back["endsAt"]) == NOW + FIRES


def test_a_good_end_resolves_what_fired_by_the_same_labels() -> None:
    earlier = [
        told("drift", minutes=-9, action="fire"),
        told("still_trying", minutes=-5, action="fire"),
        told("refused", minutes=-4, action="fire", state="refused"),
    ]
    resolved = alerts(SUCCEEDED, earlier)
    assert [alert["labels"]["alertname"] for alert in resolved] == [
        "GreenlaneDrift",
        "GreenlaneStillTrying",
    ]
    for one, before in zip(resolved, earlier, strict=False):
        (fired,) = alerts(news(before.kind, at=before.at))
        assert one["labels"] == fired["labels"]
        assert one["startsAt"] == fired["startsAt"]
        assert validators.instant(one["endsAt"]) == NOW


def test_a_rollback_resolves_what_came_before_it_and_fires_itself() -> None:
    resolved, fired = alerts(BACK, [told("still_trying", action="fire")])
    assert resolved["labels"]["alertname"] == "GreenlaneStillTrying"
    assert fired["labels"]["alertname"] == "GreenlaneRolledBack"
    assert alerts(SUCCEEDED) is None
    assert alerts(news("promoted")) is None


def test_what_was_resolved_is_not_resolved_again() -> None:
    earlier = [
        told("held", minutes=-9, action="fire"),
        told("rolled_back", minutes=-5, action="fire", settled=True),
    ]
    (again,) = alerts(SUCCEEDED, earlier)
    assert again["labels"]["alertname"] == "GreenlaneRolledBack"


def test_what_comes_late_fires_no_more() -> None:
    assert alerts(news("still_trying"), [told("rolled_back", minutes=1, settled=True)]) is None


def test_a_page_is_closed_by_the_end_of_the_same_deployment(town: Town) -> None:
    town.wants()
    for number, made in enumerate((news("still_trying"), BACK_BY_A_PERSON)):
        later = made.model_copy(update={"at": NOW + timedelta(minutes=number)})
        town.notify(publication(later))
        town.notify(publication(later))
    events = [got.document for got in town.server.to("events.pagerduty.com")]
    assert [event["event_action"] for event in events] == ["trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {"d-1#eu-west-1"}
    fired, resolved = [got.document for got in town.server.to("alertmanager")]
    assert fired[0]["labels"] == resolved[0]["labels"]


def test_another_deployment_leaves_the_page_open(town: Town) -> None:
    town.wants(notifications={"pagerduty_integration": True})
    town.notify(publication(news("held")))
    town.notify(publication(news("succeeded", deployment_id="d-2", settled=True)))
    assert len(town.server.to("events.pagerduty.com")) == 1


def actions(town: Town) -> list[tuple[str, str]]:
    """What PagerDuty was told to do, and about which deployment."""
    events = [got.document for got in town.server.to("events.pagerduty.com")]
    return [(it["event_action"], it["dedup_key"].partition("#")[0]) for it in events]


def held(town: Town) -> None:
    """`d-1` is held, blue has recovered, and all of the traffic is on it."""
    world = town.world
    town.wants()
    world.shifted()
    world.serve("blue", 0, sick=2)
    rollback = take_traffic_back(world.back(), world.runtime)
    close_rollback(CloseEvent(rollback=rollback, execution=EXECUTION), world.runtime)
    town.notify_all()
    assert world.record.phase is Phase.HELD
    world.serve("blue", 2)
    world.set_weights(100, 0)


def promoted(town: Town, deployment_id: str) -> None:
    """The cure, from its plan to its promotion."""
    state = town.world.planned(deployment_id)
    record = town.world.change(phase=Phase.SHIFTING)
    town.world.set_weights(*((0, 100) if record.candidate == "green" else (100, 0)))
    promote(state.model_copy(update={"step": 3}), town.world.runtime)
    town.notify_all()


def test_the_promotion_of_the_next_deployment_closes_what_is_held(town: Town) -> None:
    held(town)
    assert actions(town) == [("trigger", "d-1")]
    promoted(town, "d-2")
    assert actions(town) == [("trigger", "d-1"), ("resolve", "d-1")]
    fired, resolved = [got.document for got in town.server.to("alertmanager")]
    validators.check_alerts(resolved)
    assert resolved[0]["labels"] == fired[0]["labels"]
    assert resolved[0]["labels"]["deployment"] == "d-1"
    assert validators.instant(resolved[0]["endsAt"]) < validators.instant(fired[0]["endsAt"])
    slack = [got.document["text"] for got in town.server.to("slack.com")]
    assert len(slack) == 2, "held and promoted, and nothing about the closing"
    lines = [it.detail for it in town.world.store.history("d-1") if it.kind == "told"]
    closed = sorted((it["channel"], it["action"]) for it in lines if it["news"] == "closed")
    assert closed == [("alertmanager", "resolve"), ("pagerduty", "resolve")]


def test_it_stays_open_while_no_deployment_has_succeeded(town: Town) -> None:
    held(town)
    town.world.planned("d-2")
    town.world.change(phase=Phase.ROLLED_BACK)
    town.notify_all()
    assert actions(town) == [("trigger", "d-1")]
    promoted(town, "d-3")
    assert actions(town)[1:] == [("resolve", "d-1")]
    assert town.world.record.held_before == ("d-1",)
    town.world.change(phase=Phase.WATCHING)
    town.world.set_weights(100, 0)
    town.world.planned("d-4")
    assert town.world.record.held_before == ()


def test_the_end_says_it_again_and_resolves_nothing_twice(town: Town) -> None:
    held(town)
    promoted(town, "d-2")
    state = Deployment(deployment_id="d-2", service=SERVICE, epoch=town.world.record.epoch)
    finish_deployment(state, town.world.runtime)
    town.notify_all()
    assert actions(town) == [("trigger", "d-1"), ("resolve", "d-1")]


def test_a_page_that_comes_late_opens_nothing_any_more(town: Town) -> None:
    held(town)
    promoted(town, "d-2")
    late = news("still_trying", at=NOW - timedelta(minutes=1))
    town.notify(publication(late))
    assert actions(town) == [("trigger", "d-1"), ("resolve", "d-1")]


def test_a_person_who_goes_on_with_the_rollback_closes_it(town: Town) -> None:
    held(town)
    again = town.world.back("person", execution="second")
    rollback = take_traffic_back(again, town.world.runtime)
    town.world.clock.advance(minutes=6)
    rollback = empty_slot(hold_traffic(rollback, town.world.runtime), town.world.runtime)
    close_rollback(CloseEvent(rollback=rollback, execution="second"), town.world.runtime)
    town.notify_all()
    assert actions(town) == [("trigger", "d-1"), ("resolve", "d-1")]


def test_the_page_of_a_hold_says_what_stays_suspended_and_how_it_is_given_back(
    town: Town,
) -> None:
    held(town)
    details = town.server.to("events.pagerduty.com")[0].document["payload"]["custom_details"]
    assert "suspended on both slots until a person acts" in details["scale_in"]
    assert "the end of either also gives scale-in back" in details["what to do"]
