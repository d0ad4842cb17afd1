"""Judge the level that a flag's ramp is at."""

from greenlane.entrypoint import entrypoint
from greenlane.flags.ramp import RampRun
from greenlane.flags.ramping import judge_ramp
from greenlane.flags.runtime import FlagRuntime


@entrypoint
def handler(run: RampRun, runtime: FlagRuntime) -> RampRun:
    """One step of the ramp's state machine."""
    return judge_ramp(run, runtime)
