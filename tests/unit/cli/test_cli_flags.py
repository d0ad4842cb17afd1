import json
from types import SimpleNamespace

import pytest
import yaml

from greenlane.flags.lifecycle.seen import Seen, boto_writer
from tests.experiment_store import Laboratory
from tests.flag_store import NOW, memory_store
from tests.unit.deployments.test_document import SPEC

FILE = """
feature_flags:
  checkout: {percentage: 25, environments: [staging, production]}
  banner:
    type: string
    variants: {red: "#f00", blue: "1e5"}
    default: red
    rules: [{id: pro, when: {plan: pro}, serve: blue}]
"""


@pytest.fixture
def client():
    """A cloud with flags; the credentials are those of whoever `who` names."""
    store = memory_store()
    connection = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW), principal="arn:jo")
    return SimpleNamespace(flags=store, experiments=Laboratory().store, connection=connection)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "flags.yaml"
    path.write_text(FILE)
    return str(path)


@pytest.fixture
def applied(run, file):
    run("flags", "apply", "-f", file)


def said(result, code=0):
    assert result.exit_code == code, result.output
    return result.stdout


def test_the_specifications_file_applies_as_it_stands(run, client):
    result = run("apply", "-f", str(SPEC / "feature-flags.yaml"), "--reason", "from the spec")
    assert said(result) == (
        "advanced_analytics, performance_optimization, ui_redesign: applied, version 1\n"
    )
    assert client.flags.audit()[0].reason == "from the spec"
    assert "flags: unchanged, version 1" in said(
        run("apply", "-f", str(SPEC / "feature-flags.yaml"))
    )
    lines = said(run("flags", "list")).splitlines()
    assert lines[0].split() == ["flag", "*", "production", "staging", "changed", "by"]
    assert lines[1].split()[:4] == ["advanced_analytics", "off", "25%", "+groups"]
    assert lines[3].split()[:4] == ["ui_redesign", "off", "off", "off"]


def test_check_needs_no_cloud(run, client):
    del client.flags
    result = run("apply", "--check", "-f", str(SPEC / "feature-flags.yaml"))
    assert said(result).endswith(
        "feature-flags.yaml: a correct file of 3 flags; nothing was applied\n"
    )


@pytest.mark.parametrize("command", [("apply", "--check"), ("apply",), ("flags", "apply")])
def test_a_wrong_file_is_refused_by_line(run, tmp_path, client, command):
    path = tmp_path / "flags.yaml"
    path.write_text("feature_flags:\n  a:\n    prerequisites: [{flag: b}]\n    percentge: 5\n")
    result = run(*command, "-f", str(path))
    assert result.exit_code == 2
    assert "line 4: feature_flags.a.percentge" in result.stderr
    assert client.flags.read().version == 0


def test_options_of_another_kind_of_file_are_refused(run, file):
    assert "leave it out" in run("apply", "-f", file, "--service", "x").stderr


def test_a_file_may_need_flags_that_are_stored_and_a_name_that_is_nowhere_has_its_line(
    run, applied, tmp_path
):
    path = tmp_path / "more.yaml"
    path.write_text("feature_flags:\n  more: {prerequisites: [{flag: checkout}]}\n")
    assert "more: applied, version 2" in said(run("flags", "apply", "-f", str(path)))
    path.write_text("feature_flags:\n  more:\n    prerequisites: [{flag: chekout}]\n")
    result = run("flags", "apply", "-f", str(path))
    assert "line 3: feature_flags.more.prerequisites.0.flag" in result.stderr
    assert "did you mean checkout" in result.stderr


def test_one_flag_is_shown_as_it_was_written(run, applied):
    out = said(run("flags", "get", "checkout"))
    assert out.splitlines()[0] == "checkout: revision 1, by arn:jo at 2026-11-24 12:00 UTC"
    assert "  percentage: 25" in out
    told = json.loads(said(run("flags", "get", "checkout", "-o", "json")))
    assert told["flag"]["percentage"] == 25
    unknown = run("flags", "get", "chekout")
    assert (unknown.exit_code, "did you mean checkout" in unknown.stderr) == (2, True)


def test_keys_are_set_as_a_file_would_have_them(run, applied, client):
    run("flags", "set", "checkout", "percentage=0.125", "user_groups=[beta]", "-e", "staging")
    run("flags", "set", "checkout", "percentage=null")
    flag = client.flags.read().flags["checkout"].flag
    assert (flag.percentage, str(flag.within("staging").percentage)) == (None, "0.125")
    assert flag.within("staging").user_groups == ("beta",)
    assert "write key=value" in run("flags", "set", "checkout", "percentage").stderr


