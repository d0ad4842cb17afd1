"""A version that turns bad in the second of three Regions.

It is the same image everywhere, good in the first wave's Region, and fails 8 % of the requests in
the second's, as one does that cannot stand what only that Region has. The second Region goes back,
by its own alarm or judge or by the limits of the rollout, whichever is first; the first one goes
back with it, and the third is never touched.
"""

import time

from rich.console import Console

from greenlane.local.demo.regions_measure import measure
from greenlane.local.demo.regions_result import AFTER, WorldResult, broken_promises
from greenlane.local.demo.regions_setting import HAD, HOME, VERSION, Setting, set_up
from greenlane.local.stage import SERVICE
from greenlane.regions.coordinating.model import FREE, Rollout

NAME = "bad-second-wave"
TITLE = "a version goes through three regions in waves, and turns bad in the second"
BAD_IN = "eu-west-1"
BEHAVIOUR = f"errors:0.08@{BAD_IN}"

TIME_SCALE = 20.0
"""Slower than the scenes of one Region: three clouds share the processors that one has there."""

ROLLOUT_SECONDS = 420.0
AFTER_SECONDS = 3.0
LOOK_SECONDS = 0.3


def play(console: Console) -> WorldResult:
    """Deploy, watch until it is over, and measure."""
    with set_up(console, time_scale=TIME_SCALE, behaviour=BEHAVIOUR) as setting:
        began = time.monotonic()
        setting.begin()
        record = _until_over(setting)
        ended = time.monotonic()
        for load in setting.loads.values():
            load.phase(AFTER)
        time.sleep(AFTER_SECONDS)
        result = WorldResult(
            scene=NAME,
            title=TITLE,
            version=VERSION,
            bad_in=BAD_IN,
            phase=record.phase,
            cause=record.cause,
            cause_region=record.cause_region,
            seconds=ended - began,
            virtual_seconds=(ended - began) * TIME_SCALE,
            regions=measure(setting, record, had=HAD),
        )
    result.broken = broken_promises(result)
    return result


def _until_over(setting: Setting) -> Rollout:
    """The record once the rollout has ended, or has taken too long."""
    rollouts, deadline = setting.rollouts(HOME), time.monotonic() + ROLLOUT_SECONDS
    while True:
        record = rollouts.get(SERVICE).record
        setting.tell("rollout", record)
        if record.phase in FREE or time.monotonic() > deadline:
            return record
        time.sleep(LOOK_SECONDS)
