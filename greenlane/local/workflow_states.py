"""Mends inside moto's interpreter: what waits can be woken, and waits in virtual time.

The functions here take the place of methods of moto 5.2.5 and keep their contracts: a task pushes
its output on the environment's stack, an environment that no longer runs prunes what is left.
"""

import copy
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from botocore.exceptions import ClientError
from moto.core.exceptions import AWSError
from moto.stepfunctions.parser.api import HistoryEventType, LambdaFunctionFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import (
    MaxAttemptsOutcome,
)
from moto.stepfunctions.parser.asl.component.common.retry.retrier_decl import RetrierDecl
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state import state as state_module
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceCondition,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import (
    StateTaskLambda,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import (
    timestamp as timestamp_module,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackConsumerTimeout,
    CallbackEndpoint,
    CallbackOutcome,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event import event_manager as event_module
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from greenlane.clock import ScaledClock
from greenlane.local.patches import Patches

_registry = threading.Lock()
# An event's wait cannot take more than this many seconds (the platform's limit on timeouts).
_LONGEST_WAIT = float(threading.TIMEOUT_MAX) - 1


class TaskTimedOut(AWSError):
    """AWS's error for an answer to a task that has ended."""

    TYPE = "TaskTimedOut"
    STATUS = 400


class TaskDoesNotExist(AWSError):
    """AWS's error for an answer with a token that nobody gave out."""

    TYPE = "TaskDoesNotExist"
    STATUS = 400


def wake(env: Environment) -> None:
    """Let everything that waits in an environment and its frames look at its state again."""
    with _registry:
        waiting = list(env.__dict__.get("greenlane_waiting", ()))
    for event in waiting:
        event.set()
    for frame in list(env._frames):
        wake(frame)


def wait_for(env: Environment, event: threading.Event, real_seconds: float) -> None:
    """Wait until the event is set, the time is over or the environment is woken."""
    with _registry:
        waiting = env.__dict__.setdefault("greenlane_waiting", [])
        waiting.append(event)
    if env.is_running():
        event.wait(min(real_seconds, _LONGEST_WAIT))
    with _registry:
        waiting.remove(event)


def close_token(endpoint: CallbackEndpoint, outcome: CallbackOutcome | None) -> bool:
    """Give a callback its one outcome, or none when its time is over; False if it has ended."""
    with _registry:
        if endpoint.consumer_error is not None:
            return False
        endpoint.report(CallbackConsumerTimeout())
    if outcome is None:
        endpoint.interrupt_all()
    else:
        endpoint.notify(outcome)
    return True


def mend_states(patches: Patches, clock: ScaledClock) -> None:
    """Put the mends in place."""
    virtual = _VirtualDatetime(clock)
    patches.set(state_module, "datetime", virtual.aware)
    patches.set(event_module, "datetime", virtual.aware)
    patches.set(timestamp_module, "datetime", virtual.naive)
    patches.set(WaitFunction, "_eval_body", _wait_state(clock))
    patches.set(RetrierDecl, "_eval_body", _retrier(clock))
    patches.set(Program, "eval", _program(clock))
    for name in ("next_state_name", "next_field_name"):
        patches.set(Environment, name, _next(name))
    for name in ("set_error", "set_timed_out"):
        patches.set(Environment, name, _end_once(getattr(Environment, name)))
    patches.set(ExecutionState, "_evaluate_with_timeout", _task(clock))
    patches.set(StateTaskLambda, "_from_error", _lambda_error(StateTaskLambda._from_error))


class _VirtualDatetime:
    """Stands for the `datetime` module where moto asks it for the present."""

    def __init__(self, clock: ScaledClock) -> None:
        """See the class."""

        class Aware(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return clock.now()

        class Naive(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return clock.now().replace(tzinfo=None)

        timezone = SimpleNamespace(utc=UTC)
        self.aware = SimpleNamespace(datetime=Aware, timezone=timezone)
        self.naive = SimpleNamespace(datetime=Naive, timezone=timezone)


def _next(name: str) -> property:
    """What comes next in an environment; nothing does once it has ended.

    moto raises then. A stop that came while a state handed over to the next one would turn an
    aborted execution into a failed one, or leave it without an end.
    """
    moved: property = vars(Environment)[name]

    def move(env: Environment, value: str) -> None:
        with env._state_mutex:
            if env._program_state is None or env.is_running():
                moved.__set__(env, value)

    return property(moved.fget, move)


def _end_once(end: Callable[..., None]) -> Callable[..., None]:
    """An end that comes after another changes nothing: moto lets an error replace a stop."""

    def end_if_running(env: Environment, **how: Any) -> None:
        with env._state_mutex:
            if env.is_running():
                end(env, **how)

    return end_if_running


def _wait_state(clock: ScaledClock) -> Callable[[Any, Environment], None]:
    def evaluate(wait: WaitFunction, env: Environment) -> None:
        seconds = wait._get_wait_seconds(env=env)
        wait_for(env, threading.Event(), clock.real_seconds(max(0, seconds)))

    return evaluate


def _retrier(clock: ScaledClock) -> Callable[[Any, Environment], None]:
    def evaluate(retrier: RetrierDecl, env: Environment) -> None:
        retrier.error_equals.eval(env)
        if not env.stack.pop():
            env.stack.append(RetrierOutcome.Skipped)
            return
        retrier.max_attempts.eval(env=env)
        if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
            env.stack.append(RetrierOutcome.Failed)
            return
        for part in (
            retrier.interval_seconds,
            retrier.backoff_rate,
            retrier.max_delay_seconds,
            retrier.jitter_strategy,
        ):
            part.eval(env=env)
        wait_for(env, threading.Event(), clock.real_seconds(env.stack.pop()))
        env.stack.append(RetrierOutcome.Executed)

    return evaluate


def _program(clock: ScaledClock) -> Callable[[Any, Environment], None]:
    def evaluate(program: Program, env: Environment) -> None:
        limit = program.timeout_seconds
        real = clock.real_seconds(limit.timeout_seconds) if limit else None
        env.next_state_name = program.start_at.start_at_name
        # Not `eval`, which passes over a program that no longer runs: one that was stopped before
        # its first state would have no end in its history.
        worker = threading.Thread(target=program._eval_body, args=(env,), daemon=True)
        worker.start()
        worker.join(timeout=real)
        if worker.is_alive():
            env.set_timed_out()
            wake(env)
            worker.join(timeout=5)

    return evaluate


def _real_timeout(task: Any, seconds: float, clock: ScaledClock) -> float:
    """A callback waits in virtual time; a function that runs takes the time it takes."""
    condition = getattr(getattr(task, "resource", None), "condition", None)
    return seconds if condition is None else clock.real_seconds(seconds)


def _task(clock: ScaledClock) -> Callable[[Any, Environment], None]:
    def evaluate(task: Any, env: Environment) -> None:
        """One attempt of a task, map or parallel state."""
        token = _fresh_token(task, env)
        task.timeout.eval(env=env)
        limit = _real_timeout(task, env.stack.pop(), clock)
        frame = env.open_frame()
        frame.states.reset(input_value=env.states.get_input())
        frame.stack = copy.deepcopy(env.stack)
        done, failures = threading.Event(), []

        def run() -> None:
            try:
                task._eval_execution(frame)
            except Exception as error:
                failures.append(error)
            finished.append(True)
            done.set()

        finished: list[bool] = []
        deadline = time.monotonic() + limit
        threading.Thread(target=run, name=f"state-{task.name}", daemon=True).start()
        wait_for(env, done, limit)
        if token is not None and env.is_running() and not finished:
            # An answer that came in time counts although its task has not yet looked at it.
            endpoint = env.callback_pool_manager.get(token)
            if endpoint is not None and not close_token(endpoint, None):
                wait_for(env, done, max(1.0, deadline - time.monotonic()))
        frame.set_ended()
        env.close_frame(frame)
        if not finished:
            # A function may run on, but what it does is no part of the history any more.
            frame.event_manager = event_module.EventManager(cloud_watch_logging_session=None)
        if not env.is_running():
            _abandon(env, token)
            return
        if not finished:
            raise EvalTimeoutError
        if failures:
            raise failures[0]
        _take_output(task, env, frame.stack[-1])

    return evaluate


def _fresh_token(task: Any, env: Environment) -> str | None:
    """The token of this attempt: moto makes one for all attempts, AWS one for each."""
    resource = getattr(task, "resource", None)
    if getattr(resource, "condition", None) != ResourceCondition.WaitForTaskToken:
        return None
    context: Any = env.states.context_object
    token: str = context.context_object_data["Task"]["Token"]
    if context.context_object_data["State"]["RetryCount"]:
        token = context.update_task_token()
        env.callback_pool_manager.add(token)
    return token


def _abandon(env: Environment, token: str | None) -> None:
    """The execution has ended: nobody waits for the callback any more."""
    endpoint = env.callback_pool_manager.get(token) if token is not None else None
    if endpoint is not None:
        close_token(endpoint, None)


def _take_output(task: Any, env: Environment, output: Any) -> None:
    """What moto does with a task's output."""
    env.stack.append(output)
    if not task._is_language_query_jsonpath():
        env.states.set_result(output)
    for part in (task.assign_decl, task.result_selector):
        if part:
            part.eval(env=env)
    if task.result_path:
        task.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


def _lambda_error(original: Any) -> Callable[[Any, Environment, Exception], FailureEvent]:
    def from_error(task: StateTaskLambda, env: Environment, ex: Exception) -> FailureEvent:
        """Name an error of the Invoke API after it, such as `Lambda.ServiceException`."""
        if not isinstance(ex, ClientError):
            failure: FailureEvent = original(task, env, ex)
            return failure
        name = f"Lambda.{ex.response['Error']['Code']}"
        details = LambdaFunctionFailedEventDetails(
            error=name, cause=ex.response["Error"]["Message"]
        )
        return FailureEvent(
            env=env,
            error_name=CustomErrorName(name),
            event_type=HistoryEventType.LambdaFunctionFailed,
            event_details=cast(EventDetails, {"lambdaFunctionFailedEventDetails": details}),
        )

    return from_error
