"""Step Functions: moto's interpreter, mended and on the virtual clock.

What is mended (each has its test): StopExecution interrupts whatever waits; an answer's `cause`
survives; answers to ended or unknown tokens are refused; each attempt of a callback has a token
of its own; executions without a name get one; nested executions start; waits, callback timeouts
and retry intervals are virtual seconds. The mends of the interpreter itself are in
`workflow_states`.
"""

import functools
import threading
import uuid
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackOutcome,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
)
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramStopped
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend.execution import (
    BaseExecutionWorkerCommunication,
    Execution,
)
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import (
    StepFunctionsParserBackend,
    stepfunctions_parser_backends,
)
from moto.stepfunctions.responses import StepFunctionResponse

from greenlane.local.context import ACCOUNT_ID, LocalContext
from greenlane.local.journal import Journal
from greenlane.local.patches import Patches
from greenlane.local.workflow_clients import ServiceClients
from greenlane.local.workflow_states import (
    TaskDoesNotExist,
    TaskTimedOut,
    close_token,
    mend_states,
    wake,
)

_SCHEDULED = ("LambdaFunctionScheduled", "TaskScheduled", "ActivityScheduled")
_STOP_SECONDS = 5.0
_parsing = threading.Lock()


class Workflows:
    """Runs the state machines of one local cloud."""

    def __init__(self, context: LocalContext, journal: Journal) -> None:
        """See the class."""
        self._context = context
        self._clients = ServiceClients(context, journal)
        self._patches = Patches()

    def start(self) -> None:
        """Mend the interpreter."""
        self._clients.install(self._patches)
        mend_states(self._patches, self._context.clock)
        self._mend_api()
        self._mend_executions()

    def stop(self) -> None:
        """End every execution that runs, silently, and undo the mends."""
        backend = stepfunctions_parser_backends[ACCOUNT_ID][self._context.region]
        self._patches.set(BaseExecutionWorkerCommunication, "terminated", _leave_silently)
        for machine in backend.state_machines:
            for execution in machine.executions:
                if execution.status == "RUNNING":
                    _end(execution, "", "the local cloud stopped")
        self._patches.undo()
        self._clients.close()

    def transitions(self, execution_arn: str) -> int:
        """Billable state transitions: each state entered, and each retry of a task."""
        backend = stepfunctions_parser_backends[ACCOUNT_ID][execution_arn.split(":")[3]]
        history = backend.get_execution_history(execution_arn)["events"]
        kinds = [str(getattr(event["type"], "value", event["type"])) for event in history]
        entered = sum(kind.endswith("StateEntered") for kind in kinds)
        attempts = sum(kind in _SCHEDULED for kind in kinds)
        return entered + max(0, attempts - kinds.count("TaskStateEntered"))

    def _mend_api(self) -> None:
        patch = self._patches.set
        patch(StepFunctionsParserBackend, "_validate_definition", staticmethod(_program_of))
        original = StepFunctionsParserBackend.start_execution

        def start_execution(
            backend: Any, arn: str, name: str | None = None, *rest: Any, **more: Any
        ) -> Any:
            return original(backend, arn, name or str(uuid.uuid4()), *rest, **more)

        def stop_execution(response: Any) -> ActionResult:
            execution = response.stepfunction_backend.describe_execution(
                response._get_param("executionArn")
            )
            _end(execution, response._get_param("error"), response._get_param("cause"))
            return ActionResult({"stopDate": execution.stop_date})

        def send_task_success(response: Any) -> EmptyResult:
            token, output = response._get_param("taskToken"), response._get_param("output")
            return _answer(response, CallbackOutcomeSuccess(token, output))

        def send_task_failure(response: Any) -> EmptyResult:
            token = response._get_param("taskToken")
            error, cause = response._get_param("error"), response._get_param("cause")
            return _answer(response, CallbackOutcomeFailure(token, error or "", cause or ""))

        patch(StepFunctionsParserBackend, "start_execution", start_execution)
        patch(StepFunctionResponse, "stop_execution", stop_execution)
        patch(StepFunctionResponse, "send_task_success", send_task_success)
        patch(StepFunctionResponse, "send_task_failure", send_task_failure)

    def _mend_executions(self) -> None:
        """Begin with a ready environment, report each change of status as an event."""
        host = self
        original_reflect: Any = BaseExecutionWorkerCommunication._reflect_execution_status
        original_start: Any = Execution.start

        def start_worker(worker: Any) -> None:
            # StopExecution may come at once: it needs an environment that already runs.
            program = _program_of(worker._evaluation_details.state_machine_details.definition)
            worker.env = worker._get_evaluation_environment()
            worker.env.next_state_name = program.start_at.start_at_name
            worker._get_evaluation_entrypoint = lambda: program
            worker._get_evaluation_environment = lambda: worker.env
            name = worker._evaluation_details.execution_details.name
            # Before it runs: a short execution would have ended when it is reported as running.
            host._report(worker._execution_communication.execution)
            threading.Thread(
                target=worker._execution_logic, name=f"execution-{name}", daemon=True
            ).start()

        def start(execution: Any) -> None:
            execution.start_date = host._context.clock.now()
            original_start(execution)

        def reflect(communication: Any) -> None:
            execution = communication.execution
            state = execution.exec_worker.env.program_state()
            if isinstance(state, ProgramStopped):
                execution.error, execution.cause = state.error or None, state.cause or None
            original_reflect(communication)
            execution.stop_date = host._context.clock.now()
            if isinstance(state, ProgramEnded):
                # As text, for moto would hand out a text without its quotes.
                execution.output = to_json_str(execution.output, separators=(",", ":"))

        def terminated(communication: Any) -> None:
            communication._reflect_execution_status()
            host._report(communication.execution)
            _ended(communication.execution).set()

        self._patches.set(ExecutionWorker, "start", start_worker)
        self._patches.set(Execution, "start", start)
        self._patches.set(BaseExecutionWorkerCommunication, "_reflect_execution_status", reflect)
        self._patches.set(BaseExecutionWorkerCommunication, "terminated", terminated)

    def _report(self, execution: Any) -> None:
        """Step Functions Execution Status Change, as EventBridge gets it."""
        ended = execution.stop_date if execution.status != "RUNNING" else None
        output = execution.output if execution.status == "SUCCEEDED" else None
        detail = {
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine.arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": _milliseconds(execution.start_date),
            "stopDate": _milliseconds(ended),
            "input": execution.execution_input,
            "output": output,
            "inputDetails": {"included": True},
            "outputDetails": None if output is None else {"included": True},
            "error": execution.error,
            "cause": execution.cause,
        }
        self._context.put_event(
            "aws.states", "Step Functions Execution Status Change", detail, [execution.exec_arn]
        )


