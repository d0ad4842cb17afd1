"""Each channel by itself, each announcement once, what became of it in the record."""

import threading

import pytest

from greenlane.errors import NotTold
from greenlane.people.announcement import publication
from greenlane.people.channel import Told, Untold
from greenlane.people.slack import Slack
from tests.builders import SERVICE
from tests.fakes import timeout
from tests.unit.people import validators
from tests.unit.people.news import news
from tests.unit.people.town import HOSTS, Town

ALL = {"slack", "pagerduty", "webhook", "alertmanager", "opscenter"}


def test_critical_news_reaches_every_channel_in_a_form_it_takes(town: Town) -> None:
    town.wants()
    town.notify(publication(news("held")))
    assert town.outcomes() == dict.fromkeys(ALL, "sent")
    bodies = {name: town.server.to(host)[0].document for name, host in HOSTS.items()}
    assert bodies["slack"]["channel"] == "#deployments"
    validators.check_slack(bodies["slack"])
    validators.check_pagerduty(bodies["pagerduty"])
    validators.check_alerts(bodies["alertmanager"])
    (item,) = town.ops.items.values()
    validators.check_ops_item(item)
    assert bodies["webhook"]["kind"] == "held"
    assert town.relay.called == ["greenlane-post-alerts"]


@pytest.mark.parametrize(
    ("severity", "reached"),
    [
        ("critical", ALL),
        ("error", {"slack", "webhook", "alertmanager"}),
        ("warning", {"slack", "webhook", "alertmanager"}),
        ("info", {"slack", "webhook"}),
    ],
)
def test_only_critical_news_pages_and_info_is_for_chat(
    town: Town, severity: str, reached: set[str]
) -> None:
    town.wants()
    town.notify(publication(news("notice", severity=severity)))
    assert set(town.outcomes()) == reached


def test_without_configured_channels_nothing_is_sent_and_no_secret_is_read(town: Town) -> None:
    town.wants(notifications={"email_list": ["ada@example.com"]})
    town.notify(publication(news("held")))
    assert (town.server.got, town.secrets.read, town.ops.items) == ([], [], {})
    assert town.relay.called == []


