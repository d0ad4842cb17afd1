"""A name under `approvals.environments` protects something, or is refused."""

import pytest

from greenlane.documents import load, validate
from greenlane.flags.definitions.document import read_flags
from greenlane.flags.definitions.model import FlagsDocument
from greenlane.flags.storing import keeping
from greenlane.problems import InvalidDocument
from tests.flag_store import NOW, memory_store

LIMITED = "feature_flags: {a: {environments: [staging, production]}}"
FREE = "feature_flags: {a: {percentage: 5, per_environment: {production: {percentage: 1}}}}"


def protecting(*names):
    return f"approvals: {{environments: [{', '.join(names)}]}}\n"


def put(store, text):
    source = load(text, "flags.yaml")
    document = validate(FlagsDocument, source)
    return keeping.put(store, document, by="ada", at=NOW, source=source)


@pytest.mark.parametrize("flags", [LIMITED, FREE])
@pytest.mark.parametrize("name", ["prodution", "Production", "productoin"])
def test_a_misspelt_name_is_refused_with_its_line_and_the_right_one(name, flags):
    with pytest.raises(InvalidDocument) as caught:
        read_flags(protecting(name) + flags, "flags.yaml")
    (problem,) = caught.value.problems
    assert (problem.field, problem.value, problem.line) == ("approvals.environments", name, 1)
    assert "protects nothing; did you mean production?" in problem.way_out


def test_a_name_that_is_for_no_flag_is_refused_where_each_flag_says_where_it_is():
    with pytest.raises(InvalidDocument, match="there are production, staging"):
        read_flags(protecting("live") + LIMITED)


@pytest.mark.parametrize("name", ["live", "preproduction", "prod", "'*'"])
def test_a_flag_that_is_everywhere_is_also_where_nobody_names_it(name):
    assert read_flags(protecting(name) + FREE).approvals


def test_neither_of_two_names_that_are_alike_is_taken_for_the_other_misspelt():
    text = "feature_flags: {a: {per_environment: {prod-us: {percentage: 5}}}}"
    assert read_flags(protecting("prod-eu") + text).approvals


def test_names_are_compared_with_what_is_stored_too():
    store = memory_store()
    put(store, LIMITED)
    with pytest.raises(InvalidDocument, match="did you mean staging"):
        put(store, protecting("stagin") + "feature_flags: {b: {}}")
    assert store.read().version == 1
    assert put(store, protecting("staging") + "feature_flags: {b: {}}").changed


def test_the_stages_of_the_api_are_known_where_no_flag_names_an_environment():
    store = memory_store(environments=("production",))
    put(store, "feature_flags: {a: {percentage: 5}}")
    with pytest.raises(InvalidDocument, match="did you mean production"):
        put(store, protecting("prodution") + "feature_flags: {}")


def test_the_last_flag_of_a_protected_environment_may_still_go():
    store = memory_store()
    put(store, protecting("staging") + LIMITED)
    put(store, "feature_flags: {b: {environments: [production]}}")
    keeping.delete(store, ["a"], by="ada", at=NOW)
    (waiting,) = store.proposals()
    assert keeping.approve(store, waiting.id, by="bob", at=NOW).changed
    assert put(store, "feature_flags: {c: {environments: [production]}}").changed
