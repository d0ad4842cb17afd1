"""What is raised about a deployment is closed when it ends well, and only then."""

from datetime import timedelta

import pytest

from greenlane.people.alertmanager import FIRES, FIRES_UNTIL_MENDED, Alertmanager
from greenlane.people.announcement import publication
from greenlane.people.pagerduty import decide
from tests.builders import NOW
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
