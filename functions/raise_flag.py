"""Raise a flag's ramp by one step."""

from greenlane.entrypoint import entrypoint
from greenlane.flags.ramps.ramp import RampRun
from greenlane.flags.ramps.ramping import raise_ramp
from greenlane.flags.ramps.runtime import FlagRuntime


@entrypoint
def handler(run: RampRun, runtime: FlagRuntime) -> RampRun:
    """One step of the ramp's state machine."""
    return raise_ramp(run, runtime)
