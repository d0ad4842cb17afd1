"""Each shape of trigger becomes a request, or a reason why it is none."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.rollback.normalise import Home, Watched, normalise
from tests.builders import GROUPS, NOW, RULE_ARN, SERVICE, record, workload
from tests.unit.rollback import documents
from tests.unit.rollback.documents import (
    ALARM,
    COMPOSITE,
    REASON,
    alarm_action,
    alarm_event,
    alarm_message,
    alert,
    ecs_event,
    sns,
    webhook,
)

HOME = Home.of("arn:aws:states:eu-west-1:123456789012:stateMachine:greenlane-rollback")
RECIPE = {
    "rule_arn": RULE_ARN,
    "good_slot": "blue",
    "good_target_group": GROUPS["blue"],
    "bad_target_group": GROUPS["green"],
    "actions": [],
}


def watched(**changes):
    values = {"trigger_alarms": (ALARM,), "recipe": RECIPE, "primary_deployment": "green-1"}
    found = record(**values | changes)
    return Watched(found, workload())


def read(document, *known, now=NOW):
    return normalise(document, known or (watched(),), home=HOME, now=now)


def one(document, *known):
    requests, ignored = read(document, *known)
    assert ignored == []
    (request,) = requests
    assert (request.service, request.deployment_id) == (SERVICE, "d-1")
    assert (request.listener_rule_arn, request.target_groups) == (RULE_ARN, GROUPS)
    return request


def none(document, *known, now=NOW):
    requests, (ignored,) = read(document, *known, now=now)
    assert requests == []
    return ignored


ALARMS = {
    "event": alarm_event,
    "action": alarm_action,
    "message": lambda *args, **more: sns(alarm_message(*args, **more)),
}
shapes = pytest.mark.parametrize("shape", ALARMS.values(), ids=ALARMS)


@shapes
def test_an_alarm_is_the_same_request_in_each_of_its_shapes(shape):
    request = one(shape())
    trigger = request.trigger
    assert (trigger.kind, trigger.name, trigger.reason) == ("alarm", ALARM, REASON)
    assert trigger.at == NOW
    assert request.alarm_slot() == "green", "by its metrics, for when the table is down"


@shapes
@pytest.mark.parametrize("value", ["OK", "INSUFFICIENT_DATA"])
def test_an_alarm_that_is_not_red_is_none(shape, value):
    assert none(shape(value=value)).reason == f"{ALARM} is {value}"


@shapes
def test_an_alarm_that_nobody_named_is_foreign(shape):
    assert "no alarm of a deployment's new version" in none(shape(f"{SERVICE}-blue-p95")).reason


@shapes
def test_an_alarm_of_the_same_name_in_another_account_is_foreign(shape):
    assert "another account or Region" in none(shape(account="999999999999")).reason


@shapes
def test_news_that_come_after_ten_minutes_come_too_late(shape):
    assert read(shape(), now=NOW + timedelta(minutes=10))[0] != []
    late = none(shape(), now=NOW + timedelta(minutes=10, seconds=1))
    assert "come too late" in late.reason


@pytest.mark.parametrize(
    "document",
    [
        alarm_event("any-green", found=COMPOSITE),
        alarm_action("any-green", found=COMPOSITE),
        sns(alarm_message("any-green", composite=True)),
    ],
    ids=["event", "action", "message"],
)
def test_a_composite_alarm_counts_where_the_workload_names_it(document):
    assert "no alarm" in none(document).reason
    request = one(document, watched(trigger_alarms=(ALARM, "any-green")))
    assert request.trigger.name == "any-green"
    assert request.alarm_slot() is None


def test_an_alarm_of_two_services_is_a_request_for_each():
    other = watched(service="checkout", deployment_id="d-7")
    requests, _ = read(alarm_event(), watched(), other)
    assert [found.deployment_id for found in requests] == ["d-1", "d-7"]


def test_an_alarm_with_a_colon_in_its_name_is_read_from_sns():
    found = one(sns(alarm_message("green: 5xx")), watched(trigger_alarms=("green: 5xx",)))
    assert found.trigger.name == "green: 5xx"


def test_a_deployment_without_a_recipe_has_no_rule_yet():
    (request,), _ = read(alarm_event(), watched(recipe=None))
    assert (request.listener_rule_arn, request.target_groups) == (None, {})


def test_a_failed_ecs_deployment_names_itself_and_its_slot():
    trigger = one(ecs_event()).trigger
    assert (trigger.kind, trigger.name, trigger.slot) == ("ecs", "green-1", "green")
    assert "circuit breaker" in trigger.reason
    assert one(ecs_event(service=f"{SERVICE}-green")).trigger.slot == "green", "the old ARN format"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (ecs_event("blue"), "is not about a deployment's new version"),
        (ecs_event(service="other/claude-manager-green"), "is not about"),
        (ecs_event(name="SERVICE_DEPLOYMENT_COMPLETED"), "COMPLETED is no failure"),
        (ecs_event(account="999999999999"), "another account"),
    ],
)
def test_other_news_of_ecs_are_none(document, reason):
    assert reason in none(document).reason


def test_an_alert_says_whose_it_is_by_its_labels():
    request = one(webhook(alert()))
    trigger = request.trigger
    assert (trigger.kind, trigger.name, trigger.slot) == ("alertmanager", "HighErrorRate", "green")
    assert (trigger.reason, trigger.event_id) == ("8 percent of the requests fail", "7e3c1a")
    assert trigger.at == NOW
    assert one(webhook(alert(slot=None))).trigger.slot is None


def test_an_alert_that_began_long_ago_may_still_be_news():
    requests, _ = read(webhook(alert()), now=NOW + timedelta(hours=3))
    assert len(requests) == 1, "whether it is older than the deployment, the election decides"


@pytest.mark.parametrize(
    ("given_alert", "reason"),
    [
        (alert(status="resolved"), "HighErrorRate is resolved"),
        (alert(None), "no label greenlane_service"),
        (alert("checkout"), "'checkout', which was never deployed"),
    ],
)
def test_other_alerts_are_none(given_alert, reason):
    assert reason in none(webhook(given_alert)).reason


def test_of_several_alerts_about_one_slot_the_newest_counts():
    old, new = alert(at=NOW - timedelta(hours=1)), alert(at=NOW)
    for order in ([old, new], [new, old]):
        assert one(webhook(*order)).trigger.at == NOW
    requests, _ = read(webhook(alert(), alert(slot="blue"), alert(slot=None)))
    assert len(requests) == 3


def test_one_broken_part_does_not_spoil_the_others():
    requests, ignored = read(webhook(alert(startsAt="soon"), alert()))
    assert len(requests) == 1
    assert [found.field for found in ignored] == ["alerts.0.startsAt"]
    requests, ignored = read(sns("hello", alarm_message()))
    assert len(requests) == 1
    assert [found.field for found in ignored] == ["Records.0.Sns.Message"]


def without(document, *path):
    found = json.loads(json.dumps(document))
    part = found
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    return found


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (without(alarm_event(), "detail", "alarmName"), "detail.alarmName"),
        (without(alarm_event(), "account"), "account"),
        (without(alarm_action(), "alarmData", "state", "value"), "alarmData.state.value"),
        (without(alarm_action(), "region"), "region"),
        (without(sns(alarm_message()), "Records", 0, "Sns"), "Records.0.Sns"),
        (sns(without(alarm_message(), "AlarmArn")), "Records.0.Sns.Message.AlarmArn"),
        (sns(alarm_message() | {"AlarmArn": "x"}), "Records.0.Sns.Message.AlarmArn"),
        (sns("[" * 100_000), "Records.0.Sns.Message"),
        (sns('"text"'), "Records.0.Sns.Message"),
        ({"Records": [{"eventSource": "aws:s3"}]}, "Records.0.EventSource"),
        (webhook(version="3"), "version"),
        ({"service": SERVICE, "reason": 3}, "reason"),
        ({"service": SERVICE, "reason": "x", "more": 1}, "more"),
        ({"service": SERVICE, "reason": "x", "at": "99999999999999"}, "at"),
        (webhook(alert(startsAt="2026-11-23T12:00:00")), "alerts.0.startsAt"),
        (webhook(alert(startsAt="0001-01-01T00:00:00+02:00")), "alerts.0.startsAt"),
        (webhook(alert(slot="purple")), "alerts.0.labels.greenlane_slot"),
        (webhook(7), "alerts.0"),
        (without(ecs_event(), "detail", "deploymentId"), "detail.deploymentId"),
        (ecs_event() | {"resources": []}, "resources"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_field(document, field):
    found = none(document)
    assert found.field == field
    assert found.reason.startswith(f"{field}: ")


def test_a_value_that_may_be_a_secret_is_not_in_the_reason():
    found = none(webhook(alert(startsAt="hunter2")))
    assert "hunter2" not in found.reason


@pytest.mark.parametrize(
    "document",
    [{}, [], None, "text", 3, {"detail-type": ["x"]}, {"detail-type": "Cron"}, sns(), webhook()],
)
def test_other_documents_are_no_triggers(document):
    assert none(document).field is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
VALID = [
    alarm_event(),
    alarm_action(),
    sns(alarm_message()),
    sns(alarm_message(composite=True)),
    webhook(alert(), alert(slot=None)),
    webhook(alert(), version="1"),
    ecs_event(),
    {"service": SERVICE, "reason": "orders fail", "at": NOW.isoformat(), "source": "check"},
]


def spoilt(document, data):
    """The document with one part, anywhere in it, replaced by anything or left out."""
    if not isinstance(document, dict | list) or not document:
        return data.draw(anything)
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = data.draw(st.sampled_from(keys))
    found = dict(document) if isinstance(document, dict) else list(document)
    match data.draw(st.sampled_from(["deeper", "deeper", "replace", "remove"])):
        case "deeper":
            found[key] = spoilt(found[key], data)
        case "replace":
            found[key] = data.draw(anything)
        case "remove":
            del found[key]
    return found


@given(st.sampled_from(VALID), st.data())
def test_whatever_is_sent_is_read_or_named_and_can_be_handed_on(document, data):
    requests, ignored = read(spoilt(document, data))
    assert requests or ignored
    for request in requests:
        json.loads(request.model_dump_json())


def test_half_a_character_is_not_handed_on():
    broken = documents.configuration()
    broken["metrics"][0]["label"] = "\ud800"
    assert none(alarm_event(found=broken)).field == "detail.configuration"
