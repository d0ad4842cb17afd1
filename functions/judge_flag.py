"""Judge the level that a flag's ramp is at."""

from greenlane.entrypoint import entrypoint
from greenlane.flags.ramps.ramp import RampRun
from greenlane.flags.ramps.ramping import judge_ramp
from greenlane.flags.ramps.runtime import FlagRuntime


@entrypoint
def handler(run: RampRun, runtime: FlagRuntime) -> RampRun:
    """One step of the ramp's state machine."""
    return judge_ramp(run, runtime)
