from types import SimpleNamespace

import pytest

from tests.flag_store import NOW, memory_store, put


@pytest.fixture
def client():
    """A cloud with two flags, one of them for an environment that is gone."""
    store = memory_store()
    put(store, "feature_flags: {a: {environments: [production, pr-1], percentage: 5}}")
    put(store, "feature_flags: {a: {environments: [production], percentage: 5}}")
    connection = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW), principal="arn:jo")
    return SimpleNamespace(flags=store, connection=connection)


def test_an_environment_is_forgotten_once(run, client):
    assert run("flags", "forget", "pr-1").stdout == "pr-1: forgotten, version 3\n"
    assert client.flags.audit()[0].by == "arn:jo"
    again = run("flags", "forget", "pr-1")
    assert (again.exit_code, "the flags name *, production" in again.stderr) == (2, True)


def test_an_environment_that_a_flag_names_is_refused(run):
    result = run("flags", "forget", "production")
    assert result.exit_code == 3
    assert "the flag a names it" in result.stderr


def test_recompiling_says_what_it_wrote(run, client):
    assert run("flags", "recompile").stdout == "snapshots: unchanged, version 2\n"
    client.flags.client._items.pop(("snapshot#production", "version"))
    assert run("flags", "recompile").stdout == "production: written anew, version 3\n"
    assert client.flags.audit()[0].reason == "recompiled"


@pytest.mark.parametrize("given", ["percentage=", "percentage= ", "percentage=1\nenabled: true"])
def test_an_empty_shell_variable_takes_no_percentage_out(run, client, given):
    result = run("flags", "set", "a", given)
    assert (result.exit_code, result.stderr.startswith("greenlane: set: ")) == (2, True)
    assert client.flags.read().flags["a"].flag.percentage == 5


def test_the_audit_of_a_flag_that_it_has_not_says_of_which(run):
    assert run("flags", "audit", "b").stdout == "nothing that the audit has of b\n"
