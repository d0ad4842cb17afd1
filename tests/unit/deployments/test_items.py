from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from greenlane.deployments.model import (
    Drift,
    Recipe,
    Record,
    ScaleIn,
    Shift,
    Signal,
    SignalName,
    SuspendedScaling,
    Trigger,
)
from greenlane.deployments.phases import Phase
from greenlane.deployments.storing.items import attribute, instant, plain, record_from, record_item
from tests.builders import record

zones = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=zones)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
slots = st.sampled_from(["blue", "green"])
whole = st.integers(-(10**12), 10**12)
values = {
    int: whole,
    str: text,
    bool: st.booleans(),
    datetime: instants,
    Phase: st.sampled_from(Phase),
}
nested = {
    "recipe": st.builds(
        Recipe,
        rule_arn=text,
        good_slot=slots,
        good_target_group=text,
        bad_target_group=text,
        actions=st.lists(st.dictionaries(text, st.none() | text | whole, max_size=3), max_size=3),
        stickiness=st.none() | st.dictionaries(text, text | whole, max_size=2),
    ),
    "stickiness": st.dictionaries(text, st.booleans() | whole, max_size=2),
    "trigger": st.builds(
        Trigger,
        kind=st.sampled_from(["alarm", "alertmanager", "ecs", "failure", "person"]),
        name=text,
        reason=text,
        at=st.none() | instants,
        slot=st.none() | slots,
    ),
    "drift": st.lists(
        st.builds(
            Drift,
            kind=st.sampled_from(["weights", "tasks", "alarm", "scaling"]),
            subject=text,
            what=text,
            since=instants,
            told=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    "shifts": st.lists(st.builds(Shift, at=instants, weight=whole), max_size=3).map(tuple),
    "signal": st.builds(
        Signal,
        name=st.sampled_from(get_args(SignalName)),
        step=whole,
        by=text,
        at=instants,
    ),
    "scaling": st.lists(
        st.builds(
            SuspendedScaling,
            resource_id=text,
            min_capacity=whole,
            max_capacity=whole,
            dynamic_in=st.booleans(),
            dynamic_out=st.booleans(),
            scheduled=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    "scaled_in": st.none() | st.builds(ScaleIn, slot=slots, tasks=whole, at=instants),
    "trigger_alarms": st.lists(text, max_size=3).map(tuple),
    "held_before": st.lists(text, max_size=3).map(tuple),
    "live": slots,
    "candidate": slots,
}


def strategy_of(name, field):
    if name in nested:
        found = nested[name]
    else:
        kinds = get_args(field.annotation) or (field.annotation,)
        found = values[next(kind for kind in kinds if kind is not type(None))]
    return found if field.is_required() else found | st.just(field.get_default())


records = st.fixed_dictionaries(
    {name: strategy_of(name, field) for name, field in Record.model_fields.items()}
).map(Record.model_validate)


@given(records)
def test_a_record_comes_back_from_its_item_as_it_was(given_record):
    assert record_from(record_item(given_record)) == given_record


@given(records)
def test_what_is_none_is_absent_from_the_item(given_record):
    item = record_item(given_record)
    for name in Record.model_fields:
        assert (name in item) == (getattr(given_record, name) is not None)


@given(earlier=instants, later=instants)
def test_instants_sort_as_text_by_time(earlier, later):
    assert (instant(earlier) < instant(later)) == (earlier.astimezone(UTC) < later.astimezone(UTC))
    assert len(instant(earlier)) == len(instant(later))


def test_attributes_of_a_later_version_are_ignored():
    item = record_item(record()) | {"added_in_version_2": {"M": {"a": {"S": "b"}}}}
    assert record_from(item) == record()


def test_a_truth_value_is_no_number():
    assert attribute("paused", True) == {"BOOL": True}
    assert plain("paused", {"BOOL": False}) is False
