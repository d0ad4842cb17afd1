from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from greenlane.durations import LONGEST_SECONDS, Duration, format_seconds, parse_seconds


class Holder(BaseModel):
    span: Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1h30m", 5400),
        ("14d", 1209600),
        ("2w", 1209600),
        ("0s", 0),
        (" 5m ", 300),
    ],
)
def test_a_duration_is_a_sum_of_numbers_with_units(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5m-1s", "1.5h", "5y", "5mm"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="30s, 5m, 2h"):
        parse_seconds(text)


@pytest.mark.parametrize("value", [-1, 5, 1.5, True, [], {}, None, "-1m"])
def test_a_field_refuses_what_has_no_unit_or_is_negative(value):
    with pytest.raises(ValidationError):
        Holder(span=value)


def test_a_bare_zero_needs_no_unit():
    assert Holder(span=0).span == timedelta(0)


@given(st.integers(min_value=0, max_value=LONGEST_SECONDS))
def test_what_is_formatted_reads_back_as_the_same_seconds(seconds):
    assert parse_seconds(format_seconds(seconds)) == seconds


@given(st.integers(min_value=0, max_value=LONGEST_SECONDS))
def test_a_stored_duration_reads_back_as_the_same(seconds):
    held = Holder(span=timedelta(seconds=seconds))
    assert Holder.model_validate_json(held.model_dump_json()) == held


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text):
    said = ""
    try:
        seconds = parse_seconds(text)
    except ValueError as error:
        seconds, said = -1, str(error)
    assert seconds >= 0 or "duration" in said or "invalid literal" in said
