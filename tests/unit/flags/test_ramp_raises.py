"""A step goes up once its time is over, however often and however early somebody asks for it."""

from decimal import Decimal

from greenlane.flags.ramps.ramp import RampRun, due_at
from greenlane.flags.ramps.ramping import raise_ramp
from tests.flag_town import FLAG, Town, no_pauses  # noqa: F401


def test_a_step_whose_time_is_not_over_stays_where_it_is_though_it_was_judged_good() -> None:
    town = Town()
    ramp = town.ramp(20, 5)
    town.run(7 / 60)
    assert town.level() == 10
    run = RampRun(flag="checkout", environment="production", ramp_id=ramp, level=Decimal(10))

    early = raise_ramp(run, town.runtime)

    assert town.level() == 10
    left = due_at(town.ramp_of()) - town.kernel.now()
    assert left.total_seconds() > 0
    assert early.next == "wait"
    assert early.wait_seconds >= left.total_seconds()

    town.kernel.seconds += left.total_seconds()
    raise_ramp(run, town.runtime)
    assert town.level() == 15
    raise_ramp(run, town.runtime)
    assert town.level() == 15
