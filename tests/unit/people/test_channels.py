"""What is particular to each vendor."""

import hashlib
import hmac
import json

import pytest

from greenlane.errors import NotTold
from greenlane.people.announcement import publication
from greenlane.people.webhook import signature
from tests.builders import SERVICE
from tests.fakes import timeout
from tests.unit.people.news import news
from tests.unit.people.town import SECRETS, Town

SLACK = {"notifications": {"slack_channel": "#deployments"}}
HOOK = "https://hooks.slack.com/services/T000/B000/abcdefghijklmnop"


def test_a_bots_token_goes_into_the_header_only(town: Town) -> None:
    town.wants(**SLACK)
    town.notify(publication(news("held")))
    (got,) = town.server.got
    assert got.path == "/slack.com/api/chat.postMessage"
    assert got.headers["Authorization"] == "Bearer xoxb-1111-slack-bot-token"
    assert got.document["channel"] == "#deployments"


def test_a_webhook_of_slack_has_its_channel_already(town: Town) -> None:
    town.wants(**SLACK)
    town.secrets.values[f"greenlane/{SERVICE}/slack"] = HOOK
    town.server.answers["hooks.slack.com"] = (200, b"ok")
    town.notify(publication(news("held")))
    (got,) = town.server.got
    assert got.path == "/hooks.slack.com/services/T000/B000/abcdefghijklmnop"
    assert "Authorization" not in got.headers
    assert "channel" not in got.document
    assert town.outcomes() == {"slack": "sent"}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((404, b"no_service"), "refused"),
        ((410, b"channel_is_archived"), "refused"),
        ((403, b"action_prohibited"), "refused"),
        ((500, b"rollup_error"), "failed"),
        ((200, b"<html>a proxy of your own</html>"), "failed"),
    ],
)
def test_answers_of_a_slack_webhook_are_understood(
    town: Town, answer: tuple[int, bytes], outcome: str
) -> None:
    town.wants(**SLACK)
    town.secrets.values[f"greenlane/{SERVICE}/slack"] = HOOK
    town.server.answers["hooks.slack.com"] = answer
    try:
        town.notify(publication(news("held")))
    except NotTold:
        assert outcome == "failed"
    assert town.outcomes() == {"slack": outcome}


@pytest.mark.parametrize(
    "address", ["https://evil.example.com/services/abc", "https://hooks.slack.com.example.com/abcd"]
)
def test_a_slack_secret_is_sent_to_slack_only(town: Town, address: str) -> None:
    town.wants(**SLACK)
    town.secrets.values[f"greenlane/{SERVICE}/slack"] = address
    town.notify(publication(news("held")))
    assert town.outcomes() == {"slack": "refused"}
    assert town.server.got == []


def test_the_secrets_that_a_file_names_are_used(town: Town) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:greenlane/shared-AbCdEf"
    town.secrets.values = {arn: "a-shared-secret-value", "greenlane/all": "another-shared-value"}
    town.wants(
        notifications={
            "slack_channel": "C0123456789",
            "slack_secret": arn,
            "pagerduty_integration": True,
            "pagerduty_secret": "greenlane/all",
            "pagerduty_region": "eu",
            "webhook": {"url": "https://hooks.example.com", "secret": "greenlane/all"},
        }
    )
    town.notify(publication(news("held")))
    (slack,) = town.server.to("slack.com")
    assert slack.headers["Authorization"] == "Bearer a-shared-secret-value"
    (page,) = town.server.to("events.eu.pagerduty.com")
    assert page.document["routing_key"] == "another-shared-value"


def test_pagerdutys_reason_is_kept_without_the_key(town: Town) -> None:
    key = SECRETS[f"greenlane/{SERVICE}/pagerduty"]
    town.wants(notifications={"pagerduty_integration": True})
    said = {"status": "invalid event", "message": "Invalid", "errors": [f"key {key} is unknown"]}
    town.server.answers["events.pagerduty.com"] = (400, json.dumps(said).encode())
    town.notify(publication(news("held")))
    (line,) = (event for event in town.world.store.history("d-1") if event.kind == "told")
    assert line.detail["detail"] == "HTTP 400: Invalid; key [secret] is unknown"


def test_a_webhook_is_signed_so_that_a_receiver_can_tell(town: Town) -> None:
    town.wants(notifications={"webhook": {"url": "https://hooks.example.com/greenlane"}})
    town.notify(publication(news("held")))
    (got,) = town.server.got
    stamp, given = (
        part[part.index("=") + 1 :] for part in got.headers["Greenlane-Signature"].split(",")
    )
    key = SECRETS[f"greenlane/{SERVICE}/webhook"].encode()
    expected = hmac.new(key, f"{stamp}.".encode() + got.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(given, expected)
    assert int(stamp) == int(town.world.clock.now().timestamp())
    assert got.document["id"] == "d-1.held.2"


def test_another_body_time_or_key_has_another_signature() -> None:
    made = {signature(key, body, at) for key in "ab" for body in (b"1", b"2") for at in (1, 2)}
    assert len(made) == 8


def test_opscenter_knows_a_deployment_that_it_has_an_item_of(town: Town) -> None:
    town.wants(notifications={"opscenter": True})
    for kind in ("still_trying", "held"):
        town.notify(publication(news(kind)))
    (item,) = town.ops.items.values()
    assert "d-1#eu-west-1" in item["OperationalData"]["/aws/dedup"]["Value"]
    assert town.outcomes() == {"opscenter": "sent"}


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        ("OpsItemLimitExceededException", "refused"),
        ("AccessDeniedException", "refused"),
        ("InternalServerError", "failed"),
        (timeout(), "failed"),
    ],
)
def test_opscenters_errors_are_for_good_or_not(
    town: Town, problem: Exception | str, outcome: str
) -> None:
    town.wants(notifications={"opscenter": True})
    town.world.fail("ssm", "create_ops_item", problem)
    try:
        town.notify(publication(news("held")))
    except NotTold:
        assert outcome == "failed"
    assert town.outcomes() == {"opscenter": outcome}


def test_an_alertmanager_on_the_internet_is_called_directly(town: Town) -> None:
    town.wants(
        monitoring={
            "alert_manager": "https://alerts.example.com/am/",
            "alert_manager_network": "internet",
        }
    )
    town.notify(publication(news("held")))
    (got,) = town.server.got
    assert got.path == "/alerts.example.com/am/api/v2/alerts"
    assert town.relay.called == []


@pytest.mark.parametrize("way", ["error", "throttled", "no answer"])
def test_an_alertmanager_inside_that_cannot_be_reached_is_tried_again(town: Town, way: str) -> None:
    town.wants(monitoring={"alert_manager": "http://alertmanager:9093"})
    if way == "error":
        town.relay.failed = True
    elif way == "throttled":
        town.world.fail("lambda", "invoke")
    else:
        town.server.answers["alertmanager"] = "cut"
    with pytest.raises(NotTold, match="alertmanager: "):
        town.notify(publication(news("held")))
    assert town.outcomes() == {"alertmanager": "failed"}


def test_a_stored_address_that_is_none_is_refused_where_it_is_used(town: Town) -> None:
    town.wants(monitoring={"alert_manager": "http://alertmanager:9093"})
    item = next(item for item in town.world.table.items() if item["pk"]["S"] == "SERVICES")
    item["body"]["S"] = item["body"]["S"].replace("http://alertmanager:9093", "alertmanager")
    town.world.table.put_item(TableName="greenlane-deployments", Item=item)
    town.notify(publication(news("held")))
    assert town.outcomes() == {"alertmanager": "refused"}