def _program_of(definition: str) -> Any:
    """The parsed definition; parsing takes long, so each text is parsed once in a process."""
    with _parsing:
        return _parsed(definition)


@functools.lru_cache(maxsize=128)
def _parsed(definition: str) -> Any:
    return AmazonStateLanguageParser.parse(definition)[0]


def _milliseconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp() * 1000)


def _ended(execution: Any) -> threading.Event:
    """Set when the execution's last status is known."""
    event: threading.Event = execution.__dict__.setdefault("greenlane_ended", threading.Event())
    return event


def _end(execution: Any, error: str | None, cause: str | None) -> None:
    """Stop an execution and wait until it is ABORTED; nothing happens to one that has ended."""
    if execution.status != "RUNNING":
        return
    ended = _ended(execution)
    environment = execution.exec_worker.env
    environment.set_stop(stop_date=execution.start_date, error=error, cause=cause)
    wake(environment)
    ended.wait(_STOP_SECONDS)


def _leave_silently(communication: Any) -> None:
    communication._reflect_execution_status()
    _ended(communication.execution).set()


def _answer(response: Any, outcome: CallbackOutcome) -> EmptyResult:
    """Give an answer to the task that waits for it.

    Raises:
        TaskTimedOut: the task has ended: answered, timed out, or its execution is over.
        TaskDoesNotExist: nobody ever gave out this token.
    """
    machines = response.stepfunction_backend.state_machines
    for execution in [one for machine in machines for one in machine.executions]:
        environment = execution.exec_worker.env
        endpoint = environment.callback_pool_manager.get(outcome.callback_id)
        if endpoint is None:
            continue
        if execution.status != "RUNNING" or not close_token(endpoint, outcome):
            raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
        return EmptyResult()
    raise TaskDoesNotExist("Task Does Not Exist: 'Provided task does not exist'")
