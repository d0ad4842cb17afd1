"""How often chance sends a healthy ramp back, and how soon a bad one goes, in simulated minutes."""

import random
from datetime import timedelta
from decimal import Decimal
from statistics import median

from greenlane.flags.ramps.impact import Stretch, judge_impact
from tests.observations import at, series
from tests.unit.flags.test_flag_impact import SHARES, questions

LEVELS, MINUTES, REQUESTS, NORMAL = (5, 10, 15, 20, 25, 30, 40, 50), 5, 600, 0.02


def gone_back(dice: random.Random, share: float) -> int | None:
    """The minute in which a ramp is sent back whose users fail so often; None where it is not."""
    asked, on, off = questions(f"{SHARES} > 0.2"), [], []
    for level in LEVELS:
        begun = len(on)
        for _ in range(MINUTES):
            have = round(REQUESTS * level / 100)
            for minutes, rate, samples in ((on, share, have), (off, NORMAL, REQUESTS - have)):
                failed = sum(dice.random() < rate for _ in range(samples))
                minutes.append({"value": failed / samples, "n": float(samples)})
            given = series(SHARES, "green", on), series(SHARES, "blue", off)
            since = at(begun) - timedelta(minutes=1)
            stretch = Stretch(at(0) - timedelta(minutes=1), since, Decimal(level))
            if judge_impact(asked, given, stretch, at(len(on))).outcome in ("fail", "fired"):
                return len(on)
    return None


def test_of_150_healthy_ramps_that_are_looked_at_each_minute_none_is_sent_back() -> None:
    dice = random.Random(3)
    assert [gone_back(dice, NORMAL) for _ in range(150)] == [None] * 150


def test_three_times_as_many_failures_are_found_in_every_ramp_and_five_times_soon() -> None:
    dice = random.Random(3)
    three = [gone_back(dice, 3 * NORMAL) for _ in range(20)]
    five = [gone_back(dice, 5 * NORMAL) for _ in range(20)]
    assert None not in three + five
    assert median(one for one in three if one) <= 15
    assert median(one for one in five if one) <= 7
