"""Triggers in the shapes in which others send them, for a test to change."""

import json
from datetime import datetime
from typing import Any

from tests.builders import GROUPS, NOW, SERVICE

ACCOUNT, REGION = "123456789012", "eu-west-1"
ALARM = f"{SERVICE}-green-error-rate"
REASON = "Threshold Crossed: 1 datapoint [8.1] was greater than the threshold (5.0)."


def aws_time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def configuration(slot: str = "green") -> dict[str, Any]:
    name = GROUPS[slot].rsplit(":", 1)[-1]
    metric = {"name": "RequestCount", "dimensions": {"TargetGroup": name, "LoadBalancer": "app/x"}}
    return {
        "metrics": [
            {"id": "e1", "expression": "100 * c5 / r", "label": "percent", "returnData": True},
            {"id": "r", "metricStat": {"metric": metric, "period": 60, "stat": "Sum"}},
        ]
    }


COMPOSITE = {"alarmRule": f"ALARM({ALARM}) OR ALARM({SERVICE}-green-p95)"}


def _change(name: str, value: str, at: datetime, found: Any) -> dict[str, Any]:
    before = {"value": "OK", "reason": "fine", "timestamp": aws_time(at)}
    return {
        "alarmName": name,
        "state": {"value": value, "reason": REASON, "timestamp": aws_time(at)},
        "previousState": before,
        "configuration": configuration() if found is None else found,
    }


def alarm_event(
    name: str = ALARM,
    *,
    value: str = "ALARM",
    at: datetime = NOW,
    account: str = ACCOUNT,
    found: Any = None,
) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "0dd9b1c4-6f9e-4a4e-a7a1-6b9d7f0a1c2b",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": account,
        "time": "2026-11-23T12:00:00Z",
        "region": REGION,
        "resources": [f"arn:aws:cloudwatch:{REGION}:{account}:alarm:{name}"],
        "detail": _change(name, value, at, found),
    }


def alarm_action(
    name: str = ALARM,
    *,
    value: str = "ALARM",
    at: datetime = NOW,
    account: str = ACCOUNT,
    found: Any = None,
) -> dict[str, Any]:
    return {
        "source": "aws.cloudwatch",
        "alarmArn": f"arn:aws:cloudwatch:{REGION}:{account}:alarm:{name}",
        "accountId": account,
        "time": aws_time(at),
        "region": REGION,
        "alarmData": _change(name, value, at, found),
    }


def alarm_message(
    name: str = ALARM,
    *,
    value: str = "ALARM",
    at: datetime = NOW,
    account: str = ACCOUNT,
    composite: bool = False,
) -> dict[str, Any]:
    message: dict[str, Any] = {
        "AlarmName": name,
        "AlarmDescription": None,
        "AWSAccountId": account,
        "NewStateValue": value,
        "NewStateReason": REASON,
        "StateChangeTime": aws_time(at),
        "Region": "EU (Ireland)",
        "AlarmArn": f"arn:aws:cloudwatch:{REGION}:{account}:alarm:{name}",
        "OldStateValue": "OK",
    }
    if composite:
        return message | {"AlarmRule": COMPOSITE["alarmRule"], "TriggeringChildren": []}
    dimensions = [{"value": GROUPS["green"].rsplit(":", 1)[-1], "name": "TargetGroup"}]
    metric = {"Dimensions": dimensions, "MetricName": "RequestCount"}
    metrics = [
        {"Id": "r", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}},
        {"Id": "e1", "Expression": "100 * c5 / r", "ReturnData": True},
    ]
    return message | {"Trigger": {"Period": 60, "Threshold": 5.0, "Metrics": metrics}}


def sns(*messages: Any) -> dict[str, Any]:
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": "arn:aws:sns:eu-west-1:123456789012:greenlane-alarms:1",
                "Sns": {
                    "Type": "Notification",
                    "MessageId": f"message-{number}",
                    "Subject": "ALARM",
                    "Message": message if isinstance(message, str) else json.dumps(message),
                },
            }
            for number, message in enumerate(messages)
        ]
    }


def alert(
    service: str | None = SERVICE,
    *,
    slot: str | None = "green",
    status: str = "firing",
    at: datetime = NOW,
    **more: Any,
) -> dict[str, Any]:
    labels = {"alertname": "HighErrorRate", "greenlane_service": service, "greenlane_slot": slot}
    return {
        "status": status,
        "labels": {key: value for key, value in labels.items() if value is not None},
        "annotations": {"summary": "8 percent of the requests fail"},
        "startsAt": at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "7e3c1a",
    } | more


def webhook(*alerts: Any, **more: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "greenlane",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
    } | more


def ecs_event(
    slot: str = "green",
    *,
    name: str = "SERVICE_DEPLOYMENT_FAILED",
    deployment: str = "green-1",
    at: datetime = NOW,
    account: str = ACCOUNT,
    service: str | None = None,
) -> dict[str, Any]:
    named = service or f"{SERVICE}/{SERVICE}-{slot}"
    return {
        "version": "0",
        "id": "ddca6449-b258-46c0-8653-e0e3a0000000",
        "detail-type": "ECS Deployment State Change",
        "source": "aws.ecs",
        "account": account,
        "time": "2026-11-23T12:00:00Z",
        "region": REGION,
        "resources": [f"arn:aws:ecs:{REGION}:{account}:service/{named}"],
        "detail": {
            "eventType": "ERROR",
            "eventName": name,
            "deploymentId": deployment,
            "updatedAt": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "reason": "ECS deployment circuit breaker: tasks failed to start.",
        },
    }