def test_a_hundred_duplicates_are_one_message_for_each_channel(town: Town) -> None:
    town.wants()
    made = publication(news("held"))
    threads = [threading.Thread(target=town.notify, args=(made,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(80):
        town.notify(made)
    assert {name: len(town.server.to(host)) for name, host in HOSTS.items()} == dict.fromkeys(
        HOSTS, 1
    )
    assert len(town.ops.items) == 1


@pytest.mark.parametrize("channel", sorted(HOSTS))
@pytest.mark.parametrize("answer", [500, 503, 429, "cut"])
def test_one_that_fails_keeps_no_other_and_only_it_is_tried_again(
    town: Town, channel: str, answer: object
) -> None:
    town.wants()
    usual = town.server.answers.get(HOSTS[channel], (200, b""))
    town.server.answers[HOSTS[channel]] = answer
    made = publication(news("held"))
    with pytest.raises(NotTold, match=channel):
        town.notify(made)
    assert town.outcomes() == dict.fromkeys(ALL, "sent") | {channel: "failed"}
    town.server.answers[HOSTS[channel]] = usual
    town.notify(made)
    assert town.outcomes() == dict.fromkeys(ALL, "sent")
    assert {name: len(town.server.to(host)) for name, host in HOSTS.items()} == dict.fromkeys(
        HOSTS, 1
    ) | {channel: 2}


@pytest.mark.parametrize("channel", sorted(HOSTS))
@pytest.mark.parametrize("answer", [400, 404, 302])
def test_what_is_refused_for_good_is_kept_and_not_tried_again(
    town: Town, channel: str, answer: int
) -> None:
    town.wants()
    town.server.answers[HOSTS[channel]] = answer
    made = publication(news("held"))
    town.notify(made)
    town.notify(made)
    assert town.outcomes()[channel] == "refused"
    assert len(town.server.to(HOSTS[channel])) == 1
    assert town.server.to("elsewhere") == [], "no redirect is followed"


def test_a_server_that_hangs_holds_up_no_other(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for the others, however busy the machine is.
    monkeypatch.setattr("greenlane.people.posting.ANSWER_SECONDS", 2.0)
    town.wants()
    town.server.answers["slack.com"] = "hang"
    with pytest.raises(NotTold, match="slack: no answer from 127.0.0.1"):
        town.notify(publication(news("held")))
    assert town.outcomes() == dict.fromkeys(ALL, "sent") | {"slack": "failed"}


def test_a_channel_that_never_ends_is_left_behind_and_tried_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it hangs in, such as its secret: the function's time is not its own."""
    monkeypatch.setattr("greenlane.people.notifying.CHANNEL_SECONDS", 2.0)
    over, usual = threading.Event(), Slack.send

    def hang(*_: object) -> str:
        over.wait(30)
        raise Untold("too late", again=True)

    town.wants()
    monkeypatch.setattr(Slack, "send", hang)
    made = publication(news("held"))
    with pytest.raises(NotTold, match=r"^slack: not within 2 s$"):
        town.notify(made)
    assert town.outcomes() == dict.fromkeys(ALL - {"slack"}, "sent")
    monkeypatch.setattr(Slack, "send", usual)
    town.world.clock.advance(seconds=60)
    town.notify(made)
    over.set()
    assert {name: len(town.server.to(host)) for name, host in HOSTS.items()} == dict.fromkeys(
        HOSTS, 1
    )


def test_what_slack_says_in_an_answer_of_200_counts(town: Town) -> None:
    town.wants(notifications={"slack_channel": "#deployments"})
    town.server.answers["slack.com"] = (200, b'{"ok": false, "error": "channel_not_found"}')
    town.notify(publication(news("held")))
    assert town.outcomes() == {"slack": "refused"}
    line = next(event for event in town.world.store.history("d-1") if event.kind == "told")
    assert line.detail["detail"] == "Slack says channel_not_found"
    town.server.answers["slack.com"] = (200, b'{"ok": false, "error": "ratelimited"}')
    with pytest.raises(NotTold):
        town.notify(publication(news("drift")))


def test_a_missing_secret_is_the_channels_own_trouble(town: Town) -> None:
    town.wants()
    del town.secrets.values[f"greenlane/{SERVICE}/slack"]
    town.notify(publication(news("held")))
    assert town.outcomes() == dict.fromkeys(ALL, "sent") | {"slack": "refused"}


def test_secrets_manager_that_does_not_answer_is_tried_again(town: Town) -> None:
    town.wants(notifications={"pagerduty_integration": True})
    town.world.fail("secretsmanager", "get_secret_value", timeout())
    made = publication(news("held"))
    with pytest.raises(NotTold, match="ReadTimeoutError"):
        town.notify(made)
    town.notify(made)
    assert town.outcomes() == {"pagerduty": "sent"}


def test_a_secret_that_was_changed_is_read_again_when_the_old_one_is_refused(town: Town) -> None:
    town.wants(notifications={"slack_channel": "#deployments"})
    town.notify(publication(news("promoted")))
    town.secrets.values[f"greenlane/{SERVICE}/slack"] = "xoxb-2222-the-new-token"
    town.server.answers["slack.com"] = (200, b'{"ok": false, "error": "invalid_auth"}')
    town.notify(publication(news("held")))
    tokens = [got.headers["Authorization"] for got in town.server.to("slack.com")]
    assert tokens[1:] == ["Bearer xoxb-1111-slack-bot-token", "Bearer xoxb-2222-the-new-token"]
    town.notify(publication(news("drift")))
    assert len(town.secrets.read) == 3, "once, and again at each refusal"


def test_an_unknown_service_is_told_by_mail_only(town: Town) -> None:
    town.notify(publication(news("held", service="nobody", deployment_id=None)))
    assert town.server.got == []


def test_news_that_knows_only_the_deployment_finds_its_service(town: Town) -> None:
    town.wants(notifications={"slack_channel": "#deployments"})
    town.world.planned()
    town.notify(publication(news("held", service="d-1")))
    assert town.outcomes() == {"slack": "sent"}


def test_a_page_goes_out_while_the_table_is_down(town: Town) -> None:
    town.wants()
    town.world.fail("dynamodb", "*", timeout(), times=99)
    with pytest.raises(NotTold, match="the table"):
        town.notify(publication(news("still_trying")))
    assert len(town.server.got) == 1
    (got,) = town.server.to("events.pagerduty.com")
    assert got.document["event_action"] == "trigger"
    town.world.heal()
    town.notify(publication(news("still_trying")))
    assert town.outcomes() == dict.fromkeys(ALL, "sent")
    keys = {one.document["dedup_key"] for one in town.server.to("events.pagerduty.com")}
    assert len(keys) == 1, "PagerDuty joins them"


def test_less_than_a_page_waits_for_the_table(town: Town) -> None:
    town.wants()
    town.world.fail("dynamodb", "get_item", timeout())
    with pytest.raises(NotTold):
        town.notify(publication(news("drift")))
    assert town.server.got == []


@pytest.mark.parametrize(("operation", "times"), [("query", 1), ("put_item", 1), ("put_item", 9)])
def test_outcomes_that_cannot_be_kept_keep_nobody_from_being_told(
    town: Town, operation: str, times: int
) -> None:
    town.wants(notifications={"slack_channel": "#deployments"})
    town.world.fail("dynamodb", operation, timeout(), times=times)
    town.notify(publication(news("held")))
    assert len(town.server.to("slack.com")) == 1


def test_the_claim_of_an_invocation_that_died_ends_before_lambda_tries_again(town: Town) -> None:
    town.wants(notifications={"slack_channel": "#deployments"})
    made = publication(news("held"))

    def die() -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(town, "post", lambda *_: die())
        with pytest.raises(KeyboardInterrupt):
            town.notify(made)
    town.notify(made)
    assert town.server.got == [], "a duplicate leaves it to the one that claimed it"
    town.world.clock.advance(seconds=60)
    town.notify(made)
    assert len(town.server.to("slack.com")) == 1


def test_a_fault_of_ours_in_one_channel_is_its_own(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.wants()
    monkeypatch.setattr("greenlane.people.slack.payload", lambda news: {}[news.kind])
    with pytest.raises(NotTold, match="^slack: KeyError$"):
        town.notify(publication(news("held")))
    assert set(town.outcomes()) == ALL - {"slack"}


def test_each_outcome_is_in_the_table_with_what_was_done(town: Town) -> None:
    town.wants(notifications={"pagerduty_integration": True})
    town.notify(publication(news("held")))
    (item,) = (item for item in town.world.table.items() if item["sk"]["S"].startswith("TOLD#"))
    assert item["pk"]["S"] == "DEPLOYMENT#d-1"
    assert item["sk"]["S"] == "TOLD#d-1.held.2#pagerduty"
    told = Told.model_validate_json(item["body"]["S"])
    assert (told.action, told.state, told.detail) == ("trigger", "sent", "d-1#eu-west-1")


def test_the_dashboard_of_the_team_is_linked(town: Town) -> None:
    town.wants(
        notifications={"webhook": {"url": "https://hooks.example.com/x"}},
        monitoring={"grafana_dashboard": "canary-deployment"},
    )
    town.notify(publication(news("held", links={"report": "s3://reports/d-1"})))
    (got,) = town.server.got
    assert got.document["links"] == {
        "report": "s3://reports/d-1",
        "dashboard": "canary-deployment",
    }
