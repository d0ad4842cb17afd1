"""Releases with migrations, with something wrong at each call of what begins and awaits them."""

from collections.abc import Iterator
from functools import cache

import pytest

from greenlane.deployments.phases import Phase
from tests.effort import part
from tests.faults.faults import KINDS, Faults, Kind, Site, one
from tests.release_town import ReleaseTown

EXPAND, MIGRATE = "d-1-expand", "d-1-migrate"
EACH = 3
"""Every third call in each run of a kind; the kinds begin at different calls, so each is struck."""
ABSORBED = [kind for kind in KINDS if kind != "denied"]


@cache
def sites(caller: str) -> tuple[Site, ...]:
    """The calls that one of the functions makes up to the end of its run of migrations."""
    with ReleaseTown(statements=1).works() as town:
        execution = town.deploy()
        town.finish(execution)
        found = [one for one in town.account.faults.sites if one.caller == caller]
        if caller == "tick_migrations":
            # Those of each minute are alike; the last that counts is the start.
            start = next(n for n, one in enumerate(found) if one.operation == "start_execution")
            found = found[max(start - 8, 0) : start + 4]
        return tuple(found)


def struck(kind: Kind, caller: str) -> Iterator[tuple[str, Site, Faults]]:
    for site in part(sites(caller), EACH, KINDS.index(kind)):
        yield f"{kind} at {site}", site, one(site, kind)


@pytest.mark.parametrize("kind", ABSORBED)
def test_expand_is_begun_once_and_awaited_whatever_happens_at_any_call(kind: Kind) -> None:
    for where, _, faults in struck(kind, "expand_database"):
        with ReleaseTown(faults, statements=1).works() as town:
            execution = town.deploy()
            town.finish(execution, or_in=Phase.SHIFTING)
            assert execution.status == "RUNNING", f"{where}: {execution.error} {execution.cause}"
            assert faults.struck, where
            assert town.started == [EXPAND], where
            assert town.standing(EXPAND) == "succeeded", where
            assert town.databases["expand"].done == [0], where


def test_a_permission_that_is_gone_takes_the_deployment_back_before_its_first_task() -> None:
    for where, _, faults in struck("denied", "expand_database"):
        with ReleaseTown(faults, statements=1).works() as town:
            execution = town.deploy()
            town.settle()
            assert execution.status == "FAILED", where
            assert town.phase() is Phase.ROLLED_BACK, where
            assert town.account.weights() == {"blue": 100, "green": 0}, where
            assert "prepare_slot" not in town.account.invoked, where
            assert len(town.started) <= 1, where
            if EXPAND in town.started:
                # It may have ended before the deployment did; what it did stands either way.
                assert town.standing(EXPAND) in ("succeeded", "stopped"), where
                assert town.databases["expand"].undone == [], where


@pytest.mark.parametrize("seconds", [0.5, 8, 60, 3600])
def test_a_run_of_the_function_that_is_repeated_begins_nothing_again(seconds: float) -> None:
    for number in (1, 2, 3):
        with ReleaseTown(statements=1).works() as town:
            town.account.again["expand_database", number] = seconds
            execution = town.deploy()
            town.settle()
            town.run(3600)
            assert execution.status == "SUCCEEDED", f"run {number} again after {seconds} s"
            assert town.started == [EXPAND, MIGRATE]
            assert town.databases["expand"].done == [0]


def test_a_deployment_that_is_killed_while_it_waits_goes_back_and_the_run_ends() -> None:
    with ReleaseTown(statements=10**6).works() as town:
        execution = town.deploy()
        town.until(lambda: len(town.databases["expand"].done) == 3)
        execution.stop("Killed", "by the test")
        town.settle()
        assert town.phase() is Phase.ROLLED_BACK
        assert town.account.weights() == {"blue": 100, "green": 0}
        assert town.standing(EXPAND) == "stopped"
        assert town.databases["expand"].undone == []


@pytest.mark.parametrize("kind", ABSORBED)
def test_migrate_is_begun_once_and_no_deployment_notices_whatever_happens(kind: Kind) -> None:
    for where, _, faults in struck(kind, "tick_migrations"):
        with ReleaseTown(faults, statements=1).works() as town:
            execution = town.deploy()
            town.finish(execution)
            assert execution.status == "SUCCEEDED", f"{where}: {execution.error} {execution.cause}"
            assert faults.struck, where
            assert town.started == [EXPAND, MIGRATE], where
            assert town.standing(MIGRATE) == "succeeded", where
            assert town.databases["migrate"].done == [0], where


def test_no_deployment_needs_what_begins_migrate() -> None:
    for where, site, faults in struck("denied", "tick_migrations"):
        with ReleaseTown(faults, statements=1).works() as town:
            execution = town.deploy()
            town.finish(execution)
            assert execution.status == "SUCCEEDED", where
            if site.operation in ("start_execution", "get_item", "query"):
                assert town.account.failed["tick_migrations"], where
