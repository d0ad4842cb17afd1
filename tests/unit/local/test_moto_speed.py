"""moto made quick answers what moto answers."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.responses import BaseResponse
from moto.core.serialize import (
    AttributePickerContext,
    JSONSerializer,
    XFormedAttributePicker,
)
from moto.core.utils import get_service_model
from moto.stepfunctions.parser.asl.utils import json_path

from greenlane.local import moto_speed
from greenlane.local.patches import Patches

REGION = "eu-west-1"
KEY = {"id": {"S": "1"}}
ITEM: dict[str, Any] = {
    **KEY,
    "number": {"N": "12.50"},
    "empty": {"S": ""},
    "bytes": {"B": b"\x00\xff"},
    "none": {"NULL": True},
    "no": {"BOOL": False},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "list": {"L": [{"S": "a"}, {"M": {"deep": {"L": []}}}, {"N": "0"}]},
    "map": {"M": {"S": {"S": "named like a type"}, "M": {"M": {"x": {"B": b"y"}}}}},
}
READS: dict[str, Callable[[], Any]] = {
    "an item": lambda: client("dynamodb").get_item(TableName="t", Key=KEY),
    "no item": lambda: client("dynamodb").get_item(TableName="t", Key={"id": {"S": "2"}}),
    "a scan": lambda: client("dynamodb").scan(TableName="t"),
    "a table": lambda: client("dynamodb").describe_table(TableName="t"),
    "a parameter": lambda: client("ssm").get_parameter(Name="/p"),
    "a cluster": lambda: client("ecs").describe_clusters(clusters=["c"], include=["TAGS"]),
    "a task definition": lambda: client("ecs").describe_task_definition(taskDefinition="f"),
    "an alarm": lambda: client("cloudwatch").describe_alarms(),
    "a group": lambda: client("elbv2").describe_target_groups(),
    "a topic": lambda: client("sns").list_topics(),
    "a role": lambda: client("iam").get_role(RoleName="r"),
}


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]


@pytest.fixture
def patches() -> Iterator[Patches]:
    patches = Patches()
    yield patches
    patches.undo()


@pytest.fixture
def account() -> Iterator[None]:
    """Something of everything that is read here."""
    with mock_aws():
        client("dynamodb").create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client("dynamodb").put_item(TableName="t", Item=ITEM)
        client("ssm").put_parameter(Name="/p", Value="v", Type="String")
        client("ecs").create_cluster(clusterName="c", tags=[{"key": "k", "value": "v"}])
        client("ecs").register_task_definition(
            family="f",
            containerDefinitions=[
                {
                    "name": "c",
                    "image": "i",
                    "memory": 9,
                    "environment": [{"name": "n", "value": "v"}],
                }
            ],
        )
        client("cloudwatch").put_metric_alarm(
            AlarmName="a",
            Namespace="n",
            MetricName="m",
            Dimensions=[{"Name": "d", "Value": "v"}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0.0,
            ComparisonOperator="GreaterThanThreshold",
        )
        client("elbv2").create_target_group(Name="g", TargetType="lambda")
        client("sns").create_topic(Name="t")
        client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")
        yield


def without_metadata(answer: Any) -> Any:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("what", READS)
def test_an_answer_is_the_same(patches: Patches, what: str) -> None:
    before = without_metadata(READS[what]())
    assert before or what == "no item"
    moto_speed.patch(patches)
    assert without_metadata(READS[what]()) == before
    patches.undo()
    assert without_metadata(READS[what]()) == before


@pytest.mark.parametrize("service", ["dynamodb", "ecs", "stepfunctions", "ssm", "cloudwatch"])
def test_a_member_is_found_under_the_names_that_moto_tries(service: str) -> None:
    model = get_service_model(service)
    picker = XFormedAttributePicker()
    chance = random.Random(7)
    tried = 0
    for operation in (model.operation_model(name) for name in model.operation_names):
        serializer = JSONSerializer(operation, value_picker=picker)
        parent = operation.output_shape
        for key, shape in (parent.members if parent is not None else {}).items():
            shape.parent = parent
            names = moto_speed._names_of(picker, shape, key)
            assert names is not None
            # Some of those that moto tries, and the value None, which is there all the same.
            tries = picker.get_possible_keys(AttributePickerContext({}, key, shape))
            there = [name for name in tries if chance.random() < 0.6]
            value = {"other": "x"} | {name: chance.choice([None, name, 0]) for name in there}
            expected = serializer.get_value(value, key, shape)
            assert next((value[name] for name in names if name in value), None) == expected
            tried += 1
    assert tried > 50


def test_an_operation_that_is_added_later_is_found() -> None:
    class Response(BaseResponse):
        kept = "no function"

        def old(self) -> None:
            """Here from the beginning."""

    methods = moto_speed._Methods(Response)
    assert "old" in methods
    assert "new" not in methods
    assert "kept" not in methods
    Response.new = lambda self: None  # type: ignore[attr-defined]
    assert "new" in methods


def test_a_path_is_read_once_and_found_in_every_input(patches: Patches) -> None:
    moto_speed.patch(patches)
    for number in range(3):
        assert json_path.extract_json("$.a.b", {"a": {"b": number}}) == number
    parse = vars(json_path)["parse"]
    assert parse("$.a.b") is parse("$.a.b")
    with pytest.raises(json_path.NoSuchJsonPathError):
        json_path.extract_json("$.a.b", {"a": {}})
