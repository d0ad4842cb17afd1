"""See to ramps, scheduled rollouts and their alarms, each minute."""

from greenlane.deployments.stepping.judging import Tick
from greenlane.entrypoint import entrypoint
from greenlane.flags.ramps.runtime import FlagRuntime
from greenlane.flags.ramps.ticking import tick_flags


@entrypoint
def handler(tick: Tick, runtime: FlagRuntime) -> None:
    """Scheduled."""
    tick_flags(tick, runtime)
