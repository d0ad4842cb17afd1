"""The executions of tests: one for each run, another when it has died, none when it is over.

Who starts a test needs the table alone; the minute tick starts the execution.
"""

from botocore.exceptions import ClientError

from greenlane.errors import NotReconciled
from greenlane.experiments.running.runtime import ExperimentRuntime
from greenlane.experiments.running.timing import ExperimentRun
from greenlane.experiments.storing.state import StoredTest
from greenlane.flags.ramps.executions import execution_arn, execution_name
from greenlane.logs import logger

_ALIVE = ("RUNNING", "PENDING_REDRIVE")
_FAILED = ("FAILED", "TIMED_OUT")


def keep_going(runtime: ExperimentRuntime, test: StoredTest) -> None:
    """Start a run's execution if it has none that lives. Repeating it starts no second one.

    Raises:
        NotReconciled: the last one failed; another was started. The alarm on the errors of the
            tick tells people when that goes on.
        ClientError: the table, or Step Functions, did not answer.
    """
    machine, base = runtime.settings.experiment_machine_arn, _base(test)
    arn = test.execution or execution_arn(machine, execution_name(base))
    status = _status(runtime, arn)
    if status in _ALIVE:
        return
    if status != "UNKNOWN":
        arn = execution_arn(machine, execution_name(base, _number(base, arn) + 1))
        logger.warning("a test's execution ended", test=test.name, run=test.run, status=status)
    if arn != test.execution and not runtime.experiments.keep_execution(test.name, test.run, arn):
        return  # it does not run any more
    _start(runtime, arn.rsplit(":", 1)[-1], test)
    if status in _FAILED:
        raise NotReconciled(f"the execution of {test.name} before this one ended as {status}")


def let_go(runtime: ExperimentRuntime, test: StoredTest) -> None:
    """End the execution of a run that is over; one that has ended is left as it is."""
    if test.execution is None:
        return
    try:
        runtime.stepfunctions.stop_execution(
            executionArn=test.execution,
            error="Ended",
            cause=f"{test.name}, run {test.run}: {test.verdict}: {test.reason}"[:32_000],
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise


def _start(runtime: ExperimentRuntime, name: str, test: StoredTest) -> None:
    run = ExperimentRun(test=test.name, run=test.run)
    try:
        runtime.stepfunctions.start_execution(
            stateMachineArn=runtime.settings.experiment_machine_arn,
            name=name,
            input=run.model_dump_json(include={"schema_version", "test", "run"}),
        )
    except ClientError as error:
        # Somebody else started it, and it may have ended: the next minute sees.
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise


def _status(runtime: ExperimentRuntime, arn: str) -> str:
    try:
        return str(runtime.stepfunctions.describe_execution(executionArn=arn)["status"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return "UNKNOWN"


def _base(test: StoredTest) -> str:
    """What the names of a run's executions begin with; a digit after it is a number of theirs."""
    return f"{test.name}-run{test.run}"


def _number(base: str, arn: str) -> int:
    """Which of a run's executions it is."""
    rest = arn.rsplit(":", 1)[-1].removeprefix(execution_name(base)).removeprefix("-")
    return int(rest) if rest.isdigit() else 1