def test_a_flag_goes_off_on_and_away(run, applied, client):
    assert "checkout: off for everybody in all environments, version 2" in said(
        run("flags", "disable", "checkout", "--reason", "it burns")
    )
    assert said(run("flags", "list")).splitlines()[2].split()[1:4] == ["stopped"] * 3
    assert "version 3" in said(run("flags", "enable", "checkout", "-e", "production"))
    assert "version 4" in said(run("flags", "enable", "checkout"))
    run("flags", "delete", "banner")
    assert list(client.flags.read().flags) == ["checkout"]


def test_an_explanation_shows_the_rule_the_bucket_and_the_threshold(run, applied, file):
    who = ("-c", '{"targetingKey": "user-3"}')
    out = said(run("flags", "explain", "checkout", *who))
    assert out.splitlines() == [
        "checkout in production: true (SPLIT by rollout)",
        "  rule rollout: bucket 1518 is below 25000 (25 percent): on",
    ]
    assert said(run("flags", "explain", "checkout", *who, "-f", file)) == out
    assert run("flags", "explain", "checkout", "-c", "user-3").exit_code == 2
    misspelt = run("flags", "explain", "checkout", *who, "-e", "prodution")
    assert "warning: no flag names prodution" in misspelt.stderr


def test_a_difference_is_shown_and_is_exit_code_one(run, applied, file, tmp_path, client):
    assert said(run("flags", "diff", "-f", file)) == "nothing would change\n"
    path = tmp_path / "other.yaml"
    path.write_text(FILE.replace("25", "30"))
    out = said(run("flags", "diff", "-f", str(path)), 1)
    assert out.splitlines() == ["~ checkout", "    percentage: 25 -> 30"]
    path.write_text("feature_flags: {checkout: {percentage: 25, environments: [staging]}}")
    out = said(run("flags", "diff", "-f", str(path), "--prune"), 1)
    assert out.splitlines()[0] == "- banner"
    assert client.flags.read().version == 1


def test_what_is_exported_applies_as_no_change(run, applied, tmp_path):
    path = tmp_path / "out.yaml"
    path.write_text(said(run("flags", "export")))
    assert yaml.safe_load(path.read_text())["feature_flags"]["checkout"]["percentage"] == 25
    assert "unchanged" in said(run("apply", "-f", str(path)))


def test_flags_come_from_flagd_and_go_there_with_their_bucketing(run, tmp_path):
    banner = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": {"fractional": [["on", 25], ["off", 75]]},
    }
    path = tmp_path / "flagd.json"
    path.write_text(json.dumps({"flags": {"banner": banner}}))
    assert "banner: applied, version 1" in said(run("flags", "import", "-f", str(path)))
    out = json.loads(said(run("flags", "export", "--format", "flagd", "-e", "production")))
    assert out["flags"]["banner"]["targeting"] == {
        "if": [True, {"fractional": [["on", 25], ["off", 75]]}]
    }
    path.write_text(json.dumps(out))
    assert run("flags", "import", "-f", str(path)).exit_code == 0
    path.write_text("[]")
    assert "write flagd's JSON" in run("flags", "import", "-f", str(path)).stderr


def test_what_flagd_cannot_say_is_refused(run, applied):
    result = run("flags", "export", "--format", "flagd", "-e", "production")
    assert result.exit_code == 2
    assert "checkout" in result.stderr


def test_the_audit_says_who_what_and_why_and_can_be_verified(run, applied, client):
    run("flags", "set", "checkout", "percentage=30", "--reason", "looks good")
    lines = said(run("flags", "audit", "checkout")).splitlines()
    assert lines[0] == "    2  2026-11-24 12:00:00 UTC  arn:jo: looks good"
    assert lines[1:3] == ["       ~ checkout", "           percentage: 25 -> 30"]
    assert said(run("flags", "audit", "--verify")).endswith(": ok\n")
    table = client.flags.client
    del table._items[("flags", "audit#000000000001")]
    out = said(run("flags", "audit", "--verify"), 1)
    assert out.startswith("version 1: the entry is missing\n")


