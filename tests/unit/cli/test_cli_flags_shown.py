"""What a person sees of a flag: why somebody gets it, where it stands, what was changed."""

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from greenlane.flags.ramps.ramp import Decision, ended, raised
from tests.flag_store import NOW, memory_store

FILE = """
segments: {staff: {attribute: email, op: ends_with, value: "@example.com"}}
feature_flags:
  payments: {percentage: 0}
  checkout:
    user_groups: [beta]
    targeting: {user_attributes: [{premium: true}, {region: [us, eu]}]}
    percentage: 25
  needy: {prerequisites: [{flag: payments}]}
  banner:
    rules:
      - id: staff
        when: {any: [{segment: staff}, {not: {plan: free}}, {attribute: age, op: present}]}
        serve: "on"
        percentage: 50
"""


@pytest.fixture
def client():
    connection = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW), principal="arn:jo")
    return SimpleNamespace(flags=memory_store(), connection=connection, experiments=MagicMock())


@pytest.fixture
def shown(run, tmp_path):
    """Runs a command about flags and gives its lines."""
    path = tmp_path / "flags.yaml"
    path.write_text(FILE)
    run("apply", "-f", str(path))

    def lines(*arguments):
        result = run("flags", *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout.splitlines()

    return lines


def test_an_explanation_shows_each_part_of_a_condition_and_what_was_missing(shown):
    user = '{"targetingKey": "user-3", "premium": 1}'
    assert shown("explain", "checkout", "-c", user) == [
        "checkout in production: false (DEFAULT)",
        "  rule groups: not met",
        '    groups in ["beta"]: not met, the context has nothing',
        "  rule rollout: not met",
        "    premium == true: not met, the context has int",
        '    region in ["us", "eu"]: not met, the context has nothing',
    ]


def test_it_says_on_which_side_of_a_share_somebody_is(shown):
    user = '{"targetingKey": "user-1", "premium": true, "region": "eu"}'
    assert shown("explain", "checkout", "-c", user)[3:] == [
        "  rule rollout: met, bucket 66781 is not below 25000 (25 percent)",
        "    premium == true: met",
        '    region in ["us", "eu"]: met',
    ]
    assert shown("explain", "payments", "-c", user)[1:] == ["  rule rollout: 0 percent have it"]
    assert shown("explain", "needy", "-c", user)[1:] == [
        "  needs payments at on: not met, it is at off"
    ]


def test_conditions_within_conditions_stand_below_them(shown):
    user = '{"targetingKey": "user-3", "plan": "free"}'
    assert shown("explain", "banner", "-c", user)[1:] == [
        "  rule staff: not met",
        "    one of: not met",
        "      segment staff: not met",
        '        email ends_with "@example.com": not met, the context has nothing',
        "      not: not met",
        '        plan == "free": met',
        "      age present: not met, the context has nothing",
    ]


def test_a_flag_that_is_not_there_is_an_error_with_the_right_name(run, shown):
    result = run("flags", "explain", "chekout")
    assert (result.exit_code, "did you mean checkout" in result.stderr) == (2, True)


def test_a_flag_is_shown_with_where_it_stands_in_words(shown):
    assert shown("get", "payments")[1:] == [
        "  percentage: 0",
        "  in *: 0%, on since 2026-11-24 12:00 UTC",
    ]
    shown("disable", "payments", "--reason", "it burns")
    assert shown("get", "payments")[2:] == ["  in *: stopped", "    disabled by arn:jo: it burns"]


def test_a_ramp_is_shown_with_its_steps_and_when_the_next_is_due(client, shown):
    told = shown("ramp", "payments", "-e", "*", "--to", "50", "--increment", "10")
    assert told == ["payments: a ramp of 10% each 5m to 50% begins within a minute, version 2"]
    moved(client, lambda state, ramp: raised(state, ramp, NOW + timedelta(minutes=1)))
    ramp = client.flags.read().flags["payments"].state("*").ramp
    assert shown("get", "payments")[2:] == [
        "  in *: 10% +ramping, on since 2026-11-24 12:00 UTC",
        f"    ramp {ramp.id} by arn:jo: 10% more each 5m, to 50%",
        "      running; judged good up to 0%",
        "      raised at 2026-11-24 12:01 UTC, next at 2026-11-24 12:06 UTC if it is good",
    ]


def test_the_audit_shows_what_moved_in_a_ramp_and_nothing_else(client, shown):
    shown("ramp", "payments", "-e", "*", "--to", "50", "--increment", "10")
    moved(client, lambda state, ramp: raised(state, ramp, NOW))
    assert shown("audit", "payments", "--limit", "1")[1:] == [
        "       ~ payments",
        '           in *: ceiling: "0" -> "10"',
        '           in *: ramp: raised_at: nothing -> "2026-11-24T12:00:00Z"',
    ]
    bad = Decision(
        "over", status="retreated", back_to=Decimal(0), reason="it fails", owed="retreated"
    )
    moved(client, lambda state, ramp: ended(state, ramp, bad))
    lines = shown("audit", "payments", "--limit", "1")
    assert '           in *: ramp: status: "running" -> "retreated"' in lines
    assert '           in *: retreated: nothing -> "it fails"' in lines


def moved(client, change):
    def edit(flags):
        one = flags.flags["payments"]
        state = one.state("*")
        after = one.model_copy(update={"states": {"*": change(state, state.ramp)}})
        return flags.with_flag("payments", after)

    client.flags.change(edit, by="greenlane", reason="", at=NOW)


def test_switching_off_says_where_and_what_is_applied_later_says_that_it_stays_off(
    run, shown, tmp_path
):
    assert shown("disable", "checkout") == [
        "checkout: off for everybody in all environments, version 2"
    ]
    assert shown("disable", "checkout") == ["checkout: unchanged, version 2"]
    path = tmp_path / "again.yaml"
    path.write_text(FILE.replace("25", "30"))
    for command in (("apply", "-f", str(path)), ("flags", "set", "checkout", "percentage=31")):
        result = run(*command)
        assert result.exit_code == 0
        assert result.stderr == (
            "warning: checkout stays switched off in *; see greenlane flags enable\n"
        )
    assert run("flags", "enable", "checkout").stderr == ""


def test_a_page_of_proposals_says_how_to_read_on(client, run, shown, tmp_path):
    path = tmp_path / "protected.yaml"
    path.write_text(FILE + "approvals: {environments: [production]}\n")
    run("apply", "-f", str(path))
    for percentage in (1, 2, 3):
        client.connection.clock.now = lambda n=percentage: NOW + timedelta(minutes=n)
        shown("set", "checkout", f"percentage={percentage}", "--reason", f"number {percentage}")
    lines = shown("proposals", "--limit", "2")
    assert [line.split("number ")[1] for line in lines[1:3]] == ["3", "2"]
    assert lines[3].startswith("there are more: --before 20261124-1202")
    rest = shown("proposals", "--before", lines[3].split()[-1])
    assert [line.split("number ")[1] for line in rest[1:]] == ["1"]
