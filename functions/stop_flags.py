"""Switch off the flags whose rollback condition has fired."""

from greenlane.entrypoint import entrypoint
from greenlane.flags.ramps.runtime import FlagRuntime
from greenlane.flags.ramps.stopping import RedFlagAlarm, stop_flags


@entrypoint
def handler(event: RedFlagAlarm, runtime: FlagRuntime) -> None:
    """Called by EventBridge, by the rule of these alarms."""
    stop_flags(event, runtime)
