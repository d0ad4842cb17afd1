import json

import pytest

SPEC = "tests/data/spec/multi-region-config.yaml"
MONDAY = "2026-11-30T14:00"


@pytest.fixture
def client():
    """No cloud: what is planned from a file asks none, and asking this one fails."""
    return object()


def test_it_prints_the_order_the_times_the_waits_and_the_total(run):
    result = run("regions", "plan", "-f", SPEC, "--at", MONDAY)
    lines = result.stdout.splitlines()

    assert result.exit_code == 0, result.output
    assert lines[0] == "4 regions in 4 waves: rolling, balanced, from Monday 2026-11-30 14:00 UTC"
    assert "zone: EST → America/New_York (assumed)" in lines
    rows = [line.split() for line in lines if line[:1].isdigit()][1:]
    assert [row[1] for row in rows] == ["ap-southeast-1", "eu-west-1", "us-west-2", "us-east-1"]
    assert rows[0][4:10] == ["Mon", "30", "18:00", "Tue", "01", "02:00"]
    assert rows[3][11] == "20h"
    (total,) = [line for line in lines if line.startswith("total: ")]
    assert total.startswith(
        "total: 1d17h55m, until Wednesday 2026-12-02 07:55 UTC, with 5m between"
    )
    assert "at risk: 67.5 user-minutes of 100 users, should the version be bad" in lines


def test_it_says_why_and_what_binds_and_what_else_could_be(run):
    lines = run("regions", "plan", "-f", SPEC, "--at", MONDAY).stdout.splitlines()

    assert "why us-east-1 is in wave 4: primary: after all others" in lines
    assert "    it waits 20h: us-east-1: outside of its window" in lines
    costs = [line for line in lines if line.startswith("cost: ")]
    assert costs == [
        "cost: deployment windows, which bind: +1d14h",
        "cost: primary last and priorities, together: +21h",
    ]
    assert any(line.startswith("start: from Monday 19:00 UTC it takes 1d12h55m") for line in lines)
    policies = [line.split()[0] for line in lines[lines.index("") :] if "user-minutes" in line]
    assert policies[-3:] == ["safe", "balanced", "fast"]
    assert lines[-1].startswith("time zones: 20")


def test_as_json_it_is_the_plan_that_is_stored_and_the_comparison(run):
    body = json.loads(run("regions", "plan", "-f", SPEC, "--at", MONDAY, "-o", "json").stdout)

    assert body["plan"]["total_seconds"] == (41 * 60 + 55) * 60
    assert body["plan"]["waves"][0]["regions"][0]["region"] == "ap-southeast-1"
    assert [one["policy"] for one in body["comparison"]["what_ifs"]] == ["safe", "balanced", "fast"]


def test_windows_are_set_aside_with_a_reason_and_by_somebody(run):
    result = run("regions", "plan", "-f", SPEC, "--at", MONDAY, "--despite-windows", "a hole")

    assert "set aside: windows, by jo: a hole" in result.stdout
    assert "total: 3h55m, until Monday 2026-11-30 17:55 UTC" in result.stdout


def test_abbreviations_can_be_refused(run):
    result = run("regions", "plan", "-f", SPEC, "--strict-timezones")

    assert result.exit_code == 2
    assert "line 6: regions.us-east-1.deployment_window: 'EST'" in result.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--policy", "balance"), "did you mean balanced?"),
        (("--at", "tomorrow"), "write a time such as"),
        (("--despite-windows", " "), "say why"),
        (("--despite-freezes", ""), "say why"),
    ],
)
def test_what_is_wrong_with_the_options_is_bad_input(run, wrong, said):
    result = run("regions", "plan", "-f", SPEC, *wrong)

    assert result.exit_code == 2
    assert said in result.stderr


def test_a_file_from_which_nothing_can_start_ends_with_the_reason(run, tmp_path):
    file = tmp_path / "regions.yaml"
    file.write_text(
        "regions: {eu-west-1: {traffic_percentage: 100}}\n"
        "freezes: [{name: winter, first_day: 2026-11-30, last_day: 2026-12-31}]\n"
    )
    result = run("regions", "plan", "-f", str(file), "--at", MONDAY)

    assert result.exit_code == 2
    assert (
        "no start is possible within 8d of 2026-11-30 14:00 UTC (frozen by winter)" in result.stderr
    )


def test_apply_checks_a_file_of_regions(run):
    result = run("apply", "--check", "-f", SPEC)

    assert result.exit_code == 0, result.output
    assert result.stdout == f"{SPEC}: a correct file of 4 regions; nothing was applied\n"
    assert "warning: SGT → Asia/Singapore (assumed)" in result.stderr
