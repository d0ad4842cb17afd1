from decimal import Decimal
from typing import Any

import pytest

from greenlane.errors import InvalidInput, Refused
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.storing import keeping
from greenlane.flags.storing.ramp_records import level
from greenlane.flags.storing.submitting import check
from greenlane.problems import InvalidDocument
from tests.flag_store import NOW, memory_store, put

BY: dict[str, Any] = {"by": "ada", "at": NOW}
WRITTEN = """
feature_flags:
  a:
    percentage: 10
    environments: [staging, production]
    per_environment: {staging: {percentage: 20}}
"""


def ramped(status, environment="production", ceiling=None):
    """Ten percent as written, and a ramp that led to fifty."""
    store = memory_store()
    put(store, WRITTEN)
    keeping.start_ramp(store, "a", environment, Decimal(50), **BY)

    def edit(flags):
        stored = flags.flags["a"]
        ramp = stored.state(environment).ramp.model_copy(update={"status": status})
        return flags.with_flag("a", stored.with_state(environment, ramp=ramp, ceiling=ceiling))

    store.change(edit, by="greenlane", reason="", at=NOW)
    return store


def has(store, environment="production"):
    return level(store.read().flags["a"], environment, NOW.timestamp())


@pytest.mark.parametrize("status", ["done", "stopped", "retreated"])
def test_the_percentage_that_was_written_is_set_again_where_a_ramp_led_elsewhere(status):
    store = ramped(status)
    assert has(store) == 50
    assert keeping.set_keys(store, "a", {"percentage": 10}, **BY).changed
    assert has(store) == 10
    assert store.read().flags["a"].state("production").ramp is None


def test_a_percentage_for_all_leaves_an_environment_with_its_own_alone():
    store = ramped("done", "staging")
    keeping.set_keys(store, "a", {"percentage": 10}, **BY)
    assert has(store, "staging") == 50
    keeping.set_keys(store, "a", {"percentage": 20}, environment="staging", **BY)
    assert has(store, "staging") == 20


def test_other_keys_leave_a_ramp_alone():
    store = ramped("done")
    keeping.set_keys(store, "a", {"metadata": {"owner": "ada"}}, **BY)
    assert has(store) == 50


def test_the_same_percentage_is_refused_while_a_ramp_runs():
    with pytest.raises(Refused, match="stop that first"):
        keeping.set_keys(ramped("running"), "a", {"percentage": 10}, **BY)


def test_a_misspelt_environment_is_an_error_and_makes_no_new_one():
    store = memory_store()
    put(store, "feature_flags: {a: {}, b: {environments: [production]}}")
    with pytest.raises(InvalidInput, match="did you mean production"):
        keeping.set_keys(store, "a", {"enabled": False}, environment="prodution", **BY)
    assert store.read().environments == ("*", "production")


@pytest.mark.parametrize("name", ["", "a b", "a#b", "x" * 65, "-a"])
@pytest.mark.parametrize(
    "where",
    [
        "feature_flags: {{a: {{environments: ['{}']}}}}",
        "feature_flags: {{a: {{per_environment: {{'{}': {{percentage: 5}}}}}}}}",
        "approvals: {{environments: ['{}']}}\nfeature_flags: {{}}",
    ],
)
def test_a_name_that_no_environment_can_have_is_refused_before_it_is_a_key(name, where):
    store = memory_store()
    with pytest.raises(InvalidDocument, match="name it with 1 to 64 letters"):
        keeping.put(store, read_flags(where.format(name)), **BY)
    assert store.read().version == 0


def test_the_names_that_are_used_everywhere_are_fine():
    store = memory_store()
    put(store, "feature_flags: {a: {environments: [eu-west-1.prod, QA_2, 2nd]}}")
    check(store.read())


def test_pruning_does_not_forget_that_a_flag_was_switched_off():
    store = memory_store()
    put(store, "feature_flags: {a: {environments: [production]}, b: {}}")
    keeping.disable(store, "a", "production", **BY)
    with pytest.raises(Refused, match=r"switched off in production.*greenlane flags delete a"):
        keeping.put(store, read_flags("feature_flags: {b: {}}"), prune=True, **BY)
    assert "a" in store.read().flags
    keeping.delete(store, ["a"], **BY)
    keeping.put(store, read_flags("feature_flags: {b: {}}"), prune=True, **BY)
