"""The function between other shapes of trigger and the state machine."""

import pytest
from botocore.exceptions import ClientError

from functions.normalise_trigger import handler
from greenlane import entrypoint
from greenlane.deployments.phases import Phase
from greenlane.rollback.model import RollbackEvent, RollbackRequest
from greenlane.rollback.take_back import take_traffic_back
from greenlane.rollback.triggers import TriggerDocument, start_rollbacks
from tests.builders import SERVICE, service_config
from tests.fakes import BACK, timeout
from tests.unit.rollback.documents import (
    alarm_action,
    alarm_event,
    alarm_message,
    alert,
    ecs_event,
    sns,
    webhook,
)


def start(world, document):
    return start_rollbacks(TriggerDocument(document), world.runtime)


SHAPES = {
    "event": alarm_event(),
    "action": alarm_action(),
    "message": sns(alarm_message()),
    "alertmanager": webhook(alert()),
    "ecs": ecs_event(),
    "own": {"service": SERVICE, "reason": "orders fail", "deployment_id": "d-1"},
}


@pytest.mark.parametrize("document", SHAPES.values(), ids=SHAPES)
def test_a_trigger_of_any_shape_starts_the_way_back_once(world, document):
    world.shifted()
    found = start(world, document)
    (execution,) = world.machines.started
    assert execution["machine"] == "greenlane-rollback"
    assert found.started == (execution["arn"],)
    request = RollbackRequest.model_validate(execution["input"])
    back = take_traffic_back(RollbackEvent(request=request, execution=BACK), world.runtime)
    assert back.action == "settle"
    assert world.weights() == (100, 0)


def test_news_that_all_is_well_ask_the_table_nothing(world):
    world.shifted()
    world.calls.clear()
    found = start(world, sns(alarm_message(value="OK")))
    assert (found.started, len(found.ignored)) == ((), 1)
    assert world.calls == []


def test_an_ecs_failure_before_traffic_abandons_and_after_promotion_is_none(world):
    world.prepared()
    start(world, ecs_event())
    request = RollbackRequest.model_validate(world.machines.started[0]["input"])
    event = RollbackEvent(request=request, execution=BACK)
    world.change(phase=Phase.PROMOTED)
    assert take_traffic_back(event, world.runtime).action == "none"
    world.change(phase=Phase.PREPARING)
    assert take_traffic_back(event, world.runtime).action == "abandon"


def test_a_table_that_does_not_answer_is_asked_again_by_lambda(world):
    world.shifted()
    world.fail("dynamodb", "get_item", "ThrottlingException")
    with pytest.raises(ClientError):
        start(world, alarm_event())
    assert world.machines.started == []
    assert len(start(world, alarm_event()).started) == 1


def test_a_machine_that_cannot_be_started_is_started_again_by_lambda(world):
    world.shifted()
    world.fail("stepfunctions", "start_execution", "ServiceUnavailable")
    with pytest.raises(ClientError):
        start(world, alarm_event())
    assert len(start(world, alarm_event()).started) == 1


@pytest.mark.parametrize("slot", ["green", "blue", None])
def test_a_table_that_fails_a_moment_later_goes_back_by_the_tags(world, slot):
    world.shifted()
    start(world, webhook(alert(slot=slot)))
    request = RollbackRequest.model_validate(world.machines.started[0]["input"])
    world.fail("dynamodb", "*", timeout(), times=9)
    found = take_traffic_back(RollbackEvent(request=request, execution=BACK), world.runtime)
    ours = slot != "blue"
    assert found.action == ("settle" if ours else "none"), "an alert of the good slot moves nothing"
    assert world.weights() == ((100, 0) if ours else (90, 10))


@pytest.mark.parametrize(
    "item",
    [
        {"pk": {"S": "SERVICE#another"}, "sk": {"S": "RECORD"}, "phase": {"S": "of-later"}},
        None,
    ],
)
def test_a_record_that_cannot_be_read_is_not_in_the_way(world, item):
    world.shifted()
    another = {"pk": {"S": "SERVICES"}, "sk": {"S": "another"}}
    world.store.client.put_item(TableName="greenlane-deployments", Item=another)
    if item is None:  # it has a record, and no plan
        changes = {"service": "another", "deployment_id": "d-0"}
        world.store.acquire(world.record.model_copy(update=changes))
    else:
        world.store.client.put_item(TableName="greenlane-deployments", Item=item)
    (execution,) = start(world, ecs_event()).started
    assert world.machines.started[0]["input"]["service"] == SERVICE
    assert execution


def test_only_services_that_are_named_are_looked_up(world):
    world.shifted()
    world.store.put_config(
        service_config(name="another"), source="a", by="ada", at=world.clock.now()
    )
    world.calls.clear()
    start(world, webhook(alert()))
    assert world.calls.count(("dynamodb", "get_item")) == 1


def test_the_handler_answers_with_what_became_of_it(world, monkeypatch):
    world.shifted()
    monkeypatch.setattr(entrypoint, "_runtime", lambda actor, kind: world.runtime)
    found = handler({"Records": []}, None)
    assert found == {"started": [], "ignored": [{"reason": "nothing is in it", "field": None}]}
