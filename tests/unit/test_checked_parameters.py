"""The short ways to check what is given to AWS say what botocore says."""

from datetime import UTC, datetime
from functools import reduce
from operator import getitem
from typing import Any

import pytest
from botocore.exceptions import ParamValidationError
from botocore.validate import validate_parameters
from hypothesis import given
from hypothesis import strategies as st

from tests.checked_parameters import LONGEST_NAME, check, is_value, surely
from tests.fakes import client
from tests.table_values import copied

SHAPE = client("dynamodb").meta.service_model.operation_model("PutItem").input_shape
ANY = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=3)
KINDS = st.sampled_from(["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "X"])
RIGHT = st.recursive(
    st.fixed_dictionaries({"S": st.text(max_size=3)})
    | st.fixed_dictionaries({"BOOL": st.booleans()}),
    lambda part: (
        st.fixed_dictionaries({"L": st.lists(part, max_size=3)})
        | st.fixed_dictionaries({"M": st.dictionaries(st.text(max_size=3), part, max_size=3)})
    ),
)
WRONG_OR_RIGHT = st.recursive(
    ANY | RIGHT,
    lambda part: (
        st.lists(part, max_size=2)
        | st.dictionaries(KINDS, part, max_size=2)
        | st.dictionaries(KINDS, st.dictionaries(st.text(max_size=2), part, max_size=2), max_size=1)
    ),
)


def said(checks: Any, item: Any) -> str:
    return said_of(checks, {"TableName": "t", "Item": item}, SHAPE)


def said_of(checks: Any, arguments: Any, shape: Any) -> str:
    try:
        checks(arguments, shape)
    except ParamValidationError as error:
        return str(error)
    return ""


@given(WRONG_OR_RIGHT)
def test_whatever_is_written_is_refused_in_the_same_words_or_not_at_all(value: Any) -> None:
    assert said(check, {"a": value}) == said(validate_parameters, {"a": value})


@given(RIGHT)
def test_what_is_right_takes_the_short_way(value: Any) -> None:
    assert is_value(value)


def test_a_name_that_is_too_long_is_refused() -> None:
    for longer in (0, 1):
        value = {"M": {"n" * (LONGEST_NAME + longer): {"S": ""}}}
        assert said(check, {"a": value}) == said(validate_parameters, {"a": value})


CALLS: dict[tuple[str, str], dict[str, Any]] = {
    ("cloudwatch", "GetMetricData"): {
        "MetricDataQueries": [
            {
                "Id": "a",
                "MetricStat": {
                    "Metric": {"Namespace": "N", "Dimensions": [{"Name": "n", "Value": "v"}]},
                    "Period": 60,
                    "Stat": "Sum",
                },
                "ReturnData": True,
            }
        ],
        "StartTime": datetime(2026, 1, 1, tzinfo=UTC),
        "EndTime": datetime(2026, 1, 2, tzinfo=UTC),
        "MaxDatapoints": 500,
    },
    ("cloudwatch", "PutMetricAlarm"): {
        "AlarmName": "a",
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 3,
        "Threshold": 0.5,
    },
    ("elbv2", "ModifyRule"): {
        "RuleArn": "r",
        "Actions": [
            {
                "Type": "forward",
                "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "g", "Weight": 5}]},
            }
        ],
    },
    ("sns", "Publish"): {
        "TopicArn": "t",
        "Message": "m",
        "MessageAttributes": {
            "kind": {"DataType": "String", "StringValue": "k"},
            "more": {"DataType": "Binary", "BinaryValue": b"b"},
        },
    },
}
SERVED = pytest.mark.parametrize(("service", "operation"), list(CALLS))
INSTEAD: list[Any] = [None, True, -1, 0, 0.5, float("nan"), "", "x", b"x", [], {}, datetime.min]


def shape_of(service: str, operation: str) -> Any:
    return client(service).meta.service_model.operation_model(operation).input_shape


def paths(thing: Any) -> list[tuple[Any, ...]]:
    """The ways to each part of a call."""
    names = list(thing) if isinstance(thing, dict) else range(len(thing))
    found: list[tuple[Any, ...]] = []
    for name in names:
        below = paths(thing[name]) if isinstance(thing[name], dict | list) else []
        found += [(name,), *((name, *path) for path in below)]
    return found


@SERVED
def test_a_call_that_is_right_takes_the_short_way(service: str, operation: str) -> None:
    assert surely(shape_of(service, operation))(CALLS[service, operation])


@SERVED
def test_a_call_with_anything_wrong_is_refused_in_the_same_words(
    service: str, operation: str
) -> None:
    shape, refused = shape_of(service, operation), 0
    for *way, name in paths(CALLS[service, operation]):
        for number in range(len(INSTEAD) + 2):
            call = copied(CALLS[service, operation])
            holds = reduce(getitem, way, call)
            if number < len(INSTEAD):
                holds[name] = INSTEAD[number]
            elif number == len(INSTEAD):
                del holds[name]
            elif isinstance(holds, dict):
                holds["Unknown"] = holds.pop(name)
            here = said_of(check, call, shape)
            assert here == said_of(validate_parameters, call, shape)
            refused += bool(here)
    assert refused > 20
