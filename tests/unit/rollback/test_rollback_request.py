import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from greenlane.rollback.model import RollbackRequest
from tests.builders import GROUPS, RULE_ARN

ALARM = {
    "trigger": {
        "kind": "alarm",
        "name": "claude-manager-green-error-rate",
        "reason": "Threshold Crossed: 1 datapoint [8.1] was greater than the threshold (5.0).",
        "at": "2026-11-23T12:07:09.513+0000",
        "event_id": "0dd9b1c4-6f9e-4a4e-a7a1-6b9d7f0a1c2b",
    },
    "service": "claude-manager",
    "listener_rule_arn": RULE_ARN,
    "target_groups": GROUPS,
}


def test_an_alarm_event_is_read_with_cloudwatchs_own_timestamp():
    request = RollbackRequest.model_validate(ALARM)
    assert request.trigger.at == datetime(2026, 11, 23, 12, 7, 9, 513000, UTC)
    assert request.target_groups["green"] == GROUPS["green"]
    assert request.deployment_id is None


def test_an_execution_event_names_only_its_deployment():
    event = {
        "trigger": {
            "kind": "execution",
            "name": "ABORTED",
            "reason": "the deployment's execution ended",
            "at": "2026-11-23T12:07:09Z",
            "event_id": "1",
        },
        "deployment_id": "d-1",
    }
    request = RollbackRequest.model_validate(event)
    assert (request.service, request.deployment_id) == (None, "d-1")


def test_a_functions_error_gives_its_message_as_the_reason():
    cause = json.dumps(
        {"errorMessage": "8 of 20 failed", "errorType": "JudgedBad", "stackTrace": ["..."]}
    )
    trigger = {"kind": "failure", "name": "JudgedBad", "reason": cause}
    found = RollbackRequest.model_validate({"trigger": trigger})
    assert found.trigger.reason == "8 of 20 failed"


@pytest.mark.parametrize("cause", ["8 % failed", "[1, 2]", '{"other": 1}', '"text"', "12", ""])
def test_any_other_cause_is_the_reason_itself(cause):
    trigger = {"kind": "failure", "name": "JudgedBad", "reason": cause}
    assert RollbackRequest.model_validate({"trigger": trigger}).trigger.reason == cause


def test_a_trigger_of_no_known_kind_is_refused():
    with pytest.raises(ValidationError):
        RollbackRequest.model_validate({"trigger": {"kind": "rumour"}})


def metrics_of(slot):
    name = GROUPS[slot].rsplit(":", 1)[-1]
    metric = {"name": "RequestCount", "dimensions": {"TargetGroup": name, "LoadBalancer": "app/x"}}
    return [{"id": "r", "metricStat": {"metric": metric, "period": 60}}]


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_an_alarms_metrics_name_its_slot(slot):
    request = RollbackRequest.model_validate(
        ALARM | {"configuration": {"metrics": metrics_of(slot)}}
    )
    assert request.alarm_slot() == slot


def test_an_alarm_without_metrics_belongs_to_no_slot():
    assert RollbackRequest.model_validate(ALARM).alarm_slot() is None
    assert RollbackRequest.model_validate(ALARM | {"configuration": {}}).alarm_slot() is None


def test_a_request_survives_the_way_through_json():
    request = RollbackRequest.model_validate(ALARM)
    assert RollbackRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_an_alarm_that_apply_keeps_says_its_slot_by_its_name(slot):
    # A composite alarm has no metrics in its event.
    trigger = {"kind": "alarm", "name": f"greenlane.claude-manager.trigger.{slot}.0123456789ab"}
    event = ALARM | {"trigger": trigger, "configuration": {"alarmRule": "ALARM(a)"}}
    assert RollbackRequest.model_validate(event).alarm_slot() == slot