def test_a_protected_environment_asks_for_a_second_person(run, applied, client, tmp_path):
    path = tmp_path / "flags.yaml"
    path.write_text("approvals: {environments: [production]}" + FILE)
    assert said(run("apply", "-f", str(path))).startswith("approvals: applied, version ")
    path.write_text(path.read_text().replace("25", "50"))
    out = said(run("apply", "-f", str(path), "--reason", "more"))
    id = client.flags.proposals()[0].id
    assert out == (
        "nothing changed yet: production is protected; somebody else approves it: "
        f"greenlane flags approve {id}\n"
    )
    assert f"{id}  waiting  arn:jo  checkout" in said(run("flags", "proposals"))
    assert "    percentage: 25 -> 50" in said(run("flags", "proposals", id))
    refused = run("flags", "approve", id, "--by", "somebody else")
    assert (refused.exit_code, "somebody else has to approve it" in refused.stderr) == (3, True)
    client.connection.principal = "arn:bob"
    assert "checkout: changed, version 3" in said(run("flags", "approve", id))
    assert "nothing waits" in said(run("flags", "proposals"))
    assert "approved" in said(run("flags", "proposals", "--all"))


def test_a_rejected_proposal_changes_nothing(run, applied, client, tmp_path):
    path = tmp_path / "flags.yaml"
    path.write_text("approvals: {environments: [production]}" + FILE)
    run("apply", "-f", str(path))
    run("flags", "set", "checkout", "percentage=99")
    id = client.flags.proposals()[0].id
    assert said(run("flags", "reject", id)) == f"{id}: rejected; nothing was changed\n"
    assert client.flags.read().flags["checkout"].flag.percentage == 25


def test_a_ramp_is_recorded_and_stopped(run, applied, client):
    assert "checkout: a ramp of 12.5% each 5m to 50% begins within a minute, version 2" in said(
        run("flags", "ramp", "checkout", "-e", "production", "--to", "50", "--increment", "12.5")
    )
    state = client.flags.read().flags["checkout"].state("production")
    assert (str(state.ramp.increment), str(state.ceiling)) == ("12.5", "25")
    assert "+ramping" in said(run("flags", "list", "-e", "production"))
    assert run("flags", "ramp", "checkout", "-e", "production", "--stop").exit_code == 0
    for wrong in (("--to", "lots"), ("--to", "50", "--stop"), (), ("--to", "5", "--interval", "x")):
        assert run("flags", "ramp", "checkout", "-e", "production", *wrong).exit_code == 2


def test_stale_flags_fail_a_pipeline_with_their_places(run, applied, client, tmp_path):
    code = tmp_path / "src"
    code.mkdir()
    (code / "a.py").write_text(
        '@feature_flag("checkout")\ndef f(): ...\nis_feature_enabled("gone")\n'
    )
    result = run("flags", "stale", "--fail-on", "90d", str(code))
    assert said(result, 1).splitlines() == [
        "banner: not in code: nothing in the code asks for it; delete it",
        "gone: not defined: the code asks for it, and nobody defined it: everybody gets the "
        "code's default",
        "    a.py:3",
    ]
    assert "no evaluation was recorded yet" in result.stderr
    assert run("flags", "stale", str(code)).exit_code == 0
    told = json.loads(said(run("flags", "stale", str(code), "-o", "json")))
    assert [one["kind"] for one in told] == ["not_in_code", "not_defined"]


def test_evaluations_that_were_recorded_are_read_in_every_environment(run, applied, client):
    late = NOW.timestamp() - 200 * 86400
    store = client.flags
    seen = Seen(boto_writer(store.client, store.table), "production", clock=lambda: late)
    seen.note("checkout", "on")
    seen.flush()
    client.connection.clock.now = lambda: NOW.replace(year=2027)
    result = run("flags", "stale", "--fail-on", "90d")
    assert "checkout: not evaluated: it was last evaluated on 2026-05-08" in said(result, 1)
    assert "banner: not evaluated: it was never evaluated" in result.stdout


def test_stale_flags_of_a_file_need_no_cloud(run, client, tmp_path):
    del client.flags
    path = tmp_path / "flags.yaml"
    path.write_text("feature_flags: {old: {expires: 2020-01-01}, new: {}}")
    result = run("flags", "stale", "-f", str(path), "--fail-on", "90d")
    assert said(result, 1).startswith("old: expired: it expired on 2020-01-01")
    assert run("flags", "stale", "-f", str(path), "--fail-on", "soon").exit_code == 2
