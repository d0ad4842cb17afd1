import json
from typing import Any

import pytest

from greenlane.local.event_input import InvalidInput, input_for

EVENT = {
    "id": "e-1",
    "time": "2026-11-23T18:00:00Z",
    "resources": ["arn:a"],
    "detail": {"alarmName": 'a "quoted" name', "state": {"value": "ALARM", "n": 3}, "ok": True},
}
RULE = "arn:aws:events:eu-west-1:123456789012:rule/alarms"


def transformed(template: Any, **paths: Any) -> Any:
    transformer = {"InputPathsMap": paths, "InputTemplate": template}
    return json.loads(input_for({"InputTransformer": transformer}, EVENT, RULE))


def test_a_target_without_settings_gets_the_event() -> None:
    assert json.loads(input_for({}, EVENT, RULE)) == EVENT


def test_a_constant_is_given_as_it_is() -> None:
    assert input_for({"Input": '{"a": 1}'}, EVENT, RULE) == '{"a": 1}'


def test_a_path_selects_a_part() -> None:
    assert json.loads(input_for({"InputPath": "$.detail.state"}, EVENT, RULE)) == {
        "value": "ALARM",
        "n": 3,
    }


def test_unquoted_placeholders_become_json_values() -> None:
    assert transformed(
        '{"name": <name>, "n": <n>, "ok": <ok>, "state": <state>, "first": <first>}',
        name="$.detail.alarmName",
        n="$.detail.state.n",
        ok="$.detail.ok",
        state="$.detail['state']",
        first="$.resources[0]",
    ) == {
        "name": 'a "quoted" name',
        "n": 3,
        "ok": True,
        "state": {"value": "ALARM", "n": 3},
        "first": "arn:a",
    }


def test_quoted_placeholders_become_words_of_the_text() -> None:
    assert transformed('"<name> is <value> (<n>)"', name="$.detail.alarmName",
                       value="$.detail.state.value", n="$.detail.state.n") == (
        'a "quoted" name is ALARM (3)'
    )  # fmt: skip


def test_an_absent_path_is_null_as_a_value_and_nothing_in_a_text() -> None:
    assert transformed('{"a": <a>, "b": "x<a>y"}', a="$.detail.none") == {"a": None, "b": "xy"}


def test_the_reserved_names_need_no_path() -> None:
    assert transformed('{"rule": <aws.events.rule-name>, "e": <aws.events.event.json>}') == {
        "rule": "alarms",
        "e": EVENT,
    }


def test_a_template_that_gives_no_json_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="no JSON"):
        transformed("{not json}")
    with pytest.raises(InvalidInput, match="simple JSON path"):
        transformed('{"a": <a>}', a="$..alarmName")
    with pytest.raises(InvalidInput, match="not in the event"):
        input_for({"InputPath": "$.none"}, EVENT, RULE)
