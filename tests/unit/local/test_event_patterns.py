from typing import Any

import pytest

from greenlane.local.event_patterns import matches

ALARM = {
    "source": "aws.cloudwatch",
    "detail-type": "CloudWatch Alarm State Change",
    "resources": ["arn:alarm:a", "arn:alarm:b"],
    "detail": {
        "alarmName": "claude-manager-blue-p95",
        "state": {"value": "ALARM", "n": 3},
        "flag": True,
        "nothing": None,
    },
}


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["aws.cloudwatch"]},
        {"source": ["aws.ecs", "aws.cloudwatch"]},
        {"detail": {"alarmName": ["other", "claude-manager-blue-p95"]}},
        {"detail": {"state": {"value": ["ALARM"]}}, "source": [{"prefix": "aws."}]},
        {"detail": {"alarmName": [{"prefix": "claude-manager-"}]}},
        {"detail": {"alarmName": [{"suffix": "-p95"}]}},
        {"detail": {"alarmName": [{"wildcard": "claude-*-p95"}]}},
        {"detail": {"alarmName": [{"prefix": {"equals-ignore-case": "CLAUDE"}}]}},
        {"detail": {"state": {"value": [{"equals-ignore-case": "alarm"}]}}},
        {"detail": {"state": {"value": [{"anything-but": "OK"}]}}},
        {"detail": {"state": {"value": [{"anything-but": ["OK", "INSUFFICIENT_DATA"]}]}}},
        {"detail": {"alarmName": [{"anything-but": {"prefix": "test-"}}]}},
        {"detail": {"alarmName": [{"anything-but": {"prefix": ["test-", "dev-"]}}]}},
        {"detail": {"state": {"n": [{"numeric": [">", 0, "<=", 3]}]}}},
        {"detail": {"state": {"n": [3.0]}}},
        {"detail": {"flag": [True]}},
        {"detail": {"nothing": [None]}},
        {"detail": {"alarmName": [{"exists": True}], "missing": [{"exists": False}]}},
        {"absent": {"deeper": [{"exists": False}]}},
        {"resources": ["arn:alarm:b"]},
        {"$or": [{"source": ["aws.ecs"]}, {"detail": {"state": {"n": [3]}}}]},
    ],
)
def test_matches(pattern: dict[str, Any]) -> None:
    assert matches(pattern, ALARM)


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["aws.ecs"]},
        {"source": ["AWS.CLOUDWATCH"]},
        {"detail": {"alarmName": ["claude-manager-blue"]}},
        {"detail": {"state": {"value": ["OK"]}}},
        {"detail": {"state": {"value": [{"anything-but": ["ALARM"]}]}}},
        {"detail": {"alarmName": [{"anything-but": {"prefix": ["test-", "claude-"]}}]}},
        {"detail": {"missing": ["x"]}},
        {"detail": {"missing": [{"anything-but": "x"}]}},
        {"detail": {"missing": [{"exists": True}]}},
        {"detail": {"state": {"n": [{"numeric": [">", 3]}]}}},
        {"detail": {"state": {"n": ["3"]}}},
        {"detail": {"flag": [1]}},
        {"absent": {"deeper": ["x"]}},
        {"resources": ["arn:alarm:c"]},
        {"$or": [{"source": ["aws.ecs"]}, {"source": ["aws.s3"]}]},
        {"source": ["aws.cloudwatch"], "detail": {"state": {"value": ["OK"]}}},
    ],
)
def test_does_not_match(pattern: dict[str, Any]) -> None:
    assert not matches(pattern, ALARM)


def test_an_operator_that_eventbridge_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="contains"):
        matches({"source": [{"contains": "cloud"}]}, ALARM)
