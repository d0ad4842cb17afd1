"""The webhooks of docs/rollback.md: what it shows is sent, and the way back starts."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from greenlane.rollback.http.webhook_routes import MOST_BYTES, ROUTES
from greenlane.rollback.http.webhook_secret import KEPT_SECONDS, MISMATCH_SECONDS, NAME
from greenlane.rollback.model import RollbackRequest
from greenlane.rollback.shapes import Webhook
from tests.builders import NOW, SERVICE
from tests.docs.monitoring import Alertmanager, Rules, read_alertmanager, read_rules
from tests.docs.pages import ROOT, blocks, code, section, table
from tests.unit.rollback.hearing import Door
from tests.world import world as world

PAGE = ROOT / "docs" / "rollback.md"


def shown(language: str, has: str) -> Any:
    """The one block of the page with that text in it."""
    (text,) = [one.text for one in blocks(language) if one.page == PAGE and has in one.text]
    return text


def rules() -> Rules:
    return read_rules(shown("yaml", "groups:"), "rules")


def alertmanager() -> Alertmanager:
    return read_alertmanager(shown("yaml", "webhook_configs:"), "alertmanager")


@pytest.fixture
def door(world: Any) -> Door:
    world.shifted()
    world.clock.advance(minutes=5)
    return Door(world)


def test_the_rules_alert_goes_to_greenlane_and_to_people() -> None:
    (rule,) = rules().groups[0].rules
    found = alertmanager()
    assert found.route.to(rule.labels | {"alertname": rule.alert}) == ["greenlane", "people"]
    assert found.route.to({"alertname": "Other"}) == ["people"]


def test_the_receiver_calls_the_route_with_the_secret() -> None:
    (receiver,) = [one for one in alertmanager().receivers if one.name == "greenlane"]
    (hook,) = receiver.webhook_configs
    assert str(hook.url).partition("/production")[2] == ROUTES[0].path
    assert hook.http_config.authorization.type == "Bearer"
    assert not hook.send_resolved


def test_the_body_that_is_shown_is_the_rules_and_starts_the_way_back(door: Door) -> None:
    document = json.loads(shown("json", '"groupKey"'))
    (rule,) = rules().groups[0].rules
    (alert,) = document["alerts"]
    assert alert["labels"] == {"alertname": rule.alert, **rule.labels}
    assert alert["annotations"] == rule.annotations
    answer = door.post("alertmanager", document)
    assert (answer.status, answer.json["ignored"]) == (200, [])
    (started,) = door.world.machines.started
    request = RollbackRequest.model_validate(started["input"])
    assert (request.service, request.trigger.name) == (SERVICE, "OrdersFail")


def test_grafanas_document_of_version_1_does_too(door: Door) -> None:
    document = json.loads(shown("json", '"groupKey"')) | {"version": "1", "orgId": 1}
    assert len(door.post("alertmanager", document).json["started"]) == 1


def test_a_document_of_ones_own_has_every_key_and_is_read(door: Door) -> None:
    document = json.loads(shown("json", '"night-check"'))
    assert document.keys() == Webhook.model_fields.keys()
    assert door.post("webhook", document).json["ignored"][0]["reason"].endswith("latest")
    assert len(door.post("webhook", document | {"deployment_id": "d-1"}).json["started"]) == 1


def test_datadogs_payload_is_read_once_its_variables_are_filled_in(door: Door) -> None:
    text = shown("json", "$EVENT_TITLE")
    at = NOW + timedelta(minutes=4)
    filled = text.replace("$EVENT_TITLE", "[Triggered] Orders fail")
    filled = filled.replace("$DATE", f"{at.timestamp() * 1000:.0f}")
    assert len(door.post("webhook", filled).json["started"]) == 1
    request = RollbackRequest.model_validate(door.world.machines.started[0]["input"])
    assert (request.trigger.source, request.trigger.at) == ("Datadog", at)


def test_the_names_and_numbers_are_those_of_the_code() -> None:
    assert [code(row[0]) for row in table(PAGE, "Webhooks")] == [
        f"{route.method} {route.path}" for route in ROUTES
    ]
    answered = {int(row[0]) for row in table(PAGE, "What is answered")}
    assert answered <= set(ROUTES[0].replies)
    assert f"`{NAME}`" in section(PAGE, "The secret")
    text = section(PAGE, "What is answered")
    assert f"for {KEPT_SECONDS // 60:.0f} minutes" in text
    assert f"every {MISMATCH_SECONDS:.0f} seconds" in text
    assert f"{MOST_BYTES // 1024} KiB" in text


def test_what_is_rotated_as_shown_is_accepted_beside_the_one_before(door: Door) -> None:
    steps = section(PAGE, "The secret")
    assert steps.index("put-secret-value") < steps.index("Give the new one")
    before = door.versions.stages["AWSCURRENT"]
    assert door.post("webhook", {}, f"Bearer {before}").status == 400
    door.versions.rotate("a" * 48)
    door.ticks.now = MISMATCH_SECONDS
    assert door.post("webhook", {}, f"Bearer {'a' * 48}").status == 400
    assert door.post("webhook", {}, f"Bearer {before}").status == 400
    door.versions.rotate("b" * 48)
    door.ticks.now += KEPT_SECONDS
    assert door.post("webhook", {}, f"Bearer {before}").status == 401


def test_the_samples_instant_is_after_the_world_of_the_tests_began() -> None:
    (alert,) = json.loads(shown("json", '"groupKey"'))["alerts"]
    assert NOW < datetime.fromisoformat(alert["startsAt"]) < NOW + timedelta(minutes=5)
