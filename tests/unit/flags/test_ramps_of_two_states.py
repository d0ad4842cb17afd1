"""A ramp of all that no flag names, and an environment of it that gets a state of its own."""

from decimal import Decimal

from greenlane.flags.ramps.executions import execution_arn, execution_name
from greenlane.flags.storing import keeping
from tests.flag_store import flags_from
from tests.flag_town import FLAG, MACHINE, Town, no_pauses  # noqa: F401

EVERYWHERE = FLAG.replace("    environments: [production]\n", "    environments: ['*']\n")
WITH_PRODUCTION = EVERYWHERE.replace("['*']", "['*', production]")
NAMED = "feature_flags: {another: {environments: [production]}}"


def ramped_everywhere(target: int = 20) -> tuple[Town, str]:
    town = Town(EVERYWHERE)
    town.flags.change(flags_from(NAMED), by="ada", reason="", at=town.kernel.now())
    kept = keeping.start_ramp(
        town.flags, "checkout", "*", Decimal(target), Decimal(5), by="ada", at=town.kernel.now()
    )
    ramp = kept.flags["checkout"].state("*").ramp
    return town, ramp.id


def both_over(town: Town) -> bool:
    states = town.flags.read().flags["checkout"].states
    return all(states[name].going is None for name in ("*", "production"))


def test_an_environment_that_joins_while_the_ramp_of_all_others_runs_does_not_wait_for_it():
    town, _ = ramped_everywhere(100)
    town.run(8 / 60)
    level = town.flags.read().flags["checkout"].state("*").ceiling or Decimal(0)
    town.flags.change(flags_from(WITH_PRODUCTION), by="ada", reason="", at=town.kernel.now())
    assert town.flags.read().flags["checkout"].states["production"].ceiling == level

    town.run(13 / 60)
    stored = town.flags.read().flags["checkout"]
    assert (stored.states["production"].ceiling or 0) >= level + 10
    town.run(3, done=lambda: both_over(town))
    stored = town.flags.read().flags["checkout"]
    assert [stored.states[name].ramp.status for name in ("*", "production")] == ["done", "done"]
    assert [stored.states[name].ceiling for name in ("*", "production")] == [100, 100]


def test_its_ramp_has_an_execution_of_its_own_with_a_name_that_fits():
    town, ramp = ramped_everywhere(100)
    town.run(8 / 60)
    town.flags.change(flags_from(WITH_PRODUCTION), by="ada", reason="", at=town.kernel.now())
    town.run(3 / 60)
    stored = town.flags.read().flags["checkout"]
    mine = stored.states["production"].ramp.id
    assert mine != ramp
    assert mine.startswith(ramp)
    assert stored.states["*"].ramp.id == ramp
    names = [execution_name(one) for one in (ramp, mine)]
    assert set(town.executions) == {execution_arn(MACHINE, name) for name in names}


def test_stopping_it_in_the_environment_leaves_the_ramp_of_all_others():
    town, ramp = ramped_everywhere()
    town.run(8 / 60)
    town.flags.change(flags_from(WITH_PRODUCTION), by="ada", reason="", at=town.kernel.now())
    keeping.stop_ramp(town.flags, "checkout", "production", "ada", at=town.kernel.now())
    town.run(2, done=lambda: both_over(town))
    stored = town.flags.read().flags["checkout"]
    assert (stored.states["production"].ramp.status, stored.states["*"].ramp.status) == (
        "stopped",
        "done",
    )
