"""`greenlane regions` with ids used twice, reasons, wishes nobody heeds, and watches."""

from tests.builders import SERVICE
from tests.unit.cli.test_cli_regions_running import (
    Passing,
)
from tests.unit.cli.test_cli_regions_running import client as client
from tests.unit.cli.test_cli_regions_running import connection as connection
from tests.unit.cli.test_cli_regions_running import deploy as deploy
from tests.unit.cli.test_cli_regions_running import file as file
from tests.unit.cli.test_cli_regions_running import slept as slept
from tests.unit.cli.test_cli_regions_running import town as town


def test_an_id_that_was_used_for_something_else_begins_nothing(deploy, town):
    assert deploy("--id", "r-1").exit_code == 0
    town.run(60)
    assert town.home.record.phase == "succeeded"
    other = deploy("--id", "r-1", version="1.4.3")
    assert (other.exit_code, "r-1 is that of 1.4.2" in other.stderr) == (2, True), other.stderr
    assert deploy("--id", "r-2", version="1.4.3").exit_code == 0
    town.run(60)
    again = deploy("--id", "r-1")
    assert (again.exit_code, "r-1 was used before" in again.stderr) == (2, True), again.stderr
    assert town.home.record.rollout_id == "r-2"


def test_the_same_id_of_a_rollout_that_is_over_starts_no_execution(deploy, town):
    assert deploy("--id", "r-1").exit_code == 0
    town.run(60)
    before = len(town.home.executions)
    result = deploy("--id", "r-1")
    assert (result.exit_code, "r-1 was begun before: it succeeded" in result.stdout) == (0, True)
    assert len(town.home.executions) == before


def test_why_a_version_is_deployed_that_went_back_is_asked_for_and_kept(deploy, run, town):
    town.regions["ap-south-1"].fails = 300
    deploy()
    town.run(4)
    empty = deploy("--despite-hold", " ")
    assert (empty.exit_code, "say why, for the record" in empty.stderr) == (2, True)
    town.regions["ap-south-1"].fails = None
    assert deploy("--despite-hold", "it was the balancer").exit_code == 0
    assert "it was the balancer" in run("regions", "history", SERVICE).stdout


def test_a_reason_that_no_record_could_hold_is_refused_at_once(deploy, run, town):
    deploy()
    town.run(0.5)
    long = run("regions", "rollback", SERVICE, "--reason", "x" * 300_000)
    assert (long.exit_code, "reason" in long.stderr) == (2, True)
    assert len(long.stderr) < 1000
    assert run("regions", "rollback", SERVICE, "--reason", "complaints").exit_code == 0


def test_a_rollout_that_cannot_begin_says_why_in_its_history(deploy, run, town):
    town.down.add("us-east-1")
    deploy()
    town.run(0.5)
    assert (
        "the standby us-east-1 does not take the plan" in run("regions", "history", SERVICE).stdout
    )


def test_a_wish_that_nobody_heeds_and_a_coordinator_that_is_late_are_shown(deploy, run, town):
    deploy()
    town.run(0.5)
    assert "late:" not in run("regions", "get", SERVICE).stdout
    for one in town.home.executions.values():
        one.stop("Killed", "by hand")
    assert run("regions", "rollback", SERVICE, "--reason", "complaints").exit_code == 0
    town.kernel.after(5 * 3600, lambda: None)
    town.tended_until = town.kernel.seconds + 5 * 3600
    town.run(5)
    shown = run("regions", "get", SERVICE).stdout
    assert "asked: rollback, by jo: complaints; not heeded yet" in shown
    assert "late: it should have been looked at by 20" in shown


def test_long_ids_that_end_differently_are_different_executions(deploy, run, town):
    long = "a-pipeline-of-a-team-with-a-long-name-in-its-production-account-run-{}"
    assert deploy("--id", long.format(1)).exit_code == 0
    town.run(60)
    assert deploy("--id", long.format(2), version="1.4.3").exit_code == 0
    town.run(60)
    assert town.home.record.phase == "succeeded"
    assert town.home.record.rollout_id == long.format(2)


def test_a_watch_of_a_way_back_does_not_end_before_it_began(deploy, run, town, monkeypatch):
    """The record of one that is over is written once more before the wish is heeded."""
    deploy()
    town.run(60)
    assert town.home.record.phase == "succeeded"
    written = []

    def is_taken_first(self, seconds):
        list.append(self, seconds)
        if written:
            town.run(0.4)
        else:
            written.append(town.home.rollouts.write(town.home.record))

    monkeypatch.setattr(Passing, "append", is_taken_first)
    result = run("regions", "rollback", SERVICE, "--reason", "complaints", "--watch")
    assert result.exit_code == 0, result.output


def test_a_watch_follows_its_own_rollout_and_not_the_next(deploy, run, town, monkeypatch):
    for region in town.regions.values():
        region.fails = 300
    begun = []

    def fails_and_another_begins(self, seconds):
        list.append(self, seconds)
        town.run(4)
        if not begun:
            for region in town.regions.values():
                region.fails = None
            begun.append(deploy("--id", "r-2", version="1.4.3"))

    monkeypatch.setattr(Passing, "append", fails_and_another_begins)
    result = deploy("--id", "r-1", "--watch")
    assert result.exit_code == 1
    assert "r-2 began since" in result.stderr
