"""The short way to check DynamoDB's values says what botocore says."""

from typing import Any

from botocore.exceptions import ParamValidationError
from botocore.validate import validate_parameters
from hypothesis import given
from hypothesis import strategies as st

from tests.checked_parameters import LONGEST_NAME, check, is_value
from tests.fakes import client

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
    try:
        checks({"TableName": "t", "Item": item}, SHAPE)
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
