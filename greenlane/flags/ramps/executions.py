"""The executions of ramps: one for each, named by the ramp's id, and another when it has died.

Who records a ramp needs the table alone; the minute tick starts what is recorded.
"""

from botocore.exceptions import ClientError

from greenlane.flags.ramps.flag_writes import move
from greenlane.flags.ramps.ramp import RampRun, ramp_of
from greenlane.flags.ramps.runtime import FlagRuntime
from greenlane.flags.storing.state import Ramp, StoredFlag
from greenlane.logs import logger

_ALIVE = ("RUNNING", "PENDING_REDRIVE")
_LONGEST_NAME = 80
_ROOM = 6
"""Characters of a name that are left for its number."""


def execution_name(ramp_id: str, number: int = 1) -> str:
    """The name of a ramp's n-th execution; Step Functions takes 80 characters."""
    base = ramp_id[-(_LONGEST_NAME - _ROOM) :]
    return base if number == 1 else f"{base}-{number}"


def execution_arn(machine_arn: str, name: str) -> str:
    """The ARN of an execution of a state machine."""
    return f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def keep_going(runtime: FlagRuntime, run: RampRun, ramp: Ramp) -> None:
    """Start a ramp's execution if it has none that lives. Repeating it starts no second one."""
    machine = runtime.settings.flag_machine_arn
    arn = ramp.execution or execution_arn(machine, execution_name(ramp.id))
    status = _status(runtime, arn)
    if status in _ALIVE:
        return
    if status != "UNKNOWN":
        arn = execution_arn(machine, execution_name(ramp.id, _number(ramp.id, arn) + 1))
        logger.warning("a ramp's execution died", ramp=ramp.id, status=status)

        def another(flag: StoredFlag) -> StoredFlag | None:
            found = ramp_of(flag, run)
            if found is None or found.execution != ramp.execution:
                return None
            update = found.model_copy(update={"execution": arn})
            return flag.with_state(run.environment, ramp=update)

        why = f"ramp {ramp.id}: its execution had ended ({status})"
        after = move(runtime.flags, run.flag, another, why=why, at=runtime.clock.now())
        found = ramp_of(after, run)
        if found is None or found.execution != arn:
            return
    _start(runtime, arn.rsplit(":", 1)[-1], run)


def _start(runtime: FlagRuntime, name: str, run: RampRun) -> None:
    try:
        runtime.stepfunctions.start_execution(
            stateMachineArn=runtime.settings.flag_machine_arn,
            name=name,
            input=run.model_dump_json(include={"flag", "environment", "ramp_id"}),
        )
    except ClientError as error:
        # Somebody else started it, and it may have ended: the next minute sees.
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise


def _status(runtime: FlagRuntime, arn: str) -> str:
    try:
        return str(runtime.stepfunctions.describe_execution(executionArn=arn)["status"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return "UNKNOWN"


def _number(ramp_id: str, arn: str) -> int:
    """Which of a ramp's executions it is."""
    rest = arn.rsplit(":", 1)[-1].removeprefix(execution_name(ramp_id)).removeprefix("-")
    return int(rest) if rest.isdigit() else 1
