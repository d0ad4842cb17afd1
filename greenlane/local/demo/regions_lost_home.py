"""The coordinator's Region is lost while a version goes through the second of three Regions.

Nothing passes between it and the others any more. Its standby notices, starts no further Region and
tells people; somebody lets it take back what was touched. When the lines are mended home has to
find all of that, and to agree. The version is good, so no request may be lost at all.
"""

import time
from collections.abc import Callable

from rich.console import Console

from greenlane.deployments.phases import Phase
from greenlane.errors import Refused
from greenlane.local.demo.regions_measure import measure
from greenlane.local.demo.regions_result import AFTER, LostHomeResult
from greenlane.local.demo.regions_setting import HAD, HOME, STANDBY, VERSION, Setting, set_up
from greenlane.local.stage import SERVICE
from greenlane.regions.coordinating.model import Rollout

NAME = "lost-home"
TITLE = "the coordinator's region is lost in the second wave, and its standby takes over"
SECOND = "eu-west-1"

TIME_SCALE = 30.0
PART_SECONDS = 150.0
"""Real, for each part of the scene at most."""

DEPLOYING_SECONDS = 4.0
"""How long the second Region deploys before home is lost."""

AFTER_SECONDS = 3.0
LOOK_SECONDS = 0.3


def play(console: Console) -> LostHomeResult:
    """Deploy, lose home, stand in, go back, mend, and measure."""
    with set_up(console, time_scale=TIME_SCALE, behaviour="good") as setting:
        began = time.monotonic()
        setting.begin()
        _until(setting, "home", lambda: _is_deploying(setting, SECOND))
        time.sleep(DEPLOYING_SECONDS)
        setting.world.isolate(HOME)
        lost_at = setting.world[STANDBY].clock.now()
        setting.say("the lines", f"nothing passes to {HOME} or from it")
        stood_in = _until(setting, "standby", lambda: _phase(setting, STANDBY) == "held")
        took_over = (setting.world[STANDBY].clock.now() - lost_at).total_seconds()
        if stood_in:
            setting.rollouts(STANDBY).rollback(SERVICE, by="the demo", reason=f"{HOME} is lost")
        _until(setting, "standby", lambda: _is_back(setting))
        setting.world.heal()
        setting.say("the lines", "are mended")
        _until(setting, "standby", lambda: _phase(setting, STANDBY) == "rolled_back")
        _until(setting, "home", lambda: _phase(setting, HOME) == "rolled_back")
        ended = time.monotonic()
        for load in setting.loads.values():
            load.phase(AFTER)
        time.sleep(AFTER_SECONDS)
        home = _of(setting, HOME)
        assert home is not None, "it has begun there"
        result = LostHomeResult(
            scene=NAME,
            title=TITLE,
            version=VERSION,
            bad_in="",
            phase=home.phase,
            cause=home.cause,
            cause_region=home.cause_region,
            seconds=ended - began,
            virtual_seconds=(ended - began) * TIME_SCALE,
            regions=measure(setting, home, had=HAD),
            home=HOME,
            took_over_virtual_seconds=took_over if stood_in else None,
            standby_phase=_phase(setting, STANDBY),
        )
    result.broken = result.broken_promises()
    return result


def _until(setting: Setting, who: str, so: Callable[[], object]) -> bool:
    """Show the rollout until something is so; False if that takes too long."""
    deadline, region = time.monotonic() + PART_SECONDS, HOME if who == "home" else STANDBY
    while not so():
        if time.monotonic() > deadline:
            return False
        if (record := _of(setting, region)) is not None:
            setting.tell(who, record)
        time.sleep(LOOK_SECONDS)
    if (record := _of(setting, region)) is not None:
        setting.tell(who, record)
    return True


def _of(setting: Setting, region: str) -> Rollout | None:
    """The rollout as a Region has it."""
    try:
        return setting.rollouts(region).get(SERVICE).record
    except Refused:
        return None


def _phase(setting: Setting, region: str) -> str:
    """Of the rollout as a Region has it."""
    record = _of(setting, region)
    return "never began" if record is None else record.phase


def _is_deploying(setting: Setting, region: str) -> bool:
    """Whether the new version has traffic in a Region."""
    record = setting.stages[region].greenlane.store.record(SERVICE)
    return record is not None and record.phase is Phase.SHIFTING


def _is_back(setting: Setting) -> bool:
    """Whether every Region that the standby reaches has gone back."""
    record = _of(setting, STANDBY)
    return record is not None and record.phase != "held" and set(record.left) <= {HOME}
