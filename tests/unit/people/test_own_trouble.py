"""Alarms of Greenlane itself, as CloudWatch publishes them: everybody hears of them, once."""

from typing import Any

import pytest

from greenlane.errors import NotTold
from greenlane.people.paging_route import keep_routes
from tests.builders import NOW, SERVICE, service_config
from tests.fakes import timeout
from tests.unit.people import validators
from tests.unit.people.town import Town

ALARM = "greenlane-reconcile-fails"


def configure(town: Town, name: str, **parts: Any) -> None:
    town.world.store.put_config(service_config(name=name, **parts), source="x", by="ada", at=NOW)


def pages(town: Town, host: str = "events.pagerduty.com") -> list[Any]:
    return [got.document for got in town.server.to(host)]


def test_an_alarm_of_ours_pages_and_says_what_to_do(town: Town) -> None:
    town.wants()
    town.ring(ALARM)
    (page,) = pages(town)
    validators.check_pagerduty(page)
    assert page["dedup_key"] == f"{ALARM}#eu-west-1"
    assert page["payload"]["summary"] == f"PAGE: Greenlane itself needs a person: {ALARM}"
    details = page["payload"]["custom_details"]
    assert details["what to do"] == "look at the log group"
    assert details["reason"].startswith("Threshold Crossed")
    (alerts,) = pages(town, "alertmanager")
    validators.check_alerts(alerts)
    assert len(town.server.to("slack.com")) == 1
    assert len(town.ops.items) == 1


def test_every_service_hears_of_it_and_a_shared_channel_once(town: Town) -> None:
    shared = {"pagerduty_integration": True, "pagerduty_secret": "greenlane/oncall"}
    town.secrets.values |= {
        "greenlane/oncall": "f" * 32,
        "greenlane/shop/pagerduty": "e" * 32,
        "greenlane/web/slack": "xoxb-3333-slack-bot-token",
    }
    town.wants(notifications=shared)
    configure(town, "till", notifications=shared)
    configure(town, "shop", notifications={"pagerduty_integration": True})
    configure(town, "web", notifications={"slack_channel": "#web"})
    for _ in range(3):
        town.ring(ALARM)
    assert sorted(page["routing_key"] for page in pages(town)) == ["e" * 32, "f" * 32]
    assert [got.document["channel"] for got in town.server.to("slack.com")] == ["#web"]


def test_the_next_alarm_is_told_again_and_joins_the_open_page(town: Town) -> None:
    town.wants(notifications={"pagerduty_integration": True})
    town.ring(ALARM)
    town.ring(ALARM, at="2026-11-23T13:00:00.000+0000")
    assert len({page["dedup_key"] for page in pages(town)}) == 1
    assert len(pages(town)) == 2


def test_an_alarm_that_is_over_pages_nobody(town: Town) -> None:
    town.wants(notifications={"pagerduty_integration": True})
    town.ring(ALARM, "OK")
    assert pages(town) == []


def test_the_configuration_of_one_service_keeps_nobody_else_untold(town: Town) -> None:
    town.wants(notifications={"pagerduty_integration": True})
    configure(town, "shop")
    for item in town.world.table.items():
        if item["sk"]["S"] == "shop":
            town.world.table.put_item(
                TableName="greenlane-deployments", Item=item | {"body": {"S": "{}"}}
            )
    town.ring(ALARM)
    assert len(pages(town)) == 1


def test_with_the_table_down_everybody_is_paged_who_can_be(town: Town) -> None:
    town.secrets.values["greenlane/shop/pagerduty"] = "e" * 32
    wanted = {"pagerduty_integration": True}
    keep_routes(
        town.parameters,
        [
            service_config(notifications=wanted),
            service_config(name="shop", notifications=wanted),
            service_config(name="web"),
        ],
    )
    town.world.fail("dynamodb", "*", timeout(), times=99)
    with pytest.raises(NotTold, match="the table"):
        town.ring(ALARM)
    assert len(pages(town)) == 2
    assert f"greenlane/{SERVICE}/pagerduty" in town.secrets.read
